"""Previews: a small picture of one frame of a sealed object, made in a sandboxed child.

Promises: what a child gets is authenticated; what it gives back is a PNG of the size that was asked for, or is thrown away. Pixels are
nowhere but in memory, and there only while the picture is made. An object that crashes, stalls or bloats its child costs that child and
this picture.
Failures: none; where there is no picture, the reply says why in plain words.
Limits: two at a time (the workbench's), beside what is transcoded; who waits longer than a few seconds is told to try again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from appliance.core.errors import ApplianceError
from appliance.opener.workbench import ChildFailedError, Workbench
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.runtime.page_requests import PreviewReply, PreviewRequest
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

_SMALLEST_EDGE, _LARGEST_EDGE = 16, 512
_MOST_FRAMES = 1_000_000
# Nobody looks at an empty place for longer; a mammogram takes a second, and so do 300 MB of frames before the wanted one.
_WHOLE_S = 20.0
# A codec of which nothing comes for this long hangs: a mammogram in JPEG 2000 takes the most that one honestly thinks, on old machines too.
PROGRESS_S = 20.0
WAIT_S = 5.0
# Four bytes a pixel cannot become more than that by Pillow's compression, the chunks' heads included.
_HEAD_BYTES = 64 * 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


class PreviewTooSlowError(ApplianceError):
    """The picture took longer than anybody waits for it."""


class Previews:
    """Pictures of the objects of one spool, whose private keys this process has. Threads may share it."""

    def __init__(self, spool: Spool, workbench: Workbench, clock: Clock) -> None:
        """Read from `spool`; have pictures made on `workbench`, which nobody else uses."""
        self._spool = spool
        self._workbench = workbench
        self._clock = clock

    def answer(self, request: PreviewRequest) -> PreviewReply:
        """Return the picture, or why there is none."""
        name = SpoolName.parse(request.object.spool_name)
        if name is None or name.kind != "i":
            return _none("this is not an image")
        try:
            return self._picture(name, request)
        except (OSError, ApplianceError) as error:
            problem = _problem(error)
            log.warning("preview.failed", object_id=name.object_id, problem=problem)
            return _none(problem)

    def close(self) -> None:
        """End what is being made."""
        self._workbench.close()

    def _picture(self, name: SpoolName, request: PreviewRequest) -> PreviewReply:
        edge = min(max(_SMALLEST_EDGE, request.edge), _LARGEST_EDGE)
        pieces: list[bytes] = []
        with self._spool.open(name) as sealed:
            if sealed.header.sop_instance_uid != request.object.sop_instance_uid:
                raise SealDamagedError("the object is another instance than the ledger says")
            job = {"syntax": sealed.header.transfer_syntax_uid, "frame": min(max(1, request.frame), _MOST_FRAMES), "edge": edge}
            source = self._hurried(sealed.read)
            ended = self._workbench.rewrite(job, source, pieces.append, most_bytes=4 * edge * edge + _HEAD_BYTES)
        if ended["outcome"] != "done":
            return _none(f"no picture of this object: {ended.get('reason', 'it has none')}")
        png, frames = b"".join(pieces), ended.get("frames", "")
        if not _is_png(png, edge) or not frames.isdecimal() or len(frames) > len(str(_MOST_FRAMES)):
            raise ChildFailedError("what was made is not a picture")
        return PreviewReply(base64.b64encode(png).decode("ascii"), int(frames))

    def _hurried(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Return `read`, which raises `PreviewTooSlowError` when it is asked for more after the time is up."""
        due = self._clock.now().after(_WHOLE_S)

        def hurried(size: int) -> bytes:
            if due.is_due(self._clock.now()):
                raise PreviewTooSlowError("it takes too long")
            return read(size)

        return hurried


def _none(problem: str) -> PreviewReply:
    return PreviewReply("", 0, problem)


def _problem(error: Exception) -> str:
    """Return in plain words why there is no picture."""
    match error:
        case SpoolObjectMissingError():
            return "the box does not keep this image any more"
        case SealForeignError():
            return "the key that opens this image is not in this box"
        case SealDamagedError() | SealFormatError() | ObjectHeaderError():
            return "this image is damaged on the disk of the box"
        case OSError():
            return "the disk of the box does not give this image"
        case _:
            return f"no picture could be made: {error}"


def _is_png(data: bytes, edge: int) -> bool:
    """Say whether this begins like a picture of at most this size: foreign code made it, and a browser is to show it."""
    at = len(_SIGNATURE)
    sides = data[at : at + 4], data[at + 4 : at + 8]
    return data.startswith(_SIGNATURE) and all(0 < int.from_bytes(side, "big") <= edge for side in sides)
