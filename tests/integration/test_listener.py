"""The door, in process: DCMTK and hand-made bytes against a real listener, spool and sealed objects."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.dimse import commands, pdu
from appliance.dimse.acceptor import Deadlines
from appliance.receive import listener
from appliance.runtime.slots import Slots
from appliance.spool.names import SpoolName
from tests.support import dcmtk, part10, samples, wire
from tests.support.caller import ABORT, OBJECT, RELEASED, Caller
from tests.support.door import SITE, Door, site_of, threads
from tests.support.eventually import eventually
from tests.unit.dimse.building import CT, INSTANCE, data_set, uid

QUICK = Deadlines(establish_s=0.5, progress_s=0.5)


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def leftovers(data: Path) -> list[Path]:
    """Return every file of a spool that is not a complete object."""
    return [path for path in data.rglob("*") if path.is_file() and "run" not in path.parts and SpoolName.parse(path.name) is None]


@pytest.fixture
def make_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Make doors; each is closed, and must leave nothing."""
    doors: list[Door] = []

    def make(**settings: object) -> Door:
        doors.append(Door(tmp_path / "data", **settings))  # type: ignore[arg-type]
        return doors[-1]

    before = descriptors()
    yield make
    for door in doors:
        door.close()
    assert leftovers(tmp_path / "data") == []
    assert descriptors() == before


def test_dcmtk_verifies_and_stores(make_door: Callable[..., Door], tmp_path: Path) -> None:
    """DCMTK's echoscu is answered, and what storescu sends is kept as a sealed object of exactly those bytes, with where it came from."""
    dcmtk.require("echoscu", "storescu")
    door = make_door()
    [file] = samples.ct(64).write(tmp_path / "files")
    _, sent = part10.split(file.read_bytes())

    subprocess.run(["echoscu", "-aet", "CT1", "-aec", "edge", "127.0.0.1", str(door.port)], check=True, timeout=20)
    subprocess.run(["storescu", "-aet", "ct1", "-aec", "PACS1", "127.0.0.1", str(door.port), str(file)], check=True, timeout=20)

    [(name, stored)] = door.stored().items()
    with door.spool.open(name) as sealed:
        header = sealed.header
    assert stored == sent
    assert (header.calling_title, header.called_title, header.peer_address) == ("ct1", "PACS1", "127.0.0.1")
    assert [origin.source_name for origin in door.origins] == ["ct"]


@pytest.mark.parametrize(
    ("calling", "called", "reject"),
    [
        (b"CT1", b"EDGE", None),
        (b"ct1\0\0\0\0\0\0\0\0\0\0\0\0\0", b"  pacs1", None),
        (b"CT2", b"EDGE", (1, 1, 3)),
        (b"MR1", b"EDGE", (1, 1, 3)),
        (b"CT\n1", b"EDGE", (1, 1, 3)),
        (b"\xff\xfe", b"EDGE", (1, 1, 3)),
        (b"", b"EDGE", (1, 1, 3)),
        (b"CT1", b"OTHER", (1, 1, 7)),
        (b"CT1", b"", (1, 1, 7)),
        (b"CT1", b"\x01", (1, 1, 7)),
    ],
)
def test_titles_on_the_wire(make_door: Callable[..., Door], calling: bytes, called: bytes, reject: tuple[int, int, int] | None) -> None:
    """Padded and differently spelled titles are admitted; every other one gets its reject, never an abort."""
    door = make_door()

    answer = wire.associate(door.port, called=called, calling=calling)

    assert answer.reject == reject
    assert answer.pdu_type == (wire.REJECTED if reject else wire.ACCEPTED)


