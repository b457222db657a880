"""What every way out of the box must do, whatever the protocol: checks that a test binds to a real peer.

Promises: a check speaks with the peer only through a `Bench`, so that it means the same for all.
Failures: `AssertionError`.
"""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

from appliance.core.identity import AETitle, Uid
from appliance.deliver.own_faults import DAMAGED
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Outcome, Transport, Wanted
from appliance.deliver.verdict import Whose
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject, Spool
from tests.support.eventually import eventually
from tests.unit.deliver.test_settlement import a_task
from tests.unit.dimse.building import data_set, element
from tests.unit.dimse.building import uid as padded
from tests.unit.spool.builders import a_header, a_spool, files_under

CT, EXPLICIT = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.1.2.1")
STUDY, SERIES = "1.2.3.1", "1.2.3.2"
PIXELS = b"\xe0\x7f\x10\x00OW\0\0"
"""The head of the last element, before its length."""
OpenObject = Callable[[SpoolName], SealedObject]
_SMALL = 700_000
_LARGE = 128 << 20
# What a process may grow by for whatever reason while a large object goes through it: far less than the object.
_GROWTH_KIB = 48 << 10


class Bench(Protocol):
    """A peer of one kind, as the checks see it."""

    def way(self, open_object: OpenObject) -> Transport:
        """Return the way to it, with deadlines of a few seconds."""

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the SHA-256 of the data set of each whole copy that it has of the instance, under whatever name."""

    def cut(self) -> None:
        """Make it vanish at once, in whatever it does."""

    def mend(self) -> None:
        """Bring it back, with what it has."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in the spool, and what it is."""

    task: Task
    digest: str

    @property
    def uid(self) -> str:
        """The SOP Instance UID."""
        return str(self.task.claim.sop_instance_uid)


def an_object(spool: Spool, number: int = 1, size: int = _SMALL) -> Stored:
    """Return a CT image of about `size` bytes that is in the spool."""
    uid = f"1.2.3.4.{number}"
    head = data_set(
        sop_instance=uid,
        tail=element(0x00080060, b"CT", vr="CS")
        + element(0x00100020, b"../../etc ", vr="LO")
        + element(0x0020000D, padded(STUDY))
        + element(0x0020000E, padded(SERIES))
        + element(0x00280010, b"\x00\x02", vr="US"),
    )
    pixels = size - size % 2
    admission = spool.admit(a_header(sop_instance_uid=uid))
    digest = hashlib.sha256()
    piece = bytes(range(256)) * 512
    for part in (head, PIXELS + pixels.to_bytes(4, "little")):
        admission.write(part)
        digest.update(part)
    for at in range(0, pixels, len(piece)):
        part = piece[: min(len(piece), pixels - at)]
        admission.write(part)
        digest.update(part)
    name = admission.commit()
    claim = replace(
        a_task().claim, spool_name=str(name), sop_instance_uid=Uid(uid), study_instance_uid=STUDY, length=name.length, delivery_id=number
    )
    return Stored(Task(claim), digest.hexdigest())


def send(way: Transport, task: Task) -> Outcome:
    """Send over a channel of its own."""
    channel = way.open(Wanted(AETitle("CT1"), [task.context]))
    outcome = channel.send(task)
    if outcome.verdict.ends_association:
        channel.abort()
    else:
        channel.release()
    return outcome


def check_whole_bytes_arrive(bench: Bench, tmp_path: Path) -> None:
    """Two objects over one channel arrive as they are in the spool, each once, and the channel ends in good order."""
    spool = a_spool(tmp_path / "data")
    objects = [an_object(spool, number) for number in (1, 2)]
    way = bench.way(spool.open)
    way.hello()
    way.echo()

    channel = way.open(Wanted(AETitle("CT1"), [objects[0].task.context]))
    outcomes = [channel.send(one.task) for one in objects]
    is_open = channel.is_open
    channel.release()

    assert [outcome.verdict.whose for outcome in outcomes] == [Whose.DELIVERED] * 2
    assert is_open
    assert [bench.kept(one.uid) for one in objects] == [[one.digest] for one in objects]


