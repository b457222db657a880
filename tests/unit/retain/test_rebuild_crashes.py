"""A rebuild that is killed at any step is begun again, and comes to the same end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.ledger.access import rebuild_requested
from appliance.ledger.orders import OrderVerb
from tests.unit.retain.bench import Box, Crash
from tests.unit.retain.crashing import crashing_at

UIDS = [f"1.2.3.{number}" for number in range(1, 8)]
DAMAGED = b"x" * 5000

WITH_SNAPSHOT = {
    "1.2.3.1": "delivered",
    "1.2.3.2": "queued",
    "1.2.3.3": "cancelled",
    "1.2.3.4": "held rebuilt",
    "1.2.3.5": "queued",
    "1.2.3.6": "cancelled",
    "1.2.3.7": "queued",
}
WITHOUT_SNAPSHOT = {
    "1.2.3.1": "held rebuilt",
    "1.2.3.2": "held rebuilt",
    "1.2.3.3": "cancelled",
    "1.2.3.5": "held rebuilt",
    "1.2.3.6": "cancelled",
    "1.2.3.7": "queued",
}


def _lived(data: Path, *, with_snapshot: bool) -> Box:
    """Return a box with a past and a damaged ledger: 1 to 4 before the snapshot, 5 and 6 after it, 7 waiting, the object of 4 gone."""
    box = Box(data)
    box.start()
    box.receive_and_route(*UIDS[:4])
    box.deliver(UIDS[0])
    if with_snapshot:
        box.keeper.round()
    box.receive_and_route(*UIDS[4:6])
    box.order(OrderVerb.CANCEL, UIDS[2], UIDS[5])
    box.route()
    box.order(OrderVerb.HOLD, UIDS[1])
    box.order(OrderVerb.RELEASE, UIDS[1])
    box.receive(UIDS[6])
    box.path(UIDS[3]).unlink()
    box.die()
    box.ledger_file.write_bytes(DAMAGED)
    return box


def _ends_well(box: Box, expected: Mapping[str, str]) -> None:
    box.route()
    box.orders.recover()
    assert {uid: box.stands(uid) for uid in UIDS if uid in expected} == expected
    assert sum(box.counts().values()) == len(expected)
    assert rebuild_requested(box.data) is None
    assert (box.incoming(), box.incoming("m")) == ([], [])
    assert (len(box.stored()), len(box.stored("m"))) == (6, 3)
    kept = [path.read_bytes() for path in box.ledger_file.parent.glob("damaged-*.db")]
    assert DAMAGED in kept
    assert not (box.data / "ledger" / "ledger.rebuilding").exists()


@pytest.mark.parametrize(("with_snapshot", "expected"), [(True, WITH_SNAPSHOT), (False, WITHOUT_SNAPSHOT)])
def test_killed_at_every_step(tmp_path: Path, *, with_snapshot: bool, expected: dict[str, str]) -> None:
    """Wherever a rebuild is cut off, the next start finishes it: nothing owed is lost, nothing cancelled comes back."""
    _lived(tmp_path / "lived", with_snapshot=with_snapshot)
    cut, was_cut = 0, True

    while was_cut:
        cut += 1
        box = Box(Path(shutil.copytree(tmp_path / "lived", tmp_path / "again")))
        was_cut = False
        with crashing_at(cut):
            try:
                box.start()
            except Crash:
                was_cut = True
        if was_cut:
            # Those who still have it open are gone with their process.
            box = Box(box.data)
            box.start()
        _ends_well(box, expected)
        box.die()
        shutil.rmtree(box.data)

    assert cut > 20


def test_killed_twice(tmp_path: Path) -> None:
    """A rebuild that is killed at one step, and then at the same step again, still ends well."""
    _lived(tmp_path / "lived", with_snapshot=True)

    for cut in range(5, 40, 5):
        box = Box(Path(shutil.copytree(tmp_path / "lived", tmp_path / "again")))
        for _ in range(2):
            with crashing_at(cut), suppress(Crash):
                box.start()
                # What was left to do after the first time had fewer steps.
                box.die()
            box = Box(box.data)
        box.start()
        _ends_well(box, WITH_SNAPSHOT)
        box.die()
        shutil.rmtree(box.data)
