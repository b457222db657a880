"""The spool: what commit promises, what failure leaves, where objects go, and what opening finds out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.core.errors import Fault
from appliance.keys.generations import Recipients
from appliance.spool import blanks, files, landing
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader, ObjectHeaderError
from appliance.spool.store import SealedObject, Spool, SpoolKeyMissingError, SpoolObjectMissingError, SpoolWriteError
from tests.unit.spool.builders import DIGEST_KEY, OBJECT_ID, OTHER_PRIVATE, PRIVATE, a_header, a_spool, files_under, opened, public_of

DATA = bytes(range(256)) * 1000


def _received(spool: Spool, data: bytes = DATA, header: ObjectHeader | None = None) -> SpoolName:
    with spool.admit(header or a_header()) as entry:
        for start in range(0, len(data), 16_000):
            entry.write(memoryview(data)[start : start + 16_000])
        return entry.commit()


def _read(sealed: SealedObject, size: int = 10_000) -> bytes:
    pieces = []
    while piece := sealed.read(size):
        pieces.append(piece)
    return b"".join(pieces)


def _nameless_refused(_: Path) -> None:
    return None


@pytest.fixture(params=["unnamed", "named"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    """A spool on a file system with unnamed files, and one that has to name them."""
    spool = a_spool(tmp_path) if request.param == "unnamed" else a_spool(tmp_path, unnamed=_nameless_refused)
    yield spool
    spool.close()


# Coming in


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_an_object_comes_back_as_it_came(spool: Spool, length: int) -> None:
    """Header, length and every byte of the data set are what was received."""
    data = os.urandom(length)
    name = _received(spool, data)

    with spool.open(name) as sealed:
        assert (length, a_header(reception_id=name.object_id)) == (sealed.length, sealed.header)
        assert data == _read(sealed)


def test_the_whole_object_is_an_age_file(spool: Spool, tmp_path: Path) -> None:
    """What lies in incoming opens with the age format alone and ends in the data set."""
    name = _received(spool)

    content = (tmp_path / "spool/incoming" / str(name)).read_bytes()

    assert opened(content)[128:132] == b"DICM"
    assert opened(content).endswith(DATA)


def test_the_name_tells_duplicates(spool: Spool) -> None:
    """The same data set has the same digest and length under another id; other data have another digest."""
    first, second, other = _received(spool), _received(spool), _received(spool, DATA[:-1] + b"x")

    assert (first.digest, first.length) == (second.digest, second.length)
    assert first.object_id < second.object_id
    assert first.digest != other.digest


def test_the_digest_is_keyed(tmp_path: Path) -> None:
    """Two boxes give one image two digests, so a name tells a thief nothing."""
    first = _received(a_spool(tmp_path / "a"))
    other = Spool(tmp_path / "b", recipients=lambda: Recipients(1, public_of(PRIVATE), None), digest_key=bytes(32))
    other.prepare()

    assert first.digest != _received(other).digest


def test_the_reception_id_of_the_header_is_kept(spool: Spool) -> None:
    """Whoever made the id finds the object under it."""
    entry = spool.admit(a_header(reception_id=OBJECT_ID))

    assert entry.object_id == OBJECT_ID
    assert entry.commit().object_id == OBJECT_ID


@pytest.mark.parametrize("reception_id", ["x", "../../etc/passwd", OBJECT_ID.upper(), "f" * 32])
def test_a_reception_id_that_is_none_is_refused(spool: Spool, tmp_path: Path, reception_id: str) -> None:
    """Nothing but an object id of ours can become part of a path."""
    with pytest.raises(ObjectHeaderError):
        spool.admit(a_header(reception_id=reception_id))

    assert files_under(tmp_path) == []


def test_a_message_says_so_in_its_name(spool: Spool) -> None:
    """A message object carries its command and ends in .m.age."""
    header = replace(a_header(), kind="message", command=b"command")
    name = _received(spool, b"", header)

    assert str(name).endswith(".m.age")
    with spool.open(name) as sealed:
        assert (sealed.header.kind, sealed.header.command, sealed.read(1)) == ("message", b"command", b"")


def test_nothing_is_visible_before_commit(tmp_path: Path) -> None:
    """While an object arrives, no reader can see even a part of it."""
    spool = a_spool(tmp_path)
    entry = spool.admit(a_header())
    entry.write(DATA)

    assert files_under(tmp_path) == []
    assert spool.incoming() == []
    entry.abandon()


def test_a_named_partial_file_is_in_no_readers_way(tmp_path: Path) -> None:
    """Without unnamed files the part lies in receiving, sealed, and goes away with the commit."""
    spool = a_spool(tmp_path, unnamed=_nameless_refused)
    entry = spool.admit(a_header())
    entry.write(b"PATIENT^NAME" * 20_000)
    (partial,) = files_under(tmp_path / "spool")

    assert partial.parent.parent == tmp_path / "spool/receiving"
    assert b"PATIENT^NAME" not in partial.read_bytes()
    name = entry.commit()
    assert files_under(tmp_path) == [tmp_path / "spool/incoming" / str(name)]


def test_an_abandoned_object_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    """An association that ends in the middle costs no byte of disk."""
    entry = spool.admit(a_header())
    entry.write(DATA)
    entry.abandon()
    entry.abandon()

    assert files_under(tmp_path) == []


def test_leaving_the_block_abandons(spool: Spool, tmp_path: Path) -> None:
    """An exception between the first byte and the commit leaves nothing."""

    def receive() -> None:
        with spool.admit(a_header()) as entry:
            entry.write(DATA)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive()
    assert files_under(tmp_path) == []


def test_after_the_end_nothing_can_be_added(spool: Spool) -> None:
    """Writing or committing again is a defect, not a second object."""
    entry = spool.admit(a_header())
    entry.commit()

    with pytest.raises(ValueError, match="over"):
        entry.write(b"x")
    with pytest.raises(ValueError, match="over"):
        entry.commit()
    assert len(spool.incoming()) == 1


def test_the_file_and_then_its_name_are_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1: fsync of the file, link into incoming, fsync of the directory, in this order, before commit returns."""
    spool = a_spool(tmp_path)
    entry = spool.admit(a_header())
    entry.write(DATA)
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def watched_fsync(descriptor: int) -> None:
        steps.append(f"fsync {'directory' if Path(f'/proc/self/fd/{descriptor}').is_dir() else 'file'}")
        fsync(descriptor)

    def watched_link(source: str, name: str, **options: int) -> None:
        steps.append("link")
        link(source, name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "link", watched_link)
    entry.commit()

    assert steps == ["fsync file", "link", "fsync directory"]