def check_a_repeat_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    """What is sent twice is delivered twice, and every copy that the peer has of it is the same."""
    spool = a_spool(tmp_path / "data")
    one = an_object(spool)
    way = bench.way(spool.open)

    outcomes = [send(way, one.task), send(way, replace(one.task, sent_before=True))]

    assert [outcome.verdict.whose for outcome in outcomes] == [Whose.DELIVERED] * 2
    assert set(bench.kept(one.uid)) == {one.digest}


def check_a_damaged_object_never_completes(bench: Bench, tmp_path: Path) -> None:
    """An object that was damaged in the spool is not at the peer, neither whole nor in part, and the next one is."""
    spool = a_spool(tmp_path / "data")
    bad, good = an_object(spool, 1), an_object(spool, 2)
    (path,) = [file for file in files_under(tmp_path / "data" / "spool") if file.name == bad.task.claim.spool_name]
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    way = bench.way(spool.open)

    outcome = send(way, bad.task)

    assert outcome.verdict.flag == DAMAGED
    assert bench.kept(bad.uid) == []
    assert send(way, good.task).verdict.whose is Whose.DELIVERED


def check_a_peer_that_goes_in_mid_transfer(bench: Bench, tmp_path: Path) -> None:
    """A peer that vanishes half way has not got the object, nobody says it has, and the next try succeeds once it is back."""
    spool = a_spool(tmp_path / "data")
    one = an_object(spool, size=8 << 20)

    def cutting(name: SpoolName) -> SealedObject:
        return cast("SealedObject", _Interrupted(spool.open(name), 4 << 20, bench.cut))

    outcome = send(bench.way(cutting), one.task)

    assert outcome.verdict.whose in {Whose.UNKNOWN, Whose.SITE}, outcome
    way = bench.way(spool.open)
    bench.mend()
    eventually(lambda: _answers(way), within=30, message="the peer to be back")
    again = send(way, replace(one.task, sent_before=True))
    assert again.verdict.whose is Whose.DELIVERED
    assert set(bench.kept(one.uid)) == {one.digest}


def check_a_peer_that_is_away(bench: Bench, tmp_path: Path) -> None:
    """Nobody there is the destination's trouble, for a knock and for a channel alike."""
    spool = a_spool(tmp_path / "data")
    way = bench.way(spool.open)
    bench.cut()

    verdicts = []
    for attempt in (way.hello, lambda: way.open(Wanted(AETitle("CT1"), [(CT, EXPLICIT)]))):
        try:
            attempt()
        except AssociationFailedError as error:
            verdicts.append((error.verdict.whose, error.verdict.site_state))
    bench.mend()

    assert [(whose, str(state)) for whose, state in verdicts] == [(Whose.SITE, "dead")] * 2


def check_memory_stays_constant(bench: Bench, tmp_path: Path) -> None:
    """An object of 128 MiB goes through without the process growing by a fraction of it, and arrives whole."""
    spool = a_spool(tmp_path / "data")
    # What the first transfer needs, buffers and libraries, is there before it is measured.
    way = bench.way(spool.open)
    send(way, an_object(spool, 1).task)
    one = an_object(spool, 2, _LARGE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    outcome = send(way, one.task)

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcome.verdict.whose is Whose.DELIVERED
    assert bench.kept(one.uid) == [one.digest]
    assert grown < _GROWTH_KIB


def _answers(way: Transport) -> bool:
    try:
        way.hello()
        way.echo()
    except AssociationFailedError:
        return False
    return True


class _Interrupted:
    """A sealed object that calls somebody once so many bytes of it were read."""

    def __init__(self, sealed: SealedObject, after: int, call: Callable[[], None]) -> None:
        self._sealed = sealed
        self._left = after
        self._call: Callable[[], None] | None = call

    def read(self, size: int) -> bytes:
        data = self._sealed.read(size)
        self._left -= len(data)
        if self._left <= 0 and self._call is not None:
            call, self._call = self._call, None
            call()
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sealed.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sealed, name)


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a data set."""
    return hashlib.sha256(content).hexdigest()


CHECKS = (
    check_whole_bytes_arrive,
    check_a_repeat_changes_nothing,
    check_a_damaged_object_never_completes,
    check_a_peer_that_goes_in_mid_transfer,
    check_a_peer_that_is_away,
    check_memory_stays_constant,
)
"""All of them."""
