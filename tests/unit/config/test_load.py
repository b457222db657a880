"""Files: the operator's, the copy in force, and the sites that need none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config.check import check
from appliance.config.generations import Generations
from appliance.config.load import (
    LARGEST_FILE_BYTES,
    ActiveConfigDamagedError,
    ActiveConfigMissingError,
    ActiveConfigUnwritableError,
    ConfigInvalidError,
    activate,
    archive_site,
    default_site,
    demo_site,
    load_active,
    load_file,
    site_path,
    to_toml,
)
from appliance.core.errors import Fault
from appliance.core.identity import AETitle
from tests.unit.config.texts import EXAMPLE, a_destination, a_route, a_source, dicom_destination_of, site_of


def test_the_example_is_loaded_from_its_file() -> None:
    """The example of the documentation is a file that loads."""
    site = load_file(EXAMPLE)

    assert dicom_destination_of(site).ae_title == AETitle("PACS1")


def test_the_operators_file_is_in_the_data_directory(tmp_path: Path) -> None:
    """`site.toml` lies at the top of the data directory."""
    assert site_path(tmp_path) == tmp_path / "site.toml"


def test_a_bad_file_is_the_operators_to_mend(tmp_path: Path) -> None:
    """The error says the first problem in one line and carries all of them."""
    path = tmp_path / "site.toml"
    path.write_text("[listen]\nworkers = 0\nwrokers = 2\n", encoding="utf-8")

    with pytest.raises(ConfigInvalidError) as caught:
        load_file(path)

    assert str(caught.value) == "listen.workers: must be from 1 to 16, not 0"
    assert caught.value.advice == "Write a whole number from 1 to 16 without quotes."
    assert [problem.where for problem in caught.value.problems] == ["listen.workers", "listen.wrokers"]
    assert (caught.value.fault, caught.value.exit_code) == (Fault.OPERATOR, 1)


def test_a_syntax_error_names_the_file(tmp_path: Path) -> None:
    """Line and column come with the name of the file."""
    path = tmp_path / "hospital.toml"
    path.write_text("[box]\nname = x\n", encoding="utf-8")

    with pytest.raises(ConfigInvalidError) as caught:
        load_file(path)

    assert str(caught.value) == "hospital.toml line 2, column 8: this value is not understood"


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _unreadable(path: Path) -> None:
    # Reading this one at its beginning is an input/output error, also for root.
    path.symlink_to("/proc/self/mem")


def _large(path: Path) -> None:
    path.write_bytes(b"#" * (LARGEST_FILE_BYTES + 1))


def _latin1(path: Path) -> None:
    path.write_bytes('[box]\n# Röntgen\nname = "a"\n'.encode("latin-1"))


def _utf16(path: Path) -> None:
    path.write_bytes("[box]\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda _path: None, "there is no such file"),
        (_directory, "is not a file"),
        (_pipe, "is not a file"),
        (_loop, "cannot be opened (Too many levels of symbolic links)"),
        (_unreadable, "cannot be read (Input/output error)"),
        (_large, "is larger than 1 MiB"),
        (_latin1, "is not UTF-8 text"),
        (_utf16, "is not UTF-8 text"),
    ],
    ids=["missing", "directory", "pipe", "loop", "unreadable", "large", "latin-1", "utf-16"],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, make: object, problem: str) -> None:
    """Whatever is in the way of the file is said with advice, and never blocks or raises anything else."""
    path = tmp_path / "site.toml"
    assert callable(make)
    make(path)

    with pytest.raises(ConfigInvalidError) as caught:
        load_file(path)

    (found,) = caught.value.problems
    assert found.problem == problem
    assert found.where.startswith(("site.toml line", str(path)))
    assert found.advice


def test_a_file_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user is refused in plain words."""
    path = tmp_path / "site.toml"

    def refuse(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigInvalidError) as caught:
        load_file(path)

    assert str(caught.value) == f"{path}: this user may not read the file"


def test_the_line_of_a_bad_byte_is_named(tmp_path: Path) -> None:
    """Where a file stops being UTF-8 is said by line."""
    path = tmp_path / "site.toml"
    _latin1(path)

    with pytest.raises(ConfigInvalidError) as caught:
        load_file(path)

    assert str(caught.value) == "site.toml line 2: is not UTF-8 text"


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    """One MiB is allowed, one byte more is not."""
    path = tmp_path / "site.toml"
    path.write_bytes(b"#" * LARGEST_FILE_BYTES)

    site = load_file(path)

    assert site == default_site()


@pytest.mark.parametrize("name", ["default", "example", "demo", "archive"])
def test_the_configuration_in_force_is_the_one_that_was_put_there(tmp_path: Path, name: str) -> None:
    """What the supervisor writes is what the daemons read."""
    example = load_file(EXAMPLE)
    site = {"default": default_site(), "example": example, "demo": demo_site(example, archive_port=4242), "archive": archive_site()}[name]

    activate(tmp_path, site)

    assert load_active(tmp_path) == site