def test_version_and_application_context_on_the_wire(make_door: Callable[..., Door]) -> None:
    """A request without the version bit is 1/2/2, one with another application context 1/1/2."""
    door = make_door()
    request = wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT])

    for changed, expected in (
        (request[:7] + b"\2" + request[8:], (1, 2, 2)),
        (request.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"), (1, 1, 2)),
    ):
        with socket.create_connection(("127.0.0.1", door.port), 10.0) as connection:
            connection.sendall(changed)
            answer = connection.recv(100)
        assert (answer[0], tuple(answer[7:10])) == (wire.REJECTED, expected)


def test_answers_of_an_association_that_lives_on(make_door: Callable[..., Door]) -> None:
    """Refused objects have their status, the next good one is stored, and release is answered."""
    door = make_door()
    caller = Caller(door.port)

    statuses = [
        caller.store(b""),
        caller.store(b"\xff\xd8\xff\xe0" * 50),
        caller.store(data_set(syntax="1.2.840.10008.1.2", sop_instance="1.2.3")),
        caller.store(OBJECT, "../../etc/cron.d/x"),
        caller.store(OBJECT),
    ]
    caller.command(with_data=False)
    statuses.append(caller.status())
    caller.command(context=1, kind=commands.C_ECHO_RQ, with_data=False)
    statuses.append(caller.status())

    assert statuses == [0xC000, 0xC000, 0xA900, 0x0117, 0x0000, 0xC000, 0x0000]
    assert caller.release() == RELEASED
    assert list(door.stored().values()) == [OBJECT]


def test_a_full_disk_refuses_storage_but_not_verification(make_door: Callable[..., Door]) -> None:
    """Without room an association that proposes storage is 2/3/1, verification alone is admitted."""
    door = make_door()
    door.has_room = False

    storage = wire.associate(door.port, called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT, wire.VERIFICATION])
    verification = wire.associate(door.port, called=b"EDGE", calling=b"CT1")

    assert storage.reject == (2, 3, 1)
    assert verification.pdu_type == wire.ACCEPTED


def test_a_sources_cap_is_its_own(make_door: Callable[..., Door]) -> None:
    """The fifth association of a source with four places is 2/3/2, and a place that is given back is free at once."""
    door = make_door()
    callers = [Caller(door.port) for _ in range(4)]

    refused = wire.associate(door.port, called=b"EDGE", calling=b"CT1")
    callers[0].release()
    eventually(lambda: door.listener.active == 3)
    admitted = wire.associate(door.port, called=b"EDGE", calling=b"CT1")

    assert refused.reject == (2, 3, 2)
    assert admitted.pdu_type == wire.ACCEPTED
    assert [caller.release() for caller in callers[1:]] == [RELEASED] * 3


@pytest.mark.parametrize("begun", [0, 3, 6, 74])
def test_silent_callers_are_freed_and_do_not_keep_scanners_out(make_door: Callable[..., Door], begun: int) -> None:
    """Forty connections that stop after a few bytes leave a good caller its place, and are gone after the deadline (N1, F-11)."""
    door = make_door(deadlines=Deadlines(establish_s=1.0))
    request = wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT])
    silent = []
    for number in range(40):
        connection = socket.socket()
        connection.bind((f"127.0.0.{2 + number % 4}", 0))
        connection.connect(("127.0.0.1", door.port))
        connection.sendall(request[:begun])
        silent.append(connection)

    started = time.monotonic()
    good = wire.associate(door.port, called=b"EDGE", calling=b"CT1")
    took = time.monotonic() - started

    assert good.pdu_type == wire.ACCEPTED
    assert took < 1.0
    eventually(lambda: door.listener.active == 0, within=5.0)
    for connection in silent:
        connection.close()


def test_dripping_bytes_do_not_extend_the_deadline(make_door: Callable[..., Door]) -> None:
    """A request that comes byte by byte must be whole within the deadline (hostile-inputs.md row 2)."""
    door = make_door(deadlines=QUICK)
    request = wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT])
    pause = threading.Event()

    with socket.create_connection(("127.0.0.1", door.port), 10.0) as connection:
        started = time.monotonic()
        try:
            for byte in request:
                connection.sendall(bytes([byte]))
                pause.wait(0.05)
        except OSError:
            pass
        took = time.monotonic() - started

    assert took < 3.0


def test_one_address_has_only_so_many_unknown_callers(make_door: Callable[..., Door]) -> None:
    """Connections above the cap of an address are closed unheard; threads stay below it."""
    door = make_door(deadlines=Deadlines(establish_s=2.0))
    connections = [socket.create_connection(("127.0.0.1", door.port), 10.0) for _ in range(30)]

    eventually(lambda: door.listener.active == 20)
    closed = eventually(lambda: sum(is_closed(connection) for connection in connections) == 10)

    assert closed
    assert len(threads()) <= 21
    for connection in connections:
        connection.close()


