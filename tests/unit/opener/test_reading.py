"""Readings: an object comes back as a plain file, a piece at a time, at the cost of its bytes; what is not whole never ends well."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from appliance.core.identity import Uid
from appliance.opener.reading import ReadingFailedError, ReadingGoneError, Readings, ReadingsTooManyError
from appliance.runtime.page_requests import ReadRequest
from appliance.runtime.requests import ObjectRow
from appliance.spool.age import SealDamagedError, SealForeignError
from appliance.spool.names import SpoolName
from appliance.spool.sealed import SealedObject
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.unit.route import data_sets
from tests.unit.spool.builders import OTHER_PRIVATE, a_header, a_spool, files_under

_UID = "1.2.3.1"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make a spool that can receive and open."""
    return a_spool(tmp_path / "data")


@pytest.fixture
def clock() -> FakeClock:
    """Make a clock that is moved by hand."""
    return FakeClock()


@pytest.fixture
def readings(spool: Spool, clock: FakeClock) -> Iterator[Readings]:
    """Make readings, which are closed in the end."""
    made = Readings(spool, clock)
    yield made
    made.close()


def _received(spool: Spool, *, pixels: int = 256) -> ObjectRow:
    with spool.admit(a_header(sop_instance_uid=_UID)) as admission:
        admission.write(data_sets.an_image(_UID, pixels=pixels))
        return ObjectRow(_UID, 1, str(admission.commit()))


def _read(readings: Readings, row: ObjectRow, *, ticket: str = "t", offset: int = 0) -> bytes:
    return base64.b64decode(readings.answer(ReadRequest(row, ticket, offset)).data)


def _whole(readings: Readings, row: ObjectRow, *, ticket: str = "t") -> bytes:
    content = b""
    while piece := _read(readings, row, ticket=ticket, offset=len(content)):
        content += piece
    return content


def test_what_is_read_is_a_plain_file_without_its_way_here(spool: Spool, readings: Readings) -> None:
    """The pieces are a DICOM file that any reader takes, with the data set as it was received, and nothing of who sent it from where."""
    row = _received(spool, pixels=9 << 20)

    content = _whole(readings, row)

    ds = pydicom.dcmread(io.BytesIO(content))
    assert _UID == ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
    assert content.endswith(data_sets.an_image(_UID, pixels=9 << 20))
    assert b"10.0.0.7" not in content[:4096]
    assert not readings.is_any_open()


def test_a_reading_that_goes_on_opens_nothing_again(spool: Spool, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces there are, each byte is decrypted once."""
    row, given, honest = _received(spool, pixels=20 << 20), list[int](), SealedObject.read

    def counted(sealed: Any, size: int) -> bytes:
        piece = honest(sealed, size)
        given.append(len(piece))
        return piece

    monkeypatch.setattr(SealedObject, "read", counted)

    content = _whole(readings, row)

    assert len(content) > 20 << 20
    assert sum(given) <= len(content)


def test_a_forgotten_reading_is_begun_anew_at_its_place(spool: Spool, clock: FakeClock, readings: Readings) -> None:
    """A minute later, in another process, or asked for again, the same place has the same bytes."""
    row = _received(spool, pixels=9 << 20)
    first = _read(readings, row)

    second = _read(readings, row, offset=len(first))
    again = _read(readings, row, offset=len(first))
    clock.advance(61.0)
    is_open = readings.is_any_open()
    late = _read(readings, row, offset=len(first))
    elsewhere = Readings(spool, clock)
    other = _read(elsewhere, row, offset=len(first))
    elsewhere.close()

    assert not is_open
    assert second == again == late == other


def test_eight_are_read_at_once_and_no_more(spool: Spool, clock: FakeClock, readings: Readings) -> None:
    """The ninth is refused with advice; when one of the others was forgotten there is room again."""
    row = _received(spool, pixels=9 << 20)
    for number in range(8):
        _read(readings, row, ticket=str(number))

    with pytest.raises(ReadingsTooManyError) as refused:
        _read(readings, row, ticket="ninth")
    clock.advance(61.0)
    taken = _read(readings, row, ticket="ninth")

    assert refused.value.advice
    assert taken


def test_a_damaged_object_never_ends_well(spool: Spool, readings: Readings, tmp_path: Path) -> None:
    """What is damaged at its end raises before its last piece is given, and what was read of it is closed."""
    row = _received(spool, pixels=9 << 20)
    (path,) = files_under(tmp_path / "data" / "spool" / "incoming")
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)

    with pytest.raises(SealDamagedError):
        _whole(readings, row)

    assert not readings.is_any_open()


def test_what_cannot_be_read_is_told_apart(spool: Spool, readings: Readings, tmp_path: Path) -> None:
    """What is gone, no object, another instance, another box's, behind the end or not given by the disk raises what it is."""
    row, gone, lost = (_received(spool) for _ in range(3))
    foreign = _received(a_spool(tmp_path / "data", private=OTHER_PRIVATE))
    name = SpoolName.parse(gone.spool_name)
    assert name is not None
    spool.remove(name)
    place = next(path for path in files_under(tmp_path / "data") if path.name == lost.spool_name)
    place.unlink()
    place.mkdir()
    cases: list[tuple[ObjectRow, int, type[Exception]]] = [
        (gone, 0, ReadingGoneError),
        (replace(row, spool_name="../../etc/passwd"), 0, ReadingGoneError),
        (row, -1, ReadingGoneError),
        (row, 1 << 40, ReadingGoneError),
        (replace(row, sop_instance_uid="1.2.3.9"), 0, SealDamagedError),
        (foreign, 0, SealForeignError),
        (lost, 0, ReadingFailedError),
    ]

    for wanted, offset, error in cases:
        with pytest.raises(error):
            _read(readings, wanted, offset=offset)

    assert not readings.is_any_open()
    assert Uid(_UID).encode() in _whole(readings, row)
