"""An export that fails while it is sent: the connection breaks off, so that no browser keeps what came as a whole file."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.core.errors import ApplianceError
from appliance.runtime.listening import bind
from tests.support.certificates import Authority
from webui.server import serve


def _application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Begin an answer of unknown length; /broken fails in its middle."""
    start("200 OK", [("Content-Type", "application/zip")])

    def pieces() -> Iterator[bytes]:
        yield b"PK" + bytes(100_000)
        if environ["PATH_INFO"] == "/broken":
            raise ApplianceError("the object is damaged")
        yield b"the end"

    return pieces()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Serve the application over TLS, and give the port."""
    identity = Authority(tmp_path).issue("box")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    (listener,) = bind([("127.0.0.1", 0)])
    ready, stopping = threading.Event(), threading.Event()

    def run() -> None:
        serve(lambda: _application, [listener], lambda: context, run_dir=tmp_path, stopping=stopping, ready=ready.set)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(20)
    yield listener.getsockname()[1]
    stopping.set()
    thread.join(30)


def _got(port: int, path: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_what_breaks_off_does_not_end_like_a_whole(port: int) -> None:
    """A whole answer is read to its end; the one that failed in the middle is an error to whoever reads it."""
    whole = _got(port, "/whole")

    assert whole.endswith(b"the end")
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
        _got(port, "/broken")
