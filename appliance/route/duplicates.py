"""What happens when a SOP Instance UID arrives again (semantics.md section 3). Pure: the ledger's answers are arguments.

Promises: `decide` is a function of its arguments. The same bytes that are still kept never become a second version; other bytes always do.
A new file adds no version only when the same bytes are recorded and kept. Each destination is judged by itself: where the same bytes are
still owed nothing is added, where they are not (delivered, or asked for the first time, through another called title) one delivery is. What
was owed of a damaged copy is owed of the new one, never of both.
Failures: none.
Limits: whether other bytes hold the same pixels needs decoding and is not asked; such an instance counts as changed. The same bytes after
others (A, B, A) count as changed too, because the archive must end up with the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.ledger.instances import Attributes, InstanceFacts, InstanceState, StoredInstance
from appliance.ledger.vocabulary import Cause, Priority
from appliance.route.planner import Planned


class Arrival(StrEnum):
    """How a received instance stands to what the ledger has under its UID."""

    FIRST = "first"
    """The UID is new."""
    REPEATED = "repeated"
    """The same bytes, which the box still has: the new file only says what it asked for."""
    REGAINED = "regained"
    """The same bytes, which the box has no longer (evicted, quarantined) or had no use for (unrouted): the new file stands for them now."""
    CHANGED = "changed"
    """Other bytes under the same UID."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a received instance.

    `version` is that of the row to add, or None when the instance stays the one that it is. `deliveries` are to be made with `cause`.
    `supersedes` says that they take the place of those that are open for the version before, whose bytes are gone. `differs` names what is
    different from the version before, in constant words.
    """

    arrival: Arrival
    version: int | None
    deliveries: tuple[Planned, ...]
    cause: Cause = Cause.ROUTE
    differs: tuple[str, ...] = ()
    supersedes: bool = False

    @property
    def is_security(self) -> bool:
        """Say whether this is a security finding: another patient or another source under a known UID."""
        return "patient" in self.differs or "source" in self.differs


def decide(latest: StoredInstance | None, facts: InstanceFacts, planned: Sequence[Planned], owed: Mapping[str, Priority]) -> Decision:
    """Return what to do with an instance that is planned for these deliveries.

    `latest` is the newest version the ledger has under its UID, `owed` names the destinations that are still owed that version, and how
    urgently.
    """
    if latest is None:
        return Decision(Arrival.FIRST, 1, tuple(planned))
    if not _are_same_bytes(latest.facts, facts):
        return Decision(Arrival.CHANGED, latest.version + 1, tuple(planned), differs=_differences(latest.facts, facts))
    again = tuple(delivery for delivery in planned if delivery.destination_id not in owed)
    if _is_kept(latest, again):
        return Decision(Arrival.REPEATED, None, again, Cause.RESEND)
    taken_over = tuple(Planned(destination_id, priority) for destination_id, priority in owed.items())
    return Decision(Arrival.REGAINED, latest.version + 1, taken_over + again, Cause.RESEND, supersedes=bool(taken_over))


def _are_same_bytes(earlier: InstanceFacts, later: InstanceFacts) -> bool:
    return _content(earlier) == _content(later)


def _content(facts: InstanceFacts) -> tuple[str, int, str]:
    return facts.digest, facts.length, facts.transfer_syntax_uid


def _is_kept(latest: StoredInstance, again: Sequence[Planned]) -> bool:
    match latest.state:
        case InstanceState.STORED:
            return True
        case InstanceState.UNROUTED:
            # What now has somewhere to go is not unrouted any more; the row says so by its state, which is given when it is added.
            return not again
        case InstanceState.QUARANTINED | InstanceState.EVICTED:
            return False


def _differences(earlier: InstanceFacts, later: InstanceFacts) -> tuple[str, ...]:
    compared = {
        "patient": _is_other_patient(earlier.attributes, later.attributes),
        "source": _source(earlier) != _source(later),
        "study": earlier.study_instance_uid != later.study_instance_uid,
        "sop_class": earlier.sop_class_uid != later.sop_class_uid,
        "transfer_syntax": earlier.transfer_syntax_uid != later.transfer_syntax_uid,
    }
    return tuple(name for name, differs in compared.items() if differs)


def _source(facts: InstanceFacts) -> tuple[str, str]:
    """Return who sent it: a source is (title, address), and titles are compared without regard to case (house.md section 8)."""
    return facts.calling_title.strip(" ").upper(), facts.source_address


def _is_other_patient(earlier: Attributes, later: Attributes) -> bool:
    """Say whether two versions are of different patients; a corrected spelling of the name alone is not another patient."""
    if earlier.patient_id != later.patient_id:
        return True
    renamed = earlier.patient_name.casefold() != later.patient_name.casefold()
    reborn = earlier.birth_date != later.birth_date
    # Without an ID the name is all there is to go by; with one, two contradictions at once are more than a correction.
    return (renamed or reborn) if not later.patient_id else (renamed and reborn)
