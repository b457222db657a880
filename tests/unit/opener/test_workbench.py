"""The children of opener: one that crashes, hangs, lies or explodes costs its own job, and the next job goes on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.dimse.lossless import JPEG_LS_LOSSLESS
from appliance.opener.workbench import ChildFailedError, Workbench
from tests.unit.opener.images import EXPLICIT, RECEIVED_AT, an_image, grey, rewritten, written

_JOB = {"syntax": EXPLICIT, "transcode": "jpeg-ls", "steps": [], "received_at": RECEIVED_AT}
_MOST = 1 << 20
# A child whose codec does this with an image of an odd number of rows, and works for others.
_EVIL = """
import ctypes, os, time
from appliance.opener import child, pixels
honest = pixels.encode_buffer
def encode(source, rows, *arguments):
    if rows % 2:
        {deed}
    return honest(source, rows, *arguments)
pixels.encode_buffer = encode
child.main()
"""
# A child that is none: it says that it is locked in, and then this without end.
_ENDLESS = """
import os
from appliance.opener.frames import frame
os.write(1, frame(b"R", b'{{"network": true, "system_calls": true}}'))
while True:
    os.write(1, {deed})
"""
# One that ends its first job at once, with these words.
_SAYING = """
import os, time
from appliance.opener.frames import frame
os.write(1, frame(b"R", b'{{"network": true, "system_calls": true}}') + frame(b"E", {deed}))
time.sleep(60)
"""

Started = Callable[..., Workbench]


@pytest.fixture
def start() -> Iterator[Started]:
    """Give a function that makes a workbench, of an evil script where one is given; all are closed in the end."""
    made: list[Workbench] = []

    def make(script: str = "", deed: str = "", progress_s: float = 30.0) -> Workbench:
        command = (sys.executable, "-c", script.format(deed=deed)) if script else ()
        made.append(Workbench(command, progress_s=progress_s))
        return made[-1]

    yield make
    for workbench in made:
        workbench.close()


def _run(workbench: Workbench, data: bytes, *, most: int = _MOST) -> tuple[dict[str, str], bytes]:
    source, pieces = io.BytesIO(data), list[bytes]()
    ended = workbench.rewrite(_JOB, source.read, pieces.append, most_bytes=most)
    return ended, b"".join(pieces)


def _image(rows: int = 32) -> bytes:
    return written(an_image(grey(bits=12, rows=rows), BitsStored=12))


def test_a_child_does_what_would_be_done_here(start: Started) -> None:
    """What comes back is what the same code makes in this process, job after job from one child."""
    workbench = start()
    data = _image()

    results = [_run(workbench, data) for _ in range(3)]

    assert [({"outcome": "done", "syntax": JPEG_LS_LOSSLESS}, rewritten(data, transcode="jpeg-ls")[0])] * 3 == results
    assert 1 == len(workbench._idle)


def test_a_job_that_cannot_be_done_does_not_cost_the_child(start: Started) -> None:
    """A refusal comes with its reason before the object was read to its end, and the child serves the next job."""
    workbench = start()
    palette = written(an_image(grey(bits=12, frames=200), BitsStored=12, PhotometricInterpretation="PALETTE COLOR"))

    (refused, _), (done, _) = _run(workbench, palette), _run(workbench, _image())

    assert ("unsuitable", "done") == (refused["outcome"], done["outcome"])
    assert "photometric" in refused["reason"]
    assert 1 == len(workbench._idle)


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os._exit(3)", "code 3"),
        ("os.write(1, b'x' * 100)", "out of turn"),
        ("os.write(1, b'D\\xff\\xff\\xff\\xff')", "out of turn"),
        ("os.write(1, b'E\\0\\0\\0\\x02[]')", "out of turn"),
    ],
)
def test_a_codec_that_crashes_costs_one_job(start: Started, deed: str, words: str) -> None:
    """A segmentation fault, an exit and lies end the job that provoked them; the one before and the one after are done."""
    workbench = start(_EVIL, deed)

    before, _ = _run(workbench, _image())
    with pytest.raises(ChildFailedError, match=words):
        _run(workbench, _image(rows=33))
    after, _ = _run(workbench, _image())

    assert ("done", "done") == (before["outcome"], after["outcome"])


def test_a_codec_that_raises_what_nobody_expects_fails_in_one_word(start: Started) -> None:
    """An exception says its type and none of its words, which may hold data; its child is not used again."""
    workbench = start(_EVIL, "raise KeyError('SECRET')")

    ended, _ = _run(workbench, _image(rows=33))

    assert {"outcome": "failed", "reason": "the codec failed (KeyError)"} == ended
    assert [] == workbench._idle


def test_a_codec_that_hangs_is_ended(start: Started) -> None:
    """When no byte moves for the progress deadline the child is killed."""
    workbench = start(_EVIL, "time.sleep(600)", progress_s=3.0)

    with pytest.raises(ChildFailedError, match="progress"):
        _run(workbench, _image(rows=33))
    ended, _ = _run(workbench, _image())

    assert "done" == ended["outcome"]


def test_a_codec_that_wants_all_memory_fails(start: Started) -> None:
    """Memory ends at the child's limit, not at the machine's."""
    ended, _ = _run(start(_EVIL, "bytearray(4 << 30)"), _image(rows=33))

    assert "failed" == ended["outcome"]


def test_a_result_without_end_is_cut_off(start: Started) -> None:
    """What grows beyond what a result can be is stopped, however willing the child is."""
    with pytest.raises(ChildFailedError, match="grew"):
        _run(start(_ENDLESS, "frame(b'D', bytes(1000))"), _image())


def test_a_child_that_is_not_locked_in_gets_no_result_through(start: Started) -> None:
    """A child that does not say how it is locked in is not believed."""
    with pytest.raises(ChildFailedError, match="out of turn"):
        _run(start("import os; os.write(1, b'E\\0\\0\\0\\x02{{}}'); os.read(0, 1 << 20)"), _image())


def test_the_fault_of_a_source_passes_through(start: Started) -> None:
    """What reading the object raises is raised here, and the child is gone."""
    workbench = start()

    def broken(_size: int) -> bytes:
        raise OSError(5, "disk")

    with pytest.raises(OSError, match="disk"):
        workbench.rewrite(_JOB, broken, lambda _: None, most_bytes=_MOST)

    assert [] == workbench._idle


def test_a_child_gets_no_environment_and_no_descriptors(start: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our variables nor our open files reach a child."""
    monkeypatch.setenv("DICOM_EDGE_DIGEST_FD", "7")
    with (tmp_path / "open").open("wb") as file:
        workbench = start()
        _run(workbench, _image())
        (child,) = workbench._idle
        pid = child._process.pid
        fds = sorted(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) if _may_look(pid) else [0, 1, 2]

    assert file.closed
    assert [0, 1, 2] == fds