def test_the_configuration_in_force_is_private_and_replaced_whole(tmp_path: Path) -> None:
    """The file is the owner's alone, takes the place of the old one, and leaves nothing beside it."""
    activate(tmp_path, default_site())
    (tmp_path / "config" / "active.json.new").write_text("left over by a killed run", encoding="utf-8")

    activate(tmp_path, load_file(EXAMPLE))

    (only,) = (tmp_path / "config").iterdir()
    assert only.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o700
    assert load_active(tmp_path) == load_file(EXAMPLE)


def test_no_configuration_in_force_is_said(tmp_path: Path) -> None:
    """A daemon started before the box was is told what to do."""
    with pytest.raises(ActiveConfigMissingError) as caught:
        load_active(tmp_path)

    assert caught.value.advice


@pytest.mark.parametrize("content", [b"", b"{", b'{"box": 1}', b'{"sources": []}', b"\xff", b'{"future": {}}'])
def test_a_damaged_configuration_in_force_is_said(tmp_path: Path, content: bytes) -> None:
    """Whatever lies there, the answer is one error of ours."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "active.json").write_bytes(content)

    with pytest.raises(ActiveConfigDamagedError):
        load_active(tmp_path)


def test_a_configuration_in_force_that_is_no_file_is_said(tmp_path: Path) -> None:
    """A directory in the place of the file is an error like any other."""
    (tmp_path / "config" / "active.json").mkdir(parents=True)

    with pytest.raises(ActiveConfigDamagedError):
        load_active(tmp_path)


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """What the system refuses is one line, and the fault of whoever runs the box."""
    (tmp_path / "config").write_text("in the way", encoding="utf-8")

    with pytest.raises(ActiveConfigUnwritableError) as caught:
        activate(tmp_path, default_site())

    assert str(caught.value) == "the configuration cannot be written to the data directory (File exists)"


def test_the_demonstration_of_an_empty_site() -> None:
    """The demo takes any title from this machine, delivers everything to its archive, and refuses only when the disk is full."""
    site = demo_site(default_site(), archive_port=4242)

    (source,) = site.sources
    archive = dicom_destination_of(site)
    (route,) = site.routes
    assert (source.ae_title, str(source.address)) == (None, "127.0.0.0/8")
    assert (archive.name, archive.ae_title, archive.host, archive.port, archive.calling_ae) == (
        "archive",
        AETitle("ARCHIVE"),
        "127.0.0.1",
        4242,
        "box",
    )
    assert (route.name, route.to) == ("everything to the archive", ("archive",))
    assert (site.retention.reserve, site.retention.refuse_at) == (64 << 20, 1.0)
    assert [str(address) for address in (*site.listen.dicom, site.listen.web)] == ["127.0.0.1:11112", "127.0.0.1:8443"]
    assert check(to_toml(site), where="demo").errors == ()


def test_the_demonstration_adds_to_what_is_there() -> None:
    """Names that are taken are not taken again, and listeners that were set stay."""
    base = site_of(
        '[listen]\ndicom = ["127.0.0.1:0"]\nweb = "off"\n'
        + a_source('address = "10.0.0.7"', name="loopback")
        + a_destination()
        + a_route('to = ["archive"]', name="everything to the archive")
    )

    site = demo_site(base, archive_port=4242)

    assert [source.name for source in site.sources] == ["loopback", "loopback 2"]
    assert [destination.name for destination in site.destinations] == ["archive", "archive 2"]
    assert [route.to for route in site.routes] == [("archive",), ("archive 2",)]
    assert [str(address) for address in (*site.listen.dicom, site.listen.web)] == ["127.0.0.1:0", "off"]
    assert check(to_toml(site), where="demo").errors == ()


def test_a_demonstration_that_was_changed_has_its_archive_once() -> None:
    """What somebody changed in a demonstration is kept with its archive; the next one is at another port, and is the same."""
    before = demo_site(site_of(a_destination() + a_route('to = ["archive"]')), archive_port=4242)

    site = demo_site(before, archive_port=4343)

    assert [(destination.name, getattr(destination, "port", None)) for destination in site.destinations] == [
        ("archive", 104),
        ("archive 2", 4343),
    ]
    assert site.routes == before.routes


def test_the_demonstration_lists_this_machine_once() -> None:
    """A site that lists this machine already keeps its own entry."""
    base = site_of(a_source('address = "127.0.0.0/8"', name="here", ae_title="*"))

    site = demo_site(base, archive_port=4242)

    assert [source.name for source in site.sources] == ["here"]


def test_the_demonstrations_archive_takes_from_anybody() -> None:
    """The bundled archive answers to its title and lists no source."""
    site = archive_site()

    assert (site.box.ae_title, site.admission.unknown_sources) == (AETitle("ARCHIVE"), "accept")


def test_the_demonstration_of_a_generation_stays_on_loopback(tmp_path: Path) -> None:
    """A site that was put in force names every default; the demo listens to this machine alone all the same."""
    Generations(tmp_path).apply("", "run", "first start")

    site = demo_site(load_active(tmp_path), archive_port=4242)

    assert [str(address) for address in site.listen.dicom] == ["127.0.0.1:11112"]
