"""Which requests get no answer, and what no upload may do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.datastructures import FileStorage

from tests.support.pages import pages_of
from webui.security import is_own_host, takes_files


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("10.1.0.5", True),
        ("[::1]", True),
        ("localhost", True),
        ("vinh-ct", True),
        ("VINH-CT", True),
        ("vinh-ct.hospital.example", True),
        ("attacker.example", False),
        ("localhost.attacker.example", False),
        ("vinh-ct@attacker.example", False),
        ("vinh-ct/attacker.example", False),
        ("127.0.0.1.attacker.example", False),
        ("", False),
        ("-", False),
        ("a" * 300, False),
    ],
)
def test_a_host_is_an_address_or_the_name_of_the_box(host: str, is_ours: bool) -> None:  # noqa: FBT001
    """Another name that leads here is how a page from elsewhere would get to read ours (row 88)."""
    assert is_ours is is_own_host(host, "vinh-ct")


def _copy(view: Callable[[], str]) -> Callable[[], str]:
    """Return another view that does the same: marks are on the function."""
    return lambda: view()  # noqa: PLW0108 (another function is the point)


def _sent(size: int) -> dict[str, Any]:
    """Return a form with a file of that size; the test client itself would put it on the disk."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="image.dcm"\r\n\r\n' + bytes(size) + b"\r\n--x--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=x"}


def _uploads(app: Flask) -> list[Any]:
    """Add two views that take a file, one of them a large one, and return where they put its stream."""
    streams: list[Any] = []

    def take() -> str:
        file = request.files["file"]
        assert isinstance(file, FileStorage)
        streams.append(file.stream)
        return str(len(file.read()))

    app.add_url_rule("/small", "small", take, methods=["POST"])
    app.add_url_rule("/large", "large", takes_files(_copy(take)), methods=["POST"])
    return streams


@pytest.mark.parametrize(("path", "size", "status"), [("/small", 1 << 20, 200), ("/small", 3 << 20, 413), ("/large", 5 << 20, 200)])
def test_a_file_stays_in_memory_and_is_no_larger_than_a_view_says(tmp_path: Path, path: str, size: int, status: int) -> None:
    """What somebody uploads may be an image of a patient: it never lies on the disk in clear."""
    pages = pages_of(tmp_path)
    streams = _uploads(pages.app)

    answer = pages.client.post(path, **_sent(size))

    assert status == answer.status_code
    assert [type(stream).__name__ for stream in streams] == (["BytesIO"] if status == 200 else [])


def test_nobody_sends_a_large_file_without_being_signed_in(tmp_path: Path) -> None:
    """Where a view takes files, it takes them from people who are known."""
    pages = pages_of(tmp_path, role=None)
    _uploads(pages.app)

    answer = pages.client.post("/large", **_sent(3 << 20))

    assert answer.status_code == 413
