"""What the codes of held images mean and what to do about each on these pages, in the reader's language: a table.

Promises: every code of docs/held.md has a meaning and advice that names what can be pressed here; one that is not here has none.
Failures: none.
Limits: what the destination itself answered stands beside it, in its own words.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means, and what to do; `verb` is what helps most often ("" where nothing is to be pressed)."""

    text: LazyString
    advice: LazyString
    verb: str = "retry"


_ALLOW_CLASS = _(
    "Ask the archive's administrator to allow this kind of image for this box, then retry. If the archive is never to have it, "
    "say so with “Never send this there”."
)
_ALLOW_SYNTAX = _("Ask the archive's administrator to allow this compression, or set the scanner to send uncompressed; then retry.")
_ASK = _("Ask the archive's administrator what its log says at that time, then retry.")
_DEFECTIVE = _("Compare with the archive's log. The scanner's vendor has to mend such images; cancel what is useless.")
_OWN = _("Nothing is wrong at the archive. Send the study from the scanner again, and tell support this code.")
_WEB = _("Compare with the server's log, and test the destination.")

_CLASS_REFUSED = Meaning(_("The destination does not take this kind of image."), _ALLOW_CLASS)
_SYNTAX_REFUSED = Meaning(_("The destination does not take this compression."), _ALLOW_SYNTAX)
_FOUND_DEFECTIVE = Meaning(_("The destination finds the image itself defective."), _DEFECTIVE, "cancel")

MEANINGS: dict[str, Meaning] = {
    "class_not_supported": _CLASS_REFUSED,
    "class_rejected": _CLASS_REFUSED,
    "no_such_class": _CLASS_REFUSED,
    "context_rejected": _CLASS_REFUSED,
    "context_unanswered": _CLASS_REFUSED,
    "syntax_not_supported": _SYNTAX_REFUSED,
    "syntax_rejected": _SYNTAX_REFUSED,
    "not_convertible": _SYNTAX_REFUSED,
    "http_unsupported_type": _SYNTAX_REFUSED,
    "headers_refused": Meaning(
        _("The destination's settings ask for a change of headers that cannot be made in this image."),
        _("Correct the headers in the destination's settings; what is held is then tried at once."),
    ),
    "data_set_mismatch": _FOUND_DEFECTIVE,
    "not_understood": _FOUND_DEFECTIVE,
    "invalid_instance": _FOUND_DEFECTIVE,
    "class_instance_conflict": _FOUND_DEFECTIVE,
    "mistyped_argument": _FOUND_DEFECTIVE,
    "unrecognised_operation": Meaning(
        _("What answers there does not store images."),
        _("Is this the archive's storage service? Compare address, port and title with its settings."),
    ),
    "duplicate_instance": Meaning(
        _("The archive has another image under the same number."),
        _("Compare the two. Then cancel here, or delete it there and retry."),
        "cancel",
    ),
    "elements_discarded": Meaning(
        _("The archive would not keep everything of this image."), _("Accept that and cancel, or send it elsewhere."), "cancel"
    ),
    "unknown_status": Meaning(_("The archive answered something that has no meaning."), _ASK),
    "aborted": Meaning(_("The archive breaks off at this image every time."), _ASK),
    "aborted_by_provider": Meaning(_("The archive's network breaks off at this image every time."), _ASK),
    "damaged_in_spool": Meaning(_("The copy in this box is damaged."), _OWN, ""),
    "missing_in_spool": Meaning(_("The copy in this box is missing."), _OWN, ""),
    "sealed_for_another_key": Meaning(
        _("The key that opens this image is not in this box."),
        _("An administrator has to put the keys back from the backup, then retry."),
    ),
    "name_refused": Meaning(
        _("The file system there does not take the file's name."),
        _("Change the layout in the destination's settings; what is held is then tried at once."),
    ),
    "file_too_large": Meaning(
        _("The file system there does not take files of this size."), _("Use another file system or destination."), "cancel"
    ),
    "not_named": Meaning(_("The server's answer does not say what became of this image."), _WEB),
    "http_too_large": Meaning(
        _("The server, or a proxy before it, does not take requests of this size."), _("Have the limit there raised, then retry.")
    ),
    "destination_removed": Meaning(
        _("The destination is no longer in the settings."),
        _("Put it back with the same id, and everything goes by itself; or cancel what is held for it."),
        "cancel",
    ),
    "never_sent": Meaning(
        _("The destination's settings say that this kind of image is never sent there."),
        _("Cancel what is held, or take the kind off the list in the destination's settings."),
        "cancel",
    ),
    "held_by_person": Meaning(_("Somebody holds it."), _("Release it when the reason is gone."), "release"),
    "rebuilt": Meaning(
        _("The box lost its index and does not know whether this arrived."),
        _("Release what the archive lacks, cancel the rest."),
        "release",
    ),
    "awaits_study": Meaning(
        _("It waits until its study is complete."), _("Nothing to do: it goes by itself. Retry sends it now."), "retry"
    ),
    "loop": Meaning(
        _("It came from this destination, so it is not sent back."),
        _("Nothing to do, unless it is meant to go back: then a route must name the scanner."),
        "",
    ),
    "ring": Meaning(_("Boxes send to each other in a ring."), _("Change a route of one of them."), ""),
    "verdict": Meaning(_("The destination refuses this image."), _ASK),
    "configuration": Meaning(_("A setting must change first."), _("The reason says which.")),
}
"""By code (docs/held.md)."""

_OF_THE_WEB = Meaning(_("The server answered with an error."), _WEB)


def meaning_of(code: str) -> Meaning | None:
    """Return what a code means, None for one that has no meaning here."""
    found = MEANINGS.get(code)
    if found is None and code.startswith(("http_", "failed_")):
        return _OF_THE_WEB
    return found
