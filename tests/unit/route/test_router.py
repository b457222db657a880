"""The router on real folders and a real ledger: what is recorded, in which order, and what becomes of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ledger.instances import InstanceState
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.requests import Requests
from appliance.ledger.vocabulary import Cause, DeliveryState, Priority
from appliance.runtime.clock import Instant
from appliance.spool.names import SpoolName
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench, FakeClock
from tests.unit.route.sites import a_route, a_site

_EVERYTHING = a_site(routes=[a_route("everything", "archive")])


def _events(logs: Sequence[Mapping[str, object]], *names: str) -> list[object]:
    return [line["event"] for line in logs if line["event"] in names]


def test_recorded_and_moved(tmp_path: Path) -> None:
    """A received object becomes an instance with its deliveries, and its file is in the store."""
    bench = Bench(tmp_path, _EVERYTHING)
    name = bench.receive_image("1.2.3.1.1")

    taken = bench.router.step()

    latest = bench.latest("1.2.3.1.1")
    assert taken == 1
    assert latest is not None
    assert (1, InstanceState.STORED, str(name)) == (latest.version, latest.state, latest.facts.spool_name)
    assert (
        latest.facts.calling_title,
        latest.facts.source_address,
        latest.facts.called_title,
        latest.facts.sop_class_uid,
        latest.facts.transfer_syntax_uid,
    ) == ("CT1", "10.0.0.7", "EDGE", ds.CT_IMAGE, ds.EXPLICIT)
    assert (latest.facts.study_instance_uid, latest.facts.attributes.patient_id) == ("1.2.3", "PLANTED-ID")
    rows = bench.deliveries("1.2.3.1.1")
    assert [(row.destination_id, row.cause, row.state) for row in rows] == [("archive", Cause.ROUTE, DeliveryState.QUEUED)]
    assert ([], [str(name)]) == (bench.incoming(), bench.stored())
    assert bench.woken == 1


def test_nothing_to_do(tmp_path: Path) -> None:
    """With nothing waiting a step does nothing and wakes nobody."""
    bench = Bench(tmp_path, _EVERYTHING)

    taken = bench.router.step()

    assert (taken, bench.woken) == (0, 0)


def test_in_order(tmp_path: Path) -> None:
    """Objects are recorded in the order in which they were received."""
    bench = Bench(tmp_path, _EVERYTHING)
    uids = [f"1.2.3.1.{number}" for number in (5, 3, 9, 1, 7, 2)]
    for uid in uids:
        bench.receive_image(uid)

    bench.route()

    numbers = [latest.id for uid in uids if (latest := bench.latest(uid))]
    assert len(uids) == len(numbers)
    assert sorted(numbers) == numbers


def test_a_thousand(tmp_path: Path) -> None:
    """A thousand objects that wait are all recorded and stored, once each, in one go."""
    bench = Bench(tmp_path, _EVERYTHING)
    for number in range(1000):
        bench.receive_image(f"1.2.3.1.{number}")

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1000}
    assert bench.delivery_count() == 1000
    assert (len(bench.incoming()), len(bench.stored())) == (0, 1000)
    assert [study.instances for study in bench.studies()] == [1000]


class TickingClock(FakeClock):
    """A clock on which every look costs more than a transaction may take."""

    def now(self) -> Instant:
        """Return the moment, and go on."""
        self.sleep(0.03)
        return super().now()


def test_transactions_are_short(tmp_path: Path) -> None:
    """When the time of a transaction is over it is committed, and the rest is recorded in the next ones."""
    bench = Bench(tmp_path, _EVERYTHING, clock=TickingClock())
    for number in range(5):
        bench.receive_image(f"1.2.3.1.{number}")

    bench.router.step()

    assert bench.counts() == {InstanceState.STORED: 5}
    assert bench.woken == 5


def test_pixels_stay_sealed(tmp_path: Path) -> None:
    """Of a large object only the head is opened: what is wrong behind it is for those who read it to find."""
    bench = Bench(tmp_path, _EVERYTHING)
    name = bench.receive(ds.an_image("1.2.3.1.1", pixels=1 << 20), "1.2.3.1.1")
    bench.damage(name, lambda content: content[:-1] + b"?")

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1}
    assert bench.quarantined() == []


def test_many_deliveries_each(tmp_path: Path) -> None:
    """An instance that owes more deliveries than a transaction's rows is recorded whole."""
    destinations = [f"d{number}" for number in range(60)]
    bench = Bench(tmp_path, a_site(routes=[a_route("everywhere", *destinations)]))
    bench.receive_image("1.2.3.1.1")
    bench.receive_image("1.2.3.1.2")

    bench.route()

    assert [len(bench.deliveries(uid)) for uid in ("1.2.3.1.1", "1.2.3.1.2")] == [60, 60]


