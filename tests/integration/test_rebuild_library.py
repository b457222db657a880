"""A ledger lost with much owed, much delivered and a little cancelled, rebuilt from a real spool (semantics of house.md section 6)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.retain.bench import Box

OWED, DELIVERED, CANCELLED = 200, 500, 3
AFTER = 40
"""How much of what is owed, and of what is delivered, came after the snapshot."""

WAITING = "1.2.826.0.8.4.1"
"""What waits in `incoming/` when the ledger is lost."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a box had done when its ledger was lost, as SOP Instance UIDs."""

    owed: list[str]
    delivered: list[str]
    delivered_after: list[str]
    cancelled: list[str]


class Lived(Protocol):
    """Makes a copy of a box with a past."""

    def __call__(self, data: Path, *, with_snapshot: bool) -> tuple[Box, Past]:
        """Return the copy, not started, and what it had done."""


def _uids(study: int, count: int) -> list[str]:
    return [f"1.2.826.0.8.{study}.{number}" for number in range(count)]


def _live(box: Box, *, with_snapshot: bool) -> Past:
    """Receive, deliver and cancel; take a snapshot in the middle, or never."""
    owed, delivered, cancelled = _uids(1, OWED), _uids(2, DELIVERED), _uids(3, CANCELLED)
    box.receive_and_route(*delivered[:-AFTER], *owed[:-AFTER], cancelled[0], cancelled[1])
    box.deliver(*delivered[:-AFTER])
    box.order(OrderVerb.CANCEL, cancelled[0])
    if with_snapshot:
        box.keeper.round()
    # One that the snapshot shows as owed is delivered after it, and one is cancelled; the last is never seen by the snapshot.
    late = [owed.pop(0), *delivered[-AFTER:]]
    box.receive_and_route(*delivered[-AFTER:], *owed[-AFTER:], cancelled[2])
    box.deliver(*late)
    box.order(OrderVerb.CANCEL, cancelled[1], cancelled[2])
    box.route()
    return Past(owed, delivered[:-AFTER], late, cancelled)


def _delete(path: Path) -> None:
    path.unlink()


def _randomise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Return what copies a box with a past, one with a snapshot and one without, each lived once."""
    pasts: dict[bool, tuple[Path, Past]] = {}
    for with_snapshot in (True, False):
        box = Box(tmp_path_factory.mktemp("lived") / "data")
        box.start()
        past = _live(box, with_snapshot=with_snapshot)
        box.receive(WAITING)
        box.die()
        pasts[with_snapshot] = box.data, past

    def copy(data: Path, *, with_snapshot: bool) -> tuple[Box, Past]:
        original, past = pasts[with_snapshot]
        return Box(Path(shutil.copytree(original, data))), past

    return copy


LOSSES = [_delete, _randomise, _truncate, _empty]


@pytest.mark.parametrize("lose", LOSSES)
def test_with_a_snapshot(tmp_path: Path, lived: Lived, lose: Callable[[Path], None]) -> None:
    """Everything owed is sent, nothing cancelled is, and of what was delivered only what came after the snapshot."""
    box, past = lived(tmp_path / "data", with_snapshot=True)
    lose(box.ledger_file)

    box.start()
    box.route()
    sent = box.send_all()

    assert {*past.owed, WAITING} <= set(sent)
    assert not set(past.cancelled) & set(sent)
    assert not set(past.delivered) & set(sent)
    assert set(sent) == {*past.owed, WAITING, *past.delivered_after}
    assert set(sent.values()) == {1}
    assert [box.stands(uid) for uid in past.cancelled] == ["cancelled"] * CANCELLED
    assert box.counts() == {DeliveryState.DELIVERED: OWED + DELIVERED + 1, DeliveryState.CANCELLED: CANCELLED}
    box.die()


@pytest.mark.parametrize("lose", LOSSES)
def test_without_a_snapshot(tmp_path: Path, lived: Lived, lose: Callable[[Path], None]) -> None:
    """Everything is held and nothing is sent by itself; what a person releases is sent, except what was cancelled."""
    box, past = lived(tmp_path / "data", with_snapshot=False)
    lose(box.ledger_file)

    box.start()
    box.route()
    flood = box.send_all()
    held = box.counts()
    done = box.order(OrderVerb.RELEASE, selection=Selection(hold_class=HoldClass.REBUILT))
    sent = box.send_all()

    # What waited in incoming when the ledger was lost is routed as always.
    assert flood == {WAITING: 1}
    assert held == {DeliveryState.DELIVERED: 1, DeliveryState.HELD: OWED + DELIVERED, DeliveryState.CANCELLED: CANCELLED}
    assert done.moved == OWED + DELIVERED
    assert set(sent) == {*past.owed, *past.delivered, *past.delivered_after}
    assert set(sent.values()) == {1}
    assert [box.stands(uid) for uid in past.cancelled] == ["cancelled"] * CANCELLED
    box.die()
