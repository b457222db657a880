"""The words for states, modalities and classes of images, in the reader's language: tables.

Promises: every state of the box has a word; one that is not here is shown as it is.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

STATES: dict[str, LazyString] = {
    "alive": _("reachable"),
    "throttled": _("slowed down"),
    "dead": _("unreachable"),
    "refusing": _("refuses us"),
    "paused": _("paused"),
    "removed": _("no longer in the settings"),
    "queued": _("waiting"),
    "sending": _("being sent"),
    "deferred": _("tried again later"),
    "held": _("held"),
    "delivered": _("delivered"),
    "proved": _("proved"),
    "cancelled": _("cancelled"),
    "expired": _("expired"),
}


def state_word(state: str) -> str:
    """Return the word for a state of a destination or a delivery."""
    return str(STATES.get(state, state))


MODALITIES: dict[str, LazyString] = {
    "CT": _("CT scanner"),
    "MR": _("MR scanner"),
    "CR": _("X-ray with cassettes"),
    "DX": _("digital X-ray"),
    "MG": _("mammography"),
    "US": _("ultrasound"),
    "XA": _("angiography"),
    "RF": _("fluoroscopy"),
    "NM": _("nuclear medicine"),
    "PT": _("PET"),
    "ES": _("endoscopy"),
    "OT": _("something else"),
}
"""What a device is, by the modality that its images carry."""

# What images and documents are called in a department, by the beginning of their class's UID: the longest that fits counts.
_CLASSES: dict[str, LazyString] = {
    "1.2.840.10008.1.1": _("a connection test"),
    "1.2.840.10008.1.20.1": _("reports on what it keeps"),
    "1.2.840.10008.5.1.4.1.1.1": _("X-ray images"),
    "1.2.840.10008.5.1.4.1.1.1.2": _("mammograms"),
    "1.2.840.10008.5.1.4.1.1.1.3": _("dental X-ray images"),
    "1.2.840.10008.5.1.4.1.1.2": _("CT images"),
    "1.2.840.10008.5.1.4.1.1.3": _("ultrasound images"),
    "1.2.840.10008.5.1.4.1.1.4": _("MR images"),
    "1.2.840.10008.5.1.4.1.1.6": _("ultrasound images"),
    "1.2.840.10008.5.1.4.1.1.7": _("screen captures"),
    "1.2.840.10008.5.1.4.1.1.9": _("curves such as ECG"),
    "1.2.840.10008.5.1.4.1.1.11": _("presentation states"),
    "1.2.840.10008.5.1.4.1.1.12": _("angiography and fluoroscopy images"),
    "1.2.840.10008.5.1.4.1.1.13.1": _("3D X-ray images"),
    "1.2.840.10008.5.1.4.1.1.13.1.3": _("breast tomosynthesis"),
    "1.2.840.10008.5.1.4.1.1.20": _("nuclear medicine images"),
    "1.2.840.10008.5.1.4.1.1.66": _("raw data and measurements"),
    "1.2.840.10008.5.1.4.1.1.77.1": _("colour images of a camera"),
    "1.2.840.10008.5.1.4.1.1.77.1.5": _("images of the eye"),
    "1.2.840.10008.5.1.4.1.1.88": _("reports"),
    "1.2.840.10008.5.1.4.1.1.88.59": _("key images"),
    "1.2.840.10008.5.1.4.1.1.88.67": _("dose reports"),
    "1.2.840.10008.5.1.4.1.1.104": _("documents"),
    "1.2.840.10008.5.1.4.1.1.128": _("PET images"),
    "1.2.840.10008.5.1.4.1.1.481": _("radiotherapy objects"),
    "1.2.840.10008.5.1.4.1.2": _("searches in an archive"),
    "1.2.840.10008.5.1.4.31": _("the worklist"),
    "1.2.840.10008.3.1.2.3": _("progress of examinations"),
    "1.2.840.10008.5.1.1": _("printing on film"),
}


def class_word(uid: str) -> str:
    """Return what objects of a SOP class are called in a department; a class that has no name here is shown by its UID."""
    parts = uid.split(".")
    beginnings = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return str(next((_CLASSES[beginning] for beginning in beginnings if beginning in _CLASSES), uid))


def class_words(uids: Iterable[str]) -> list[str]:
    """Return what SOP classes are called, each word once, in their order."""
    return list(dict.fromkeys(class_word(uid) for uid in uids))


def modality_word(modality: str | None) -> str:
    """Return what a device of a modality is; a modality that has no word here is shown as it is."""
    return str(MODALITIES.get(modality or "", modality or ""))
