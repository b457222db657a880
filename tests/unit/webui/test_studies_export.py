"""Exporting a study: a zip archive of plain files, no patient in its names, never whole where it is not, and written down."""

from __future__ import annotations

import base64
import io
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Role
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.page_requests import ReadReply, ReadRequest
from appliance.runtime.requests import ObjectRow, ObjectsReply
from tests.support.pages import Pages, Said, pages_of
from tests.unit.webui.a_study import SERIES, SITE, UID, a_study
from webui.exporting import archive, newest

_PIECE = 4 << 20
_PATH = f"/studies/{UID}/export"
_ROWS = tuple(ObjectRow(f"1.2.{number}", 1, f"object-{number}.age") for number in range(3))
_MADE_AT = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


class _Opener:
    """Gives objects in pieces, as opener does, and remembers what it was asked."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.asked: list[ReadRequest] = []
        self.fails_at: tuple[str, int] | None = None

    def __call__(self, request: ReadRequest) -> ReadReply:
        self.asked.append(request)
        name = request.object.spool_name.removesuffix(".age").replace("-", "_")
        if self.fails_at == (name, request.offset):
            raise RequestRefusedError("the object is damaged")
        return ReadReply(base64.b64encode(self.contents[name][request.offset : request.offset + _PIECE]).decode())


def _opener() -> _Opener:
    return _Opener(object_0=b"first" * 10, object_1=b"s" * (_PIECE + 7), object_2=b"")


def _pages(tmp_path: Path, role: Role = Role.TECHNICIAN, **answers: Any) -> tuple[Pages, list[tuple[str, str, dict[str, str]]]]:
    answers = {"study": a_study(), "objects": ObjectsReply(_ROWS), "read": _opener(), **answers}
    pages = pages_of(tmp_path, role=role, site=SITE, control=Said(**answers))
    journal: list[tuple[str, str, dict[str, str]]] = []
    pages.accounts.changed = lambda _person, action, thing, **more: journal.append((action, thing, more))  # type: ignore[method-assign]
    return pages, journal


def test_it_is_asked_why_and_told_how_much(tmp_path: Path) -> None:
    """The page says how many images leave the box in clear, and asks for the reason; nothing is read before."""
    pages, journal = _pages(tmp_path)

    page = pages.get(_PATH)
    refused = pages.client.post(_PATH, data={"reason": " "})

    assert "3 images of this study come to this computer" in page
    assert "not encrypted" in page
    assert "is-invalid" in refused.text
    assert [] == journal
    assert "read" not in {name for name, _, _ in pages.control.asked}


def test_a_study_comes_as_an_archive_of_plain_files(tmp_path: Path) -> None:
    """Every object is in the archive, byte for byte, under a number; names and file name say nothing of the patient; the journal does."""
    pages, journal = _pages(tmp_path)

    answer = pages.client.post(_PATH, data={"reason": "second opinion"})

    with zipfile.ZipFile(io.BytesIO(answer.data)) as files:
        assert files.testzip() is None
        contents = {name: files.read(name) for name in files.namelist()}
        kinds = {info.compress_type for info in files.infolist()}
    assert {"DICOM/I0000001": b"first" * 10, "DICOM/I0000002": b"s" * (_PIECE + 7), "DICOM/I0000003": b""} == contents
    assert {zipfile.ZIP_STORED} == kinds
    assert "application/zip" == answer.mimetype
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="vinh-ct-2')
    assert "no-store" == answer.headers["Cache-Control"]
    assert [("study.exported", UID, {"after": "3 images", "reason": "second opinion"})] == journal


def test_a_series_is_exported_alone(tmp_path: Path) -> None:
    """With a series only its objects are asked for, and the journal says which it was; a series of another study is not found."""
    pages, journal = _pages(tmp_path)

    page = pages.get(f"{_PATH}?series={SERIES}")
    answer = pages.client.post(f"{_PATH}?series={SERIES}", data={"reason": "x"})
    other = pages.client.get(f"{_PATH}?series=9.9")

    assert "3 images of this series" in page
    assert answer.data.startswith(b"PK")
    assert {(UID, SERIES)} == {arguments for name, arguments, _ in pages.control.asked if name == "objects"}
    assert f"series {SERIES}: 3 images" == journal[0][2]["after"]
    assert 404 == other.status_code


def test_of_several_versions_the_newest_is_exported() -> None:
    """Each SOP instance comes once, in its newest version."""
    old, new, other = ObjectRow("1.2", 1, "a"), ObjectRow("1.2", 2, "b"), ObjectRow("1.3", 1, "c")

    assert [new, other] == newest([old, other, new])
    assert [new, other] == newest([new, old, other])


def test_each_object_is_read_with_a_ticket_of_its_own() -> None:
    """The pieces of an object are asked for one after the other under one ticket, so that opener need not begin again."""
    opener = _opener()

    list(archive(_ROWS, opener, _MADE_AT, failed=lambda _: None))

    tickets = {row.spool_name: {one.ticket for one in opener.asked if one.object == row} for row in _ROWS}
    assert [0, _PIECE, _PIECE + 7] == [one.offset for one in opener.asked if one.object == _ROWS[1]]
    assert all(len(found) == 1 for found in tickets.values())
    assert 3 == len(set.union(*tickets.values()))


def test_what_fails_before_the_first_byte_is_a_page(tmp_path: Path) -> None:
    """Where not even the first object can be read there is no archive, but an error that says why."""
    opener = _opener()
    opener.fails_at = ("object_0", 0)
    pages, journal = _pages(tmp_path, read=opener)

    answer = pages.client.post(_PATH, data={"reason": "x"})

    assert (422, True) == (answer.status_code, "the object is damaged" in answer.text)
    assert [] == journal


@pytest.mark.parametrize("place", [("object_1", _PIECE), ("object_2", 0)])
def test_an_archive_that_breaks_off_is_not_one(place: tuple[str, int]) -> None:
    """What fails in the middle raises out of the answer, which breaks the connection off; what came until then does not open."""
    opener, told = _opener(), list[str]()
    opener.fails_at = place
    got = bytearray()

    with pytest.raises(RequestRefusedError):
        got.extend(byte for piece in archive(_ROWS, opener, _MADE_AT, failed=told.append) for byte in piece)

    assert ["the object is damaged"] == told
    assert b"PK\x05\x06" not in got
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(got))


def test_a_broken_off_export_is_in_the_journal(tmp_path: Path) -> None:
    """That an export did not come to its end is written down behind that it began."""
    opener = _opener()
    opener.fails_at = ("object_2", 0)
    pages, journal = _pages(tmp_path, read=opener)

    with pytest.raises(RequestRefusedError):
        pages.client.post(_PATH, data={"reason": "x"}).get_data()

    assert ["study.exported", "study.export_broken_off"] == [action for action, _, _ in journal]


def test_memory_is_a_piece_however_large_the_study_is() -> None:
    """A hundred megabytes pass in the memory of a few pieces; no piece of the answer is empty, which to a server is the end."""
    rows = [ObjectRow(f"1.2.{number}", 1, f"{number}") for number in range(6)]
    piece = ReadReply(base64.b64encode(bytes(_PIECE)).decode())

    def read(request: ReadRequest) -> ReadReply:
        return piece if request.offset < 4 * _PIECE else ReadReply("")

    tracemalloc.start()
    lengths = [len(part) for part in archive(rows, read, _MADE_AT, failed=lambda _: None)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sum(lengths) > 6 * 4 * _PIECE
    assert 0 not in lengths
    assert peak < 40 << 20


def test_what_is_not_kept_any_more_cannot_be_exported(tmp_path: Path) -> None:
    """Where everything of a study was evicted the page says where it is, and a form that is sent all the same gives no archive."""
    pages, journal = _pages(tmp_path, objects=ObjectsReply(()))

    answers = [pages.client.get(_PATH), pages.client.post(_PATH, data={"reason": "x"})]

    assert all("kept in this box any more" in answer.text for answer in answers)
    assert [] == journal


@pytest.mark.parametrize("role", [Role.VIEWER, Role.VENDOR, Role.MONITOR])
def test_who_may_not_see_images_cannot_export(tmp_path: Path, role: Role) -> None:
    """Everybody else is refused, before anything is asked of the box."""
    pages, journal = _pages(tmp_path, role)

    assert 403 == pages.client.post(_PATH, data={"reason": "x"}).status_code
    assert ([], []) == (pages.control.asked, journal)
