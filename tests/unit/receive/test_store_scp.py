"""One C-STORE: what is stored, what is refused with which status, and that a refusal leaves nothing."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace

import pytest

from appliance.core.errors import ApplianceError
from appliance.core.identity import AETitle, Uid
from appliance.dimse.hops import MessageIds
from appliance.dimse.stream import AcceptedContext, Data, StoreCommand, StoreRefusedError
from appliance.receive.admission import AssociationOrigin
from appliance.receive.store_scp import HELD_BYTES, StoreSink
from appliance.runtime.clock import Instant
from appliance.spool.admission import SpoolWriteError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from tests.unit.dimse.building import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, INSTANCE, SOP_CLASS, data_set, element, uid

ORIGIN = AssociationOrigin(AETitle("CT1"), AETitle("edge"), "10.0.0.7", 4000, "scanner")
NAME = SpoolName(object_id="0" * 32, generation=1, digest="0" * 32, length=5, kind="i")
DISK_FULL = SpoolWriteError(OSError(errno.ENOSPC, ""))


class FixedClock:
    """A clock that stands still."""

    def now(self) -> Instant:
        """Return the moment."""
        return Instant(1000.5, 0.0, "boot")

    def sleep(self, seconds: float) -> None:
        """Never."""


@dataclass
class FakeObject:
    """Keeps what is written to it."""

    header: ObjectHeader
    fails_at: str = ""
    data: bytes = b""
    end: str = "open"
    announced: list[str] = field(default_factory=list)

    @property
    def object_id(self) -> str:
        """Return an id."""
        return NAME.object_id

    def write(self, data: Data) -> None:
        """Keep the data."""
        if self.fails_at == "write":
            raise DISK_FULL
        self.data += data

    def commit(self) -> SpoolName:
        """Be durable."""
        if self.fails_at == "commit":
            raise DISK_FULL
        self.end = "committed"
        return NAME

    def announce(self) -> None:
        """Note whether it is durable by then."""
        self.announced.append(self.end)

    def abandon(self) -> None:
        """Be gone."""
        self.end = "abandoned"


@dataclass
class Bench:
    """A sink with a spool and a disk that do what they are told."""

    fails_at: str = ""
    has_room: bool = True
    objects: list[FakeObject] = field(default_factory=list)
    hints: int = 0
    ready: int = 0
    failures: list[ApplianceError] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    pieces: int = 0

    def admit(self, header: ObjectHeader) -> FakeObject:
        """Begin an object."""
        if self.fails_at == "admit":
            raise DISK_FULL
        self.objects.append(FakeObject(header, self.fails_at))
        return self.objects[-1]

    def make_ready(self) -> None:
        """Note that there is time for it."""
        self.ready += 1

    def may_accept(self) -> bool:
        """Say whether there is room."""
        return self.has_room

    def stored(self, length: int) -> None:
        """Note a stored object."""
        self.lengths.append(length)

    def failed(self, error: ApplianceError) -> None:
        """Note a failure."""
        self.failures.append(error)

    def hint(self) -> None:
        """Note a hint."""
        self.hints += 1

    def status_of(
        self,
        data: bytes,
        *,
        syntax: str = EXPLICIT,
        command: StoreCommand | None = None,
        piece: int = 100_000,
        largest_bytes: int | None = None,
    ) -> int:
        """Store `data` as the seam would and return the status."""
        sink = StoreSink(self, ORIGIN, self, FixedClock(), self.hint, largest_bytes=largest_bytes)
        self.pieces = 0
        try:
            sink.begin(command or StoreCommand(1, CT, INSTANCE, 0), AcceptedContext(1, Uid(CT), Uid(syntax)))
            for at in range(0, len(data), piece):
                self.pieces += 1
                sink.write(memoryview(data)[at : at + piece])
            status = sink.commit().status
        except StoreRefusedError as error:
            sink.abort()
            return error.answer.status
        sink.answered()
        return status


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN])
@pytest.mark.parametrize("piece", [1, 100, 100_000])
def test_the_bytes_are_stored_as_they_came(syntax: str, piece: int) -> None:
    """Every byte arrives once and unchanged, whatever the pieces; then the router is woken, and the next object prepared for."""
    bench = Bench()
    data = data_set(syntax=syntax, tail=b"\x01\x02" * 300)

    status = bench.status_of(data, syntax=syntax, piece=piece)

    assert status == 0x0000
    assert (bench.objects[0].data, bench.objects[0].end) == (data, "committed")
    assert bench.objects[0].header == ObjectHeader(Uid(CT), Uid(INSTANCE), Uid(syntax), "CT1", "edge", "10.0.0.7", "", 1000.5)
    assert bench.objects[0].announced == ["committed"]
    assert (bench.hints, bench.ready, bench.lengths) == (1, 1, [5])


def test_uids_far_behind_and_out_of_order_are_found() -> None:
    """SOP class and instance UID may stand anywhere in the first 64 KiB."""
    bench = Bench()

    assert bench.status_of(element(0x00090010, bytes(60_000), vr="OB") + data_set(tail=bytes(10_000)), piece=16_000) == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", 0xC000, id="empty"),
        pytest.param(element(0x00080005, b"ISO_IR 100", vr="CS"), 0xC000, id="no UIDs"),
        pytest.param(element(SOP_CLASS, uid(CT)), 0xC000, id="no instance UID"),
        pytest.param(element(0x00090010, bytes(HELD_BYTES), vr="OB") + data_set(), 0xC000, id="UIDs behind 64 KiB"),
        pytest.param(data_set(sop_instance=""), 0xC000, id="empty instance UID"),
        pytest.param(data_set(sop_instance="1.2\\3.4"), 0xC000, id="two values"),
        pytest.param(data_set(syntax=IMPLICIT), 0xC000, id="another encoding"),
        pytest.param(bytes(128) + b"DICM" + element(0x00020010, uid(EXPLICIT)) + data_set(), 0xC000, id="a file"),
        pytest.param(element(0x00020010, uid(EXPLICIT)) + data_set(), 0xC000, id="group 0002"),
        pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF" * 50, 0xC000, id="JPEG"),
        pytest.param(data_set(sop_instance="../../etc/x"), 0x0117, id="a path"),
        pytest.param(data_set(sop_instance="1.2\n3"), 0x0117, id="line feed"),
        pytest.param(data_set(sop_instance="1" * 65), 0x0117, id="65 characters"),
        pytest.param(data_set(sop_instance="1" * 10_000), 0x0117, id="10,000 characters"),
        pytest.param(data_set(sop_instance="1.2.3"), 0xA900, id="another instance"),
        pytest.param(data_set(sop_class="1.2.840.10008.5.1.4.1.1.4"), 0xA900, id="another class"),
    ],
)
def test_what_cannot_be_identified_is_refused(data: bytes, status: int) -> None:
    """Each defect of a data set has its status (semantics.md 1.1), and nothing is stored."""
    bench = Bench()

    assert bench.status_of(data) == status
    assert all(thing.end == "abandoned" for thing in bench.objects)
    assert bench.hints == 0


@pytest.mark.parametrize(
    ("sop_class", "instance", "status"),
    [
        ("1.2.840.10008.5.1.4.1.1.4", INSTANCE, 0xA900),
        ("", INSTANCE, 0xA900),
        (CT, "", 0x0117),
        (CT, "1/2", 0x0117),
        (CT, "1.2\x003", 0x0117),
        (CT, "9" * 65, 0x0117),
        (CT, "1.02.3", 0xA900),
    ],
)
def test_the_command_is_judged_before_any_data(sop_class: str, instance: str, status: int) -> None:
    """A class other than the context's is A900, a UID that is none is 0117; leading zeros are a UID, here of another instance."""
    assert Bench().status_of(data_set(), command=StoreCommand(1, sop_class, instance, 0)) == status


