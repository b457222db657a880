"""Orthanc killed with SIGKILL in the middle and started again: everything is there afterwards, whole, and nobody had to help."""

from __future__ import annotations

from pathlib import Path

from tests.support import dcmtk, part10, samples
from tests.support.box import Box, BoxMaker
from tests.support.eventually import eventually
from tests.support.orthanc import Orthanc
from tests.support.site import a_site, an_archive

_INSTANCES = 500
# At which numbers of instances it is killed: at the beginning, in the middle, near the end.
_KILLED_AT = (20, 200, 400)
_LANES = 4
_FRAMES = 600
_SIDE = 512
_SETTLE_S = 60.0


def test_an_archive_killed_three_times_has_everything_in_the_end(make_box: BoxMaker, tmp_path: Path) -> None:
    """Killed three times while 500 images arrive, Orthanc has each of them once, pixel by pixel, and nothing is held."""
    files = samples.ct(128).write(tmp_path / "scanner", _INSTANCES)
    with Orthanc(tmp_path / "archive") as archive:
        box = make_box(a_site(destinations=[an_archive(archive.port, lanes=_LANES)])).start()
        # The images are there before the archive: it is killed while it is given them as fast as it takes them.
        archive.kill()
        output = dcmtk.dcmsend(box.port, files)

        kills = [_kill_at(archive, count) for count in _KILLED_AT]
        archive.start()
        box.wait_until_delivered(_SETTLE_S)

        print(f"killed with {kills} of {_INSTANCES} instances")
        kept = archive.instances()
        assert dcmtk.successes(output) == _INSTANCES
        assert all(0 < count < _INSTANCES for count in kills)
        assert kept.keys() == {path.stem for path in files}
        assert [path for path in files if archive.frame(kept[path.stem], 0) != _pixels(path)] == []
        assert (box.count("delivered"), box.count("held")) == (_INSTANCES, 0)


def test_an_archive_killed_under_a_large_image_gets_it_when_it_is_back(make_box: BoxMaker, tmp_path: Path) -> None:
    """Killed while a 315 MB image is on its way, Orthanc has it whole a moment after its return; its outcome was unknown, not its fault."""
    file = samples.write_enhanced_ct(tmp_path / "scanner", _FRAMES)
    with Orthanc(tmp_path / "archive") as archive:
        box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
        archive.kill()
        dcmtk.storescu(box.port, [file])

        archive.start()
        eventually(lambda: box.count("sending") == 1, within=20, message="the image to be sent")
        had = archive.count()
        archive.kill()
        was_cut = eventually(lambda: _is_waiting_again(box), within=20, message="the image to wait again")
        archive.start()
        box.wait_until_delivered(_SETTLE_S)

        kept = archive.instances()
        last = archive.frame(kept[file.stem], _FRAMES - 1)
        assert (had, was_cut) == (0, True)
        assert kept.keys() == {file.stem}
        assert last == _pixels(file)[-2 * _SIDE * _SIDE :]
        assert (box.count("delivered"), box.count("held")) == (1, 0)


def _kill_at(archive: Orthanc, count: int) -> int:
    """Start the archive, kill it as soon as it has `count` instances, and return how many it had."""
    archive.start()
    had = eventually(lambda: (now := archive.count()) >= count and now, within=_SETTLE_S, message=f"{count} instances at the archive")
    archive.kill()
    return int(had)


def _is_waiting_again(box: Box) -> bool:
    [row] = box.cli("queue", "list")
    return row["state"] in {"queued", "deferred"} and row["attempts"] > 0


def _pixels(path: Path) -> bytes:
    _, data_set = part10.split(path.read_bytes())
    # The pixels are the last element, in explicit little endian behind 12 bytes of head.
    return data_set[data_set.index(b"\xe0\x7f\x10\x00OW") + 12 :]
