"""Serving: threads belong to whoever said a request, and to nobody else. A small application over real TLS, in this process."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.runtime.listening import bind
from tests.support.certificates import Authority, Identity
from tests.support.eventually import eventually
from tests.support.https import NONE, Browser
from webui.server import serve
from webui.serving.waiting_room import Patience

# Short enough for a test, long enough for a busy machine to do what takes milliseconds.
QUICK = Patience(handshake_s=1.0, request_s=1.0, idle_s=30.0, leaving_s=1.0, most=40)


@dataclass
class Site:
    """A server under test: where it is, what was asked of its application, and how to end it."""

    port: int
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: list[bool] = field(default_factory=list)

    def application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer with what came; /wait waits for the gate, /fault raises, /large sends much, /leave reads no body."""
        path = environ["PATH_INFO"]
        self.asked.append(path)
        if path == "/wait":
            self.gate.wait(20)
        if path == "/fault":
            raise ValueError("the patient's name is Doe")
        body = bytes(1 << 20) if path == "/large" else b"" if path == "/leave" else environ["wsgi.input"].read()
        said = f"{environ['wsgi.url_scheme']} {path} {len(body)}".encode() if path != "/large" else body
        start("200 OK", [("Content-Length", str(len(said)))])
        return [said]

    def browser(self, address: str = "127.0.0.1") -> Browser:
        """Return a new connection."""
        return Browser(self.port, address=address)

    @contextlib.contextmanager
    def crowd(self, number: int, address: str = "127.0.0.1") -> Iterator[list[Browser]]:
        """Give so many connections, and close them."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.browser(address)) for _ in range(number)]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Return a certificate."""
    return Authority(tmp_path_factory.mktemp("authority")).issue("box")


