"""Verdicts on what the box meets by itself when it sends: its spool, its keys, its defects, an object it cannot convert or derive. Pure.

Promises: none of these says anything about the destination, and none is ever judged delivered. Texts are operator words.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from appliance.deliver.verdict import Verdict, Whose
from appliance.ledger.vocabulary import HoldClass
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import SpoolKeyMissingError, SpoolObjectMissingError

DAMAGED = "damaged_in_spool"
"""The flag of an object that does not authenticate and is to be quarantined."""


_MISSING, _FOREIGN = "missing_in_spool", "sealed_for_another_key"
SPOOL_FAULTS = frozenset({DAMAGED, _MISSING, _FOREIGN})
"""The flags of what the spool does not give."""

SPOOL_ERRORS = (
    SpoolObjectMissingError,
    SealForeignError,
    SpoolKeyMissingError,
    SealDamagedError,
    SealFormatError,
    ObjectHeaderError,
    OSError,
)
"""What opening and reading a sealed object raises, the disk's own errors among it."""


def judge_spool(error: Exception) -> Verdict:
    """Return the verdict on one of `SPOOL_ERRORS`."""
    match error:
        case SpoolObjectMissingError():
            return judge_missing()
        case SealForeignError() | SpoolKeyMissingError():
            return judge_foreign_key()
        case SealDamagedError() | SealFormatError() | ObjectHeaderError():
            return judge_damaged()
        case _:
            return judge_unreadable()


def judge_damaged() -> Verdict:
    """Return the verdict on an object that does not authenticate: it is never sent (hostile-inputs.md row 113)."""
    return _held(DAMAGED, "damaged in the spool", ends_association=True)


def judge_missing() -> Verdict:
    """Return the verdict on an object that is not in the spool."""
    return _held(_MISSING, "missing in the spool")


def judge_foreign_key() -> Verdict:
    """Return the verdict on an object sealed for a key generation that is not unlocked."""
    return _held(_FOREIGN, "sealed for a key that this box does not have", HoldClass.CONFIGURATION)


def judge_unreadable() -> Verdict:
    """Return the verdict on an object that the disk did not give back this time."""
    return _passing("spool_unreadable", "cannot be read from the spool now")


def judge_unconvertible(problem: str) -> Verdict:
    """Return the verdict on an object that cannot be brought into a form that the destination takes; `problem` says why not."""
    text = f"the destination takes this SOP class only in another transfer syntax, and {problem}"
    return _held("not_convertible", text, ends_association=True)


def judge_refused_headers(problem: str) -> Verdict:
    """Return the verdict on an object whose header cannot be changed as the destination's `headers` ask; `problem` says why not."""
    return _held("headers_refused", f"its header cannot be changed as configured: {problem}", HoldClass.CONFIGURATION)


def judge_not_derived(problem: str) -> Verdict:
    """Return the verdict on an object of which nothing could be derived this time: it waits, the others go on."""
    return _passing("not_derived", f"what the destination asks for could not be made now: {problem}")


def judge_other_length() -> Verdict:
    """Return the verdict on an object that turned out longer or shorter than announced: the request was cut off, the others go on."""
    return _passing("length_differs", "the object is not as long as the box announced, which is a fault of the box")


def judge_internal() -> Verdict:
    """Return the verdict on a fault of our own during a transfer: the instance waits, the others go on."""
    return _passing("internal_fault", "an internal fault stopped the transfer")


def _held(flag: str, text: str, hold: HoldClass = HoldClass.VERDICT, *, ends_association: bool = False) -> Verdict:
    return Verdict(Whose.INSTANCE, flag, text, hold=hold, tries_before_hold=1, ends_association=ends_association, is_ours=True)


def _passing(flag: str, text: str) -> Verdict:
    return Verdict(Whose.INSTANCE, flag, text, ends_association=True, is_ours=True)
