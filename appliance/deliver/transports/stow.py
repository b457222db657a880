"""Deliveries over the web: one STOW-RS request for an instance or for several, streamed from the sealed objects.

Promises: delivered is only what the server's report names as stored; the last piece of an object leaves only when the object is known to be
whole, so a damaged one is never completed at the server; nothing runs against a fixed time, only against a standstill and, after the last
piece, against the response deadline. An answer that is lost is an unknown outcome. A redirection is never followed and a request never
repeated: both are the engine's to decide. An instance that failed before goes alone, so that a bad one takes no other with it twice.
Failures: `AssociationFailedError`; everything else is an outcome.
Limits: no OAuth flow: a token comes from outside, and is asked for anew with each request. HTTP/1.1 only.
Standard: PS3.18 10.5; RFC 9110, RFC 9112.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from appliance.core.errors import ApplianceError
from appliance.core.identity import AETitle
from appliance.deliver.own_faults import SPOOL_ERRORS, judge_damaged, judge_missing, judge_other_length, judge_spool
from appliance.deliver.schedule import response_deadline
from appliance.deliver.stow_verdicts import (
    UNLISTED,
    judge_broken_off,
    judge_credentials,
    judge_http,
    judge_proxy,
    judge_silent,
)
from appliance.deliver.synthetic import TestImage
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Batch, Context, Outcome, Wanted
from appliance.deliver.transports.http_exchange import ExchangeBrokenError, HttpConnection, RequestInvalidError, Response
from appliance.deliver.transports.http_line import HttpLine, Proxy, ProxyFailedError, open_line
from appliance.deliver.transports.stow_answer import outcomes_of
from appliance.deliver.transports.stow_body import Body, ImageBody, OpenObject, Part, RequestBody, prepare
from appliance.deliver.verdict import Break, Verdict, judge_break, judge_unreachable
from appliance.dimse.conversion import ConversionError
from appliance.dimse.failures import PeerUnreachableError
from appliance.dimse.tls import TlsRequest
from appliance.spool.names import SpoolName

# A request is repeated whole when its answer is lost: what a lost answer may cost stays small, and one large object goes alone.
BATCH_BYTES = 64 << 20
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class StowPeer:
    """Where a service is and how long it may take, in seconds.

    `url` is what "/studies" is added to. `tls` is how to speak TLS where it begins with https, None elsewhere. `authorization` returns the
    value of the Authorization header (`http_credentials`) and is asked for each request. `instances` is how many one request may hold.
    `authority` is the name that the server goes by where `url` holds its address instead.
    """

    url: str
    connect_s: float
    progress_s: float
    response_s: float
    hello_s: float
    tls: TlsRequest | None = None
    authorization: Callable[[], str] | None = field(default=None, repr=False)
    proxy: Proxy | None = None
    instances: int = 1
    authority: str = ""

    @property
    def host(self) -> str:
        """The server's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The server's port."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]


