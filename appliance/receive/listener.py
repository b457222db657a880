"""The door: accepts calls on sockets that several workers share, and gives each association a thread and a sink.

Promises: a caller that says nothing costs one thread for 30 seconds and never a place of the scanners'; an association that ended leaves no
thread, no descriptor, no slot. An association keeps the configuration that it began with. `drain` accepts nothing more, ends idle
associations at once, lets open C-STOREs finish until its deadline, and returns when the last association is gone.
Failures: none are raised for what peers do; a process without descriptors or threads waits and goes on.
Limits: a busier worker waits a moment before it accepts, so that an idle one gets the call: shares are even, not exact.
Standard: PS3.8 9.1.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from appliance.config.model import Admission, Site
from appliance.config.sources import read_address
from appliance.dimse import pdu
from appliance.dimse.acceptor import Accepted, Deadlines, IncomingAssociation, Rejected
from appliance.dimse.acse import IMPLEMENTATION_CLASS_UID, AssociateRequest
from appliance.dimse.stream import IncomingSink
from appliance.dimse.tls import Secured
from appliance.dimse.tls_socket import SecureConnection
from appliance.dimse.upper_layer import Connection
from appliance.receive.admission import (
    OVER_A_CAP,
    Admitted,
    AssociationFacts,
    AssociationOrigin,
    Refused,
    admit,
    shown,
)
from appliance.receive.granting import Known, ReportSinks, grant, nothing_known
from appliance.receive.hearing import Heard, nobody_listens
from appliance.receive.secure_door import SecureDoor, tls_fields
from appliance.runtime.logging import get_logger
from appliance.runtime.slots import Slot, Slots
from appliance.runtime.sparing import Sparing

__all__ = ["AssociationOrigin", "Known", "Listener"]

log = get_logger(__name__)

# How soon a stop is noticed when nobody calls.
_TICK_S = 0.2
# A worker with this many associations or more waits 10 ms before it accepts, one with fewer a millisecond for each.
_LONGEST_COURTESY_MS = 10
# How many calls are taken in one go: enough that a thousand silent callers do not keep a scanner waiting for a second (F-11).
_ACCEPTED_AT_A_TIME = 16
# An address that had no place free a moment ago has none now: in a flood most calls are closed without a look at the places.
_FULL_FOR_S = 0.05
# Addresses remembered as full at once; a flood from more of them costs looks again.
_FULL_REMEMBERED = 1024
# Callers without a title yet, all addresses together: what a worker's threads and memory bear (F-11). One more ends the oldest.
_UNADMITTED_AT_ONCE = 256
# While more than these are at the door, requests must be short: what strangers can make a worker keep stays below 32 MiB.
_LONG_REQUESTS_AT_ONCE = 32
# Dropped calls are told of once in this time, with their number: a flood must not become a flood of lines.
_DROPS_TOLD_EVERY_S = 60.0
# Out of descriptors or threads: others may end meanwhile.
_EXHAUSTED_PAUSE_S = 0.05

Address = tuple[str, int]


@dataclass(eq=False, slots=True)
class _Call:
    """One accepted connection: its association, its thread, the places it holds, and whether it may still be anybody."""

    association: IncomingAssociation
    connection: Connection
    peer: Address
    slots: list[Slot]
    is_stranger: bool = True
    thread: threading.Thread | None = field(default=None)

    @property
    def secured(self) -> Secured | None:
        """What the TLS handshake led to, None for a call in plain."""
        return self.connection.secured if isinstance(self.connection, SecureConnection) else None

    def give_back(self) -> None:
        """Give back all places."""
        while self.slots:
            self.slots.pop().release()


class Listener:
    """Serves the listening sockets of one worker."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        site: Callable[[], Site],
        sinks: Callable[[AssociationOrigin], IncomingSink],
        slots: Slots,
        storage_possible: Callable[[], bool],
        stopping: threading.Event,
        *,
        known: Known = nothing_known,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Serve `sockets` (listening, non-blocking, not closed here) as `site` says at the moment when somebody calls.

        `sinks` is called once a C-STORE, from the association's thread; `storage_possible` says whether objects may be accepted,
        `known` what can be passed on. Limits of `slots` hold over all workers that share its directory.
        """
        self._secure = SecureDoor()
        self._sockets = {sock.fileno(): sock for sock in sockets}
        self._site = site
        self._sinks = sinks
        self._slots = slots
        self._storage_possible = storage_possible
        self._stopping = stopping
        self._known = known
        self._heard: Heard = nobody_listens
        self._reports: ReportSinks | None = None
        self._deadlines = deadlines or Deadlines()
        self._sparing = Sparing()
        self._accepting: threading.Thread | None = None
        self._lock = threading.Lock()
        # In the order in which they came.
        self._calls: dict[_Call, None] = {}
        # Addresses without a free place, and until when that is believed; only the accepting thread looks.
        self._full: dict[str, float] = {}
        self._drops = 0
        self._drops_told_at = float("-inf")

    def also_serve(self, secure: SecureDoor) -> None:
        """Serve the sockets for TLS too; to be said before `start`."""
        self._secure = secure
        self._sockets |= {sock.fileno(): sock for sock in secure.sockets}

    def tell(self, heard: Heard) -> None:
        """Tell of every decision about a request; to be said before `start`."""
        self._heard = heard

    def take_reports(self, reports: ReportSinks) -> None:
        """Take commitment reports from destinations; to be said before `start`."""
        self._reports = reports

    @property
    def active(self) -> int:
        """The connections that are open now, admitted or not."""
        with self._lock:
            return len(self._calls)

    def start(self) -> None:
        """Accept calls in a thread of its own until `stopping` is set."""
        self._accepting = threading.Thread(target=self.serve, name="listener", daemon=True)
        self._accepting.start()

    def serve(self) -> None:
        """Accept calls until `stopping` is set."""
        poll = select.poll()
        for descriptor in self._sockets:
            poll.register(descriptor, select.POLLIN)
        is_queue_long = False
        while not self._stopping.is_set():
            ready = poll.poll(int(_TICK_S * 1000))
            # Of a long queue there is enough for every worker, and behind a flood a scanner waits in it.
            courtesy_ms = 0 if is_queue_long or not ready else min(self.active, _LONGEST_COURTESY_MS)
            if courtesy_ms and self._stopping.wait(courtesy_ms / 1000):
                return
            taken = [self._accept_from(self._sockets[descriptor]) for descriptor, _ in ready]
            is_queue_long = _ACCEPTED_AT_A_TIME in taken

    def drain(self, deadline_s: float) -> None:
        """End all associations: idle ones now, the others when their message is answered or after `deadline_s`.

        Call it when `stopping` is set; it returns when no thread of the listener is left.
        """
        if self._accepting is not None:
            self._accepting.join()
        deadline = time.monotonic() + deadline_s
        for call in self._open_calls():
            call.association.drain()
        for call in self._open_calls():
            if call.thread is not None:
                call.thread.join(max(0.0, deadline - time.monotonic()))
        for call in self._open_calls():
            log.warning("association.cut", peer=call.peer[0])
            call.association.cut()
        for call in self._open_calls():
            if call.thread is not None:
                call.thread.join()

    def _open_calls(self) -> list[_Call]:
        with self._lock:
            return list(self._calls)

    def _accept_from(self, listener: socket.socket) -> int:
        """Take the calls that wait, and return how many it took; another worker may have been faster."""
        for taken in range(_ACCEPTED_AT_A_TIME):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return taken
            except OSError as error:
                log.warning("listener.accept_failed", errno=error.errno)
                self._stopping.wait(_EXHAUSTED_PAUSE_S)
                return taken
            peer = read_address(address[0])
            self._begin(listener, sock, (str(peer) if peer is not None else address[0], address[1]))
        return _ACCEPTED_AT_A_TIME

    def _begin(self, listener: socket.socket, sock: socket.socket, peer: Address) -> None:
        slot = self._place_at_the_door(peer[0])
        if slot is None:
            sock.close()
            self._dropped(peer)
            return
        connection = self._secure.connection(listener, sock, self._deadlines.progress_s)
        with self._lock:
            strangers = [other for other in self._calls if other.is_stranger]
        association = IncomingAssociation(
            connection,
            lambda request: self._judge(call, request),
            peer=peer[0],
            deadlines=self._deadlines,
            sparing=self._sparing,
            longest_request=pdu.LONGEST_REQUEST if len(strangers) < _LONG_REQUESTS_AT_ONCE else pdu.UNADMITTED_LENGTH,
        )
        call = _Call(association, connection, peer, [slot])
        thread = threading.Thread(target=self._run, args=(call,), name=f"association {peer[0]}:{peer[1]}", daemon=True)
        call.thread = thread
        with self._lock:
            self._calls[call] = None
        if len(strangers) >= _UNADMITTED_AT_ONCE:
            # Who has been silent the longest makes room: a scanner says its name at once.
            strangers[0].is_stranger = False
            strangers[0].association.cut()
            self._dropped(strangers[0].peer)
        try:
            thread.start()
        except RuntimeError:
            # No more threads: as if the call had never been taken.
            log.warning("listener.no_thread")
            connection.close()
            self._end(call)
            self._stopping.wait(_EXHAUSTED_PAUSE_S)

    def _place_at_the_door(self, address: str) -> Slot | None:
        """Return one of the places that an address has for callers without a title, or None where it has none left."""
        now = time.monotonic()
        if now < self._full.get(address, now):
            return None
        slot = self._take(f"address:{address}", self._site().admission.unauthenticated_per_address)
        if slot is None:
            if len(self._full) >= _FULL_REMEMBERED:
                self._full.clear()
            self._full[address] = now + _FULL_FOR_S
        return slot

    def _run(self, call: _Call) -> None:
        try:
            call.association.run()
        finally:
            self._end(call)

    def _end(self, call: _Call) -> None:
        call.give_back()
        with self._lock:
            self._calls.pop(call, None)

    def _take(self, key: str, limit: int) -> Slot | None:
        try:
            return self._slots.take(key, limit)
        except OSError as error:
            log.warning("listener.no_slot", errno=error.errno)
            return None

    def _judge(self, call: _Call, request: AssociateRequest) -> Accepted | Rejected:
        """Decide about a request; called in the association's thread."""
        facts = AssociationFacts.of(request, call.peer[0], storage_ok=self._storage_possible(), secured=call.secured)
        site = self._site()
        judgement = admit(facts, site)
        if isinstance(judgement, Admitted) and not self._take_places(call, judgement.source_name, site.admission):
            judgement = OVER_A_CAP
        self._heard(facts, judgement)
        if isinstance(judgement, Refused):
            self._tell_refused(call, facts, judgement)
            return Rejected(judgement.result, judgement.source, judgement.reason)
        return self._accept(call, judgement, request, site)

    def _tell_refused(self, call: _Call, facts: AssociationFacts, refused: Refused) -> None:
        if (more := self._sparing.fields("association.refused", call.peer[0])) is not None:
            log.warning(
                "association.refused",
                reason=refused.detail,
                answer=f"{refused.result}/{refused.source}/{refused.reason}",
                calling=shown(facts.calling),
                called=shown(facts.called),
                peer=call.peer[0],
                **tls_fields(call.secured),
                **more,
            )

    def _take_places(self, call: _Call, source_name: str, caps: Admission) -> bool:
        """Take a place among all associations and among the source's, and give back the stranger's."""
        for key, limit in (("associations", caps.associations), (f"source:{source_name}", caps.per_source)):
            slot = self._take(key, limit)
            if slot is None:
                return False
            call.slots.append(slot)
        call.slots.pop(0).release()
        call.is_stranger = False
        return True

    def _accept(self, call: _Call, admitted: Admitted, request: AssociateRequest, site: Site) -> Accepted:
        reports = self._reports
        results = grant(request.contexts, admitted, site, self._known, reports=reports is not None)
        origin = AssociationOrigin(
            calling=admitted.calling,
            called=admitted.called,
            address=call.peer[0],
            port=call.peer[1],
            source_name=admitted.source_name,
            secured=call.secured,
            is_box=request.implementation == IMPLEMENTATION_CLASS_UID,
        )
        log.info(
            "association.accepted",
            source=origin.source_name,
            calling=shown(origin.calling),
            called=shown(origin.called),
            peer=origin.address,
            contexts=len(results),
            accepted=sum(result.result == 0 for result in results),
            **tls_fields(origin.secured),
        )
        # Only of somebody who is configured is a unit above our maximum taken for a scanner's mistake (hostile-inputs.md row 10).
        longest = pdu.TOLERATED_LENGTH if admitted.source is not None else pdu.OFFERED_LENGTH
        new_report = partial(reports, origin) if reports is not None and admitted.reporter else None
        return Accepted(tuple(results), lambda: self._sinks(origin), site.idle_of(admitted.source), longest, new_report)

    def _dropped(self, peer: Address) -> None:
        """Tell, not too often, that calls were closed unheard."""
        self._drops += 1
        now = time.monotonic()
        if now - self._drops_told_at >= _DROPS_TOLD_EVERY_S:
            log.warning("listener.calls_dropped", calls=self._drops, latest_peer=peer[0])
            self._drops, self._drops_told_at = 0, now