def test_leading_zeros_are_taken() -> None:
    """Scanners send components with leading zeros; they are stored as sent."""
    bench = Bench()

    assert bench.status_of(data_set(sop_instance="1.02.003"), command=StoreCommand(1, CT, "1.02.003", 0)) == 0


@pytest.mark.parametrize("fails_at", ["admit", "write", "commit"])
def test_a_disk_that_fails_is_a700_and_known(fails_at: str) -> None:
    """A failure at any step is A700, leaves nothing, and stops reception for a while."""
    bench = Bench(fails_at)

    assert bench.status_of(data_set(tail=bytes(100_000)), piece=1000) == 0xA700
    assert bench.failures == [DISK_FULL]
    assert bench.hints == 0


def test_no_room_is_a700_before_any_data() -> None:
    """At the refuse mark an open association hears A700 (semantics.md 1.1)."""
    bench = Bench(has_room=False)

    assert bench.status_of(data_set()) == 0xA700
    assert bench.objects == []


@pytest.mark.parametrize(("limit", "status"), [(20_000, 0xA700), (None, 0x0000), (1 << 20, 0x0000)])
def test_an_object_above_the_limit_is_refused_before_it_has_come(limit: int | None, status: int) -> None:
    """`admission.largest_object` is A700 as soon as it is passed, leaves nothing, and does not stop reception (row 53)."""
    bench = Bench()

    answer = bench.status_of(data_set(tail=bytes(100_000)), piece=1000, largest_bytes=limit)

    assert status == answer
    assert (21 if status else 101) == bench.pieces
    assert ["abandoned" if status else "committed"] == [one.end for one in bench.objects]
    assert [] == bench.failures


def test_an_aborted_object_is_gone() -> None:
    """An association that ends in mid-object leaves nothing, however often it is said."""
    bench = Bench()
    sink = StoreSink(bench, ORIGIN, bench, FixedClock(), bench.hint)
    sink.begin(StoreCommand(1, CT, INSTANCE, 0), AcceptedContext(1, Uid(CT), EXPLICIT))

    sink.write(data_set())
    sink.abort()
    sink.abort()

    assert bench.objects[0].end == "abandoned"


@pytest.mark.parametrize(("is_box", "hops"), [(True, 3), (False, 0)])
def test_only_one_of_our_boxes_says_how_far_an_object_came(*, is_box: bool, hops: int) -> None:
    """The count in a message id is believed of who says to be one of us; another peer's ids mean nothing."""
    bench = Bench()
    sink = StoreSink(bench, replace(ORIGIN, is_box=is_box), bench, FixedClock(), bench.hint)
    ids = MessageIds()

    sink.begin(StoreCommand(ids.next(3), CT, INSTANCE, 0), AcceptedContext(1, Uid(CT), Uid(EXPLICIT)))
    sink.write(data_set())
    sink.commit()

    assert [one.header.hops for one in bench.objects] == [hops]
