"""What the benchmark finds on the machine: peers, their configuration, and the file system."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from benchmarks import box, orthanc_configuration, programs, receivers
from benchmarks.box import Source
from benchmarks.failures import PeerMissingError
from benchmarks.figures import OURS
from benchmarks.installed import find, first_number
from benchmarks.machine import file_system
from benchmarks.orthanc_configuration import without_comments

_MOUNTS = (
    "/dev/a / ext4 rw 0 0",
    "tmpfs /dev/shm tmpfs rw 0 0",
    "/dev/b /with\\040space xfs rw 0 0",
    "/dev/c /over btrfs rw 0 0",
    "/dev/d /over zfs rw 0 0",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/home/x", "ext4"), ("/dev/shm/x", "tmpfs"), ("/dev/shmoo", "ext4"), ("/with space/x", "xfs"), ("/over", "zfs")],
)
def test_a_path_is_on_the_innermost_file_system(path: str, expected: str) -> None:
    """The longest mount point above a path holds it, the last one where two are the same."""
    assert file_system(Path(path), _MOUNTS) == expected


def test_comments_go_and_strings_stay() -> None:
    """What looks like a comment inside a string is none."""
    text = '{ // one\n "a": "http://x/*y*/", /* two\n */ "b": "quote \\" // z" }'

    assert json.loads(without_comments(text)) == {"a": "http://x/*y*/", "b": 'quote " // z'}


def test_a_missing_peer_is_named_with_its_package() -> None:
    """Who lacks a peer is told what to install."""
    with pytest.raises(PeerMissingError, match="apt install nothing"):
        find("no-such-program", "nothing")


@pytest.mark.parametrize(
    ("said", "expected"),
    [("$dcmtk: storescp v3.6.7 2022-04-22 $", "3.6.7"), ("/usr/sbin/Orthanc 1.10.1", "1.10.1"), ("nothing", "unknown")],
)
def test_a_version_is_the_first_word_like_one(said: str, expected: str) -> None:
    """Programs say their versions among other words."""
    assert first_number(said.split()) == expected


def test_the_box_has_one_source_and_no_route() -> None:
    """What is measured is reception alone."""
    site = tomllib.loads(box.site(11112))

    assert [source["address"] for source in site["source"]] == ["127.0.0.1"]
    assert {"route", "destination"} & site.keys() == set()
    assert site["listen"]["dicom"] == ["127.0.0.1:11112"]


def test_the_box_that_sends_on_has_a_route() -> None:
    """Everything from every source goes to the one destination."""
    site = tomllib.loads(box.site(11112, [Source("A", "127.0.0.2"), Source("B", "127.0.0.3")], destination=11113))

    assert [(source["ae_title"], source["address"]) for source in site["source"]] == [("A", "127.0.0.2"), ("B", "127.0.0.3")]
    assert [(peer["host"], peer["port"]) for peer in site["destination"]] == [("127.0.0.1", 11113)]
    assert [route["to"] for route in site["route"]] == [["sink"]]


def test_the_box_sends_to_two_or_in_another_form() -> None:
    """A second destination gets everything too; the form of pixels is the first one's."""
    site = tomllib.loads(box.site(11112, destination=11113, beside=11114, transcode="jpeg-ls"))

    assert [(peer["port"], peer.get("transcode")) for peer in site["destination"]] == [(11113, "jpeg-ls"), (11114, None)]
    assert [route["to"] for route in site["route"]] == [["sink", "beside"]]


def test_orthanc_is_told_where_to_send(tmp_path: Path) -> None:
    """Its script sends to the modality that the configuration knows, and nothing else of it changes."""
    settings = json.loads(orthanc_configuration.with_destination('{"Name": "x"}', tmp_path / "route.lua", 11113))

    assert settings["Name"] == "x"
    assert settings["LuaScripts"] == [str(tmp_path / "route.lua")]
    ((name, peer),) = settings["DicomModalities"].items()
    assert peer[1:] == ["127.0.0.1", 11113]
    assert f"'{name}'" in orthanc_configuration.SCRIPT


def test_ports_are_not_the_kernels() -> None:
    """No connection that somebody opens can take a port between our look at it and a program's start."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])

    assert receivers.free_port() < first


def test_programs_have_names_of_their_own() -> None:
    """No two programs share a name, by which their figures are kept."""
    names = [program.name for program in programs.everyone()]

    assert len(set(names)) == len(names)
    assert OURS in names