def test_priorities(tmp_path: Path) -> None:
    """Each delivery has the most urgent priority of the routes that ask for it."""
    routes = [
        a_route("bulk", "archive", "research", priority="bulk"),
        a_route("stat", "archive", priority="stat", when={"modality": ["CT"]}),
        a_route("room", "room"),
    ]
    bench = Bench(tmp_path, a_site(routes=routes))
    bench.receive_image("1.2.3.1.1")

    bench.route()

    expected = {"archive": Priority.STAT, "research": Priority.BULK, "room": Priority.ROUTINE}
    assert expected == {row.destination_id: row.priority for row in bench.deliveries("1.2.3.1.1")}


def test_rules_see_source_and_station(tmp_path: Path) -> None:
    """Routes by source and by station name apply to what header and data set say."""
    routes = [
        a_route("ct", "archive", when={"source": ["CT1"]}),
        a_route("station", "room", when={"station": ["Room 3"]}),
        a_route("mr", "neuro", when={"source": ["MR1"]}),
    ]
    bench = Bench(tmp_path, a_site(routes=routes))
    bench.receive_image("1.2.3.1.1", calling="ct1")
    bench.receive_image("1.2.3.1.2", calling="CT1", address="192.0.2.1")

    bench.route()

    listed, unlisted = [{row.destination_id for row in bench.deliveries(uid)} for uid in ("1.2.3.1.1", "1.2.3.1.2")]
    # From another address it is not the listed source, and is known by its title.
    assert ({"archive", "room"}, {"archive", "room"}) == (listed, unlisted)


def test_local_ae_routes(tmp_path: Path) -> None:
    """What is sent to a title with routes of its own goes only there."""
    site = a_site(routes=[a_route("archive", "archive"), a_route("room", "room")], local_ae=[{"ae_title": "ROOM", "routes": ["room"]}])
    bench = Bench(tmp_path, site)
    bench.receive_image("1.2.3.1.1", called="room")
    bench.receive_image("1.2.3.1.2", called="EDGE")

    bench.route()

    expected = [["room"], ["archive", "room"]]
    assert expected == [sorted(row.destination_id for row in bench.deliveries(uid)) for uid in ("1.2.3.1.1", "1.2.3.1.2")]


def test_unrouted_is_kept_and_shown(tmp_path: Path) -> None:
    """What no route applies to is kept in the store, counted, listed with its study and logged; nobody is woken for it."""
    bench = Bench(tmp_path, a_site(routes=[a_route("mr", "neuro", when={"modality": ["MR"]})]))
    name = bench.receive_image("1.2.3.1.1")

    with capture_logs() as logs:
        bench.route()

    assert bench.counts() == {InstanceState.UNROUTED: 1}
    assert ([], [str(name)]) == (bench.incoming(), bench.stored())
    assert [(study.study_instance_uid, study.instances) for study in bench.studies()] == [("1.2.3", 1)]
    assert _events(logs, "instance.unrouted", "instance.recorded") == ["instance.unrouted"]
    assert bench.woken == 0


def test_kept_without_destination(tmp_path: Path) -> None:
    """What a route keeps without sending is stored, not unrouted."""
    bench = Bench(tmp_path, a_site(routes=[a_route("keep", keep="2 days")]))
    bench.receive_image("1.2.3.1.1")

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1}
    assert bench.delivery_count() == 0