@contextlib.contextmanager
def serving(identity: Identity, run_dir: Path, patience: Patience = QUICK) -> Iterator[Site]:
    """Serve until the block ends."""
    (listener,) = bind([("127.0.0.1", 0)])
    site = Site(listener.getsockname()[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    ready = threading.Event()

    def run() -> None:
        site.ended.append(
            serve(
                lambda: site.application,
                [listener],
                lambda: context,
                run_dir=run_dir,
                stopping=site.stopping,
                ready=ready.set,
                patience=patience,
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield site
    finally:
        site.gate.set()
        site.stopping.set()
        thread.join()


@pytest.fixture
def site(identity: Identity, tmp_path: Path) -> Iterator[Site]:
    """Serve a small application."""
    with serving(identity, tmp_path) as found:
        yield found


def test_requests_follow_each_other_on_a_connection(site: Site) -> None:
    """A connection is kept, the scheme is https, a body is whole, and requests that were sent together are answered in their order."""
    with site.browser() as browser:
        first = browser.get("/one")
        second = browser.ask(b"POST /two HTTP/1.1\r\nHost: box\r\nContent-Length: 3\r\n\r\nabc")
        browser.send(b"GET /three HTTP/1.1\r\nHost: box\r\n\r\nGET /four HTTP/1.1\r\nHost: box\r\n\r\n")
        third, fourth = browser.answer(), browser.answer()

    bodies = [answer.body for answer in (first, second, third, fourth)]
    assert [b"https /one 0", b"https /two 3", b"https /three 0", b"https /four 0"] == bodies


def test_a_long_body_is_read_by_a_thread(site: Site) -> None:
    """A body that does not fit into the waiting room arrives whole, also where its sender first waits to be asked for it."""
    with site.browser() as browser:
        plain = browser.ask(b"POST /body HTTP/1.1\r\nHost: box\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
        browser.send(b"POST /asked HTTP/1.1\r\nHost: box\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
        go_on = browser.answer()
        asked = browser.ask(bytes(100_000))

    assert (b"https /body 300000", 100, b"https /asked 100000") == (plain.body, go_on.status, asked.body)


def test_an_answer_larger_than_any_buffer_arrives(site: Site) -> None:
    """A megabyte arrives whole at a peer that takes it in its own time."""
    with site.browser() as browser:
        browser.send(b"GET /large HTTP/1.1\r\nHost: box\r\n\r\n")
        time.sleep(0.2)
        answer = browser.answer()

    assert bytes(1 << 20) == answer.body


@pytest.mark.parametrize(
    "words",
    [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n"],
    ids=["silent", "one byte", "half a hello", "plain http"],
)
def test_who_does_not_shake_hands_holds_nothing(site: Site, words: bytes) -> None:
    """More such peers than there are threads, and an honest one is served meanwhile; each is closed when its time is over."""
    peers = [socket.create_connection(("127.0.0.1", site.port), 10) for _ in range(30)]
    for peer in peers:
        peer.sendall(words)

    with site.browser() as browser:
        answer = browser.get("/")

    assert answer.status == 200
    for peer in peers:
        with contextlib.suppress(ConnectionResetError):
            while peer.recv(1000):
                pass
        peer.close()


def test_plain_http_is_told_what_to_do(site: Site) -> None:
    """A technician who forgot the s reads that the pages speak https."""
    with socket.create_connection(("127.0.0.1", site.port), 10) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")
        said = b"".join(iter(lambda: peer.recv(1000), b""))

    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"https://" in said


@pytest.mark.parametrize("said", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 9\r\n\r\n1234"], ids=["head", "body"])
def test_a_slow_request_gets_408_and_holds_no_thread(site: Site, said: bytes) -> None:
    """However many there are, an honest peer is served; when their time is over they are told and closed."""
    with site.crowd(30) as slow, site.browser() as honest:
        for browser in slow:
            browser.send(said)

        assert honest.get("/").status == 200
        answers = [browser.answer() for browser in slow]

    assert {(408, True)} == {(answer.status, answer.is_closed) for answer in answers}


def test_few_long_bodies_are_waited_for(site: Site) -> None:
    """Some senders of long bodies may be slow at a time; the next is told to come again, and pages are served."""
    said = b"POST /slow HTTP/1.1\r\nHost: box\r\nContent-Length: 200000\r\n\r\n"
    with site.crowd(4) as slow, site.browser() as fifth, site.browser() as honest:
        for browser in slow:
            browser.send(said)
        eventually(lambda: site.asked.count("/slow") == 4, message="four slow bodies")

        refused, served = fifth.ask(said), honest.get("/")

    assert (503, True, 200) == (refused.status, refused.is_closed, served.status)


def test_one_address_has_half_of_the_threads(site: Site) -> None:
    """Somebody who opens many pages that wait stops nobody elsewhere, and is served in turn."""
    with site.crowd(30, "127.0.0.2") as waiting, site.browser() as other:
        for browser in waiting:
            browser.send(b"GET /wait HTTP/1.1\r\nHost: box\r\n\r\n")
        eventually(lambda: site.asked.count("/wait") == 12, message="half of the threads at work")

        assert other.get("/").status == 200
        assert site.asked.count("/wait") == 12
        site.gate.set()

        assert {200} == {browser.answer().status for browser in waiting}


def test_who_does_nothing_makes_room(site: Site) -> None:
    """With as many idle connections as there may be, the next one is served, and the oldest of whoever has most is closed."""
    with site.crowd(40, "127.0.0.2") as idle:
        assert {200} == {browser.get("/").status for browser in idle}

        with site.browser() as honest:
            assert honest.get("/").status == 200

        assert idle[0].answer() == NONE
        assert idle[-1].get("/").status == 200


def test_a_fault_is_answered_and_logged_without_a_word_of_it(site: Site) -> None:
    """An application that raises costs one answer: 500, closed, with nothing of the fault in it."""
    with site.browser() as browser:
        answer = browser.get("/fault")

    assert (500, True, False) == (answer.status, answer.is_closed, b"Doe" in answer.body)
    with site.browser() as browser:
        assert browser.get("/").status == 200


def test_a_body_that_nobody_reads_does_not_become_a_request(site: Site) -> None:
    """What the application leaves is read away, or the connection ends: it is never taken for the next request."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: box\r\n\r\n"
    with site.browser() as browser:
        browser.send(b"POST /leave HTTP/1.1\r\nHost: box\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
        browser.answer()
        following = browser.get("/next")

    assert (b"https /next 0", ["/leave", "/next"]) == (following.body, site.asked)


def test_told_to_stop_it_finishes_what_it_began(identity: Identity, tmp_path: Path) -> None:
    """Who is served gets the answer, who does nothing is closed, and then it ends."""
    with serving(identity, tmp_path) as site:
        with site.browser() as idle, site.browser() as busy:
            idle.get("/")
            busy.send(b"GET /wait HTTP/1.1\r\nHost: box\r\n\r\n")
            eventually(lambda: "/wait" in site.asked, message="a page that takes its time")

            site.stopping.set()
            assert idle.answer() == NONE
            site.gate.set()
            answers = (busy.answer().status, busy.answer())

        eventually(lambda: site.ended, message="the server to end")
    assert ((200, NONE), [True]) == (answers, site.ended)
