"""A claimed delivery together with its past: what a lane needs to know to send it the right way. Pure.

Promises: the past is what the ledger kept, so that a restart of the sender changes nothing about how often something was tried.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.core.identity import Uid
from appliance.deliver.verdict import BREAKS, Break, Whose
from appliance.ledger.claims import Claim

_ABORTED = BREAKS[Break.ABORT_USER]
_ABORTED_BY_PROVIDER = BREAKS[Break.ABORT_PROVIDER]

# A line that broke between two refusals neither adds to their number nor starts it anew.
_SAYS_NOTHING = frozenset(verdict.flag for verdict in BREAKS.values() if verdict.whose is Whose.UNKNOWN and verdict.hold is None)


def in_a_row(outcomes: Sequence[str], flag: str) -> int:
    """Return how often in a row the last outcomes were `flag`, those that say nothing left aside."""
    count = 0
    for outcome in reversed(outcomes):
        if outcome == flag:
            count += 1
        elif outcome not in _SAYS_NOTHING:
            break
    return count


@dataclass(frozen=True, slots=True)
class Task:
    """A claim, the outcomes of its earlier attempts (the first first), and whether these bytes went to the destination before."""

    claim: Claim
    outcomes: tuple[str, ...] = ()
    sent_before: bool = False

    @property
    def context(self) -> tuple[Uid, Uid]:
        """The SOP class and transfer syntax that it needs."""
        return self.claim.sop_class_uid, self.claim.transfer_syntax_uid

    @property
    def goes_alone(self) -> bool:
        """Whether it was aborted so often in company that it goes alone and last, in an association of its own."""
        return in_a_row(self.outcomes, _ABORTED.flag) >= (_ABORTED.isolate_after or 0)

    @property
    def wants_small_pdus(self) -> bool:
        """Whether the destination's protocol machine choked on it."""
        return in_a_row(self.outcomes, _ABORTED_BY_PROVIDER.flag) > 0
