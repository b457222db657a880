"""The life of one delivery (one instance to one destination) as a table of states and events. Pure.

Everything that may happen to a delivery's state is a row of `TRANSITIONS`; nothing else in the house moves one. This module does not know
why an event happened (`deliver/verdict.py`) nor when the next try is due (`deliver/schedule.py`).

Promises: `move` returns the state after an event; a move that is not in the table raises and changes nothing, because the table is all the
state there is. `diagram` is drawn from the same table.
Failures: `DeliveryMoveError` (ours).
Limits: `expired` is meant for causes `move` and `probe` only; whoever sends the event sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.vocabulary import DeliveryState


class Event(StrEnum):
    """What happens to a delivery."""

    AWAITS_STUDY = "waits for its study"
    """Its route wants it only once the study is complete."""
    CLAIMED = "claimed"
    """A lane of a living sender run took it."""
    DELIVERED = "delivered"
    """The destination answered 0000, B000, B006 or B007 for this instance and this message."""
    PROVED = "proved"
    """The destination's own proof (commitment or query) names the instance."""
    SOFT_FAILED = "soft failed"
    """This try failed or its outcome is unknown; another one is due later."""
    SITE_FAILED = "site failed"
    """The destination is in trouble; the delivery is charged nothing."""
    REFUSED = "refused"
    """The destination refuses this instance (hold class verdict)."""
    UNUSABLE = "unusable"
    """A setting must change first (hold class configuration)."""
    HELD_BY_PERSON = "held by a person"
    """Somebody wants it to wait (hold class person)."""
    RELEASED = "released"
    """Somebody, or a change of settings, wants it tried now."""
    DUE = "due"
    """The time to try again has come."""
    CANCELLED = "cancelled"
    """Somebody decided that it is no longer owed (audited)."""
    EXPIRED = "expired"
    """Nobody waits for it any more (moves and probes only)."""
    OWNER_DIED = "owner died"
    """The sender run that claimed it no longer lives; the outcome is unknown."""
    LOST = "lost"
    """The archive says that it does not have it, or no longer."""
    DISPUTED = "disputed"
    """The archive's word contradicts its answer, and sending it once more would not help (hold class verdict)."""


class DeliveryMoveError(ApplianceError):
    """A delivery was told to do what its state does not allow."""

    fault = Fault.OURS

    def __init__(self, state: DeliveryState, event: Event) -> None:
        """Say the state and the event."""
        super().__init__(f"a delivery that is {state} cannot be moved by '{event}'")
        self.state = state
        self.event = event


_S = DeliveryState
_E = Event

TRANSITIONS: Mapping[tuple[DeliveryState, Event], DeliveryState] = MappingProxyType(
    {
        (_S.QUEUED, _E.CLAIMED): _S.SENDING,
        # In the transaction that makes it: no lane has seen it as queued. It is due when the study is complete.
        (_S.QUEUED, _E.AWAITS_STUDY): _S.DEFERRED,
        # A setting may take its way from under a delivery that waits: its destination was removed (hostile-inputs.md row 76).
        (_S.QUEUED, _E.UNUSABLE): _S.HELD,
        (_S.QUEUED, _E.HELD_BY_PERSON): _S.HELD,
        (_S.QUEUED, _E.CANCELLED): _S.CANCELLED,
        (_S.QUEUED, _E.EXPIRED): _S.EXPIRED,
        # While it is being sent only the lane moves it: a person's wish waits for the outcome, which is at most one instance away.
        (_S.SENDING, _E.DELIVERED): _S.DELIVERED,
        (_S.SENDING, _E.SOFT_FAILED): _S.DEFERRED,
        (_S.SENDING, _E.SITE_FAILED): _S.QUEUED,
        (_S.SENDING, _E.REFUSED): _S.HELD,
        (_S.SENDING, _E.UNUSABLE): _S.HELD,
        (_S.SENDING, _E.OWNER_DIED): _S.QUEUED,
        (_S.DEFERRED, _E.DUE): _S.QUEUED,
        (_S.DEFERRED, _E.RELEASED): _S.QUEUED,
        (_S.DEFERRED, _E.UNUSABLE): _S.HELD,
        (_S.DEFERRED, _E.HELD_BY_PERSON): _S.HELD,
        (_S.DEFERRED, _E.CANCELLED): _S.CANCELLED,
        (_S.DEFERRED, _E.EXPIRED): _S.EXPIRED,
        (_S.HELD, _E.DUE): _S.QUEUED,
        (_S.HELD, _E.RELEASED): _S.QUEUED,
        # A person takes it over: from now on no daily retry.
        (_S.HELD, _E.HELD_BY_PERSON): _S.HELD,
        # What was held as "rebuilt" is cleared by asking the archive (house.md section 6).
        (_S.HELD, _E.PROVED): _S.PROVED,
        (_S.HELD, _E.CANCELLED): _S.CANCELLED,
        (_S.HELD, _E.EXPIRED): _S.EXPIRED,
        (_S.DELIVERED, _E.PROVED): _S.PROVED,
        (_S.DELIVERED, _E.LOST): _S.QUEUED,
        (_S.DELIVERED, _E.DISPUTED): _S.HELD,
        (_S.PROVED, _E.LOST): _S.QUEUED,
        # Cancelled and expired are final: nothing cancelled comes back (house.md section 6).
    }
)
"""Every move there is: (state, event) to the state after it."""


def move(state: DeliveryState, event: Event) -> DeliveryState:
    """Return the state that a delivery in `state` has after `event`. Raises `DeliveryMoveError` for a move that is not in the table."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise DeliveryMoveError(state, event)
    return after


def diagram() -> str:
    """Return the table as a Mermaid state diagram, ending in a newline; events that share both ends share an arrow."""
    arrows: dict[tuple[DeliveryState, DeliveryState], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        arrows.setdefault((state, after), []).append(event.value)
    final = [state for state in DeliveryState if not any(source is state for source, _ in TRANSITIONS)]
    lines = ["stateDiagram-v2", f"    [*] --> {DeliveryState.QUEUED}"]
    lines += [f"    {state} --> {after}: {', '.join(events)}" for (state, after), events in arrows.items()]
    lines += [f"    {state} --> [*]" for state in final]
    return "\n".join(lines) + "\n"