# Failing


def _raising(number: int, *, after: int = 0, real: Callable[..., object] | None = None) -> Callable[..., object]:
    """Return a function that calls the real one so many times and then fails for ever."""
    calls = iter(range(after))

    def fail(*args: object, **options: object) -> object:
        if real is not None and next(calls, None) is not None:
            return real(*args, **options)
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False), (errno.EROFS, False)])
def test_a_write_that_fails_leaves_nothing(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, full: bool
) -> None:
    """The error says whether the disk is full and whose turn it is; the partial object is gone."""
    # The header of the seal is written at once.
    monkeypatch.setattr(blanks, "write_all", _raising(number, after=1, real=files.write_all))
    entry = spool.admit(a_header())

    with pytest.raises(SpoolWriteError) as failed:
        entry.write(DATA)

    error = failed.value
    assert (number, full) == (error.errno, error.full)
    assert (Fault.OPERATOR if full else Fault.OURS) == error.fault
    assert error.advice
    assert files_under(tmp_path) == []
    with pytest.raises(ValueError, match="over"):
        entry.write(b"more")


def test_a_file_that_cannot_be_made_is_a_write_error(tmp_path: Path) -> None:
    """No inode for the first byte: full, and the next object may try again."""
    spool = a_spool(tmp_path, unnamed=_raising(errno.ENOSPC))  # type: ignore[arg-type]

    with pytest.raises(SpoolWriteError) as failed:
        spool.admit(a_header())

    assert failed.value.full


