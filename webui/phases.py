"""The words for what the connection doctor looks at, in the reader's language: a table.

Promises: every phase of every doctor has words; one that is not here is shown as it is.
Failures: none.
Limits: what he found is shown as he said it, in English.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

PHASES: dict[str, LazyString] = {
    "name": _("Its name"),
    "route": _("The way out of this box"),
    "tcp": _("The connection"),
    "tls": _("Encryption (TLS)"),
    "association": _("Whether it lets this box in"),
    "contexts": _("What images it takes"),
    "echo": _("DICOM echo"),
    "http": _("The web server"),
    "login": _("Logging in"),
    "folder": _("The folder"),
    "send": _("A test image"),
    "proof": _("Proof that it keeps it"),
    "called": _("Its last call"),
    "address": _("Its address"),
    "reply name": _("The name for reports"),
    "reply tcp": _("The connection for reports"),
    "reply echo": _("DICOM echo for reports"),
}


def phase_words(phase: str) -> str:
    """Return what a phase of the doctor looks at."""
    return str(PHASES.get(phase, phase))
