"""The parser of requests: gunicorn's own, and what it lets pass that we do not.

Promises: a request has one length, said by Content-Length alone and within bounds; HTTP/1.1 has one Host; nothing of it is ambiguous to
anybody who reads it after or before us.
Failures: gunicorn's `ParseException`s, and `ChunkedError`, `BodyTooLargeError` of this module.
Limits: HTTP/1.0 and 1.1.
Standard: RFC 9112; hostile-inputs.md rows 84 and 85.
"""

from __future__ import annotations

from typing import cast

from gunicorn.http.errors import InvalidHeader, ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

# The largest thing that a page takes, see `webui.security`.
LARGEST_BODY_BYTES = 64 << 20
# RFC 9112 7.1 asks of nobody to take chunks; no browser sends them, and their extensions and trailers are where parsers disagree.
_CHUNKS = "TRANSFER-ENCODING"
_FIRST_VERSION_WITH_HOST = (1, 1)


class ChunkedError(ParseException):
    """The body is chunked."""


class BodyTooLargeError(ParseException):
    """The body says that it is longer than anything that is taken."""


class StrictRequest(Request):
    """One request."""

    body_bytes: int = 0
    """What Content-Length says."""

    def set_body_reader(self) -> None:
        """Decide how the body is read, or refuse."""
        super().set_body_reader()
        names = [name for name, _ in self.headers]
        if _CHUNKS in names:
            raise ChunkedError
        if cast("tuple[int, int]", self.version) >= _FIRST_VERSION_WITH_HOST and "HOST" not in names:
            raise InvalidHeader("HOST", req=self)
        # It was checked to be a number, and the only one of its name.
        self.body_bytes = next((int(value) for name, value in self.headers if name == "CONTENT-LENGTH"), 0)
        if self.body_bytes > LARGEST_BODY_BYTES:
            raise BodyTooLargeError


class StrictParser(RequestParser):
    """The requests of one connection."""

    mesg_class = StrictRequest