def test_the_oldest_unknown_caller_makes_room(make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the silent of all addresses fill the worker, each newcomer ends the one that was silent the longest (F-11)."""
    monkeypatch.setattr(listener, "_UNADMITTED_AT_ONCE", 5)
    door = make_door()
    connections = []
    for _ in range(10):
        connections.append(socket.create_connection(("127.0.0.1", door.port), 10.0))
        eventually(lambda: door.listener.active == min(len(connections), 5))

    good = wire.associate(door.port, called=b"EDGE", calling=b"CT1")

    assert good.pdu_type == wire.ACCEPTED
    assert eventually(lambda: [is_closed(connection) for connection in connections] == [True] * 6 + [False] * 4)
    for connection in connections:
        connection.close()


def test_requests_must_be_short_while_many_are_at_the_door(make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of 100 KiB is read while few wait, and refused at its head while many do; ordinary ones are admitted all the time."""
    monkeypatch.setattr(listener, "_LONG_REQUESTS_AT_ONCE", 2)
    door = make_door()
    claim = struct.pack(">BBL", 1, 0, 100 << 10)
    # What a request needs at least, and an item that nobody knows, as long as two of them can be.
    ordinary = wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT])[6:]
    filling = b"".join(struct.pack(">BBH", 0x77, 0, size) + bytes(size) for size in (50_000, (100 << 10) - len(ordinary) - 50_008))

    answers = []
    with socket.create_connection(("127.0.0.1", door.port), 10.0) as first:
        first.sendall(claim + ordinary + filling)
        answers.append(first.recv(1))
    with contextlib.ExitStack() as silent:
        for number in (1, 2):
            silent.enter_context(socket.create_connection(("127.0.0.1", door.port), 10.0))
            eventually(lambda number=number: door.listener.active == number)  # type: ignore[misc]
        with socket.create_connection(("127.0.0.1", door.port), 10.0) as late:
            late.sendall(claim)
            answers.append(late.recv(1))
        good = wire.associate(door.port, called=b"EDGE", calling=b"CT1")

    assert answers == [bytes([wire.ACCEPTED]), bytes([ABORT])]
    assert good.pdu_type == wire.ACCEPTED


def test_an_association_may_idle_only_so_long(make_door: Callable[..., Door]) -> None:
    """Between two messages a source has its idle time; then the association ends with an A-ABORT by the provider (row 29)."""
    door = make_door(idle="1 s")
    caller = Caller(door.port)

    first = caller.store(OBJECT)
    answer = caller.read()
    caller.socket.close()

    assert (first, answer) == (0, (ABORT, b"\0\0\2\0"))


def test_a_source_may_idle_longer_than_others(make_door: Callable[..., Door]) -> None:
    """The idle time of a source is its own where it has one: `admission.idle` ends others (row 29)."""
    another = '[[source]]\nname = "us"\nae_title = "US1"\naddress = "127.0.0.1"\n[retention]'
    site = SITE.replace('ae_title = "CT1"', 'ae_title = "CT1"\nidle = "1 h"').replace("[retention]", another)
    door = make_door(idle="1 s", site=site)
    patient, hurried = Caller(door.port), Caller(door.port, calling=b"US1")

    ended = hurried.read()
    still = patient.store(OBJECT)
    for caller in (patient, hurried):
        caller.socket.close()

    assert (ABORT, b"\0\0\2\0") == ended
    assert 0 == still


