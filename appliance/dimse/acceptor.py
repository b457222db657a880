"""The side that is called: one association, from its first byte to its closed descriptor, in one thread.

Promises: when `run` returns the connection is closed and no sink is left open. A peer has 30 seconds in all until it is admitted, 60
seconds without progress inside a message, and its own idle time between messages. `drain` ends an association between two messages, never
inside one.
Failures: none are raised; what ended an association is logged under one of the constant names below, and a flood of endings sparingly.
Limits: one outstanding operation; later requests wait in TCP. An answer that the peer's kernel took may still never have been read.
Standard: PS3.8 9.2: awaiting the request (Sta2), negotiation (Sta3), data transfer (Sta6), release (Sta8).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from appliance.core.identity import escaped
from appliance.dimse import acse, commands, pdu
from appliance.dimse.acse import AssociateRequest
from appliance.dimse.contexts import ContextResult
from appliance.dimse.pace import Pace
from appliance.dimse.pdu import AbortReason, AbortSource, Pdu, PduInvalidError, PduType
from appliance.dimse.stream import AcceptedContext, IncomingSink, NewReport, StreamingProvider, where
from appliance.dimse.tls import TlsMaterialUnusableError
from appliance.dimse.tls_failures import TlsRefusedError
from appliance.dimse.upper_layer import Connection, ConnectionLostError, PeerSilentError
from appliance.runtime.logging import get_logger
from appliance.runtime.sparing import Sparing

log = get_logger(__name__)

# What other protocols begin with, so that a technician reads "that is TLS" instead of "unknown unit" (hostile-inputs.md row 7).
_OTHER_PROTOCOLS = (
    (b"\x16\x03", "TLS"),
    *((verb, "HTTP") for verb in (b"GET ", b"POST", b"HEAD", b"OPTI", b"PUT ", b"DELE", b"CONN", b"PRI ")),
    (b"SSH-", "SSH"),
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: `establish` from the first byte to admission, `progress` without a byte inside a message."""

    establish_s: float = 30.0
    progress_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A caller is admitted: the results of its contexts, sinks for what it stores, how long it may idle, and how long its units may be.

    `new_report`: what takes its commitment reports, None where it may send none.
    """

    results: tuple[ContextResult, ...]
    new_sink: Callable[[], IncomingSink]
    idle_s: float
    longest_unit: int = pdu.TOLERATED_LENGTH
    new_report: NewReport | None = None


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

    def __init__(
        self,
        connection: Connection,
        gate: Gate,
        *,
        peer: str,
        deadlines: Deadlines,
        sparing: Sparing | None = None,
        longest_request: int = pdu.LONGEST_REQUEST,
    ) -> None:
        """Prepare; nothing happens before `run`. `peer` is the address, for the log, of which `sparing` says what is written."""
        self._connection = connection
        self._gate = gate
        self._peer = peer
        self._deadlines = deadlines
        self._sparing = sparing or Sparing()
        self._longest_request = longest_request
        self._message_bytes = 0
        self._oversized = self._longest = 0
        self._pace = Pace()
        self._paced = 0
        self._lock = threading.Lock()
        self._is_busy = True
        self._is_draining = False
        self._provider: StreamingProvider | None = None

    def run(self) -> None:
        """Serve the peer until the association is over. Never raises."""
        try:
            accepted = self._negotiate()
            if accepted is not None:
                self._serve(accepted)
        except PduInvalidError as error:
            if (more := self._sparing.fields("association.protocol_error", self._peer)) is not None:
                looks_like = _looks_like(self._connection.opening)
                log.warning("association.protocol_error", peer=self._peer, problem=str(error), looks_like=looks_like, **more)
            self._connection.last_word(pdu.abort_pdu(AbortSource.PROVIDER, error.reason))
        except (TlsRefusedError, TlsMaterialUnusableError) as error:
            if (more := self._sparing.fields("association.tls_refused", self._peer)) is not None:
                log.warning("association.tls_refused", peer=self._peer, problem=str(error), **more)
        except ConnectionLostError as error:
            if (more := self._sparing.fields("association.lost", self._peer)) is not None:
                log.info("association.lost", peer=self._peer, problem=str(error), within_unit=error.within_unit, **more)
        except PeerSilentError as error:
            self._fall_silent(error)
        except Exception as error:  # noqa: BLE001 # boundary: an association that fails must still give back its descriptor and its slots
            log.error("association.failed", peer=self._peer, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in `where`)
            self._connection.abort(AbortSource.PROVIDER)
        finally:
            if self._provider is not None:
                self._provider.end()
            self._connection.close()
            self._tell_oversized()
            self._tell_paced()

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
        unit = self._connection.read(limit=self._longest_request, first_byte_s=self._deadlines.establish_s, deadline=deadline)
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
            self._respond(command, pdu.command_pdus(context_id, command, max_length))

        self._provider = StreamingProvider(contexts, decision.new_sink, respond, self._pause, decision.new_report)
        self._connection.write(acse.encode_accept(request, decision.results))
        return decision

    def _respond(self, command: bytes, units: Iterable[bytes]) -> None:
        """Send an answer; one that cannot be sent is told, because the peer will repeat what was answered."""
        try:
            for unit in units:
                self._connection.write(unit)
        except (ConnectionLostError, PeerSilentError):
            answer = commands.decode_command(command)
            log.warning(
                "association.answer_not_delivered",
                peer=self._peer,
                status=f"{answer.number(commands.STATUS) or 0:04X}",
                sop_instance_uid=answer.text(commands.AFFECTED_SOP_INSTANCE_UID),
            )
            raise

    def _serve(self, accepted: Accepted) -> None:
        """Take units until the peer releases, aborts or goes, or until we drain between two messages."""
        assert self._provider is not None  # noqa: S101 (set by `_negotiate`; for the type checker)
        provider = self._provider
        while True:
            if provider.is_idle:
                self._message_bytes = 0
                if not self._becomes_idle():
                    return
            unit = self._connection.read(
                limit=accepted.longest_unit,
                first_byte_s=accepted.idle_s if provider.is_idle else self._deadlines.progress_s,
            )
            self._message_bytes += len(unit.body)
            if not self._becomes_busy():
                return
            if not self._take(provider, unit):
                return

    def _take(self, provider: StreamingProvider, unit: Pdu) -> bool:
        """Act on a unit; say whether the association goes on."""
        match unit.type:
            case PduType.DATA:
                if len(unit.body) > pdu.OFFERED_LENGTH:
                    self._oversized += 1
                    self._longest = max(self._longest, len(unit.body))
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

    def _fall_silent(self, error: PeerSilentError) -> None:
        """End an association whose peer said nothing for too long, as what it is: a stranger, an idle scanner, or a broken transfer."""
        if self._provider is None:
            if (more := self._sparing.fields("association.silent", self._peer)) is not None:
                log.info("association.silent", peer=self._peer, problem=str(error), **more)
            if not self._connection.opening:
                # Nobody spoke to us in our protocol: PS3.8 9.2 (ARTIM in Sta2) only closes.
                self._connection.cut()
                return
        elif self._provider.is_idle and not error.within_unit:
            log.info("association.idle", peer=self._peer, problem=str(error))
        else:
            log.warning("association.stalled", peer=self._peer, problem=str(error), message_bytes=self._message_bytes)
        self._connection.abort(AbortSource.PROVIDER)

    def _pause(self) -> None:
        """Let a peer wait that asks too often for what stores nothing; its next requests wait in TCP (hostile-inputs.md row 57)."""
        delay_s = self._pace.delay(time.monotonic())
        if delay_s > 0:
            if not self._paced and (more := self._sparing.fields("association.paced", self._peer)) is not None:
                log.warning("association.paced", peer=self._peer, **more)
            self._paced += 1
            time.sleep(delay_s)

    def _tell_paced(self) -> None:
        """Tell how many requests had to wait."""
        if self._paced and (more := self._sparing.fields("association.was_paced", self._peer)) is not None:
            log.warning("association.was_paced", peer=self._peer, requests=self._paced, **more)

    def _tell_oversized(self) -> None:
        """Tell of units above our maximum: a scanner that sends them would be refused elsewhere."""
        if self._oversized and (more := self._sparing.fields("association.units_above_maximum", self._peer)) is not None:
            log.warning("association.units_above_maximum", peer=self._peer, units=self._oversized, longest=self._longest, **more)

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
