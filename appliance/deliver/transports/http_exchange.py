"""Requests and answers over one connection to a web server: a body streamed out in pieces, an answer of bounded size read in.

Promises: memory is constant whatever is sent; a body goes out whole or the connection ends; an answer that comes before the body is out
stops the sending; what the server says is read within one deadline, however slowly it drips; nothing is ever repeated or followed here.
Failures: `ExchangeBrokenError` (peer); `RequestInvalidError` for pieces that are not as long as announced; what the pieces raise passes
through. The connection was cut then.
Limits: an answer beyond 1 MiB counts as one without a body.
Standard: RFC 9112; h11 reads and writes it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import h11

from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.transports.http_line import HttpLine
from appliance.deliver.verdict import Break

# A name and a reason for each of a hundred instances are 50 kB in the wordiest form.
_MOST_BODY_BYTES = 1 << 20
# What servers and proxies put before an answer; hostile-inputs.md row 84 has the same number for what we take as a server.
_MOST_HEADER_BYTES = 64 * 1024
# Words on the way (100, 102, 103): a server may say that it is still at work, and not keep us from ours.
_MOST_INTERIM = 100
# Of what is there already.
_AT_ONCE_S = 1.0


class ExchangeBrokenError(ApplianceError):
    """There is no answer; `sent` says whether a part of the request left, so that the server may have acted on it."""

    fault = Fault.PEER

    def __init__(self, kind: Break, *, sent: bool) -> None:
        """Keep what happened."""
        super().__init__(f"the web server gave no answer ({kind.value})")
        self.kind = kind
        self.sent = sent


class RequestInvalidError(ApplianceError):
    """A request of ours is not what its own header announces; the server never had it whole."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered; header names are lower case. `is_early`: it did not wait for the end of the request."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    is_early: bool = False

    def header(self, name: str) -> str:
        """Return the value of a header, empty where there is none."""
        return self.headers.get(name, "")

    @property
    def is_encoded(self) -> bool:
        """Whether its body is compressed or otherwise no longer what its Content-Type says (RFC 9110 8.4)."""
        return self.header("content-encoding").strip().lower() not in {"", "identity"}