@pytest.mark.parametrize("changes", [{ds.STUDY_UID: None}, {ds.STUDY_UID: b""}, {ds.STUDY_UID: b"../../etc/passwd"}])
def test_without_a_study(tmp_path: Path, changes: dict[int, bytes | None]) -> None:
    """An instance that names no study, or names it by something that is no UID, is recorded and owed like any other."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.1.1", changes)

    bench.route()

    assert [(study.study_instance_uid, study.instances) for study in bench.studies()] == [("", 1)]
    assert len(bench.deliveries("1.2.3.1.1")) == 1


@pytest.mark.parametrize(
    ("content", "transfer_syntax"),
    [
        (ds.an_image("1.2.3.1.1", {ds.CHARACTER_SET: b"ISO_IR 192", ds.PATIENT_NAME: "Nguyễn^Văn".encode()}), ds.EXPLICIT),
        (ds.an_image("1.2.3.1.1", {ds.CHARACTER_SET: b"\\ISO 2022 IR 87", ds.PATIENT_NAME: b"\x1b$B;3ED\x1b"}), ds.EXPLICIT),
        (ds.an_image("1.2.3.1.1", {ds.CHARACTER_SET: b"GB18030", ds.PATIENT_NAME: b"\x81\x30\x81"}), ds.EXPLICIT),
        (ds.an_image("1.2.3.1.1", {ds.CHARACTER_SET: b"\xff\x00", ds.PATIENT_NAME: bytes(range(256))}), ds.EXPLICIT),
        (ds.an_image("1.2.3.1.1", transfer_syntax=ds.IMPLICIT), ds.IMPLICIT),
        (ds.an_image("1.2.3.1.1", transfer_syntax=ds.IMPLICIT), ds.EXPLICIT),
        (b"\xff\xd8\xff\xe0not DICOM", "1.2.840.10008.1.2.1.99"),
        (b"x", "1.2.3.4.5"),
    ],
)
def test_odd_data_sets_are_routed(tmp_path: Path, content: bytes, transfer_syntax: str) -> None:
    """Whatever the data set is, the instance is recorded by what its header says, and owed."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive(content, "1.2.3.1.1", transfer_syntax=transfer_syntax)

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1}
    assert len(bench.deliveries("1.2.3.1.1")) == 1


def test_messages_are_left_alone(tmp_path: Path) -> None:
    """A message object that a newer version may have left stays where it is, and instances behind it are routed."""
    bench = Bench(tmp_path, _EVERYTHING)
    message = bench.receive(b"message", "1.2.3.1.1", kind="message")
    bench.receive_image("1.2.3.1.2")

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1}
    assert [str(message)] == bench.incoming()


def test_no_patient_in_the_log(tmp_path: Path) -> None:
    """Routing, repeating, changing and quarantining say nothing in the log that belongs to a patient."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.1.1")
    bench.receive_image("1.2.3.1.1")
    bench.receive_image("1.2.3.1.1", {ds.PATIENT_ID: b"PLANTED-OTHER"}, calling="MR1")
    damaged: SpoolName = bench.receive_image("1.2.3.1.2")
    bench.damage(damaged, lambda content: content[:-1] + b"?")

    with capture_logs() as logs:
        bench.route()

    assert _events(logs, "instance.recorded", "instance.repeated", "instance.changed.security") == [
        "instance.recorded",
        "instance.repeated",
        "instance.changed.security",
    ]
    assert not [line for line in logs if "PLANTED" in str(line) or "QUARTZ" in str(line) or "19700101" in str(line)]


@pytest.mark.parametrize("recovering", [True, False])
def test_orders_that_were_followed_are_stored(tmp_path: Path, *, recovering: bool) -> None:
    """A message that the ledger knows as an order that was followed is moved into the store; another one is left alone."""
    bench = Bench(tmp_path, _EVERYTHING)
    names = [bench.receive(b"an order", "1.2.3.1.1", kind="message") for _ in range(2)]
    with bench.ledger.write():
        order = Order(OrderVerb.HOLD, "anna", "", 1.0, 1, ())
        Requests(bench.ledger).add(order, count=0, object_id=names[0].object_id, spool_name=str(names[0]))

    moved = bench.router.recover() if recovering else 0
    bench.route()

    assert moved == int(recovering)
    assert (bench.stored(), bench.incoming()) == ([str(names[0])], [str(names[1])])