class StowTransport:
    """The way to one STOW-RS service. Threads may share it."""

    def __init__(self, peer: StowPeer, open_object: OpenObject) -> None:
        """Send to `peer` what `open_object` opens."""
        self._peer = peer
        self._open_object = open_object

    def hello(self) -> None:
        """Return when somebody listens there and, over TLS, is who is meant. Raises `AssociationFailedError`."""
        line = open_line_to(self._peer, self._peer.hello_s)
        try:
            line.await_objection()
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error
        finally:
            line.close()

    def echo(self) -> None:
        """Return when a web server answers there, even to refuse us. Raises `AssociationFailedError`."""
        # OPTIONS costs a server nothing and stores nothing; who does not know it says so in HTTP, which is enough.
        self._ask("OPTIONS")

    def admitted(self) -> None:
        """Return when a request of the box that stores nothing is not refused at this address. Raises `AssociationFailedError`."""
        body = Body([], self._open_object)
        verdict = judge_http(self._ask("POST", body).status)
        # Of a request without instances nobody need make a success.
        if verdict.site_state is not None and verdict.flag != UNLISTED:
            raise AssociationFailedError(verdict)

    def try_image(self, image: TestImage, calling: AETitle) -> Outcome:
        """Send a test image in a request of its own, and return how it ended. Raises `AssociationFailedError`."""
        response = self._ask("POST", ImageBody(image, calling))
        return next(outcomes_of(response, [(image.sop_instance_uid, False)]))

    def _ask(self, method: str, body: RequestBody | None = None) -> Response:
        """Return the answer to a small request. Raises `AssociationFailedError`."""
        connection = HttpConnection(open_line_to(self._peer, self._peer.connect_s))
        pieces = () if body is None else body.pieces()
        try:
            return connection.exchange(
                method, target_of(self._peer), headers_for(self._peer, body), pieces, response_s=self._peer.response_s
            )
        except ExchangeBrokenError as error:
            raise AssociationFailedError(judge_silent(error.kind)) from error
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error
        except WebCredentialsError as error:
            raise AssociationFailedError(judge_credentials()) from error
        finally:
            connection.close()

    def open(self, wanted: Wanted) -> StowChannel:  # noqa: ARG002 (a web server is asked for no contexts and hears no title)
        """Return a connection. Raises `AssociationFailedError`."""
        return StowChannel(HttpConnection(open_line_to(self._peer, self._peer.connect_s)), self._peer, self._open_object)


