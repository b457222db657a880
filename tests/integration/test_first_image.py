"""The first image: a scanner's file arrives at the archive, by commands a hospital engineer could type."""

from __future__ import annotations

from pathlib import Path

from tests.support import dcmtk, part10, samples
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_site, an_archive


def test_an_image_sent_to_the_box_reaches_the_archive_byte_for_byte(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """An image sent to the box is at the archive a moment later, with every byte of its data set."""
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = samples.ct().write(tmp_path / "scanner")

    output = dcmtk.storescu(box.port, files)
    box.wait_until_delivered()

    assert dcmtk.successes(output) == 1
    assert archive.identities() == {part10.read(files[0]).identity}


def test_the_box_answers_an_echo_and_stops_cleanly(make_box: BoxMaker) -> None:
    """The box answers C-ECHO as soon as it says READY, and ends with 0 on SIGTERM, leaving no process behind."""
    box = make_box(a_site()).start()

    echo = dcmtk.echoscu(box.port)
    code = box.stop()

    assert echo == 0
    assert code == 0


def test_what_was_received_before_a_restart_is_delivered_after_it(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """Instances that wait when the box is stopped are delivered by its next start, with no hand."""
    archive = make_archive()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = samples.ct(64).write(tmp_path / "scanner", 5)
    dcmtk.storescu(box.port, files)

    box.stop()
    archive.start()
    box.start()
    box.wait_until_delivered()

    assert archive.identities() == {part10.read(path).identity for path in files}


def test_an_image_that_no_route_wants_is_kept_and_shown(make_box: BoxMaker, tmp_path: Path) -> None:
    """An instance that no route wants is acknowledged, kept and counted as unrouted, never dropped."""
    box = make_box(a_site()).start()

    output = dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner"))

    assert dcmtk.successes(output) == 1
    eventually(lambda: box.cli("status")["instances"]["unrouted"] == 1, within=10, message="the unrouted instance")


def test_the_demo_delivers_to_its_own_archive(make_box: BoxMaker, tmp_path: Path) -> None:
    """With --demo one image sent to the box is delivered to the bundled archive without any configuration of ours."""
    box = make_box('[listen]\ndicom = ["127.0.0.1:0"]\nweb = "127.0.0.1:0"\n').start("--demo")

    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner"))

    eventually(lambda: box.count("delivered") == 1, within=15, message="the demo's delivery")
