"""The same UID again (semantics.md section 3), through the router, with the real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ledger.deliveries import Deliveries
from appliance.ledger.instances import Instances, InstanceState
from appliance.ledger.vocabulary import Cause, DeliveryState
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

_UID = "1.2.3.1.1"
_EVERYTHING = a_site(routes=[a_route("everything", "archive", "room")])
_CHANGED = {ds.ACCESSION: b"A2"}


def _bench(path: Path) -> Bench:
    """Return a bench that has routed one image."""
    bench = Bench(path, _EVERYTHING)
    bench.receive_image(_UID)
    bench.route()
    return bench


def test_dropped_while_open(tmp_path: Path) -> None:
    """The same bytes, while deliveries are open, add nothing, and the new file is gone."""
    bench = _bench(tmp_path)
    stored = bench.stored()
    bench.receive_image(_UID)

    with capture_logs() as logs:
        bench.route()

    assert bench.counts() == {InstanceState.STORED: 1}
    assert bench.delivery_count() == 2
    assert ([], stored) == (bench.incoming(), bench.stored())
    assert [line["event"] for line in logs] == ["instance.repeated"]
    assert bench.woken == 1


def test_sent_again_when_delivered(tmp_path: Path) -> None:
    """The same bytes, when all was delivered, are owed again from the file that is there; the new one says so to a rebuild."""
    bench = _bench(tmp_path)
    stored = bench.stored()
    bench.deliver(_UID)
    name = bench.receive_image(_UID)

    bench.route()

    queued = [(row.destination_id, row.cause) for row in bench.deliveries(_UID) if row.state is DeliveryState.QUEUED]
    assert sorted(queued) == [("archive", Cause.RESEND), ("room", Cause.RESEND)]
    assert bench.counts() == {InstanceState.STORED: 1}
    assert ([], [*stored, str(name)]) == (bench.incoming(), bench.stored())
    assert bench.woken == 2


def test_each_destination_by_itself(tmp_path: Path) -> None:
    """A destination that has the bytes gets them again, one that still waits for them does not get them twice."""
    bench = _bench(tmp_path)
    bench.deliver(_UID, "archive")
    bench.receive_image(_UID)

    bench.route()

    unfinished = [(row.destination_id, row.cause) for row in bench.deliveries(_UID) if not row.state.is_finished]
    assert sorted(unfinished) == [("archive", Cause.RESEND), ("room", Cause.ROUTE)]


def test_again_to_another_title(tmp_path: Path) -> None:
    """The same bytes sent to another title behind the box reach what that title stands for, while the archive is away."""
    site = a_site(
        routes=[a_route("archive", "archive"), a_route("room", "room")],
        local_ae=[{"ae_title": "PACS1", "routes": ["archive"]}, {"ae_title": "ROOM", "routes": ["room"]}],
    )
    bench = Bench(tmp_path, site)
    bench.receive_image(_UID, called="PACS1")
    bench.route()
    bench.receive_image(_UID, called="ROOM")

    bench.route()

    assert sorted(row.destination_id for row in bench.deliveries(_UID)) == ["archive", "room"]
    assert (bench.counts(), len(bench.stored())) == ({InstanceState.STORED: 1}, 2)


@pytest.mark.parametrize("delivered", [True, False])
def test_other_bytes_are_the_next_version(tmp_path: Path, delivered: bool) -> None:  # noqa: FBT001 (a table's case)
    """Other bytes are version 2, kept beside version 1, and wait at each destination until version 1 is finished there."""
    bench = _bench(tmp_path)
    if delivered:
        bench.deliver(_UID)
    first = {row.destination_id: row.id for row in bench.deliveries(_UID)}
    bench.receive_image(_UID, _CHANGED)

    with capture_logs() as logs:
        bench.route()

    latest = bench.latest(_UID)
    assert latest is not None
    assert (latest.version, len(bench.stored())) == (2, 2)
    expected = {"archive": None, "room": None} if delivered else first
    assert expected == {row.destination_id: row.blocked_by for row in bench.deliveries(_UID)}
    assert [line["event"] for line in logs] == ["instance.changed"]


@pytest.mark.parametrize(
    ("changes", "settings", "differs"),
    [
        ({ds.PATIENT_ID: b"OTHER"}, {}, ("patient",)),
        (_CHANGED, {"calling": "MR1"}, ("source",)),
        (_CHANGED, {"address": "10.0.0.8"}, ("source",)),
    ],
)
def test_other_patient_or_source(
    tmp_path: Path, changes: dict[int, bytes | None], settings: dict[str, str], differs: tuple[str, ...]
) -> None:
    """Other bytes of another patient, or from another source, are a security event that names what differs."""
    bench = _bench(tmp_path)
    bench.receive_image(_UID, changes, **settings)

    with capture_logs() as logs:
        bench.route()

    assert [("instance.changed.security", differs, 2)] == [(line["event"], line["differs"], line["version"]) for line in logs]
    assert bench.counts() == {InstanceState.STORED: 2}


def test_all_in_one_batch(tmp_path: Path) -> None:
    """First, repeated, changed and back again in one batch end as they would one by one."""
    bench = Bench(tmp_path, _EVERYTHING)
    for changes in ({}, {}, _CHANGED, _CHANGED, {}):
        bench.receive_image(_UID, dict(changes))

    bench.route()

    latest = bench.latest(_UID)
    assert latest is not None
    assert (latest.version, len(bench.stored()), bench.delivery_count()) == (3, 3, 6)


def test_quarantined_bytes_come_again(tmp_path: Path) -> None:
    """The same bytes, of which the earlier copy was found damaged, are kept; what was owed of that one is owed of them, at once."""
    bench = _bench(tmp_path)
    bench.deliver(_UID, "room")
    damaged = bench.deliveries(_UID)
    earlier = bench.latest(_UID)
    assert earlier is not None
    with bench.ledger.write():
        Instances(bench.ledger).quarantine(earlier.id)
    name = bench.receive_image(_UID)

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1, InstanceState.QUARANTINED: 1}
    assert str(name) in bench.stored()
    owed = [(row.destination_id, row.state, row.blocked_by) for row in bench.deliveries(_UID)]
    assert sorted(owed) == [("archive", DeliveryState.QUEUED, None), ("room", DeliveryState.QUEUED, None)]
    with bench.ledger.read():
        states = {Deliveries(bench.ledger).get(row.id).state for row in damaged}
    assert states == {DeliveryState.DELIVERED, DeliveryState.CANCELLED}


def test_unrouted_and_then_routed(tmp_path: Path) -> None:
    """The same bytes, after a route for them was configured, are owed."""
    bench = Bench(tmp_path, a_site())
    bench.receive_image(_UID)
    bench.receive_image(_UID)
    bench.route()
    before = bench.counts()
    bench.site = _EVERYTHING
    bench.start()
    bench.receive_image(_UID)

    bench.route()

    assert before == {InstanceState.UNROUTED: 1}
    assert len(bench.deliveries(_UID)) == 2
