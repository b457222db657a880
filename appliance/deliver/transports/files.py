"""Deliveries as files: one Part 10 file an instance, streamed from the sealed object to wherever the destination keeps files.

Promises: a file has its name only when it is whole: the last piece of an object leaves the spool only when the object is known to be whole,
and the name is given after it. Sending again replaces the file by an equal one. At most a megabyte of an object is in memory, whatever its
size. What SOP class and transfer syntax it is does not matter to a file.
Failures: none of a destination or an object leave `send`; they are its outcome.
Limits: a try that is cut off may leave a file whose name begins with a dot and ends with `.part`; that delivery's next try replaces it.
Standard: PS3.10 7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from appliance.config.layout import LayoutTemplate
from appliance.deliver.file_verdicts import STORED, FileTroubleError
from appliance.deliver.layout import path_of, values_of, wanted_tags
from appliance.deliver.own_faults import SPOOL_ERRORS, judge_missing, judge_spool
from appliance.deliver.task import Task
from appliance.deliver.transport import Context, Outcome
from appliance.deliver.verdict import Verdict
from appliance.dimse.prefix import ElementWalk
from appliance.spool.names import SpoolName
from appliance.spool.part10 import encode_copy_header
from appliance.spool.store import SealedObject

# Two chunks of the seal, and four requests of SFTP.
_PIECE_BYTES = 128 * 1024
# What the router reads at most to find the same attributes.
_HEAD_BYTES = 1 << 20

OpenObject = Callable[[SpoolName], SealedObject]


class Draft(Protocol):
    """A file under a temporary name."""

    def write(self, data: bytes) -> None:
        """Add to it. Raises `FileTroubleError`."""

    def finish(self) -> None:
        """Return when everything written is kept under the file's own name. Raises `FileTroubleError`."""

    def discard(self) -> None:
        """Remove it, as far as that is possible. Never raises."""


class Place(Protocol):
    """A destination's folder, open."""

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as can be known cheaply."""

    def draft(self, path: tuple[str, ...], temporary: str) -> Draft:
        """Return a new file that will be at `path` and is beside it as `temporary` until then. Raises `FileTroubleError`."""

    def close(self) -> None:
        """Give it back; a second call does nothing. Never raises."""


class FileChannel:
    """An open way to a destination that takes files."""

    def __init__(self, place: Place, layout: LayoutTemplate, open_object: OpenObject) -> None:
        """Own `place`."""
        self._place = place
        self._layout = layout
        self._open_object = open_object
        self._tags = wanted_tags(layout)

    @property
    def is_open(self) -> bool:
        """Whether the place can still be used."""
        return self._place.is_open

    @property
    def answers(self) -> Mapping[Context, int]:
        """Nothing: nobody asks a file what it is."""
        return MappingProxyType({})

    def proposed(self, context: Context) -> bool:  # noqa: ARG002 (as above)
        """Say that every context may go."""
        return True

    def refusal(self, context: Context) -> Verdict | None:  # noqa: ARG002 (as above)
        """Return that no context is refused."""
        return None

    def send(self, task: Task) -> Outcome:
        """Write the object as a file and return how it ended."""
        name = SpoolName.parse(task.claim.spool_name)
        if name is None:
            return Outcome(judge_missing())
        try:
            with self._open_object(name) as sealed:
                return Outcome(self._put(task, name, sealed))
        except SPOOL_ERRORS as error:
            # The place's own errors come as FileTroubleError: an OSError is the spool's disk's.
            return Outcome(judge_spool(error))

    def release(self) -> None:
        """Close."""
        self._place.close()

    def abort(self) -> None:
        """Close."""
        self._place.close()

    def _put(self, task: Task, name: SpoolName, sealed: SealedObject) -> Verdict:
        claim = task.claim
        header = encode_copy_header(claim.sop_class_uid, claim.sop_instance_uid, claim.transfer_syntax_uid, claim.calling_title)
        pieces, elements = self._head(task, sealed)
        path = path_of(self._layout, values_of(claim.sop_instance_uid, claim.calling_title, elements))
        try:
            draft = self._place.draft(path, f".{name.object_id}-{claim.delivery_id}.part")
        except FileTroubleError as error:
            return error.verdict
        is_kept = False
        try:
            for piece in (header, *pieces):
                draft.write(piece)
            pieces.clear()
            while piece := sealed.read(_PIECE_BYTES):
                draft.write(piece)
            draft.finish()
            is_kept = True
        except FileTroubleError as error:
            return error.verdict
        finally:
            if not is_kept:
                draft.discard()
        return STORED

    def _head(self, task: Task, sealed: SealedObject) -> tuple[list[bytes], Mapping[int, bytes]]:
        """Return the beginning of the data set, as far as it was read to find the elements that the layout needs, and these."""
        walk = ElementWalk(task.claim.transfer_syntax_uid, self._tags, max_bytes=_HEAD_BYTES, stop_after=max(self._tags, default=None))
        pieces: list[bytes] = []
        left = _HEAD_BYTES
        while walk.state == "reading" and left > 0 and (piece := sealed.read(min(left, _PIECE_BYTES))):
            walk.feed(piece)
            pieces.append(piece)
            left -= len(piece)
        return pieces, walk.values
