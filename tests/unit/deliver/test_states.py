"""The transition table of a delivery, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core.errors import Fault
from appliance.deliver.states import TRANSITIONS, DeliveryMoveError, Event, diagram, move
from appliance.ledger.vocabulary import DeliveryState

_S, _E = DeliveryState, Event

# Written out a second time on purpose: the row is the state, the cells are what each event makes of it; what is absent is illegal.
EXPECTED: dict[DeliveryState, dict[Event, DeliveryState]] = {
    _S.QUEUED: {
        _E.AWAITS_STUDY: _S.DEFERRED,
        _E.CLAIMED: _S.SENDING,
        _E.UNUSABLE: _S.HELD,
        _E.HELD_BY_PERSON: _S.HELD,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.SENDING: {
        _E.DELIVERED: _S.DELIVERED,
        _E.SOFT_FAILED: _S.DEFERRED,
        _E.SITE_FAILED: _S.QUEUED,
        _E.REFUSED: _S.HELD,
        _E.UNUSABLE: _S.HELD,
        _E.OWNER_DIED: _S.QUEUED,
    },
    _S.DELIVERED: {_E.PROVED: _S.PROVED, _E.LOST: _S.QUEUED, _E.DISPUTED: _S.HELD},
    _S.PROVED: {_E.LOST: _S.QUEUED},
    _S.DEFERRED: {
        _E.DUE: _S.QUEUED,
        _E.RELEASED: _S.QUEUED,
        _E.UNUSABLE: _S.HELD,
        _E.HELD_BY_PERSON: _S.HELD,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.HELD: {
        _E.DUE: _S.QUEUED,
        _E.RELEASED: _S.QUEUED,
        _E.HELD_BY_PERSON: _S.HELD,
        _E.PROVED: _S.PROVED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.CANCELLED: {},
    _S.EXPIRED: {},
}

STATES_PAGE = Path(__file__).parents[3] / "docs" / "states.md"


@pytest.mark.parametrize("event", list(Event), ids=str)
@pytest.mark.parametrize("state", list(DeliveryState), ids=str)
def test_every_cell_of_the_table(state: DeliveryState, event: Event) -> None:
    """Each state and event either has the one state after it, or raises and leaves the table as it was."""
    before = dict(TRANSITIONS)
    expected = EXPECTED[state].get(event)

    if expected is None:
        with pytest.raises(DeliveryMoveError) as raised:
            move(state, event)

        assert (raised.value.state, raised.value.event, raised.value.fault) == (state, event, Fault.OURS)
        assert "\n" not in str(raised.value)
    else:
        assert move(state, event) is expected
    assert dict(TRANSITIONS) == before


def test_the_table_cannot_be_changed() -> None:
    """The transition table refuses assignment."""
    with pytest.raises(TypeError):
        TRANSITIONS[_S.CANCELLED, _E.RELEASED] = _S.QUEUED  # type: ignore[index]


def test_nothing_cancelled_comes_back() -> None:
    """No event leads out of cancelled or expired."""
    assert [state for state, _ in TRANSITIONS if state in {_S.CANCELLED, _S.EXPIRED}] == []


def test_every_state_can_be_reached() -> None:
    """Each state but the first is the end of some move."""
    assert set(TRANSITIONS.values()) == set(DeliveryState)


def test_only_the_lane_moves_what_is_being_sent() -> None:
    """A delivery in sending knows no event of a person or a clock."""
    events = {event for state, event in TRANSITIONS if state is _S.SENDING}

    assert events.isdisjoint({_E.CANCELLED, _E.HELD_BY_PERSON, _E.RELEASED, _E.DUE, _E.EXPIRED})


def test_the_page_shows_the_table() -> None:
    """docs/states.md contains the diagram drawn from the table."""
    assert f"```mermaid\n{diagram()}```\n" in STATES_PAGE.read_text(encoding="utf-8")
