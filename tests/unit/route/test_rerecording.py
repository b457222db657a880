"""The router's part in a rebuild: what is in the store is recorded again, and one bad object stays one bad object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.faults import LedgerStatementError
from appliance.ledger.instances import InstanceState
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.route.rerecording import Rerecording
from appliance.spool.names import SpoolName
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

_EVERYTHING = a_site(routes=[a_route("everything", "archive")])


class PickyLedger(Ledger):
    """A ledger that does not take one instance."""

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Refuse the instance 1.2.3.2."""
        if "1.2.3.2" in parameters:
            raise LedgerStatementError("the ledger refused a statement")
        return super().change(sql, parameters)


def _record(bench: Bench, names: Sequence[SpoolName], *, anew: bool) -> list[SpoolName]:
    return Rerecording(bench.spool, bench.site, bench.clock).record(bench.ledger, names, anew=anew)


def _stands(bench: Bench, uid: str) -> list[tuple[DeliveryState, HoldClass | None, int]]:
    return [(row.state, row.hold_class, row.unknown_outcomes) for row in bench.deliveries(uid)]


def test_recorded_anew_is_held(tmp_path: Path) -> None:
    """In a ledger that lost what it knew, what routes ask for is held, and may have been sent."""
    bench = Bench(tmp_path, _EVERYTHING)
    name = bench.receive_image("1.2.3.1")

    left = _record(bench, [name], anew=True)

    assert left == []
    assert _stands(bench, "1.2.3.1") == [(DeliveryState.HELD, HoldClass.REBUILT, 1)]
    assert bench.incoming() == [str(name)]


def test_recorded_afresh_is_owed(tmp_path: Path) -> None:
    """In a ledger that was restored, what came after is recorded as if just received."""
    bench = Bench(tmp_path, _EVERYTHING)
    name = bench.receive_image("1.2.3.1")

    _record(bench, [name], anew=False)

    assert _stands(bench, "1.2.3.1") == [(DeliveryState.QUEUED, None, 0)]


def test_every_object_that_was_kept_is_kept(tmp_path: Path) -> None:
    """Each object of the store was a version of its own, so that anew each is one again, the same bytes too."""
    bench = Bench(tmp_path, _EVERYTHING)
    names = [bench.receive_image("1.2.3.1"), bench.receive_image("1.2.3.1", {ds.STATION: b"OTHER"}), bench.receive_image("1.2.3.1")]

    left = _record(bench, names, anew=True)

    latest = bench.latest("1.2.3.1")
    assert latest is not None
    assert (left, latest.version, bench.counts()) == ([], 3, {InstanceState.STORED: 3})


def test_what_is_not_needed_is_returned(tmp_path: Path) -> None:
    """Afresh, a copy that repeats what is recorded is returned, for the router to drop."""
    bench = Bench(tmp_path, _EVERYTHING)
    names = [bench.receive_image("1.2.3.1"), bench.receive_image("1.2.3.1")]

    assert _record(bench, names, anew=False) == names[1:]


def test_a_damaged_object_is_set_apart(tmp_path: Path) -> None:
    """A damaged object goes to quarantine, and the others are recorded."""
    bench = Bench(tmp_path, _EVERYTHING)
    names = [bench.receive_image(f"1.2.3.{number}") for number in range(3)]
    bench.damage(names[1], lambda content: content[:300])

    left = _record(bench, names, anew=True)

    assert (left, bench.quarantined(), bench.counts()) == ([], [str(names[1])], {InstanceState.STORED: 2})


def test_what_cannot_be_opened_now_is_returned(tmp_path: Path) -> None:
    """An object whose key is not there, or that is gone, is returned and nothing else happens to it."""
    bench = Bench(tmp_path, _EVERYTHING)
    names = [bench.receive_image("1.2.3.1"), bench.receive_image("1.2.3.2")]
    bench.take_keys()

    left = _record(bench, names, anew=True)

    assert (left, bench.quarantined(), bench.counts()) == (names, [], {})


def test_what_the_ledger_does_not_take_is_returned(tmp_path: Path) -> None:
    """An instance that the ledger refuses is returned, and keeps no other one out."""
    bench = Bench(tmp_path, _EVERYTHING, ledger=PickyLedger)
    names = [bench.receive_image(f"1.2.3.{number}") for number in range(1, 4)]

    left = _record(bench, names, anew=True)

    assert (left, bench.counts()) == ([names[1]], {InstanceState.STORED: 2})


def test_an_unrouted_object_stays_unrouted(tmp_path: Path) -> None:
    """An object that no route asks for is recorded as that."""
    bench = Bench(tmp_path, a_site())

    _record(bench, [bench.receive_image("1.2.3.1")], anew=True)

    assert (bench.counts(), bench.delivery_count()) == ({InstanceState.UNROUTED: 1}, 0)
