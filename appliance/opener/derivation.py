"""Deriving: what a destination is to get of a stored object, made in a sandboxed child and sealed again, never in clear on the disk.

Promises: an object that was derived is whole, in its derived place, under its original's id and UIDs; the original is only read. Asked
again while it works, or afterwards, the answer is about the same work. A codec that crashes, hangs or explodes costs one derivation.
Failures: none; every failure is an outcome.
Limits: an answer comes within ten seconds, if only that it is still being made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import replace
from enum import StrEnum

from appliance.core.errors import ApplianceError, Fault
from appliance.dimse.lossless import derived_syntax
from appliance.opener.workbench import ChildFailedError, Workbench
from appliance.runtime.deriving import DeriveReply, DeriveRequest
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.derived import DerivedPlace
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

# Well below what who asks waits for an answer, and long beside a frame.
_PATIENCE_S = 10.0
_WORKERS = 2
# Answers that nobody fetched are forgotten beyond this many.
_REMEMBERED = 256
# No lossless codec makes more of less: an encoded object is at most a little larger, a decoded one seldom ten times as large, blank frames
# more. Small objects may, whatever the ratio.
_MOST_RATIO = 30
_SMALL_BYTES = 256 << 20
# How much is made between two looks at the disk: far less than the half reserve that is kept free beside what reception needs.
_MEASURED_BYTES = 16 << 20


class NoRoomForDerivedError(ApplianceError):
    """The disk has no room that reception could spare."""

    fault = Fault.OPERATOR
    advice = "Free space on the box: what is held or kept longest is the first to look at."


class DeriveOutcome(StrEnum):
    """What became of a request."""

    DERIVED = "derived"
    AS_IT_IS = "as it is"
    """Nothing was made, and nothing need be: the object can go as it was received, for the reason that is said."""
    REFUSED = "refused"
    """A header operation cannot be done to this object."""
    FAILED = "failed"
    """This time: the disk, or an end."""
    WORKING = "working"
    MISSING = "missing"
    DAMAGED = "damaged"
    FOREIGN = "foreign"


class Derivations:
    """The derivations of one process that has the private keys. Threads may share it."""

    def __init__(
        self, spool: Spool, workbench: Workbench, *, has_room: Callable[[int], bool] = lambda _: True, patience_s: float = _PATIENCE_S
    ) -> None:
        """Derive from `spool`, on `workbench`; `has_room` says whether so many more bytes may be derived now."""
        self._spool = spool
        self._has_room = has_room
        self._workbench = workbench
        self._patience_s = patience_s
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="derivation")
        self._lock = threading.Lock()
        self._known: OrderedDict[DeriveRequest, Future[DeriveReply]] = OrderedDict()

    def answer(self, request: DeriveRequest) -> DeriveReply:
        """Return what became of it, or that it is still being made."""
        with self._lock:
            work = self._known.get(request)
            if work is None or self._is_gone(request, work):
                work = self._known[request] = self._workers.submit(self._make, request)
                while len(self._known) > _REMEMBERED and next(iter(self._known.values())).done():
                    self._known.popitem(last=False)
        try:
            return work.result(self._patience_s)
        except NotYetError:
            return DeriveReply(DeriveOutcome.WORKING.value)
        finally:
            # Also what raised: who asks again is not to get the same fault for ever.
            if work.done():
                with self._lock:
                    self._known.pop(request, None)

    def close(self) -> None:
        """End what is being made."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._workbench.close()

    def _is_gone(self, request: DeriveRequest, work: Future[DeriveReply]) -> bool:
        """Say whether what was made, and fetched by nobody, has been cleared away since."""
        if not work.done() or work.cancelled() or work.exception() is not None:
            return False
        name = SpoolName.parse(work.result().spool_name)
        return name is not None and not self._spool.has_derived(request.place, name)

    def _make(self, request: DeriveRequest) -> DeriveReply:
        name = SpoolName.parse(request.spool_name)
        if name is None:
            return DeriveReply(DeriveOutcome.MISSING.value)
        place: DerivedPlace | None = None
        try:
            place = self._spool.derived(request.place)
            return self._found(name, request, place) or self._derived(name, request, place)
        except SpoolObjectMissingError:
            return DeriveReply(DeriveOutcome.MISSING.value)
        except SealForeignError:
            return DeriveReply(DeriveOutcome.FOREIGN.value)
        except (SealDamagedError, SealFormatError, ObjectHeaderError):
            return DeriveReply(DeriveOutcome.DAMAGED.value)
        except NoRoomForDerivedError as error:
            log.warning("derivation.no_room", object_id=name.object_id)
            return DeriveReply(DeriveOutcome.FAILED.value, reason=str(error))
        except (OSError, ApplianceError) as error:
            log.warning("derivation.failed", object_id=name.object_id, error=type(error).__name__)
            return DeriveReply(DeriveOutcome.FAILED.value, reason="the spool cannot take what is made of it now")
        finally:
            if place is not None:
                place.close()

    def _found(self, name: SpoolName, request: DeriveRequest, place: DerivedPlace) -> DeriveReply | None:
        """Return what was derived before, if it is there and opens; what does not open is removed."""
        found = place.find(name.object_id)
        if found is None:
            return None
        try:
            with self._spool.open_derived((request.place,), found) as sealed:
                return DeriveReply(DeriveOutcome.DERIVED.value, str(found), str(sealed.header.transfer_syntax_uid))
        except (SealDamagedError, SealFormatError, SealForeignError, ObjectHeaderError):
            # It says nothing about its original, of which it is made anew.
            self._spool.remove_derived((request.place,), found)
            return None

    def _derived(self, name: SpoolName, request: DeriveRequest, place: DerivedPlace) -> DeriveReply:
        """Derive, and where the pixels cannot be transcoded do at least what was asked for the header."""
        self._check_room(name.length)
        reply = self._try(name, request.transcode, request.steps, place)
        if reply.outcome != DeriveOutcome.AS_IT_IS or not request.transcode or not request.steps:
            return reply
        headers = self._try(name, "", request.steps, place)
        return replace(headers, reason=headers.reason or reply.reason)

    def _check_room(self, more_bytes: int) -> None:
        if not self._has_room(more_bytes):
            raise NoRoomForDerivedError("the disk is nearly full, and what is left is for images that arrive")

    def _measured(self, write: Callable[[bytes], object]) -> Callable[[bytes], None]:
        """Return `write`, which asks from time to time whether there is still room. Raises `NoRoomForDerivedError`."""
        since = 0

        def measured(data: bytes) -> None:
            nonlocal since
            since += len(data)
            if since >= _MEASURED_BYTES:
                since = 0
                self._check_room(0)
            write(data)

        return measured

    def _try(self, name: SpoolName, transcode: str, steps: Sequence[tuple[str, str, str]], place: DerivedPlace) -> DeriveReply:
        with self._spool.open(name) as sealed:
            header = sealed.header
            syntax = derived_syntax(header.transfer_syntax_uid, transcode)
            job = {"syntax": header.transfer_syntax_uid, "transcode": transcode, "steps": steps, "received_at": header.received_at}
            most = max(_SMALL_BYTES, _MOST_RATIO * name.length)
            with self._spool.admit(replace(header, transfer_syntax_uid=syntax), place) as target:
                try:
                    ended = self._workbench.rewrite(job, sealed.read, self._measured(target.write), most_bytes=most)
                except ChildFailedError as error:
                    ended = {"outcome": "failed", "reason": str(error)}
                if ended["outcome"] == "done":
                    return DeriveReply(DeriveOutcome.DERIVED.value, str(target.commit()), str(syntax))
        reason = ended.get("reason", "")
        if ended["outcome"] == "failed":
            log.error("derivation.codec_failed", object_id=name.object_id, reason=reason)
        outcome = DeriveOutcome.AS_IT_IS if transcode else DeriveOutcome.REFUSED
        return DeriveReply(outcome.value, reason=reason)
