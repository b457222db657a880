"""C-STORE as SCP: one object from its command to its sealed, durable file, and the answer that is true of it.

Up to 64 KiB are held back until SOP class and instance UID were found in them; then everything streams into the spool. The bytes are not
changed, not decoded, not guessed at.

Promises: 0000 means durable in `incoming/` (P1). After any other answer, and after `abort`, nothing is left. What cannot be identified is
refused; whatever can is taken.
Failures: `StoreRefusedError` with the answers of semantics.md 1.1, column "As SCP"; an internal fault is the seam's 0110.
Limits: SOP class and instance UID must stand in the first 64 KiB (of inflated data where the syntax is deflated), in any order.
Standard: PS3.4 B.2, PS3.7 9.1.1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid, escaped, has_leading_zero, uid_fault
from appliance.dimse import statuses
from appliance.dimse.hops import hops_of
from appliance.dimse.prefix import ElementWalk
from appliance.dimse.stream import AcceptedContext, Answer, Data, StoreCommand, StoreRefusedError
from appliance.receive.admission import AssociationOrigin
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.admission import SpoolWriteError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader, ObjectHeaderError

log = get_logger(__name__)

# What is held back, and looked at, until both UIDs are found (house.md section 5).
HELD_BYTES = 1 << 16

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_WANTED = frozenset({_SOP_CLASS_UID, _SOP_INSTANCE_UID})
# Enough of a UID to see that it is too long.
_VALUE_BYTES = 128
_SHOWN_CHARACTERS = 80


class OpenObject(Protocol):
    """An object on its way into the spool: `spool.Admission`."""

    @property
    def object_id(self) -> str:
        """The id under which it will be known."""

    def write(self, data: Data) -> None:
        """Take the next bytes of the data set."""

    def commit(self) -> SpoolName:
        """Make it durable and visible."""

    def announce(self) -> None:
        """Tell whoever records it how it begins. Never raises."""

    def abandon(self) -> None:
        """Leave nothing behind."""


class ObjectTaker(Protocol):
    """Where objects go: `spool.Spool`."""

    def admit(self, header: ObjectHeader) -> OpenObject:
        """Begin an object."""

    def make_ready(self) -> None:
        """Prepare for the next one. Never raises."""


class Storage(Protocol):
    """What knows whether the disk takes objects: `StorageWatch`."""

    def may_accept(self) -> bool:
        """Say whether a new object may begin."""

    def stored(self, length: int) -> None:
        """Learn of a stored object."""

    def failed(self, error: ApplianceError) -> None:
        """Learn of a failed one."""


class StoreSink:
    """Takes the object of one C-STORE."""

    def __init__(
        self,
        spool: ObjectTaker,
        origin: AssociationOrigin,
        storage: Storage,
        clock: Clock,
        on_stored: Callable[[], None],
        *,
        largest_bytes: int | None = None,
    ) -> None:
        """Store into `spool` while `storage` has room; `on_stored` wakes whoever records objects.

        A data set of more than `largest_bytes` is refused as soon as it is that long.
        """
        self._spool = spool
        self._origin = origin
        self._storage = storage
        self._clock = clock
        self._on_stored = on_stored
        # Without a limit it is never reached.
        self._largest_bytes = sys.maxsize if largest_bytes is None else largest_bytes
        self._written = 0
        self._command = StoreCommand(0, "", "", 0)
        self._context = AcceptedContext(0, Uid(""), Uid(""))
        self._walk = ElementWalk(Uid(""), frozenset())
        self._held = bytearray()
        self._object: OpenObject | None = None
        self._stored: OpenObject | None = None

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Judge the command alone."""
        self._command, self._context = command, context
        self._walk = ElementWalk(context.transfer_syntax, _WANTED, max_bytes=HELD_BYTES, max_value=_VALUE_BYTES)
        if command.sop_class_uid != context.abstract_syntax:
            raise self._refusal(statuses.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "SOP class is not the one of the context")
        self._check_uid(command.sop_instance_uid)
        if not self._storage.may_accept():
            raise self._refusal(statuses.OUT_OF_RESOURCES, "no space")

    def write(self, data: Data) -> None:
        """Hold back, or stream on."""
        if self._object is not None:
            self._stream(self._object, data)
            return
        self._walk.feed(data)
        self._held += data
        if self._walk.state == "complete":
            self._admit()
        elif self._walk.state == "failed":
            raise self._refusal(statuses.CANNOT_UNDERSTAND, self._walk.problem)
        elif self._walk.state == "exhausted" or len(self._held) >= HELD_BYTES:
            raise self._refusal(statuses.CANNOT_UNDERSTAND, "no SOP class or instance UID in the first 64 KiB")

    def commit(self) -> Answer:
        """Make the object durable. Raises `StoreRefusedError`."""
        if self._object is None:
            problem = "no SOP class or instance UID in the data set" if self._held else "the data set is empty"
            raise self._refusal(statuses.CANNOT_UNDERSTAND, problem)
        admitted, self._object = self._object, None
        try:
            name = admitted.commit()
        except SpoolWriteError as error:
            raise self._no_storage(error) from error
        self._stored = admitted
        self._storage.stored(name.length)
        if has_leading_zero(self._command.sop_instance_uid):
            # Archives that hold to the letter will refuse it: say which source makes such UIDs (hostile-inputs.md row 37).
            log.info("instance.uid_irregular", object_id=name.object_id, source=self._origin.source_name, problem="leading zeros")
        log.debug("instance.stored", object_id=name.object_id, source=self._origin.source_name, length=name.length)
        return Answer(statuses.SUCCESS)

    def answered(self) -> None:
        """Wake whoever records objects, and get ready for the next one while the peer does."""
        if self._stored is not None:
            self._stored.announce()
        self._on_stored()
        self._spool.make_ready()

    def abort(self) -> None:
        """Leave nothing behind."""
        admitted, self._object = self._object, None
        self._held.clear()
        if admitted is not None:
            admitted.abandon()

    def _admit(self) -> None:
        """Compare command and data set, and begin the object with what was held back."""
        sop_class, sop_instance = (_text(self._walk.values[tag]) for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID))
        if not sop_class or not sop_instance or "\\" in sop_class + sop_instance:
            raise self._refusal(statuses.CANNOT_UNDERSTAND, "SOP class or instance UID is empty or has several values")
        self._check_uid(sop_instance)
        if sop_class != self._command.sop_class_uid or sop_instance != self._command.sop_instance_uid:
            raise self._refusal(statuses.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "command and data set disagree on SOP class or instance")
        header = ObjectHeader(
            sop_class_uid=Uid(sop_class),
            sop_instance_uid=Uid(sop_instance),
            transfer_syntax_uid=self._context.transfer_syntax,
            calling_title=self._origin.calling.text,
            called_title=self._origin.called.text,
            peer_address=self._origin.address,
            reception_id="",
            received_at=self._clock.now().wall,
            hops=hops_of(self._command.message_id) if self._origin.is_box else 0,
        )
        try:
            self._object = self._spool.admit(header)
        except ObjectHeaderError:
            raise
        except ApplianceError as error:
            # The disk, or a key that is gone: nothing can be sealed, so nothing is taken.
            raise self._no_storage(error) from error
        self._stream(self._object, bytes(self._held))
        self._held.clear()

    def _stream(self, admitted: OpenObject, data: Data) -> None:
        self._written += len(data)
        if self._written > self._largest_bytes:
            raise StoreRefusedError(self._refusal(statuses.OUT_OF_RESOURCES, "larger than admission.largest_object").answer, at_once=True)
        try:
            admitted.write(data)
        except SpoolWriteError as error:
            raise self._no_storage(error) from error

    def _check_uid(self, uid: str) -> None:
        fault = uid_fault(uid)
        if fault is not None:
            raise self._refusal(statuses.INVALID_SOP_INSTANCE, f"SOP instance UID: {fault}")

    def _no_storage(self, error: ApplianceError) -> StoreRefusedError:
        self._storage.failed(error)
        return self._refusal(statuses.OUT_OF_RESOURCES, "the object could not be stored")

    def _refusal(self, status: int, problem: str) -> StoreRefusedError:
        log.warning(
            "instance.refused",
            status=f"{status:04X}",
            problem=problem,
            source=self._origin.source_name,
            peer=self._origin.address,
            transfer_syntax=self._context.transfer_syntax,
            sop_class_uid=escaped(self._command.sop_class_uid[:_SHOWN_CHARACTERS]),
            sop_instance_uid=escaped(self._command.sop_instance_uid[:_SHOWN_CHARACTERS]),
        )
        return StoreRefusedError(Answer(status, problem))


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0 ").decode("latin-1")
