"""The sandboxed child of opener: makes data sets or pictures of data sets that come through a pipe, and can do nothing else.

Promises: before the first byte of a stranger's data everything is loaded and the process is locked in (`sandbox`). It never had a key. A
job that fails says how in one word and a few of ours; nothing of the data is in them.
Failures: it ends with its pipes.
Limits: one job at a time; `workbench` starts another child after a few.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_LITTLE, ConversionError
from appliance.opener import sandbox
from appliance.opener.elements import ElementsBrokenError
from appliance.opener.frames import DATA, END, HEAD_BYTES, JOB, PIECE_BYTES, READY, FrameInvalidError, frame, read_head
from appliance.opener.headers import HeadersRefusedError, Step
from appliance.opener.picture import Picture, Wish
from appliance.opener.pixels import ALLOCATED, COLUMNS, ROWS, SAMPLES, STORED, Image, PixelsUnsuitableError, encode, shown
from appliance.opener.rendering import Tones, colour, grey
from appliance.opener.rewriting import Job, Rewriting

# Four times the largest frame, twice over, beside the interpreter and its libraries; a bomb ends here.
_LIMITS = sandbox.Limits(memory_bytes=1 << 30, cpu_s=3600)


class _Input:
    """The data set of the present job."""

    def __init__(self) -> None:
        self._left = b""
        self.is_over = True

    def job(self) -> bytes | None:
        """Return the next job, or None when there will be none."""
        head = _exactly(HEAD_BYTES)
        if head is None:
            return None
        kind, length = read_head(head)
        if kind != JOB:
            raise FrameInvalidError("a job was expected")
        self._left, self.is_over = b"", False
        return _exactly(length)

    def read(self, size: int) -> bytes:
        """Return some of the data set, b"" behind it."""
        while not self._left and not self.is_over:
            kind, length = read_head(_exactly(HEAD_BYTES) or b"")
            self._left = _exactly(length) or b""
            self.is_over = kind == END
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def drain(self) -> None:
        """Read the rest of it, for nobody."""
        while self.read(PIECE_BYTES):
            pass


def main() -> None:
    """Serve until the pipe ends."""
    _warm_up()
    walls = sandbox.enter(_LIMITS)
    _say(READY, {"network": walls.network, "system_calls": walls.system_calls})
    source = _Input()
    while (job := source.job()) is not None:
        # Said first: of what is left nothing is sent then.
        _say(END, _serve(source, json.loads(job)))
        source.drain()


def _serve(source: _Input, job: dict[str, object]) -> dict[str, str]:
    try:
        return _draw(source, job) if "edge" in job else _rewrite(source, job)
    except PixelsUnsuitableError as error:
        return {"outcome": "unsuitable", "reason": str(error)}
    except HeadersRefusedError as error:
        return {"outcome": "refused", "reason": str(error)}
    except (ElementsBrokenError, ConversionError):
        return {"outcome": "broken", "reason": "its data set is not what its transfer syntax announces"}
    except (FrameInvalidError, BrokenPipeError):
        raise
    except (Exception, MemoryError) as error:  # noqa: BLE001  # boundary: what a codec raises costs one transcode; its words may hold data
        return {"outcome": "failed", "reason": f"the codec failed ({type(error).__name__})"}


def _rewrite(source: _Input, job: dict[str, object]) -> dict[str, str]:
    rewriting = Rewriting(source.read, _read_job(job))
    for piece in rewriting.pieces():
        _give(piece)
    return {"outcome": "done", "syntax": rewriting.syntax}


def _draw(source: _Input, job: dict[str, object]) -> dict[str, str]:
    number, edge = job["frame"], job["edge"]
    if not isinstance(number, int) or not isinstance(edge, int):
        raise FrameInvalidError("a wish for a picture is not one")
    picture = Picture(source.read, Wish(Uid(str(job["syntax"])), number, edge))
    _give(picture.png())
    return {"outcome": "done", "frames": str(picture.frames)}


def _give(data: bytes) -> None:
    for at in range(0, len(data), PIECE_BYTES):
        _write(frame(DATA, data[at : at + PIECE_BYTES]))


def _read_job(job: dict[str, object]) -> Job:
    steps = job["steps"]
    received_at = job["received_at"]
    if not isinstance(steps, list) or not isinstance(received_at, int | float):
        raise FrameInvalidError("a job is not one")
    return Job(Uid(str(job["syntax"])), str(job["transcode"]), [Step(*map(str, step)) for step in steps], float(received_at))


def _warm_up() -> None:
    """Have everything loaded that a job loads: afterwards no file can be opened."""
    small = Image({ROWS: 64, COLUMNS: 64, ALLOCATED: 8, STORED: 8}, "MONOCHROME2")
    encode(small, bytes(small.frame_bytes), is_planar=False)
    colours = Image({SAMPLES: 3, ROWS: 64, COLUMNS: 64, ALLOCATED: 8, STORED: 8}, "RGB")
    samples = shown(colours, EXPLICIT_LITTLE, bytes(colours.frame_bytes))
    # Whatever Pillow has for files of other kinds is loaded with the first that it writes.
    colour(samples, 8, 16, is_ybr=True)
    grey(samples[:, :, 0], Tones(), 16)
    for codec in ("ascii", "latin_1", "utf_8", "gb18030", "gbk", *(f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15))):
        "".encode(codec)


def _say(kind: bytes, words: Mapping[str, object]) -> None:
    _write(frame(kind, json.dumps(words).encode()))


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _exactly(size: int) -> bytes | None:
    """Return `size` bytes, or None where the pipe ended before the first."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(0, min(size - len(parts), PIECE_BYTES))
        if not part:
            if parts:
                raise ApplianceError("the pipe ended inside a frame")
            return None
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    main()
