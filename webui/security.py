"""What every answer carries, and which requests get none: headers, hosts, sizes (hostile-inputs.md rows 85-88).

Promises: no page loads, frames or sends anything elsewhere; a request for another host's name gets 400; no page is kept by
a cache. What somebody uploads stays in memory: it may be an image, and would lie on the disk in clear. Only
somebody who is signed in may send more than a form, and only to a view that `takes_files`.
Failures: 400, 413, 415.
Limits: what HTTP itself allows or not is the server's to refuse (`webui.server`).
Standard: CSP level 3; RFC 9110.
"""

from __future__ import annotations

import io
import ipaddress
import re
from collections.abc import Callable
from typing import IO, Any, TypeVar

from flask import Flask, Request, Response, abort, current_app, request

from webui.access import signed_in
from webui.services import services

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "webui_takes_files"

# Nothing from elsewhere, nothing inline. Bootstrap's own style sheet draws its marks with data: pictures.
_CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "script-src 'self'; style-src 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# No Strict-Transport-Security: nothing of ours speaks plain HTTP, and with it a browser shuts out the technician whose box has a
# certificate that ended yesterday.
# A form is a few KiB, a whole configuration at most 1 MiB (`config.load`).
_LARGEST_REQUEST_BYTES = 2 << 20
_LARGEST_FORM_BYTES = 2 << 20
# An image of which somebody asks where it would go; `serving.strict` lets no more in.
_LARGEST_UPLOAD_BYTES = 64 << 20
_MOST_FORM_PARTS = 1000
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
_STATIC_AGE_S = 3600


class _InMemory(Request):
    """A request whose files are never written to a disk."""

    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        return io.BytesIO()


def takes_files(view: View) -> View:
    """Let somebody who is signed in send a file to this view: at most 64 MiB."""
    setattr(view, _MARK, True)
    return view


def protect(app: Flask) -> None:
    """Put the rules of this module on every request and answer of `app`."""
    app.request_class = _InMemory
    app.config.update(
        MAX_CONTENT_LENGTH=_LARGEST_REQUEST_BYTES,
        MAX_FORM_MEMORY_SIZE=_LARGEST_FORM_BYTES,
        MAX_FORM_PARTS=_MOST_FORM_PARTS,
        SESSION_COOKIE_NAME="dicom-edge",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SEND_FILE_MAX_AGE_DEFAULT=_STATIC_AGE_S,
    )
    app.before_request(_refuse_other_hosts)
    app.before_request(_refuse_encodings)
    app.after_request(_with_headers)


def let_files_in(app: Flask) -> None:
    """Let views that take files have them; to be called when it is known who is signed in, and before anything reads the request."""
    app.before_request(_let_files_in)


def is_own_host(host: str, box_name: str) -> bool:
    """Say whether `host` (of a Host header, without its port) can be this box: an address, its name, or its name in a domain.

    A name of somebody else that leads here is how a page from elsewhere would get to read ours (DNS rebinding).
    """
    bare = host.strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        pass
    else:
        return True
    if _HOST_NAME.fullmatch(host) is None:
        return False
    label = host.lower().partition(".")[0]
    return label == box_name.lower() or host.lower() == "localhost"


def _refuse_other_hosts() -> None:
    host = request.host
    name = host[: host.rindex(":")] if re.search(r":\d{1,5}$", host) else host
    if not is_own_host(name, services().site().box.name):
        abort(400)


def _refuse_encodings() -> None:
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        # A body that unpacks to a thousand times its length.
        abort(415)


def _let_files_in() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    if signed_in() is not None and getattr(view, _MARK, False):
        request.max_content_length = _LARGEST_UPLOAD_BYTES


def _with_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint is None or not request.endpoint.endswith("static"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
