"""DIMSE status codes by name, and what kind of answer each is. Pure.

Promises: every 16-bit status has exactly one category; a status that nobody defined is `UNKNOWN`, never a success.
Failures: none.
Limits: what a status means for a delivery is `deliver/verdict`; here are only the words.
Standard: PS3.7 Annex C, PS3.4 B.2.3 (storage).
"""

from __future__ import annotations

from enum import StrEnum

SUCCESS = 0x0000
CANCEL = 0xFE00
PENDING = 0xFF00
PENDING_WARNING = 0xFF01

# PS3.7 Annex C.
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
INVALID_SOP_INSTANCE = 0x0117
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213

# PS3.4 table B.2-1.
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000
COERCION_OF_DATA_ELEMENTS = 0xB000
ELEMENTS_DISCARDED = 0xB006
DATA_SET_DOES_NOT_MATCH_WARNING = 0xB007


class Category(StrEnum):
    """What kind of answer a status is (PS3.7 C.1 to C.5)."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    CANCEL = "cancel"
    PENDING = "pending"
    UNKNOWN = "unknown"


# PS3.7 C.3: these two are warnings although they stand among the failures.
_GENERAL_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})
# PS3.7 C.5.
_GENERAL_FAILURES = range(0x0100, 0x0300)


def category(status: int) -> Category:
    """Return what kind of answer `status` is."""
    if status == SUCCESS:
        return Category.SUCCESS
    if status == CANCEL:
        return Category.CANCEL
    if status in {PENDING, PENDING_WARNING}:
        return Category.PENDING
    if status in _GENERAL_WARNINGS or status >> 12 == 0xB:  # noqa: PLR2004 (PS3.7 C.3: Bxxx)
        return Category.WARNING
    # PS3.7 C.4: Axxx and Cxxx are failures of a service class.
    if status in _GENERAL_FAILURES or status >> 12 in {0xA, 0xC}:
        return Category.FAILURE
    return Category.UNKNOWN
