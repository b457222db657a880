"""Hostile browsers, rows 84, 85, 87, 88 and 100 of hostile-inputs.md: what is no request, what is too much, and what pages carry.

The box is one with pages, whose daemon waits 2 s where the product waits 10 (`shortened`). The oracle sees that none of it costs a
receiver, the router or the sender anything, and that a scanner is served all the time.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.hostile.site import SHORTENED, a_hostile_site
from tests.support import footprint
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.https import NONE, Browser, a_context
from tests.support.oracle import Oracle, Row

_LOG_IN = "/account/log-in"
# The pages' own budget under attack; they have loaded everything by then.
_KEPT_BYTES = 32 << 20


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Run one box with pages for all rows."""
    site = a_hostile_site(listen={"web": "127.0.0.1:0", "workers": 1})
    with Box(tmp_path_factory.mktemp("web"), site, environment={"PYTHONPATH": str(SHORTENED)}) as running:
        yield running


@pytest.fixture(scope="module")
def oracle(box: Box) -> Iterator[Oracle]:
    """Watch it."""
    watching = Oracle(box)
    with Browser(box.web_port) as browser:
        browser.get(_LOG_IN)
    yield watching
    watching.close()


@pytest.fixture
def row(oracle: Oracle) -> Iterator[Row]:
    """Watch one attack: whatever it is, the pages' process stays, and costs no more than before."""
    before = _pages(oracle.box)
    with oracle.row() as watched:
        yield watched
        with Browser(oracle.box.web_port) as honest:
            assert honest.get("/static/house.css").status == 200
        after = _pages(oracle.box)
        assert before.keys() == after.keys(), "the pages were started anew"
        eventually(lambda: _grown(before, _pages(oracle.box)) < _KEPT_BYTES, message="the pages' memory")


def _pages(box: Box) -> dict[int, footprint.Footprint]:
    pids = [pid for pid, name in box.daemons().items() if name == "web"]
    return {pid: seen for pid in pids if (seen := footprint.measure(pid)) is not None}


def _grown(before: dict[int, footprint.Footprint], after: dict[int, footprint.Footprint]) -> int:
    return max(after[pid].resident_bytes - before[pid].resident_bytes for pid in before)


def _post(*headers: str, body: bytes = b"", path: str = _LOG_IN) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1") + body


def _get(*headers: str, host: str = "Host: localhost") -> bytes:
    return "\r\n".join([f"GET {_LOG_IN} HTTP/1.1", host, *headers, "", ""]).encode("latin-1")


_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_NO_REQUESTS = {
    "te-cl": _post("Transfer-Encoding: chunked", "Content-Length: 5", body=_CHUNKS),
    "cl-te": _post("Content-Length: 5", "Transfer-Encoding: chunked", body=_CHUNKS),
    "te-with-a-tab": _post("Content-Length: 5", "Transfer-Encoding:\tchunked", body=_CHUNKS),
    "te-twice": _post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=_CHUNKS),
    "te-gzip": _post("Transfer-Encoding: gzip, chunked", body=_CHUNKS),
    "two-content-lengths": _post("Content-Length: 5", "Content-Length: 5", body=b"hello"),
    "content-length-list": _post("Content-Length: 5, 5", body=b"hello"),
    "content-length-plus": _post("Content-Length: +5", body=b"hello"),
    "content-length-minus": _post("Content-Length: -5", body=b"hello"),
    "content-length-hex": _post("Content-Length: 0x5", body=b"hello"),
    "content-length-superscript": _post("Content-Length: \xb2", body=b"he"),
    "bare-lf-everywhere": _get().replace(b"\r\n", b"\n"),
    "bare-lf-in-a-header": _get("X-A: b\nX-B: c"),
    "bare-cr-in-a-header": _get("X-A: b\rX-B: c"),
    "chunk-extension": _post("Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "obs-fold": _get("X-A: b", " c"),
    "http-0.9": b"GET /\r\n",
    "http-2-by-name": b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "no-host": _get("X-A: b", host="X-B: c"),
    "two-hosts": _get("Host: localhost"),
    "space-before-the-colon": _get("X-A : b"),
    "no-header-name": _get(": b"),
    "nul-in-a-header": _get("X-A: b\x00c"),
    "underscore-in-a-name": _get("X_Forwarded_For: 1.2.3.4"),
    "64-kib-header": _get("X-A: " + "a" * 65536),
    "10000-headers": _get(*(f"X-{number}: b" for number in range(10_000))),
    "100-headers": _get(*(f"X-{number}: b" for number in range(100))),
    "long-request-line": f"GET /{'a' * 9000} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "1-mib-cookie": _get("Cookie: dicom-edge=" + "a" * (1 << 20)),
    "control-in-the-path": b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no-method": b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"row-84-{name}") for name in _NO_REQUESTS])
def test_what_is_no_request(oracle: Oracle, name: str) -> None:
    """It is refused with 400 and the connection ends, whatever followed; what it smuggled is never answered."""
    with Browser(oracle.box.web_port, address="127.0.3.84") as browser:
        answer = browser.ask(_NO_REQUESTS[name] + _get())

    assert (400, True) == (answer.status, answer.is_closed)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(_post(f"Content-Length: {4 << 30}"), 413, id="row-85-4-gb"),
        pytest.param(_post("Content-Length: 18446744073709551617"), 413, id="row-85-2-to-the-64"),
        pytest.param(_post(f"Content-Length: {3 << 20}", "Content-Type: application/x-www-form-urlencoded"), 413, id="row-85-3-mib"),
        pytest.param(_post("Content-Encoding: gzip", "Content-Length: 2", body=b"\x1f\x8b"), 415, id="row-85-gzip"),
    ],
)
def test_a_body_that_is_not_taken(row: Row, said: bytes, status: int) -> None:
    """It is refused by what its head says; nothing of it is read."""
    with Browser(row.box.web_port, address=row.address) as browser:
        answer = browser.ask(said)

    assert answer.status == status