def _may_look(pid: int) -> bool:
    # A process that cannot be dumped belongs to root in /proc, and only root may look.
    try:
        list(Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return False
    return True


def test_closing_leaves_no_child(start: Started) -> None:
    """When the workbench is closed its children are gone."""
    workbench = start()
    _run(workbench, _image())
    (child,) = workbench._idle

    workbench.close()

    assert child._process.returncode is not None


@pytest.mark.parametrize("reason", ["M\u00fcller", "x" * 121, "two\nlines", "\x1b[2J"])
def test_a_reason_that_none_of_ours_would_be_is_not_repeated(start: Started, reason: str) -> None:
    """What a child gives as its reason is logged and stored: what is long, or more than printable ASCII, is left out."""
    workbench = start(_SAYING, repr(json.dumps({"outcome": "unsuitable", "reason": reason}).encode()))

    ended, _ = _run(workbench, b"")

    assert {"outcome": "unsuitable", "reason": "its reason cannot be shown"} == ended


def test_an_outcome_that_does_not_exist_costs_the_child(start: Started) -> None:
    """A child that ends a job with a word that is none of ours spoke out of turn."""
    workbench = start(_SAYING, repr(json.dumps({"outcome": "patient"}).encode()))

    with pytest.raises(ChildFailedError, match="out of turn"):
        _run(workbench, b"")