def is_closed(connection: socket.socket) -> bool:
    """Say whether the other side closed."""
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1),
        (b"SSH-2.0-x\r\n", 1),
        (b"\0" * 6, 1),
        (b"\x01\0\xff\xff\xff\xff", 6),
        (b"\x01\0\0\x08\0\x01", 6),
        (b"\x01\0\0\0\0\0", 6),
        (b"\x01\0\0\0\0\x01x", 6),
        (pdu.RELEASE_RQ, 2),
        (pdu.data_pdu(1, b"x", is_command=True, is_last=True), 2),
        (b"\x02\0\0\0\0\0", 2),
    ],
)
def test_what_is_not_an_association_is_aborted(make_door: Callable[..., Door], opening: bytes, reason: int) -> None:
    """Other protocols, units out of place and lengths that lie get an A-ABORT by the provider with its reason (rows 7 to 9)."""
    door = make_door()

    with socket.create_connection(("127.0.0.1", door.port), 10.0) as connection:
        connection.sendall(opening)
        answer = connection.recv(100)

    assert answer == pdu.abort_pdu(pdu.AbortSource.PROVIDER, pdu.AbortReason(reason))


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (b"\x04\0\0\x11\0\0", 6),
        (b"\x04\0\0\0\0\0", 6),
        (b"\x04\0\0\0\0\x06\0\0\0\0\x01\x03", 6),
        (pdu.data_pdu(9, b"x", is_command=True, is_last=True), 6),
        (pdu.data_pdu(3, b"x", is_command=False, is_last=True), 6),
        (pdu.data_pdu(3, bytes(70_000), is_command=True, is_last=False), 6),
        (wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT]), 2),
        (pdu.reject_pdu(1, 1, 1), 2),
        (b"\x08\0\0\0\0\0", 1),
    ],
)
def test_broken_units_in_mid_object_abort_and_leave_nothing(make_door: Callable[..., Door], unit: bytes, reason: int) -> None:
    """A unit that breaks the protocol while an object arrives ends the association, and the object with it (rows 8, 12, 13, 30)."""
    door = make_door()
    caller = Caller(door.port)
    if reason != 6 or unit[0] != 4 or unit[2:6] in {b"\0\x11\0\0", b"\0\0\0\0"}:
        caller.command()
        caller.data(OBJECT, last=False)

    caller.socket.sendall(unit)
    answer = caller.read()
    caller.socket.close()

    assert answer == (ABORT, bytes([0, 0, 2, reason]))
    eventually(lambda: door.listener.active == 0)
    assert door.stored() == {}


def test_a_unit_above_our_maximum_is_tolerated(make_door: Callable[..., Door]) -> None:
    """A scanner that ignores our maximum is served up to 1 MiB a unit (hostile-inputs.md row 10)."""
    door = make_door()
    caller = Caller(door.port)
    large = OBJECT + struct.pack("<HHL", 0x7FE0, 0x0010, 900_000) + bytes(900_000)

    assert caller.store(large) == 0
    assert caller.release() == RELEASED
    assert list(door.stored().values()) == [large]


@pytest.mark.parametrize("ending", ["release", "abort", "close", "reset", "stall"])
def test_an_object_that_is_not_finished_leaves_nothing(make_door: Callable[..., Door], ending: str) -> None:
    """However an association ends in mid-object, nothing is stored and nothing left (rows 3, 26; N6)."""
    door = make_door(deadlines=QUICK)
    caller = Caller(door.port)
    caller.command()
    caller.data(OBJECT, last=False)

    match ending:
        case "release":
            assert caller.release() == RELEASED
        case "abort":
            caller.socket.sendall(pdu.abort_pdu(pdu.AbortSource.USER))
        case "close":
            caller.socket.close()
        case "reset":
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.socket.close()
        case _:
            assert caller.read() == (ABORT, b"\0\0\2\0")

    eventually(lambda: door.listener.active == 0)
    caller.socket.close()
    assert door.stored() == {}


def test_pipelined_requests_wait_their_turn(make_door: Callable[..., Door]) -> None:
    """Requests that are sent without waiting are answered one by one, in order (N5)."""
    door = make_door()
    caller = Caller(door.port)

    for number in range(20):
        text = f"1.2.{number + 100}"
        caller.command(uid_text=text)
        caller.data(data_set(syntax="1.2.840.10008.1.2", sop_instance=text))

    assert [caller.status() for _ in range(20)] == [0] * 20
    assert caller.release() == RELEASED
    assert len(door.stored()) == 20


