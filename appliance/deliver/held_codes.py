"""Why a delivery waits or is not owed, as a short code that can be read over the telephone, and what to do about it. Pure.

Promises: total: whatever a delivery is held for has a code and advice; a code means the same in every version. docs/held.md lists them all.
Failures: none.
Limits: where a destination refuses an instance, the code is what it answered (`Verdict.flag`); its own log knows more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from appliance.ledger.completions import AWAITS_STUDY
from appliance.ledger.holding import CAME_FROM_IT, DESTINATION_REMOVED, NEVER_SENT, PASSED_TOO_MANY_BOXES
from appliance.ledger.vocabulary import DeliveryState, HoldClass

_ALLOW_CLASS = "Allow the SOP class for this box in the archive's settings. If it is never to have it: `never` in its [[destination]]."
_ALLOW_SYNTAX = "Allow the transfer syntax in the archive's settings, or have the scanner send uncompressed."
_ASK_ARCHIVE = "Ask the archive's administrator what its log says of this instance; then `dicom-edge queue retry ID`."
_DEFECTIVE = (
    "The archive finds the instance defective: compare with what its log says. The scanner's vendor has to mend it; cancel if useless."
)
_OWN_OBJECT = "Nothing is wrong at the archive. Run `dicom-edge spool verify`; send the study from the scanner again."
_HTTP = "Compare with the server's documentation and log; `dicom-edge destinations test NAME` tries the way there."

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "class_not_supported": _ALLOW_CLASS,
        "class_rejected": _ALLOW_CLASS,
        "no_such_class": _ALLOW_CLASS,
        "syntax_not_supported": _ALLOW_SYNTAX,
        "syntax_rejected": _ALLOW_SYNTAX,
        "context_rejected": _ALLOW_CLASS,
        "context_unanswered": _ALLOW_CLASS,
        "not_convertible": _ALLOW_SYNTAX,
        "headers_refused": "Correct `headers` of the destination: one of the operations cannot be done with this instance.",
        "data_set_mismatch": _DEFECTIVE,
        "not_understood": _DEFECTIVE,
        "invalid_instance": _DEFECTIVE,
        "class_instance_conflict": _DEFECTIVE,
        "mistyped_argument": _DEFECTIVE,
        "unrecognised_operation": "Is this the archive's storage service? Compare host, port and ae_title with its settings.",
        "duplicate_instance": "The archive has another object under this UID: compare the two, then cancel, or delete it there and retry.",
        "elements_discarded": "The archive does not keep everything: accept that, or send elsewhere.",
        "unknown_status": _ASK_ARCHIVE,
        "aborted": _ASK_ARCHIVE,
        "aborted_by_provider": _ASK_ARCHIVE,
        "damaged_in_spool": _OWN_OBJECT,
        "missing_in_spool": _OWN_OBJECT,
        "sealed_for_another_key": "The key that opens it is not in this box: put back its `keys` folder from the backup.",
        "name_refused": "Change `layout` of the destination: it makes a name that the file system does not take.",
        "file_too_large": "The destination's file system is too old for files of this size: use another.",
        "not_named": _HTTP,
        "http_too_large": "Raise the largest request that the server, or a proxy before it, takes.",
        "http_unsupported_type": _ALLOW_SYNTAX,
        "destination_removed": "Put the [[destination]] back with the same id, and all goes by itself; or `queue cancel --destination ID`.",
        "never_sent": "That is how the destination is configured (`never`). Cancel, or take the class off the list.",
        "held_by_person": "`dicom-edge queue release ID` when the reason is gone.",
        "rebuilt": "The ledger was lost, and nobody knows whether this arrived. Release what the archive lacks, cancel the rest.",
        "awaits_study": "Nothing to do: it goes when the study has been quiet. `queue retry` sends it now.",
        "loop": "Nothing to do, unless it is meant to go back: then name the source in the route's `when.source`.",
        "ring": "Boxes send to each other in a ring: change a route of one of them.",
        "verdict": _ASK_ARCHIVE,
        "configuration": "A setting must change first: the reason says which.",
    }
)
"""What to do, by code."""

_BY_REASON = {
    DESTINATION_REMOVED: "destination_removed",
    NEVER_SENT: "never_sent",
    AWAITS_STUDY: "awaits_study",
    CAME_FROM_IT: "loop",
    PASSED_TOO_MANY_BOXES: "ring",
}
_BY_CLASS = {HoldClass.PERSON: "held_by_person", HoldClass.REBUILT: "rebuilt"}


def code_of(state: DeliveryState, hold_class: HoldClass | None, reason: str, last_outcome: str) -> str:
    """Return the code of a delivery, "" where nothing keeps it; `last_outcome` is the flag of its last attempt, "" where it had none."""
    if state in (DeliveryState.HELD, DeliveryState.DEFERRED, DeliveryState.CANCELLED) and reason in _BY_REASON:
        return _BY_REASON[reason]
    if state is DeliveryState.DEFERRED:
        return last_outcome
    if state is not DeliveryState.HELD or hold_class is None:
        return ""
    return _BY_CLASS.get(hold_class) or last_outcome or hold_class.value


def advice_on(code: str) -> str:
    """Return what to do about a code, "" for one that needs nothing but time."""
    return ADVICE.get(code, _HTTP if code.startswith(("http_", "failed_")) else "")
