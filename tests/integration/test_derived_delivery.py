"""Destinations that ask for JPEG-LS, uncompressed pixels or changed headers, as DCMTK and pydicom see what arrives at them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.support import dcmtk, part10, samples, sealed, senders
from tests.support.box import Box
from tests.support.dcmtk import ArchiveMaker
from tests.support.site import Table, a_route, a_site, a_source, an_archive

_JPEG_LS, _JPEG_BASELINE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50"
_HEADERS = [
    {"do": "prefix-patient-id", "value": "KH-", "issuer": "KHANH HOA"},
    {"do": "set-institution-name", "value": "Bệnh viện"},
]
# A codec of this name, found before the real one, that crashes with everything larger than what the child tries first.
_CRASHING = """
import ctypes
def encode_buffer(source, rows, columns, *_):
    if rows > 64:
        ctypes.string_at(0)
    return b"\\xff\\xd8\\xff\\xf7\\x00\\x0b" + bytes([8]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([1]) + source
def decode_buffer(source):
    return source[-64 * 64 :], {"allowed_lossy_error": 0, "interleave_mode": 0}
"""


@dataclass(frozen=True)
class _Site:
    """A box with a route for each test, by the calling title, and what its destinations have."""

    box: Box
    archives: dict[str, dcmtk.StoreScp]
    share: Path

    def arrived(self, name: str) -> dict[str, part10.Instance]:
        """Return what an archive has, by UID."""
        return _arrived(self.archives[name])

    def received(self) -> dict[str, bytes]:
        """Return every data set that the box has, by UID."""
        return sealed.contents(self.box.data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Site]:
    """Run one box and its archives for all tests whose codecs work: starting them takes longer than any of the tests."""
    dcmtk.require("dcmdjpls", "dcmdump", "storescp")
    work = tmp_path_factory.mktemp("derived")
    options = {"ls": [], "changed": [], "untouched": [], "refusing": ["+x="], "plain": ["--implicit"]}
    share = work / "share"
    share.mkdir()
    (share / "dicom-edge.here").touch()
    with contextlib.ExitStack() as stack:
        archives = {name: dcmtk.StoreScp(work / name, options=more) for name, more in options.items()}
        for archive in archives.values():
            stack.enter_context(archive)

        def to(name: str, **keys: object) -> Table:
            return an_archive(archives[name].port, name=name, **keys)

        destinations: list[Table] = [
            to("ls", transcode="jpeg-ls"),
            to("changed", headers=_HEADERS),
            to("untouched"),
            to("refusing", transcode="jpeg-ls"),
            {"name": "share", "kind": "folder", "path": str(share), "transcode": "jpeg-ls", "headers": _HEADERS},
            to("plain", transcode="uncompressed"),
        ]
        routes = [
            a_route("ls", name="ls", when={"source": ["LS"]}),
            a_route("changed", "untouched", "refusing", "share", name="each", when={"source": ["EACH"]}),
            a_route("plain", name="plain", when={"source": ["PLAIN"]}),
        ]
        sources = [a_source(title) for title in ("LS", "EACH", "PLAIN")]
        box = stack.enter_context(Box(work / "box", a_site(sources=sources, destinations=destinations, routes=routes)))
        yield _Site(box, archives, share)


def _sample(name: str, directory: Path) -> Path:
    path = get_testdata_file(name)
    assert isinstance(path, str), name
    ds = pydicom.dcmread(path)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(samples.new_uid())
    directory.mkdir(exist_ok=True)
    target = directory / name
    ds.save_as(target)
    return target


def _pixels(path: Path, directory: Path) -> np.ndarray:
    """Return a file's pixels, JPEG-LS decoded by DCMTK."""
    plain = directory / f"{hashlib.sha256(path.read_bytes()).hexdigest()}.dcm"
    subprocess.run(["dcmdjpls", str(path), str(plain)], check=True, capture_output=True, timeout=60)
    return pydicom.dcmread(plain).pixel_array


def _arrived(archive: dcmtk.StoreScp) -> dict[str, part10.Instance]:
    return {instance.sop_instance_uid: instance for instance in archive.arrivals()}


def _derived(box: Box) -> list[Path]:
    return [path for path in (box.data / "spool" / "derived").rglob("*") if path.is_file()]


def test_jpeg_ls_arrives_with_the_same_pixels(site: _Site, tmp_path: Path) -> None:
    """CT, MR and RLE arrive as JPEG-LS that DCMTK decodes to the same pixels; a report and lossy pixels arrive as they were sent."""
    files = samples.ct(128).write(tmp_path / "ct", 3) + samples.structured_report().write(tmp_path / "sr")
    files += [_sample(name, tmp_path / "more") for name in ("MR_small.dcm", "MR_small_RLE.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm")]
    sent = {part10.read(path).sop_instance_uid: path for path in files}

    statuses = senders.send_once(site.box.port, files, calling="LS")
    site.box.wait_until_delivered()
    kept, arrived = site.received(), site.arrived("ls")

    assert {0} == set(statuses.values())
    assert {uid: part10.split(path.read_bytes())[1] for uid, path in sent.items()} == {uid: kept[uid] for uid in sent}
    assert [] == _derived(site.box)
    assert sent.keys() == arrived.keys()
    for uid, path in sent.items():
        values, data = part10.split(arrived[uid].path.read_bytes())
        original_values, original = part10.split(path.read_bytes())
        if "sr" in path.parts or original_values[part10.TRANSFER_SYNTAX] == _JPEG_BASELINE:
            assert (original_values[part10.TRANSFER_SYNTAX], original) == (values[part10.TRANSFER_SYNTAX], data)
        else:
            assert _JPEG_LS == values[part10.TRANSFER_SYNTAX]
            assert np.array_equal(pydicom.dcmread(path).pixel_array, _pixels(arrived[uid].path, tmp_path))


def test_each_destination_gets_what_it_asks_for(site: _Site, tmp_path: Path) -> None:
    """One image arrives with other headers, untouched, plain where JPEG-LS is refused, and as JPEG-LS with other headers in a folder."""
    (file,) = samples.ct(64).write(tmp_path / "ct")
    uid = part10.read(file).sop_instance_uid
    original, data = pydicom.dcmread(file), part10.split(file.read_bytes())[1]

    senders.send_once(site.box.port, [file], calling="EACH")
    site.box.wait_until_delivered(within=60)

    path = site.arrived("changed")[uid].path
    dump = subprocess.run(["dcmdump", "-q", str(path)], check=True, capture_output=True, timeout=60).stdout.decode()
    record = dump[dump.index("(0400,0561)") :]
    for line in (f"(0010,0020) LO [KH-{original.PatientID}]", "(0010,0021) LO [KHANH HOA]", "(0008,0080) LO [Bệnh viện]"):
        assert line in dump
    for line in (f"(0010,0020) LO [{original.PatientID}]", "(0400,0563) LO [DICOM Edge]", "(0400,0565) CS [COERCE]"):
        assert line in record
    assert (original.PixelData, uid) == (pydicom.dcmread(path).PixelData, pydicom.dcmread(path).SOPInstanceUID)
    assert [data, data] == [part10.split(site.arrived(name)[uid].path.read_bytes())[1] for name in ("untouched", "refusing")]
    assert "derived.as_received" in site.box.output()
    (shared,) = site.share.rglob("*.dcm")
    assert (_JPEG_LS, "KH-") == (part10.split(shared.read_bytes())[0][part10.TRANSFER_SYNTAX], pydicom.dcmread(shared).PatientID[:3])
    assert np.array_equal(original.pixel_array, _pixels(shared, tmp_path))
    assert [] == _derived(site.box)


def test_a_crashing_codec_costs_the_transcode_and_nothing_else(make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """With a codec that crashes on every image all images arrive as they were sent, with changed headers where these are asked for."""
    library = tmp_path / "library" / "jpeg_ls"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("")
    (library / "CharLS.py").write_text(_CRASHING)
    plain, headed = make_archive().start(), make_archive("second").start()
    steps = [{"do": "set-station-name", "value": "CT1"}]
    destinations = [
        an_archive(plain.port, transcode="jpeg-ls"),
        an_archive(headed.port, name="second", transcode="jpeg-ls", headers=steps),
    ]
    site = a_site(destinations=destinations, routes=[{"name": "both", "to": ["archive", "second"]}])
    files = samples.ct(128).write(tmp_path / "ct", 4)

    with Box(tmp_path / "box", site, environment={"PYTHONPATH": os.fspath(library.parent)}) as box:
        senders.send_once(box.port, files)
        box.wait_until_delivered(within=120)
        output = box.output()

    sent = {part10.read(path).sop_instance_uid: part10.split(path.read_bytes())[1] for path in files}
    assert sent == {uid: part10.split(instance.path.read_bytes())[1] for uid, instance in _arrived(plain).items()}
    assert dict.fromkeys(sent, "CT1") == {uid: pydicom.dcmread(one.path).StationName for uid, one in _arrived(headed).items()}
    assert "derivation.codec_failed" in output
    assert "SIGSEGV" in output


def test_uncompressed_arrives_uncompressed(site: _Site, tmp_path: Path) -> None:
    """RLE, JPEG-LS and JPEG 2000 of one image arrive with that image's pixels, uncompressed, also over an association of implicit only."""
    names = ("MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm")
    files = [_sample(name, tmp_path / "in") for name in names]
    original = get_testdata_file("MR_small.dcm")
    assert isinstance(original, str)

    senders.send_once(site.box.port, files, calling="PLAIN")
    site.box.wait_until_delivered()

    arrivals = list(site.arrived("plain").values())
    assert [pydicom.dcmread(original).PixelData] * 3 == [pydicom.dcmread(one.path).PixelData for one in arrivals]
    assert {"1.2.840.10008.1.2"} == {part10.split(one.path.read_bytes())[0][part10.TRANSFER_SYNTAX] for one in arrivals}
