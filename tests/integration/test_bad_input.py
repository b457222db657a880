"""What an operator can get wrong: one clear line, an exit code, and nothing lost."""

from __future__ import annotations

import secrets
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support import dcmtk, part10, samples, senders
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, an_archive

_FAILED = 1
_INSTANCES = 3


def _the_one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on standard error of a command that failed as it should."""
    lines = result.stderr.splitlines()
    assert result.returncode == _FAILED, f"exit {result.returncode}: {result.stdout}{result.stderr}"
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in lines[0]
    assert "READY" not in result.stdout
    return lines[0]


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (a_site(destinations=[an_archive(104)], routes=[a_route("archiv")]), ["archiv", "route"]),
        (a_site().replace("[listen]", "[listen]\nworker = 3"), ["worker", "workers"]),
        (a_site() + "\n[[source]\n", ["line"]),
        (a_site(listen={"dicom": ["127.0.0.1:70000"]}), ["70000"]),
    ],
    ids=["a route to nowhere", "an unknown key", "no TOML", "no port"],
)
def test_a_configuration_that_cannot_work_is_refused_in_one_line(make_box: BoxMaker, site: str, words: list[str]) -> None:
    """A configuration with a mistake stops the start with one line that names the place, and `config check` says the same."""
    box = make_box(site)

    line = _the_one_line(box.run_refused())
    check = box.command("config", "check", "--json")

    assert [word for word in words if word not in line] == []
    assert check.returncode == _FAILED
    assert '"ok": false' in check.stdout


def test_a_port_in_use_is_said_in_one_line(make_box: BoxMaker) -> None:
    """A port that another program uses stops the start with one line that names the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        box = make_box(a_site(listen={"dicom": [f"127.0.0.1:{port}"]}))

        line = _the_one_line(box.run_refused())

    assert str(port) in line


def test_a_second_run_on_the_same_data_is_refused_and_the_first_goes_on(
    make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path
) -> None:
    """A second `run` on the same data ends with one line, and the first one keeps receiving and delivering."""
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()

    line = _the_one_line(box.run_refused())
    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner"))
    box.wait_until_delivered()

    assert "already runs" in line
    assert archive.count() == 1


def _missing(key: Path) -> None:
    key.unlink()


def _bad_content(key: Path) -> None:
    key.write_text("not a key\n", encoding="ascii")


def _unreadable(key: Path) -> None:
    # Root reads whatever its mode is; a directory is unreadable for everybody.
    key.unlink()
    key.mkdir()


def _readable_by_all(key: Path) -> None:
    key.chmod(0o644)


def _of_another_box(key: Path) -> None:
    key.write_text(secrets.token_hex(32) + "\n", encoding="ascii")


_DAMAGES = (_missing, _bad_content, _unreadable, _readable_by_all, _of_another_box)


def test_without_its_own_root_key_the_box_does_not_start_and_loses_nothing(
    make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path
) -> None:
    """Without its own root key the box says so in one line and makes no new one; with the key back, everything it held is delivered."""
    archive = make_archive()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = samples.ct(64).write(tmp_path / "scanner", _INSTANCES)
    dcmtk.storescu(box.port, files)
    box.stop()
    key = box.data / "keys" / "root.key"
    good = key.read_bytes()

    lines = {}
    for damage in _DAMAGES:
        damage(key)
        lines[damage.__name__] = _the_one_line(box.run_refused())
        _put_back(key, good)
    archive.start()
    box.start()
    box.wait_until_delivered()

    assert [name for name, line in lines.items() if "root key" not in line] == []
    assert "missing" in lines["_missing"]
    assert "chmod 600" in lines["_readable_by_all"]
    assert archive.identities() == {part10.read(path).identity for path in files}


def _put_back(key: Path, content: bytes) -> None:
    if key.is_dir():
        key.rmdir()
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(content)


def test_a_data_directory_that_cannot_be_made_is_said_in_one_line(make_box: BoxMaker, tmp_path: Path) -> None:
    """A data directory under a file cannot be, and the box says so instead of failing somewhere later."""
    (tmp_path / "file").write_bytes(b"")
    box = make_box(a_site())

    result = box.command("run", "--data", str(tmp_path / "file" / "data"))

    assert str(tmp_path / "file" / "data") in _the_one_line(result)


def test_a_file_that_is_no_dicom_is_answered_and_the_box_goes_on(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """A data set without a readable SOP class or instance UID is refused with C000, and the next one on the box is taken."""
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    good = samples.ct(64).write(tmp_path / "scanner")[0]
    bad = tmp_path / "scanner" / "bad.dcm"
    content = good.read_bytes()
    data_set_at = len(content) - part10.read(good).length
    bad.write_bytes(content[:data_set_at] + b"\xff" * 4096)

    statuses = senders.send_once(box.port, [bad, good])
    box.wait_until_delivered()

    assert statuses[bad] in range(0xC000, 0xD000)
    assert statuses[good] == 0
    assert eventually(archive.count, message="the good image") == 1
