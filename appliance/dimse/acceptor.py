"""The side that is called: one association, from its first byte to its closed descriptor, in one thread.

Promises: when `run` returns the connection is closed and no sink is left open. A peer has 30 seconds in all until it is admitted, 60
seconds without progress inside a message, and its own idle time between messages. `drain` ends an association between two messages, never
inside one.
Failures: none are raised; what ended an association is logged under one of the constant names below.
Limits: one outstanding operation; later requests wait in TCP.
Standard: PS3.8 9.2: awaiting the request (Sta2), negotiation (Sta3), data transfer (Sta6), release (Sta8).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.core.identity import escaped
from appliance.dimse import acse, pdu
from appliance.dimse.acse import AssociateRequest
from appliance.dimse.contexts import ContextResult
from appliance.dimse.pdu import AbortReason, AbortSource, Pdu, PduInvalidError, PduType
from appliance.dimse.stream import AcceptedContext, IncomingSink, StreamingProvider, where
from appliance.dimse.upper_layer import Connection, ConnectionLostError, PeerSilentError
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# What other protocols begin with, so that a technician reads "that is TLS" instead of "unknown unit" (hostile-inputs.md row 7).
_OTHER_PROTOCOLS = ((b"\x16\x03", "TLS"), (b"GET ", "HTTP"), (b"POST", "HTTP"), (b"HEAD", "HTTP"), (b"OPTI", "HTTP"), (b"SSH-", "SSH"))


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: `establish` from the first byte to admission, `progress` without a byte inside a message."""

    establish_s: float = 30.0
    progress_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A caller is admitted: the results of its contexts, sinks for what it stores, and how long it may idle."""

    results: tuple[ContextResult, ...]
    new_sink: Callable[[], IncomingSink]
    idle_s: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """A caller is not admitted (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


Gate = Callable[[AssociateRequest], Accepted | Rejected]
"""Decides about a request for an association; called once, in the association's thread."""


class IncomingAssociation:
    """One call. `run` does everything; `drain` and `cut` come from other threads."""

    def __init__(self, connection: Connection, gate: Gate, *, peer: str, deadlines: Deadlines) -> None:
        """Prepare; nothing happens before `run`. `peer` is the address, for the log."""
        self._connection = connection
        self._gate = gate
        self._peer = peer
        self._deadlines = deadlines
        self._lock = threading.Lock()
        self._is_busy = True
        self._is_draining = False
        self._provider: StreamingProvider | None = None

    def run(self) -> None:
        """Serve the peer until the association is over. Never raises."""
        try:
            accepted = self._negotiate()
            if accepted is not None:
                self._serve(accepted.idle_s)
        except PduInvalidError as error:
            log.warning("association.protocol_error", peer=self._peer, problem=str(error), looks_like=_looks_like(self._connection.opening))
            self._connection.last_word(pdu.abort_pdu(AbortSource.PROVIDER, error.reason))
        except ConnectionLostError as error:
            log.info("association.lost", peer=self._peer, problem=str(error), within_unit=error.within_unit)
        except PeerSilentError as error:
            log.info("association.silent", peer=self._peer, problem=str(error))
            self._connection.abort(AbortSource.PROVIDER)
        except Exception as error:  # noqa: BLE001 # boundary: an association that fails must still give back its descriptor and its slots
            log.error("association.failed", peer=self._peer, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in `where`)
            self._connection.abort(AbortSource.PROVIDER)
        finally:
            if self._provider is not None:
                self._provider.end()
            self._connection.close()

    def drain(self) -> None:
        """End the association now if it is between two messages, else as soon as the present one is answered."""
        with self._lock:
            self._is_draining = True
            if not self._is_busy:
                self._connection.abort(AbortSource.USER)

    def cut(self) -> None:
        """End the association now, whatever it is doing; what is not answered is not acknowledged."""
        self._connection.abort(AbortSource.USER)

    def _negotiate(self) -> Accepted | None:
        deadline = time.monotonic() + self._deadlines.establish_s
        unit = self._connection.read(limit=pdu.UNADMITTED_LENGTH, first_byte_s=self._deadlines.establish_s, deadline=deadline)
        if unit.type is PduType.ABORT:
            return None
        if unit.type is not PduType.ASSOCIATE_RQ:
            raise PduInvalidError("a unit before there is an association", AbortReason.UNEXPECTED_PDU)
        request = acse.decode_request(unit.body)
        max_length = pdu.length_for(request.max_length)
        decision = self._gate(request)
        if isinstance(decision, Rejected):
            self._connection.last_word(pdu.reject_pdu(decision.result, decision.source, decision.reason))
            return None
        contexts = {
            result.context_id: AcceptedContext(result.context_id, result.abstract_syntax, result.transfer_syntax)
            for result in decision.results
            if result.result == 0
        }

        def respond(context_id: int, command: bytes) -> None:
            for piece in pdu.command_pdus(context_id, command, max_length):
                self._connection.write(piece)

        self._provider = StreamingProvider(contexts, decision.new_sink, respond)
        self._connection.write(acse.encode_accept(request, decision.results))
        return decision

    def _serve(self, idle_s: float) -> None:
        """Take units until the peer releases, aborts or goes, or until we drain between two messages."""
        assert self._provider is not None  # noqa: S101 (set by `_negotiate`; for the type checker)
        provider = self._provider
        while True:
            if provider.is_idle and not self._becomes_idle():
                return
            unit = self._connection.read(
                limit=pdu.TOLERATED_LENGTH,
                first_byte_s=idle_s if provider.is_idle else self._deadlines.progress_s,
            )
            if not self._becomes_busy():
                return
            if not self._take(provider, unit):
                return

    def _take(self, provider: StreamingProvider, unit: Pdu) -> bool:
        """Act on a unit; say whether the association goes on."""
        match unit.type:
            case PduType.DATA:
                if len(unit.body) > pdu.OFFERED_LENGTH:
                    log.debug("association.unit_above_maximum", peer=self._peer, length=len(unit.body))
                for fragment in pdu.fragments(unit.body):
                    provider.receive(fragment)
                return True
            case PduType.RELEASE_RQ:
                if not provider.is_idle:
                    log.info("association.released_in_message", peer=self._peer)
                    provider.end()
                self._connection.last_word(pdu.RELEASE_RP)
                return False
            case PduType.ABORT:
                log.info("association.aborted", peer=self._peer, source=pdu.read_abort(unit.body)[0], in_message=not provider.is_idle)
                return False
            case _:
                raise PduInvalidError("a unit that does not belong into an association", AbortReason.UNEXPECTED_PDU)

    def _becomes_idle(self) -> bool:
        """Let `drain` act from now on; False when it asked already, and the association is ended here."""
        with self._lock:
            if self._is_draining:
                self._connection.abort(AbortSource.USER)
                return False
            self._is_busy = False
            return True

    def _becomes_busy(self) -> bool:
        """Keep `drain` away until the message is answered; False when it was here first."""
        with self._lock:
            if self._is_draining and not self._is_busy:
                return False
            self._is_busy = True
            return True


def _looks_like(opening: bytes) -> str:
    """Return the protocol that an unknown first unit looks like, or its bytes."""
    for beginning, name in _OTHER_PROTOCOLS:
        if opening.startswith(beginning):
            return name
    return escaped(opening)
