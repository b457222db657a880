"""The path of an instance below a destination's folder: a layout filled in with what the instance says of itself. Pure.

Promises: whatever the instance says, every part of the path is a plain name: 1 to 64 characters a value, letters, digits, dots, hyphens and
underscores, no dot first or last, no name that Windows keeps for itself. Nobody's name is in it unless the layout asks for it.
Failures: none.
Limits: letters outside ASCII become underscores; what an instance does not say is `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from appliance.config.layout import LayoutTemplate

UNKNOWN = "unknown"
TAGS: Mapping[str, int] = {
    "study": 0x0020000D,
    "series": 0x0020000E,
    "modality": 0x00080060,
    "station": 0x00081010,
    "date": 0x00080020,
    "accession": 0x00080050,
    "patient_id": 0x00100020,
    "patient_name": 0x00100010,
}
"""Where the data set says what a field stands for; the other fields are known without it."""

# A UID has 64 characters, and so has the longest of the others (LO, PN).
_MOST_CHARACTERS = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
# MS-FSCC 2.1.5.2 and its kin: a share may be served by Windows, where these open devices.
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE)


def wanted_tags(layout: LayoutTemplate) -> frozenset[int]:
    """Return the elements that the layout needs from the data set."""
    return frozenset(TAGS[field] for field in layout.fields if field in TAGS)


def values_of(instance: str, source: str, elements: Mapping[int, bytes]) -> dict[str, str]:
    """Return every field's value: `instance` is the SOP Instance UID, `source` a calling title, `elements` raw values by tag."""
    texts = {field: elements.get(tag, b"").decode("ascii", "replace") for field, tag in TAGS.items()}
    return texts | {"instance": instance, "source": source}


def path_of(layout: LayoutTemplate, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders and the file name of an instance of which `values` are known."""
    safe = {field: _safe(values.get(field, "")) for field in layout.fields}
    return tuple(_plain(part) for part in layout.filled(safe))


def _safe(text: str) -> str:
    """Return the text with every character that could mean something to a file system replaced."""
    return _UNSAFE.sub("_", text.strip("\0 "))[:_MOST_CHARACTERS] or UNKNOWN


def _plain(part: str) -> str:
    """Return a part that is hidden nowhere, means no folder above, and is no device."""
    part = re.sub(r"^\.+|\.+$", lambda dots: "_" * len(dots[0]), part)
    return f"_{part}" if _DEVICES.fullmatch(part) else part
