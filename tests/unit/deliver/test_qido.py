"""Asking a web service what it has: pages, ends of lists, and answers that say nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from appliance.deliver.clearing import ArchiveNotAskableError, Cleared, SeriesGroup, ask_by
from appliance.deliver.transports.qido import PAGE, QidoQueries
from appliance.deliver.transports.stow import StowPeer
from tests.support import reserved_port

STUDY, SERIES = "1.2.3", "1.2.3.4"
PATIENT_S = 20.0


class Service(ThreadingHTTPServer):
    """A service that has `uids`; `pages` is whether it knows `offset`, `most` how many it lists at one time, `status` its answer."""

    uids: list[str]
    status: int = 200
    pages: bool = True
    most: int = 1000
    body: bytes | None = None

    def __init__(self) -> None:
        """Have nothing, and count what is asked."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.uids, self.asked = [], list[str]()

    def queries(self) -> QidoQueries:
        """Return a connection to it."""
        return QidoQueries(StowPeer(f"http://127.0.0.1:{self.server_port}/web", PATIENT_S, PATIENT_S, PATIENT_S, PATIENT_S))

    def ask(self, *uids: str) -> Cleared:
        """Ask whether it has these."""
        return ask_by(self.queries, [SeriesGroup(STUDY, SERIES, uids)], destination="web")


class Handler(BaseHTTPRequestHandler):
    """Answers queries."""

    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        """List a page."""
        service, parts = self.server, urlsplit(self.path)
        service.asked.append(self.path)
        assert self.headers["Accept"] == "application/dicom+json"
        asked = {key: int(values[0]) for key, values in parse_qs(parts.query).items()}
        start = asked.get("offset", 0) if service.pages else 0
        page = service.uids[start : start + min(asked["limit"], service.most)]
        matches: list[dict[str, Any]] = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in page]
        body = service.body if service.body is not None else json.dumps(matches).encode()
        status = 204 if service.status == 200 and service.body is None and not page else service.status
        self.send_response(status)
        self.send_header("Content-Length", str(0 if status == 204 else len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the base class's)
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of this machine."""
    with Service() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("most", [1000, 30])
def test_a_list_is_read_to_its_end(service: Service, most: int) -> None:
    """Whatever a service lists at one time, all of its list is read: what is in it is present, the rest absent."""
    service.uids, service.most = [f"1.9.{number}" for number in range(2 * PAGE + 7)], most

    cleared = service.ask(*service.uids, "1.8")

    assert (cleared.present, cleared.absent, cleared.unknown) == (frozenset(service.uids), frozenset({"1.8"}), frozenset())
    assert service.asked[0] == f"/web/studies/{STUDY}/series/{SERIES}/instances?limit={PAGE}"


@pytest.mark.parametrize("body", [None, b"[]"])
def test_nothing_is_nothing(service: Service, body: bytes | None) -> None:
    """204 and an empty list say that the service has none of it."""
    service.body = body

    assert service.ask("1.9") == Cleared(frozenset(), frozenset({"1.9"}), frozenset())


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
def test_a_refusal_says_nothing(service: Service, status: int) -> None:
    """Whatever is no success leaves open what the service has, and says why."""
    service.status = status

    cleared = service.ask("1.9")

    assert (cleared.unknown, cleared.absent) == (frozenset({"1.9"}), frozenset())
    assert cleared.reason == f"the web server answers the query with {status}"


@pytest.mark.parametrize("body", [b"", b"<html>please log in</html>", b'{"a": 1}', b"[" * 100_000])
def test_what_is_no_list_says_nothing(service: Service, body: bytes) -> None:
    """A login page with 200 is not a service that has nothing."""
    service.body = body

    assert service.ask("1.9").unknown == {"1.9"}


@pytest.mark.parametrize(("count", "absent"), [(PAGE - 1, {"1.8"}), (PAGE, set[str]())])
def test_a_service_without_offset_is_believed_when_all_fits(service: Service, count: int, absent: set[str]) -> None:
    """One that lists its first page for ever is believed when that is not full; else nobody knows what comes behind it."""
    service.uids, service.pages = [f"1.9.{number}" for number in range(count + 50)][:count], False

    assert service.ask("1.8").absent == absent


def test_matches_without_uid_are_no_instances(service: Service) -> None:
    """Items that name no instance, series say, leave everything open."""
    service.body = b'[{"0020000E": {"vr": "UI", "Value": ["1.2.3.4"]}}, 7]'

    assert service.ask("1.9").unknown == {"1.9"}


@pytest.mark.parametrize(("study", "series"), [("", SERIES), (STUDY, "../x"), ("1.2?limit=1", SERIES)])
def test_only_uids_are_asked_for(service: Service, study: str, series: str) -> None:
    """Nothing else than a UID gets into the address."""
    queries = service.queries()
    with pytest.raises(ValueError, match="UIDs"):
        queries.images(study, series)
    queries.release()

    assert service.asked == []


def test_a_closed_port_cannot_be_asked() -> None:
    """Where nobody listens there is an error, and no answer."""
    with reserved_port.reserve() as holder:
        port = reserved_port.port_of(holder)
        with pytest.raises(ArchiveNotAskableError):
            QidoQueries(StowPeer(f"http://127.0.0.1:{port}/web", PATIENT_S, PATIENT_S, PATIENT_S, PATIENT_S))