class HttpConnection:
    """One connection to a web server, for one thread."""

    def __init__(self, line: HttpLine) -> None:
        """Own `line`."""
        self._line = line
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEADER_BYTES)
        self._is_open = True
        self._sent = False
        self._has_ended = False
        self._interim = 0

    @property
    def is_open(self) -> bool:
        """Whether another request may go here; a server that closed in the meantime is noticed."""
        if self._is_open and self._line.has_something():
            # Nothing was asked, so whatever came is an end.
            self.close()
        return self._is_open

    def close(self) -> None:
        """End it. Never raises."""
        self._is_open = False
        self._line.close()

    def exchange(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], pieces: Iterable[bytes] = (), *, response_s: float
    ) -> Response:
        """Send a request and return the answer, which may take `response_s` after the last piece.

        The first piece is made before anything is sent. Raises `ExchangeBrokenError`, `PeerUnreachableError` for a server that refuses
        our certificate only now, `RequestInvalidError`, and what the pieces raise.
        """
        self._sent, self._interim = False, 0
        is_done = False
        try:
            response = self._exchange(h11.Request(method=method, target=target, headers=list(headers)), pieces, response_s)
            is_done = True
        except h11.RemoteProtocolError as error:
            raise ExchangeBrokenError(Break.PROTOCOL, sent=self._sent) from error
        except h11.LocalProtocolError as error:
            raise RequestInvalidError("a request is not what it announced") from error
        finally:
            # Also what the pieces raised, and an answer that leaves the connection in a state of which nothing follows.
            if not is_done or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                self.close()
        if self._is_open:
            self._http.start_next_cycle()
        return response

    def _exchange(self, request: h11.Request, pieces: Iterable[bytes], response_s: float) -> Response:
        early = self._send(request, pieces)
        deadline = time.monotonic() + response_s
        head = early or self._read_head(deadline)
        return Response(
            head.status_code,
            {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
            self._read_body(deadline, is_early=early is not None),
            is_early=early is not None,
        )

    def _send(self, request: h11.Request, pieces: Iterable[bytes]) -> h11.Response | None:
        """Send the request; return the head of an answer that came before its end, None where it went out whole."""
        waiting = iter(pieces)
        piece = next(waiting, b"")
        unsent = self._http.send(request) or b""
        while piece:
            unsent += self._http.send(h11.Data(data=piece)) or b""
            early = self._push(unsent)
            if early is not None:
                return early
            unsent, piece = b"", next(waiting, b"")
        return self._push(unsent + (self._http.send(h11.EndOfMessage()) or b""), looks_first=False)

    def _push(self, data: bytes, *, looks_first: bool = True) -> h11.Response | None:
        """Send these bytes, unless the server has answered already."""
        try:
            if looks_first and self._line.has_something():
                early = self._early_head()
                if early is not None:
                    return early
            if data:
                self._line.send(data)
                self._sent = True
        except OSError as error:
            early = self._last_words()
            if early is not None:
                return early
            self._line.raise_if_objection(error)
            # Our own time has no number; the kernel's word that the peer vanished has one.
            stands_still = isinstance(error, TimeoutError) and error.errno is None
            raise ExchangeBrokenError(Break.PROGRESS if stands_still else Break.CLOSED, sent=self._sent) from error
        return None

    def _early_head(self) -> h11.Response | None:
        """Return the answer that is there already, None where there is none yet, or only a word on the way."""
        event = self._event()
        while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
            if event is h11.NEED_DATA:
                if not self._line.has_something():
                    return None
                # It is there: nothing is waited for.
                self._receive(time.monotonic() + _AT_ONCE_S)
            event = self._event()
        if isinstance(event, h11.Response):
            return event
        raise ExchangeBrokenError(Break.CLOSED, sent=self._sent)

    def _last_words(self) -> h11.Response | None:
        """Return the answer of a server that took no more while we were sending, as far as the kernel still has it."""
        with contextlib.suppress(OSError, ExchangeBrokenError, h11.RemoteProtocolError):
            return self._early_head()
        return None

    def _read_head(self, deadline: float) -> h11.Response:
        while True:
            event = self._next_event(deadline)
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise ExchangeBrokenError(Break.CLOSED, sent=self._sent)

    def _read_body(self, deadline: float, *, is_early: bool) -> bytes:
        """Return the body; nothing where it is too long, or cut although the request was not even over."""
        body = bytearray()
        try:
            while len(body) <= _MOST_BODY_BYTES:
                event = self._next_event(deadline)
                if not isinstance(event, h11.Data):
                    return bytes(body)
                body += event.data
        except (ExchangeBrokenError, h11.RemoteProtocolError):
            if not is_early:
                raise
        return b""

    def _next_event(self, deadline: float) -> object:
        while True:
            event = self._event()
            if event is not h11.NEED_DATA:
                return event
            try:
                self._receive(deadline)
            except TimeoutError as error:
                raise ExchangeBrokenError(Break.TIMEOUT if error.errno is None else Break.CLOSED, sent=self._sent) from error
            except OSError as error:
                self._line.raise_if_objection(error)
                raise ExchangeBrokenError(Break.CLOSED, sent=self._sent) from error

    def _receive(self, deadline: float) -> None:
        received = self._line.receive(deadline)
        self._has_ended = not received
        self._http.receive_data(received)

    def _event(self) -> object:
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._has_ended:
                # It broke off in the middle of an answer, or before it.
                raise ExchangeBrokenError(Break.CLOSED, sent=self._sent) from error
            raise
        self._interim += isinstance(event, h11.InformationalResponse)
        if self._interim > _MOST_INTERIM:
            raise ExchangeBrokenError(Break.PROTOCOL, sent=self._sent)
        return event
