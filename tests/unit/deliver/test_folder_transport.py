"""The folder transport: when it writes, what it writes, and what an error of the file system is taken for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from appliance.config.layout import DEFAULT_LAYOUT
from appliance.core.identity import AETitle
from appliance.deliver.site_state import SiteState
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Wanted
from appliance.deliver.transports import folder as module
from appliance.deliver.transports.folder import MARKER, FolderTransport
from appliance.deliver.verdict import Verdict, Whose
from appliance.spool.store import Spool
from tests.integration.transports.contract import an_object
from tests.support.eventually import eventually
from tests.unit.spool.builders import a_spool

WANTED = Wanted(AETitle("CT1"), ())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool with keys."""
    return a_spool(tmp_path / "data")


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder that is marked."""
    path = tmp_path / "share"
    path.mkdir()
    (path / MARKER).touch()
    return path


def refusal(path: Path, spool: Spool) -> Verdict:
    """Return why a folder cannot be opened; a knock and a channel agree."""
    way = FolderTransport(path, DEFAULT_LAYOUT, spool.open)
    with pytest.raises(AssociationFailedError) as knocked:
        way.hello()
    with pytest.raises(AssociationFailedError) as opened:
        way.open(WANTED)
    assert knocked.value.verdict == opened.value.verdict
    return opened.value.verdict


def send(path: Path, spool: Spool, task: Task) -> Verdict:
    """Send over a channel of its own."""
    channel = FolderTransport(path, DEFAULT_LAYOUT, spool.open).open(WANTED)
    try:
        return channel.send(task).verdict
    finally:
        channel.release()


def test_a_file_is_what_any_reader_reads(share: Path, spool: Spool) -> None:
    """Pydicom finds a Part 10 file whose meta information says what the data set is, at the place that the layout says."""
    verdict = send(share, spool, an_object(spool).task)

    path = share / "1.2.3.1" / "1.2.3.2" / "1.2.3.4.1.dcm"
    read = pydicom.dcmread(path)
    assert verdict.whose is Whose.DELIVERED
    assert (read.file_meta.MediaStorageSOPInstanceUID, read.SOPInstanceUID) == ("1.2.3.4.1", "1.2.3.4.1")
    assert (read.file_meta.TransferSyntaxUID, read.file_meta.SourceApplicationEntityTitle) == ("1.2.840.10008.1.2.1", "CT1")
    assert not {0x00020100, 0x00020102} & {element.tag for element in read.file_meta}


@pytest.mark.parametrize(
    ("prepare", "flag", "state"),
    [
        (lambda _: None, "folder_gone", SiteState.DEAD),
        (lambda path: path.mkdir(), "folder_unmarked", SiteState.DEAD),
        (lambda path: (path / MARKER).mkdir(parents=True), "folder_unmarked", SiteState.DEAD),
        (lambda path: (path.mkdir(), (path / MARKER).symlink_to("/etc/hostname")), "folder_unmarked", SiteState.DEAD),
        (lambda path: path.touch(), "not_a_folder", SiteState.REFUSING),
    ],
    ids=["nothing", "an empty mount point", "a folder as marker", "a link as marker", "a file"],
)
def test_only_a_marked_folder_is_written_to(tmp_path: Path, spool: Spool, prepare: object, flag: str, state: SiteState) -> None:
    """Where the share is not mounted there is no marker, and nothing is written."""
    assert callable(prepare)
    prepare(tmp_path / "share")
    before = sorted(tmp_path.rglob("share/*"))

    verdict = refusal(tmp_path / "share", spool)

    assert (verdict.flag, verdict.site_state) == (flag, state)
    assert sorted(tmp_path.rglob("share/*")) == before


def test_a_channel_knows_when_its_folder_is_another(share: Path, spool: Spool) -> None:
    """A share that was unmounted, or replaced by another, ends the channel: nothing more goes through it."""
    channel = FolderTransport(share, DEFAULT_LAYOUT, spool.open).open(WANTED)
    was_open = channel.is_open
    share.rename(share.parent / "away")
    share.mkdir()

    verdict = channel.send(an_object(spool).task).verdict
    is_open = channel.is_open
    channel.release()

    assert (was_open, is_open) == (True, False)
    assert (verdict.flag, list(share.iterdir())) == ("folder_gone", [])
    assert list((share.parent / "away").rglob("*.dcm")) == []


@pytest.mark.parametrize(
    ("number", "flag"), [(errno.ENOSPC, "no_room"), (errno.EDQUOT, "no_room"), (errno.EIO, "storage_failed"), (errno.ESTALE, "folder_gone")]
)
def test_an_error_in_mid_file_leaves_nothing(share: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch, number: int, flag: str) -> None:
    """A disk that is full, or fails, half way is the destination's trouble, and no part of the file stays."""
    one = an_object(spool)
    written = []

    def failing(descriptor: int, data: bytes) -> None:
        written.append(os.write(descriptor, data))
        if len(written) > 2:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "write_all", failing)

    verdict = send(share, spool, one.task)

    assert (verdict.whose, verdict.flag) == (Whose.SITE, flag)
    assert [path for path in share.rglob("*") if path.is_file()] == [share / MARKER]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_share_that_cannot_sync_folders_takes_files(share: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file system that syncs files and no folders, as some of shares, gets the file under its name."""
    one = an_object(spool)
    monkeypatch.setattr(os, "fsync", _failing_sync(number, folders=True))

    verdict = send(share, spool, one.task)

    assert verdict.whose is Whose.DELIVERED
    assert [path.name for path in share.rglob("*.dcm")] == ["1.2.3.4.1.dcm"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EROFS, errno.EIO])
def test_a_file_that_cannot_be_synced_is_the_storages_trouble(
    share: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What a sync says is no word about the file's name: the destination's storage fails, and nothing stays."""
    one = an_object(spool)
    monkeypatch.setattr(os, "fsync", _failing_sync(number, folders=False))

    verdict = send(share, spool, one.task)

    assert (verdict.whose, verdict.flag) == (Whose.SITE, "storage_failed")
    assert [path for path in share.rglob("*") if path.is_file()] == [share / MARKER]


def test_what_a_killed_try_left_is_replaced(share: Path, spool: Spool) -> None:
    """The draft of a try that was cut off is in the way of nobody, and gone afterwards."""
    one = an_object(spool)
    draft = share / "1.2.3.1" / "1.2.3.2" / f".{one.task.claim.spool_name.split('-')[0]}"
    channel = FolderTransport(share, DEFAULT_LAYOUT, spool.open).open(WANTED)
    place = channel._place
    names: list[str] = []
    original = place.draft

    def leaving(path: tuple[str, ...], temporary: str) -> object:
        names.append(temporary)
        folder = share.joinpath(*path[:-1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / temporary).write_bytes(b"left over")
        return original(path, temporary)

    place.draft = leaving  # type: ignore[method-assign,assignment]
    verdict = channel.send(one.task).verdict
    channel.release()

    assert verdict.whose is Whose.DELIVERED
    assert [path.name for path in share.rglob(".*")] == []
    assert draft.parent.joinpath("1.2.3.4.1.dcm").stat().st_size > 700_000
    assert len(names) == 1


def test_a_link_inside_the_folder_is_not_followed(share: Path, spool: Spool, tmp_path: Path) -> None:
    """A folder of the layout that is a link to elsewhere holds the instance: nothing is written through it."""
    (tmp_path / "elsewhere").mkdir()
    (share / "1.2.3.1").symlink_to(tmp_path / "elsewhere")

    verdict = send(share, spool, an_object(spool).task)

    assert verdict.flag == "name_refused"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_only_the_group_may_take_files_away(share: Path, spool: Spool) -> None:
    """Files are nobody else's to read."""
    send(share, spool, an_object(spool).task)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o007 for path in share.rglob("*") if path.name != MARKER}
    assert set(modes.values()) == {0}


def test_no_descriptor_is_left_open(share: Path, spool: Spool) -> None:
    """A hundred files later the process holds what it held before."""
    channel = FolderTransport(share, DEFAULT_LAYOUT, spool.open).open(WANTED)
    one = an_object(spool, size=1000)
    channel.send(one.task)
    before = _descriptors()

    for _ in range(100):
        channel.send(one.task)

    eventually(lambda: _descriptors() <= before, within=5, message="the descriptors to be closed")
    channel.release()


def _failing_sync(number: int, *, folders: bool) -> Callable[[int], None]:
    """Return a sync that fails for folders, or for what is none; what is the spool's was synced before."""

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
            raise OSError(number, os.strerror(number))

    return sync


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