@pytest.mark.parametrize("kind", [pytest.param("form", id="row-85-10000-parts"), pytest.param("file", id="row-85-2-mib-file")])
def test_a_form_that_is_too_much(row: Row, kind: str) -> None:
    """Ten thousand parts, or a file where none is asked for, get 413, and nothing of them is written to a disk."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\nv\r\n' for number in range(10_000)]
    if kind == "file":
        parts = ['--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + "v" * (5 << 19)]
    body = "".join([*parts, "--x--\r\n"]).encode()
    before = set(row.box.temporary.iterdir())

    with Browser(row.box.web_port, address=row.address) as browser:
        answer = browser.ask(_post("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(body)}", body=body))

    assert answer.status == 413
    assert before == set(row.box.temporary.iterdir())


@pytest.mark.parametrize("name", [pytest.param("endless", id="row-85-chunked-endless")])
def test_chunks_without_an_end(row: Row, name: str) -> None:
    """They are refused with the first; the peer finds the connection closed."""
    with Browser(row.box.web_port, address=row.address) as browser:
        browser.send(_post("Transfer-Encoding: chunked"))
        sent = 0
        while sent < 1000 and browser.send(b"10000\r\n" + bytes(65536) + b"\r\n"):
            sent += 1

    assert sent < 1000, name


@pytest.mark.parametrize("stage", [pytest.param("head", id="row-85-slow-head"), pytest.param("body", id="row-85-slow-post")])
def test_many_that_are_slow(row: Row, stage: str) -> None:
    """A hundred that drip get 408 when their time is over, and stop nobody meanwhile."""
    said = _get()[:-2] if stage == "head" else _post("Content-Length: 1000", body=b"a")

    with ExitStack() as stack:
        slow = [stack.enter_context(Browser(row.box.web_port, address=row.address)) for _ in range(100)]
        for browser in slow:
            browser.send(said)
        began = time.monotonic()
        row.honest()
        answers = []
        for browser in slow:
            # A byte now and then buys no time.
            with suppress(OSError):
                browser.socket.send(b"a")
            answers.append(browser.answer())

    assert {(408, True)} == {(answer.status, answer.is_closed) for answer in answers if answer != NONE}
    assert sum(answer.status == 408 for answer in answers) > 50
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("kind", [pytest.param("kept", id="row-85-500-idle-keep-alives"), pytest.param("silent", id="row-85-500-silent")])
def test_many_that_do_nothing(row: Row, kind: str) -> None:
    """Five hundred connections that say nothing, after a page or before a handshake, do not keep an honest browser waiting."""
    with ExitStack() as stack:
        context = a_context()
        for _ in range(500):
            if kind == "kept":
                browser = stack.enter_context(Browser(row.box.web_port, address=row.address, context=context))
                browser.send(b"GET /static/house.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            else:
                stack.enter_context(socket.create_connection(("127.0.0.1", row.box.web_port), 10, (row.address, 0)))
        row.honest()
        with Browser(row.box.web_port) as honest:
            assert honest.get("/static/house.css").status == 200


_PATHS = ("/", _LOG_IN, "/static/house.css", "/no-such-page", "/static/../../etc/passwd", "/%2e%2e/x", "/api/v1/nothing")
_CARRIED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize("path", [pytest.param(path, id=f"row-87-{path}") for path in _PATHS])
def test_what_every_answer_carries(oracle: Oracle, path: str) -> None:
    """Nothing inline runs, nothing is loaded or sent elsewhere, nobody frames a page, whatever was asked for."""
    with Browser(oracle.box.web_port) as browser:
        answer = browser.get(path)

    policy = answer.headers["content-security-policy"]
    assert answer.status in {200, 302, 303, 308, 401, 404, 503}
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert _CARRIED == {name: answer.headers.get(name) for name in _CARRIED}


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("attacker.example", id="row-88-another-name"),
        pytest.param("attacker.example:8443", id="row-88-another-name-with-a-port"),
        pytest.param("test-box.attacker@evil.example", id="row-88-userinfo"),
        pytest.param("localhost.attacker.example", id="row-88-localhost-elsewhere"),
        pytest.param("127.0.0.1.nip.example", id="row-88-an-address-as-a-name"),
        pytest.param("", id="row-88-empty"),
        pytest.param("localhost/evil", id="row-88-a-path"),
    ],
)
def test_another_host(oracle: Oracle, host: str) -> None:
    """A page from elsewhere whose name leads here (DNS rebinding), or a poisoned header, gets 400."""
    with Browser(oracle.box.web_port) as browser:
        answer = browser.ask(_get(host=f"Host: {host}"))

    assert answer.status == 400


@pytest.mark.parametrize(
    "where", [pytest.param(where, id=f"row-88-next-{where}") for where in ("//evil.example", "https://evil.example", "\\\\evil")]
)
def test_a_redirection_stays_here(oracle: Oracle, where: str) -> None:
    """Whatever `next` says, no answer leads elsewhere."""
    with Browser(oracle.box.web_port) as browser:
        answers = [browser.get(f"{path}?next={where}") for path in (_LOG_IN, "/")]

    assert [answer.headers["location"] for answer in answers if "evil" in answer.headers.get("location", "").split("?")[0]] == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(("Origin: https://evil.example",), id="row-86-another-origin"),
        pytest.param(("Origin: null",), id="row-86-no-origin"),
        pytest.param(("Sec-Fetch-Site: cross-site",), id="row-86-cross-site"),
        pytest.param(("Content-Type: text/plain", "X-HTTP-Method-Override: PUT"), id="row-86-plain-text"),
    ],
)
def test_what_a_page_from_elsewhere_sends(oracle: Oracle, headers: tuple[str, ...]) -> None:
    """It gets 403, before anybody looks at what it wants."""
    with Browser(oracle.box.web_port) as browser:
        answer = browser.ask(_post(*headers, "Content-Length: 2", body=b"{}"))

    assert answer.status == 403


@pytest.mark.parametrize("number", [pytest.param(signal.SIGSTOP, id="row-100-stopped"), pytest.param(signal.SIGKILL, id="row-100-killed")])
def test_the_pages_are_down(oracle: Oracle, number: signal.Signals) -> None:
    """Scanners are served as before while the pages are stopped or dead; dead ones come back with no hand."""
    (process,) = _pages(oracle.box)

    with oracle.row() as row:
        os.kill(process, number)
        row.honest()
        row.honest()
        if number is signal.SIGSTOP:
            os.kill(process, signal.SIGCONT)

    def is_served() -> bool:
        with suppress(OSError), Browser(oracle.box.web_port) as browser:
            return browser.get("/static/house.css").status == 200
        return False

    eventually(is_served, within=30, message="the pages")