class StowChannel:
    """One connection to a service, for one request after the other."""

    def __init__(self, connection: HttpConnection, peer: StowPeer, open_object: OpenObject) -> None:
        """Own the connection."""
        self._connection = connection
        self._peer = peer
        self._open_object = open_object
        self._has_served = False

    @property
    def is_open(self) -> bool:
        """Whether another request may go; a server that closed in the meantime is noticed."""
        return self._connection.is_open

    @property
    def answers(self) -> Mapping[Context, int]:
        """Nothing: a web server says only of each instance whether it takes it."""
        return {}

    @property
    def batch(self) -> Batch:
        """How much may go in one request."""
        return Batch(self._peer.instances, BATCH_BYTES)

    def proposed(self, context: Context) -> bool:  # noqa: ARG002 (as in `answers`)
        """Say that everything may be tried."""
        return True

    def refusal(self, context: Context) -> Verdict | None:  # noqa: ARG002 (as in `answers`)
        """Return None: whether something is taken is known from the answer to it."""
        return None

    def send(self, task: Task) -> Outcome:
        """Send one object and return how it ended."""
        return self.send_together([task])[0]

    def send_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Send several objects, in as few requests as may be, and return how each ended, in their order."""
        outcomes: dict[int, Outcome] = {}
        for group in _groups(tasks, self.batch):
            if outcomes and not self.is_open:
                ended = judge_break(Break.CLOSED, after_first_pdv=False, association_proved=True)
                outcomes.update({task.claim.delivery_id: Outcome(ended) for task in group})
            else:
                self._request(group, outcomes)
        return [outcomes[task.claim.delivery_id] for task in tasks]

    def release(self) -> None:
        """End it; HTTP has no goodbye."""
        self._connection.close()

    def abort(self) -> None:
        """End it at once."""
        self._connection.close()

    def _request(self, tasks: Sequence[Task], outcomes: dict[int, Outcome]) -> None:
        """Send one request and add how each of its instances ended."""
        parts = []
        for task in tasks:
            prepared = self._prepare(task)
            if isinstance(prepared, Part):
                parts.append(prepared)
            else:
                outcomes[task.claim.delivery_id] = Outcome(prepared)
        if parts:
            ended = self._post(Body(parts, self._open_object), [part.task for part in parts])
            outcomes.update((part.task.claim.delivery_id, outcome) for part, outcome in zip(parts, ended, strict=True))

    def _prepare(self, task: Task) -> Part | Verdict:
        name = SpoolName.parse(task.claim.spool_name)
        if name is None:
            return judge_missing()
        try:
            return prepare(task, name, self._open_object)
        except (OSError, ApplianceError) as error:
            verdict = _own_fault(error)
            if verdict is None:
                raise
            return verdict

    def _post(self, body: Body, tasks: Sequence[Task]) -> list[Outcome]:
        peer = self._peer
        try:
            deadline_s = response_deadline(body.stored_bytes, peer.response_s)
            headers = headers_for(peer, body)
            response = self._connection.exchange("POST", target_of(peer), headers, body.pieces(), response_s=deadline_s)
        except ExchangeBrokenError as error:
            verdict = judge_break(error.kind, after_first_pdv=error.sent, association_proved=self._has_served)
            return [Outcome(verdict)] * len(tasks)
        except PeerUnreachableError as error:
            return [Outcome(judge_unreachable(error.phase, error.kind))] * len(tasks)
        except WebCredentialsError:
            return [Outcome(judge_credentials())] * len(tasks)
        except (OSError, ApplianceError) as error:
            # The network's own errors come as those above: this one is the disk's or the object's.
            fault = _own_fault(error)
            if fault is None:
                raise
            return [Outcome(fault if task is body.current else judge_broken_off()) for task in tasks]
        self._has_served = True
        named = [(task.claim.sop_instance_uid, task.sent_before) for task in tasks]
        return list(outcomes_of(response, named, dict(headers).get("Authorization", "")))


class WebCredentialsError(ApplianceError):
    """Our own token or password cannot be had."""


def _groups(tasks: Sequence[Task], batch: Batch) -> Iterator[list[Task]]:
    """Yield the tasks of each request: what failed before goes alone, and no request names an instance twice."""
    group: list[Task] = []
    for task in tasks:
        size = sum(member.claim.length for member in group) + task.claim.length
        is_named = any(member.claim.sop_instance_uid == task.claim.sop_instance_uid for member in group)
        may_join = not (task.outcomes or any(member.outcomes for member in group) or is_named)
        if group and not (may_join and len(group) < batch.instances and size <= batch.bytes):
            yield group
            group = []
        group.append(task)
    if group:
        yield group


def open_line_to(peer: StowPeer, connect_s: float) -> HttpLine:
    """Return a connection to the service. Raises `AssociationFailedError`."""
    try:
        return open_line(peer.host, peer.port, connect_s=connect_s, progress_s=peer.progress_s, tls=peer.tls, proxy=peer.proxy)
    except PeerUnreachableError as error:
        raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error
    except ProxyFailedError as error:
        raise AssociationFailedError(judge_proxy(error.kind, error.status)) from error


def target_of(peer: StowPeer, resource: str = "/studies") -> str:
    """Return what is asked for; through a proxy that sees the request, the whole address (RFC 9112 3.2.2)."""
    if peer.proxy is not None and peer.tls is None:
        return f"{peer.url}{resource}"
    return f"{urlsplit(peer.url).path}{resource}"


def headers_for(peer: StowPeer, body: RequestBody | None = None) -> list[tuple[str, str]]:
    """Return the fields of a request. Raises `WebCredentialsError`."""
    headers = [("Host", peer.authority or urlsplit(peer.url).netloc), ("User-Agent", "DICOM-Edge"), ("Accept", "application/dicom+json")]
    headers.append(("Accept-Encoding", "identity"))
    if peer.authorization is not None:
        try:
            headers.append(("Authorization", peer.authorization()))
        except (OSError, ApplianceError) as error:
            raise WebCredentialsError("the box's own credentials cannot be had") from error
    if body is not None:
        headers += [("Content-Type", body.content_type), ("Content-Length", str(body.length))]
    return headers


def _own_fault(error: Exception) -> Verdict | None:
    """Return the verdict on what is wrong with an object of ours, None for any other error."""
    if isinstance(error, ConversionError):
        return judge_damaged()
    if isinstance(error, RequestInvalidError):
        return judge_other_length()
    return judge_spool(error) if isinstance(error, SPOOL_ERRORS) else None
