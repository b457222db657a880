"""What came and went: counted as it happens, kept by the quarter of an hour when it is old."""

from __future__ import annotations

from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.traffic import Caller, Came, Traffic
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench

# A full quarter of an hour.
BEGAN = 1_709_208_000.0


def _arrive(bench: Bench, *came: Came) -> Traffic:
    traffic = Traffic(bench.ledger)
    with bench.ledger.write():
        traffic.arrived(came)
    return traffic


def _rows(bench: Bench, table: str) -> list[tuple[object, ...]]:
    with bench.ledger.read():
        return bench.ledger.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 (our own words)


def test_one_source_of_a_minute_is_one_row(bench: Bench) -> None:
    """However many objects and transactions: sums, the last moment, the least lag and the first number."""
    _arrive(bench, Came("CT1", "10.0.0.7", BEGAN + 1, 100, 7, 30.0), Came("ct1", "10.0.0.7", BEGAN + 2, 50, 8))
    _arrive(bench, Came("CT1", "10.0.0.7", BEGAN + 3, 10, 9, 20.0), Came("CT1", "10.0.0.8", BEGAN + 1, 1, 10))

    minute = int(BEGAN) // 60
    assert [
        (minute, "CT1", "10.0.0.7", 3, 160, BEGAN + 3, 20.0, 7),
        (minute, "CT1", "10.0.0.8", 1, 1, BEGAN + 1, None, 10),
    ] == _rows(bench, "arrival")


def test_the_same_bytes_again_are_a_sign_of_life_only(bench: Bench) -> None:
    """What made no instance counts in no number, but the source was heard."""
    traffic = _arrive(bench, Came("CT1", "10.0.0.7", BEGAN, 100, 1), Came("CT1", "10.0.0.7", BEGAN + 120, 100, None, 5.0))

    with bench.ledger.read():
        (caller,) = traffic.callers(BEGAN, today=BEGAN, last_hour=BEGAN, lags_since=BEGAN)
        received = traffic.received(BEGAN, BEGAN + 900)

    assert (Caller("CT1", "10.0.0.7", BEGAN + 120, 1, 1, ()), (1, 100)) == (caller, received)


def test_a_delivery_counts_when_it_was_sent_and_taken(bench: Bench) -> None:
    """Delivered counts once each time; held, cancelled, proved and what no attempt led to do not."""
    done = Moved(DeliveryState.DELIVERED, attempt=AttemptRecord(BEGAN + 30, "success", 0))
    for move in (done, done, Moved(DeliveryState.CANCELLED, at=BEGAN), Moved(DeliveryState.DELIVERED)):
        bench.settle(bench.owe(bench.receive()), move)
    refused = AttemptRecord(BEGAN, "class_not_supported", 0x0122)
    bench.settle(bench.owe(bench.receive()), Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, attempt=refused))
    lost = bench.owe(bench.receive(), "reading")
    for move in (done, Moved(DeliveryState.PROVED, at=BEGAN + 60), Moved(DeliveryState.QUEUED), done):
        bench.settle(lost, move)

    with bench.ledger.read():
        traffic = Traffic(bench.ledger)
        assert {"archive": 2, "reading": 2} == traffic.delivered(BEGAN, BEGAN + 60)
        assert {} == traffic.delivered(BEGAN + 60, BEGAN + 900)


def test_callers_come_latest_first(bench: Bench) -> None:
    """Each with today's and the last hour's count, and the least lag of each quarter of an hour, the latest first."""
    traffic = _arrive(
        bench,
        Came("MR1", "10.0.0.8", BEGAN - 90_000, 1, 1, 400.0),
        Came("CT1", "10.0.0.7", BEGAN - 3000, 1, 2, 30.0),
        Came("CT1", "10.0.0.7", BEGAN - 2990, 1, 3, 40.0),
        Came("CT1", "10.0.0.7", BEGAN - 60, 1, 4, 50.0),
        Came("OLD", "10.0.0.9", BEGAN - 9e6, 1, 5, 1.0),
    )

    with bench.ledger.read():
        found = traffic.callers(BEGAN - 1e6, today=BEGAN - 3600, last_hour=BEGAN - 600, lags_since=BEGAN - 1e6)
        first = [traffic.first_since(since) for since in (BEGAN - 3600, BEGAN)]

    assert [Caller("CT1", "10.0.0.7", BEGAN - 60, 3, 1, (50.0, 30.0)), Caller("MR1", "10.0.0.8", BEGAN - 90_000, 0, 0, (400.0,))] == found
    assert [2, None] == first


def test_folding_keeps_every_sum(bench: Bench) -> None:
    """By the quarter of an hour there are fewer rows, the same numbers, and what is recent stays as it is; again changes nothing."""
    traffic = _arrive(bench, *(Came("CT1", "10.0.0.7", BEGAN + 61 * n, 10, n + 1, 60.0 - n) for n in range(40)))
    delivered = Moved(DeliveryState.DELIVERED, attempt=AttemptRecord(BEGAN + 90, "success", 0))
    for _ in range(2):
        bench.settle(bench.owe(bench.receive()), delivered)

    def seen() -> object:
        with bench.ledger.read():
            parts = [(traffic.received(since, since + 900), traffic.delivered(since, since + 900)) for since in (BEGAN, BEGAN + 900)]
            return parts, traffic.callers(BEGAN, today=BEGAN, last_hour=BEGAN + 1800, lags_since=BEGAN), traffic.first_since(BEGAN)

    before, rows = seen(), len(_rows(bench, "arrival"))
    for _ in range(2):
        with bench.ledger.write():
            traffic.fold(BEGAN + 2000)

    assert before == seen()
    assert (40, 2 + 10) == (rows, len(_rows(bench, "arrival")))
    assert [(int(BEGAN) // 60, "archive", 2)] == _rows(bench, "departure")


def test_what_is_too_old_is_forgotten(bench: Bench) -> None:
    """Pruning takes what is older, and nothing else."""
    traffic = _arrive(bench, Came("CT1", "10.0.0.7", BEGAN, 1, 1), Came("CT1", "10.0.0.7", BEGAN + 60, 1, 2))

    with bench.ledger.write():
        traffic.prune(BEGAN + 60)

    assert [BEGAN + 60] == [row[5] for row in _rows(bench, "arrival")]