@pytest.mark.parametrize("step", ["fsync file", "open directory", "name"])
def test_a_commit_that_fails_before_the_name_leaves_nothing(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever fails up to the link, nothing was acknowledged and nothing is there."""
    entry = spool.admit(a_header())
    entry.write(DATA)
    if step == "fsync file":
        monkeypatch.setattr(os, "fsync", _raising(errno.EIO))
    elif step == "open directory":
        monkeypatch.setattr(landing, "open_directory", _raising(errno.EMFILE))
    else:
        monkeypatch.setattr(os, "link", _raising(errno.EIO))
        monkeypatch.setattr(os, "rename", _raising(errno.EIO))

    with pytest.raises(SpoolWriteError):
        entry.commit()

    assert files_under(tmp_path) == []


def test_a_commit_that_fails_after_the_name_leaves_a_whole_object(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When only the directory's fsync fails, the object is not acknowledged, but what stands there is whole."""
    entry = spool.admit(a_header())
    entry.write(DATA)
    monkeypatch.setattr(os, "fsync", _raising(errno.EIO, after=1, real=os.fsync))

    with pytest.raises(SpoolWriteError):
        entry.commit()

    (name,) = spool.incoming()
    with spool.open(name) as sealed:
        assert _read(sealed) == DATA


def test_no_descriptor_is_left_open(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committing, abandoning, failing and opening give every descriptor back."""
    _received(spool)
    before = len(list(Path("/proc/self/fd").iterdir()))
    name = _received(spool)
    spool.admit(a_header()).abandon()
    with spool.open(name) as sealed:
        _read(sealed)
    entry = spool.admit(a_header())
    monkeypatch.setattr(os, "fsync", _raising(errno.EIO))
    with pytest.raises(SpoolWriteError):
        entry.commit()

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_without_its_key_a_process_can_neither_receive_nor_open(tmp_path: Path) -> None:
    """P8: a spool does only what it was given keys for, and says so."""
    name = _received(a_spool(tmp_path))
    bare = Spool(tmp_path)

    with pytest.raises(SpoolKeyMissingError):
        bare.admit(a_header())
    with pytest.raises(SpoolKeyMissingError):
        bare.open(name)
    assert bare.incoming() == [name]


# Places


def test_incoming_is_in_the_order_of_arrival(spool: Spool) -> None:
    """Names come sorted by id, however the directory lists them."""
    names = [_received(spool, bytes([number])) for number in range(20)]

    assert names == spool.incoming()


def test_a_foreign_file_is_left_alone_and_told_once(spool: Spool, tmp_path: Path) -> None:
    """What an operator drops into incoming is no object, stays, and its name stands in no log."""
    name = _received(spool)
    (tmp_path / "spool/incoming/DOE^JANE.dcm").write_bytes(b"x")

    with capture_logs() as logs:
        assert spool.incoming() == [name]
        assert spool.incoming() == [name]

    assert [event["event"] for event in logs] == ["spool.incoming.foreign_file"]
    assert "DOE" not in str(logs)


def test_moved_objects_are_in_their_place(spool: Spool, tmp_path: Path) -> None:
    """After the move incoming is empty, the store holds each under generation, hour and digest, and all open."""
    names = [_received(spool, bytes([number])) for number in range(5)]

    spool.sync_incoming()
    spool.move_to_store(names)

    assert spool.incoming() == []
    assert sorted(tmp_path / "spool/store" / name.store_directory() / str(name) for name in names) == files_under(tmp_path)
    for number, name in enumerate(names):
        with spool.open(name) as sealed:
            assert bytes([number]) == sealed.read(10)


def test_moving_again_does_no_harm(spool: Spool) -> None:
    """A router that died between move and note moves again."""
    name = _received(spool)

    spool.move_to_store([name])
    spool.move_to_store([name])

    with spool.open(name) as sealed:
        assert _read(sealed) == DATA


def test_one_missing_object_does_not_keep_the_others(spool: Spool) -> None:
    """The others are moved, then the missing one is told."""
    gone, here = _received(spool), _received(spool)
    spool.remove(gone)

    with pytest.raises(SpoolObjectMissingError, match=gone.object_id):
        spool.move_to_store([gone, here])

    assert spool.incoming() == []


def test_a_folder_that_was_emptied_away_is_made_again(spool: Spool, tmp_path: Path) -> None:
    """Whoever tidies the store may remove folders that this process remembers."""
    first = _received(spool, header=a_header(reception_id=OBJECT_ID))
    spool.move_to_store([first])
    spool.remove(first)
    (tmp_path / "spool/store" / first.store_directory()).rmdir()
    second = _received(spool, header=a_header(reception_id=OBJECT_ID))

    spool.move_to_store([second])

    with spool.open(second) as sealed:
        assert _read(sealed) == DATA


def test_an_object_being_moved_is_found(spool: Spool) -> None:
    """A reader finds the object in each look while it is moved under its eyes."""
    names = [_received(spool, bytes([number])) for number in range(100)]
    faults = []

    def move() -> None:
        for name in names:
            spool.move_to_store([name])

    mover = threading.Thread(target=move)

    mover.start()
    while mover.is_alive():
        for name in names:
            try:
                spool.open(name).close()
            except SpoolObjectMissingError as error:
                faults.append(error)
    mover.join()

    assert faults == []


def test_a_removed_object_is_gone_and_removing_again_is_fine(spool: Spool, tmp_path: Path) -> None:
    """Wherever it was, its bytes are gone; opening it says missing."""
    waiting, stored = _received(spool), _received(spool)
    spool.move_to_store([stored])

    for name in (waiting, stored, stored):
        spool.remove(name)

    assert files_under(tmp_path) == []
    with pytest.raises(SpoolObjectMissingError):
        spool.open(stored)


def test_a_quarantined_object_stands_apart(spool: Spool, tmp_path: Path) -> None:
    """It is neither waiting nor opened, its bytes are kept, and the log has its id and the reason."""
    waiting, stored = _received(spool), _received(spool)
    spool.move_to_store([stored])

    with capture_logs() as logs:
        for name in (waiting, stored, stored):
            spool.quarantine(name, "damaged")

    assert sorted(tmp_path / "spool/quarantine" / str(name) for name in (waiting, stored)) == files_under(tmp_path)
    assert spool.quarantined() == 2
    assert [("spool.object.quarantined", name.object_id, "damaged") for name in (waiting, stored)] == [
        (event["event"], event["object_id"], event["reason"]) for event in logs
    ]
    with pytest.raises(SpoolObjectMissingError):
        spool.open(waiting)


def test_quarantining_what_is_nowhere_is_told(spool: Spool) -> None:
    """An object that is in no place cannot be set apart."""
    name = _received(spool)
    spool.remove(name)

    with pytest.raises(SpoolObjectMissingError):
        spool.quarantine(name, "damaged")


def test_the_folders_are_private(tmp_path: Path) -> None:
    """Nobody but the owner can list a name of the spool; preparing again is fine."""
    a_spool(tmp_path).prepare()

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}

    assert modes == {"incoming": 0o700, "store": 0o700, "quarantine": 0o700, "receiving": 0o700}


def test_the_space_is_that_of_the_spool(tmp_path: Path) -> None:
    """The spool asks the file system it lies on."""
    assert files.space(tmp_path).total_bytes == a_spool(tmp_path).space().total_bytes


def test_threads_may_receive_at_once(spool: Spool) -> None:
    """Four associations of one worker give each its own whole object."""
    contents = [bytes([number]) * 200_000 for number in range(4)]
    threads = [threading.Thread(target=_received, args=(spool, content)) for content in contents]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = []
    for name in spool.incoming():
        with spool.open(name) as sealed:
            found.append(_read(sealed))
    assert contents == sorted(found)


# Opening


def _changed(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at", [-1, -70_000, 1_000])
def test_a_changed_byte_is_damage(spool: Spool, tmp_path: Path, at: int) -> None:
    """A flipped bit in any chunk is found before the last byte is given."""
    name = _received(spool)
    _changed(tmp_path / "spool/incoming" / str(name), at)

    def read_all() -> None:
        with spool.open(name) as sealed:
            _read(sealed)

    with pytest.raises(SealDamagedError):
        read_all()


def test_a_file_that_is_no_age_file_is_a_format_error(spool: Spool, tmp_path: Path) -> None:
    """A file of zeros after a power cut is told apart from a forged one."""
    name = _received(spool)
    (tmp_path / "spool/incoming" / str(name)).write_bytes(bytes(1000))

    with pytest.raises(SealFormatError):
        spool.open(name)


@pytest.mark.parametrize("length", [len(DATA) - 1, len(DATA) + 1, 0])
def test_a_length_that_lies_is_damage(spool: Spool, tmp_path: Path, length: int) -> None:
    """A file under a name with another length gives no complete data set, and keeps saying so."""
    name = _received(spool)
    lying = replace(name, length=length)
    (tmp_path / "spool/incoming" / str(name)).rename(tmp_path / "spool/incoming" / str(lying))

    with spool.open(lying) as sealed:
        for _ in range(3):
            with pytest.raises(SealDamagedError):
                sealed.read(len(DATA) + 10)


def test_a_digest_that_lies_is_damage(spool: Spool, tmp_path: Path) -> None:
    """The last piece of the data set is given only when the digest agrees."""
    name = _received(spool)
    lying = replace(name, digest="0" * 32)
    (tmp_path / "spool/incoming" / str(name)).rename(tmp_path / "spool/incoming" / str(lying))

    with spool.open(lying) as sealed:
        assert sealed.read(len(DATA) - 1) == DATA[:-1]
        with pytest.raises(SealDamagedError):
            sealed.read(1)
        with pytest.raises(SealDamagedError):
            sealed.read(1)


def test_who_reads_exactly_the_length_has_the_verified_object(spool: Spool) -> None:
    """A sender that stops at the length has passed the end of the seal and the digest."""
    name = _received(spool)

    with spool.open(name) as sealed:
        assert sealed.read(sealed.length) == DATA
        assert sealed._verified


def test_an_object_under_anothers_name_is_damage(spool: Spool, tmp_path: Path) -> None:
    """Swapping two objects of the same content but other ids is found by the sealed header."""
    first, second = _received(spool), _received(spool)
    (tmp_path / "spool/incoming" / str(first)).rename(tmp_path / "spool/incoming" / str(second))

    with pytest.raises(SealDamagedError):
        spool.open(second)


def test_an_object_of_another_generation_is_foreign(tmp_path: Path) -> None:
    """Without that generation's key, and with a wrong one, the error is about keys."""
    name = _received(a_spool(tmp_path, generation=2))

    with pytest.raises(SealForeignError, match="generation 2"):
        a_spool(tmp_path, generation=1).open(name)
    with pytest.raises(SealForeignError):
        a_spool(tmp_path, generation=2, private=OTHER_PRIVATE).open(name)


def test_a_link_in_an_objects_place_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    """A symbolic link in the spool leads nowhere."""
    name = _received(spool)
    path = tmp_path / "spool/incoming" / str(name)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"):
        spool.open(name)


def test_a_reader_without_the_digest_key_still_reads_sealed_bytes(tmp_path: Path) -> None:
    """The seal authenticates everything; only the comparison with the name is left out."""
    name = _received(a_spool(tmp_path))
    reader = Spool(tmp_path, identities={1: PRIVATE})

    with reader.open(name) as sealed:
        assert _read(sealed) == DATA


# What dead workers leave


def test_the_partial_file_of_a_dead_worker_is_swept(tmp_path: Path) -> None:
    """A process killed in the middle leaves a sealed part that the next start removes."""
    program = (
        "import os, sys; from pathlib import Path; from tests.unit.spool.builders import a_spool, a_header;"
        "s = a_spool(Path(sys.argv[1]), unnamed=lambda _: None); e = s.admit(a_header()); e.write(bytes(200000)); os._exit(9)"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False, timeout=60)
    left = files_under(tmp_path)

    a_spool(tmp_path)

    assert len(left) == 1
    assert files_under(tmp_path) == []
    assert list((tmp_path / "spool/receiving").iterdir()) == []


def test_the_partial_file_of_a_living_worker_is_safe(tmp_path: Path) -> None:
    """Another process that starts does not sweep what is being received."""
    entry = a_spool(tmp_path, unnamed=_nameless_refused).admit(a_header())
    entry.write(DATA)

    a_spool(tmp_path)
    name = entry.commit()

    with a_spool(tmp_path).open(name) as sealed:
        assert _read(sealed) == DATA


def test_a_closed_spool_leaves_no_folder(tmp_path: Path) -> None:
    """A worker that ends in good order takes its place under receiving away, and can be closed twice."""
    spool = a_spool(tmp_path, unnamed=_nameless_refused)
    _received(spool)

    spool.close()
    spool.close()

    assert list((tmp_path / "spool/receiving").iterdir()) == []


def test_the_sweep_touches_only_its_own(tmp_path: Path) -> None:
    """Files and links that an operator put into receiving are left alone."""
    spool = a_spool(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"x")
    (tmp_path / "spool/receiving/link").symlink_to(outside)
    (tmp_path / "spool/receiving/note").write_bytes(b"x")

    spool.prepare()

    assert (outside / "file").exists()
    assert (tmp_path / "spool/receiving/note").exists()


def test_two_recipients_both_open_what_was_received(tmp_path: Path) -> None:
    """The recovery key opens what the box received, without the box."""
    spool = Spool(tmp_path, recipients=lambda: Recipients(1, public_of(PRIVATE), public_of(OTHER_PRIVATE)), digest_key=DIGEST_KEY)
    spool.prepare()
    name = _received(spool)

    content = (tmp_path / "spool/incoming" / str(name)).read_bytes()

    assert opened(content, PRIVATE) == opened(content, OTHER_PRIVATE)


def test_only_what_was_derived_long_ago_is_swept(tmp_path: Path) -> None:
    """A sweep removes derived objects older than it is told, and touches neither younger ones nor originals."""
    spool, made = a_spool(tmp_path), []
    for uid in ("1.2.3", "1.2.4"):
        with spool.admit(a_header(sop_instance_uid=uid), spool.derived("ab12")) as admission:
            admission.write(b"derived")
            made.append(admission.commit())
    with spool.admit(a_header()) as admission:
        admission.write(b"stored")
        stored = admission.commit()
    os.utime(tmp_path / "spool" / "derived" / "ab12" / str(made[0]), (1000, 1000))

    swept = spool.sweep_derived(1001)

    left = [path.name for path in (tmp_path / "spool" / "derived" / "ab12").iterdir()]
    assert (swept, left, spool.incoming()) == (1, [str(made[1])], [stored])