def test_drain_ends_idle_associations_and_lets_objects_finish(make_door: Callable[..., Door]) -> None:
    """An idle association ends at once, an open C-STORE is finished and answered, and then its association ends too."""
    door = make_door()
    idle, busy = Caller(door.port), Caller(door.port)
    busy.command()
    busy.data(OBJECT[:40], last=False)
    eventually(lambda: len(door.origins) == 1)

    door.stopping.set()
    draining = threading.Thread(target=door.listener.drain, args=(10.0,), name="draining")
    draining.start()
    ended = idle.read()
    busy.data(OBJECT[40:])
    status = busy.status()
    after = busy.read()
    draining.join(10.0)

    assert (ended[0], status, after[0]) == (ABORT, 0, ABORT)
    assert not draining.is_alive()
    assert list(door.stored().values()) == [OBJECT]
    for caller in (idle, busy):
        caller.socket.close()


def test_drain_cuts_what_does_not_finish(make_door: Callable[..., Door]) -> None:
    """An object that is not finished at the deadline is cut off and leaves nothing."""
    door = make_door()
    caller = Caller(door.port)
    caller.command()
    caller.data(OBJECT, last=False)
    eventually(lambda: len(door.origins) == 1)

    door.stopping.set()
    door.listener.drain(0.2)

    assert threads() == []
    assert door.stored() == {}
    caller.socket.close()


def test_a_new_configuration_leaves_open_associations_alone(make_door: Callable[..., Door]) -> None:
    """An object in the middle is finished under the configuration that let it in; whoever calls afterwards meets the new one."""
    door = make_door()
    caller = Caller(door.port)
    caller.command()
    caller.data(OBJECT[:40], last=False)
    eventually(lambda: len(door.origins) == 1)

    # Another title at this address instead of CT1, and nobody may idle.
    door.site = site_of(SITE.replace('"CT1"', '"CT2"').replace("{idle}", "1 s"))
    removed = wire.associate(door.port, called=b"EDGE", calling=b"CT1")
    added = wire.associate(door.port, called=b"EDGE", calling=b"CT2")
    caller.data(OBJECT[40:])

    assert (removed.reject, added.pdu_type) == ((1, 1, 3), wire.ACCEPTED)
    assert caller.status() == 0
    caller.socket.settimeout(1.5)
    with pytest.raises(TimeoutError):
        caller.read()
    assert caller.store(OBJECT, "1.2.826.0.1.3680043.8.1055.1") == 0
    assert caller.release() == RELEASED


def test_a_new_configuration_moves_the_refuse_mark(make_door: Callable[..., Door]) -> None:
    """The disk is judged by the marks of the newest configuration."""
    door = make_door()
    caller = Caller(door.port)
    before = caller.store(OBJECT)

    door.site = site_of(SITE.replace('"1 MiB"', '"4096 TiB"').replace("{idle}", "1 s"))
    refused = eventually(lambda: caller.store(OBJECT) or None)

    assert (before, refused) == (0, 0xA700)
    assert caller.release() == RELEASED


def test_many_associations_at_once_and_nothing_left(make_door: Callable[..., Door], tmp_path: Path) -> None:
    """Four callers at a time, forty associations in all: every object is stored once, no thread and no slot stays."""
    door = make_door()
    answers: list[int | None] = []

    def call(first: int) -> None:
        for number in range(first, first + 10):
            caller = Caller(door.port)
            text = f"1.2.{number + 100}"
            answers.append(caller.store(data_set(syntax="1.2.840.10008.1.2", sop_instance=text), text))
            caller.release()
            eventually(lambda: door.listener.active < 4)

    callers = [threading.Thread(target=call, args=(first,)) for first in (0, 10, 20, 30)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(30.0)

    assert answers == [0] * 40
    assert len(door.stored()) == 40
    eventually(lambda: door.listener.active == 0)
    slots = Slots(tmp_path / "data" / "run" / "slots")
    held = [slots.take("source:ct", 4) for _ in range(4)]
    assert all(held)
    for slot in held:
        assert slot is not None
        slot.release()


def test_a_scanners_title_names_the_source_not_the_path(make_door: Callable[..., Door]) -> None:
    """Nothing of what a peer sent is part of a file name."""
    door = make_door()
    caller = Caller(door.port)

    caller.store(OBJECT)
    caller.release()
    [name] = door.spool.incoming()

    assert INSTANCE not in str(name)
    assert uid(INSTANCE).decode().rstrip("\0") not in str(name)
