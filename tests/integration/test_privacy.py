"""Nobody's name in clear: not in the spool, not in the ledger, not in a log, not in a temporary file."""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import dcmtk, samples
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.site import a_site, an_archive

# How long before its last file the test may have begun.
_A_MINUTE_S = 60.0


def test_a_patients_name_is_nowhere_in_clear(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """After images were received, killed over, routed, delivered and looked at, a planted name is in no file of the box nor any answer."""
    family, given = f"QX{secrets.token_hex(8).upper()}", f"ZJ{secrets.token_hex(8).upper()}"
    patient = f"{family}^{given}"
    archive = make_archive()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start("--log-level", "debug")
    templates = [samples.ct(patient=patient), samples.structured_report(patient=patient), samples.encapsulated_pdf(patient=patient)]
    templates += samples.compressed(patient=patient)
    files = [path for template in templates for path in template.write(tmp_path / "scanner")]
    pairs = [(path, "") for path in files[:3]]

    dcmtk.storescu_by_syntax(box.port, pairs)
    box.kill()
    box.start("--log-level", "debug")
    archive.start()
    dcmtk.dcmsend(box.port, files)
    box.wait_until_delivered()
    answers = [box.command(*question).stdout for question in (("status",), ("queue", "list", "--state", "delivered"), ("studies",))]
    box.stop()

    needles = [family.encode("ascii"), given.encode("ascii"), family.encode("utf-16-le")]
    box_files = [path for path in box.work.rglob("*") if path.is_file()]
    elsewhere = list(_new_files(tmp_path))
    assert len(archive.arrivals()) >= len(files)
    assert [str(path) for path in [*box_files, *elsewhere] if _holds(path, needles)] == []
    assert [answer for answer in answers if family in answer] == []


def test_the_search_would_find_a_name(tmp_path: Path) -> None:
    """The search that finds no name finds one that is there, so that its silence means something."""
    path = samples.ct(64, patient="FINDME^PLEASE").write(tmp_path)[0]

    assert _holds(path, [b"FINDME"])


def _new_files(own: Path) -> Iterator[Path]:
    """Yield files in the machine's temporary directories that were changed since this test's own directory was made, and are not in it."""
    since = (own / "scanner").stat().st_ctime - _A_MINUTE_S
    for root in {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}:
        # `walk`, since folders vanish while others work on this machine.
        for path in (Path(folder) / name for folder, _, names in os.walk(root) for name in names):
            try:
                if not path.is_relative_to(own) and path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since:
                    yield path
            except OSError:
                continue


def _holds(path: Path, needles: list[bytes]) -> bool:
    """Say whether the file holds one of the needles; a file that is gone or empty holds nothing."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(needle) >= 0 for needle in needles)
    except (OSError, ValueError):
        return False
