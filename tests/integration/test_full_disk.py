"""A full file system: refused clearly, nothing half-written, echo answered, and reception back when there is space again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from tests.support import dcmtk, part10, samples, sealed, wire
from tests.support.box import Box, BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_site, an_archive

_CONGESTION = (2, 3, 1)
_SIZE_MIB = 96
# semantics.md F-06.
_RESUMES_WITHIN_S = 30.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 96 MiB, or skip where this user may not mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m", "dicom-edge-test", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a small file system here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(place: Path, *, leave: int) -> Path:
    """Occupy all of the file system but `leave` bytes with one file, and return it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        # The box writes meanwhile, so that what was free may be gone when it is asked for.
        eventually(lambda: _take(file, leave=leave), message="the file system to be full")
    return filler


def _take(file: FileIO, *, leave: int) -> bool:
    usage = os.fstatvfs(file.fileno())
    spare = usage.f_bavail * usage.f_frsize - leave
    if spare <= 0:
        return True
    with contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, spare)
    return False


def _storage_refused(box: Box) -> wire.AssociateAnswer | None:
    answer = wire.associate(box.port, called=b"EDGE", calling=b"CT1", abstract_syntaxes=[wire.CT_STORAGE])
    return None if answer.reject is None else answer


def _resumes(box: Box, file: Path) -> bool:
    return dcmtk.successes(dcmtk.storescu(box.port, [file])) == 1


def test_at_the_refuse_mark_storage_is_refused_and_echo_is_not(make_box: BoxMaker, make_archive: ArchiveMaker, small_disk: Path) -> None:
    """With less than the reserve free, associations that would store get 2/3/1, echo is answered, and what was taken is still delivered."""
    archive = make_archive()
    site = a_site(destinations=[an_archive(archive.port)], retention={"reserve": "24 MiB"})
    box = make_box(site, data=small_disk / "data").start()
    files = samples.ct(64).write(small_disk.parent / "scanner", 20)
    dcmtk.storescu(box.port, files)

    filler = _fill(small_disk, leave=16 << 20)
    storage = eventually(lambda: _storage_refused(box), message="storage to be refused")
    echo = dcmtk.echoscu(box.port)
    archive.start()
    box.wait_until_delivered()
    filler.unlink()
    more = samples.ct(64).write(small_disk.parent / "scanner")[0]

    assert storage.reject == _CONGESTION
    assert echo == 0
    assert archive.identities() == {part10.read(path).identity for path in files}
    eventually(lambda: _resumes(box, more), within=_RESUMES_WITHIN_S, message="reception to resume")


def test_a_disk_that_fills_in_mid_image_leaves_nothing_half_written(
    make_box: BoxMaker, make_archive: ArchiveMaker, small_disk: Path
) -> None:
    """An image that does not fit is answered with a failure, leaves nothing behind, and arrives when it is sent again with space back."""
    archive = make_archive()
    site = a_site(destinations=[an_archive(archive.port)], retention={"reserve": "1 MiB"})
    box = make_box(site, data=small_disk / "data").start()
    scanner = small_disk.parent / "scanner"
    small = samples.ct(64).write(scanner, 5)
    big = samples.mammogram().write(scanner)[0]
    dcmtk.storescu(box.port, small)
    watch = sealed.SealedWatch(box.data)

    filler = _fill(small_disk, leave=8 << 20)
    refused = dcmtk.storescu(box.port, [big])
    echo = dcmtk.echoscu(box.port)
    filler.unlink()
    watch.look()
    eventually(lambda: _resumes(box, big), within=_RESUMES_WITHIN_S, message="reception to resume")
    archive.start()
    box.wait_until_delivered()

    assert dcmtk.successes(refused) == 0
    assert "Response (Refused: OutOfResources)" in refused
    assert echo == 0
    assert watch.faults == []
    assert watch.opened == len(small)
    assert sealed.partial_files(box.data) == []
    assert archive.identities() == {part10.read(path).identity for path in [*small, big]}


def test_a_disk_full_to_the_last_byte_loses_nothing(make_box: BoxMaker, make_archive: ArchiveMaker, small_disk: Path) -> None:
    """With no byte left nothing is acknowledged, the box lives on, and with space back everything acknowledged before is delivered."""
    archive = make_archive()
    site = a_site(destinations=[an_archive(archive.port)], retention={"reserve": "1 MiB"})
    box = make_box(site, data=small_disk / "data").start()
    scanner = small_disk.parent / "scanner"
    before = samples.ct(64).write(scanner, 5)
    dcmtk.storescu(box.port, before)

    filler = _fill(small_disk, leave=0)
    during = samples.ct(64).write(scanner)[0]
    refused = dcmtk.storescu(box.port, [during])
    echo = dcmtk.echoscu(box.port)
    filler.unlink()
    archive.start()
    eventually(lambda: _resumes(box, during), within=_RESUMES_WITHIN_S, message="reception to resume")
    box.wait_until_delivered()

    assert dcmtk.successes(refused) == 0
    assert echo == 0
    assert archive.identities() == {part10.read(path).identity for path in [*before, during]}
