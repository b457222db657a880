"""Previews: a picture of every transfer syntax that is shown, from a locked-in child; what is hostile costs one child, and says so."""

from __future__ import annotations

import base64
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from appliance.core.identity import Uid
from appliance.opener.preview import Previews
from appliance.opener.workbench import Workbench
from appliance.runtime.clock import SystemClock
from appliance.runtime.page_requests import PreviewReply, PreviewRequest
from appliance.runtime.requests import ObjectRow
from appliance.spool.names import SpoolName
from appliance.spool.sealed import SealedObject
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.support import samples
from tests.unit.opener.images import EXPLICIT, an_image, grey, written
from tests.unit.opener.pictures import JPEG, LOSSLESS, LOSSY, as_jpeg, in_syntax, looked_at, ramp, with_frames
from tests.unit.spool.builders import OTHER_PRIVATE, a_header, a_spool, files_under

_VIDEO = Uid("1.2.840.10008.1.2.4.102")
# A child whose shading does this with an image of an odd number of rows, and works for others.
_EVIL = """
import ctypes, os, time
from appliance.opener import child, rendering
honest = rendering.grey
def grey(values, *rest):
    if values.shape[0] % 2:
        {deed}
    return honest(values, *rest)
rendering.grey = grey
child.main()
"""

Make = Callable[..., Previews]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make a spool that can receive and open."""
    return a_spool(tmp_path / "data")


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    """Give honest children, which the tests of this file share."""
    made = Workbench()
    yield made
    made.close()


@pytest.fixture
def evil(spool: Spool) -> Iterator[Make]:
    """Give a function that makes previews whose children do something with odd images; all are closed in the end."""
    made: list[Previews] = []

    def make(deed: str, **patience: float) -> Previews:
        workbench = Workbench((sys.executable, "-c", _EVIL.format(deed=deed)), **patience)
        made.append(Previews(spool, workbench, SystemClock()))
        return made[-1]

    yield make
    for previews in made:
        previews.close()


def _stored(spool: Spool, data: bytes, syntax: Uid = EXPLICIT) -> ObjectRow:
    with spool.admit(replace(a_header(sop_instance_uid="1.2.3.4"), transfer_syntax_uid=syntax)) as admission:
        admission.write(data)
        return ObjectRow("1.2.3.4", 1, str(admission.commit()))


def _previewed(spool: Spool, workbench: Workbench, data: bytes, syntax: Uid = EXPLICIT, *, frame: int = 1, edge: int = 64) -> PreviewReply:
    previews = Previews(spool, workbench, SystemClock())
    return previews.answer(PreviewRequest(_stored(spool, data, syntax), frame, edge))


def _pixels(reply: PreviewReply) -> Any:
    assert "" == reply.problem
    return looked_at(base64.b64decode(reply.png))


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_every_lossless_syntax_gives_the_same_picture(spool: Spool, workbench: Workbench, syntax: Uid) -> None:
    """An image comes out as the same small picture, whichever lossless transfer syntax it was received in."""
    reply = _previewed(spool, workbench, in_syntax(ramp(), syntax), syntax)

    assert np.array_equal(ramp()[0], _pixels(reply))
    assert 1 == reply.frames


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_syntax_with_loss_gives_nearly_the_same_picture(spool: Spool, workbench: Workbench, syntax: Uid) -> None:
    """Baseline and extended JPEG, JPEG-LS and JPEG 2000 with loss are shown as what they are made of, as near as they keep it."""
    reply = _previewed(spool, workbench, in_syntax(ramp(), syntax), syntax)

    assert np.abs(_pixels(reply).astype(int) - ramp()[0].astype(int)).max() <= 12


def test_a_picture_is_small_and_keeps_its_shape(spool: Spool, workbench: Workbench) -> None:
    """The longer side is as long as asked, never more than 512; what is smaller stays as small as it is."""
    wide = written(an_image(ramp(300, 1200)))

    shapes = [_pixels(_previewed(spool, workbench, wide, edge=edge)).shape for edge in (100, 99_999, 0)]
    small = _pixels(_previewed(spool, workbench, written(an_image(ramp(8, 12))), edge=256)).shape

    assert [(25, 100), (128, 512), (4, 16)] == shapes
    assert (8, 12) == small


@pytest.mark.parametrize(("asked", "shown"), [(1, 1), (2, 2), (3, 3), (99, 3), (0, 1), (-5, 1)])
@pytest.mark.parametrize("syntax", [EXPLICIT, LOSSLESS[4]])
def test_the_frame_that_was_asked_for_is_shown(spool: Spool, workbench: Workbench, syntax: Uid, asked: int, shown: int) -> None:
    """Frames are counted from one; what lies beyond either end is the frame at that end, and the number of frames is said."""
    frames = np.concatenate([np.roll(ramp(), 10 * number, axis=2) for number in range(3)])

    reply = _previewed(spool, workbench, in_syntax(frames, syntax), syntax, frame=asked)

    assert np.array_equal(frames[shown - 1], _pixels(reply))
    assert 3 == reply.frames


def test_the_first_frame_costs_no_more_than_itself(spool: Spool, workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long object only the beginning is opened: the rest of it is neither decrypted nor sent to the child."""
    row = _stored(spool, written(an_image(np.zeros((40, 512, 1024), "u1"))))
    given: list[int] = []
    honest = SealedObject.read

    def counted(sealed: Any, size: int) -> bytes:
        piece = honest(sealed, size)
        given.append(len(piece))
        return piece

    monkeypatch.setattr("appliance.spool.sealed.SealedObject.read", counted)

    reply = Previews(spool, workbench, SystemClock()).answer(PreviewRequest(row, 1, 64))

    assert 40 == reply.frames
    assert sum(given) < 8 << 20


def test_a_camera_s_jpeg_needs_nothing_that_is_not_loaded(spool: Spool, workbench: Workbench) -> None:
    """A JPEG with the elements of a photograph is shown too, although what reads them could not be loaded any more."""
    exif = Image.Exif()
    exif[0x011A], exif[0x0128] = 300.0, 2
    colours = np.dstack([ramp()[0]] * 3)[np.newaxis]
    image = an_image(colours, PhotometricInterpretation="YBR_FULL_422")
    data = with_frames(image, [as_jpeg(colours[0], exif=exif.tobytes())])

    reply = _previewed(spool, workbench, data, JPEG)

    assert np.abs(_pixels(reply).astype(int) - colours[0].astype(int)).max() <= 12


@pytest.mark.parametrize(
    ("made", "syntax", "words"),
    [
        (samples.structured_report, EXPLICIT, "not an image"),
        (samples.encapsulated_pdf, EXPLICIT, "not an image"),
        (lambda: written(an_image(ramp())), _VIDEO, "video"),
        (lambda: written(an_image(ramp(), PhotometricInterpretation="HSV")), EXPLICIT, "photometric"),
        (lambda: written(an_image(ramp(), BitsAllocated=1)), EXPLICIT, "bit depth"),
        (lambda: written(an_image(ramp(), Rows=9999)), EXPLICIT, "not as long"),
        (lambda: written(an_image(ramp())), LOSSLESS[4], "announces"),
        (lambda: with_frames(an_image(ramp()), [b"\xff\xd8 no jpeg"]), JPEG, "cannot decode"),
        (lambda: with_frames(an_image(ramp()), [as_jpeg(ramp(80)[0])]), JPEG, "another image"),
    ],
)
def test_what_has_no_picture_says_why(spool: Spool, workbench: Workbench, made: Callable[[], Any], syntax: Uid, words: str) -> None:
    """Reports, documents, videos and what is not what it announces have no picture, and the reason is said in plain words."""
    content = made()
    if not isinstance(content, bytes):
        content = content._content[content._content.index(b"\x08\x00\x05\x00CS") :]

    reply = _previewed(spool, workbench, content, syntax)

    assert ("", 0) == (reply.png, reply.frames)
    assert words in reply.problem


def test_a_bomb_is_not_blown_up(spool: Spool, workbench: Workbench) -> None:
    """A deflated object that unfolds to a thousand times its size, and an image that claims gigabytes, are no picture and no danger."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = written(an_image(ramp()))
    endless = head[: head.index(b"\xe0\x7f\x10\x00")] + struct.pack("<HH2sHL", 0x0029, 0x0010, b"OB", 0, 0x7FFFFFF0)
    deflated = packer.compress(endless + bytes(64 << 20)) + packer.flush()
    huge = written(an_image(ramp(), Rows=60_000, Columns=60_000))

    replies = [_previewed(spool, workbench, deflated, LOSSLESS[3]), _previewed(spool, workbench, huge)]

    assert all(reply.problem for reply in replies)


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os._exit(3)", "ended"),
        ("bytearray(4 << 30)", "the codec failed"),
        ("raise KeyError('SECRET')", r"KeyError\)"),
        ("return b'GIF89a' + bytes(100)", "not a picture"),
        ("return b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR' + (99999).to_bytes(4, 'big') * 2", "not a picture"),
        ("return bytes(8 << 20)", "grew"),
    ],
)
def test_what_a_codec_does_costs_one_picture(spool: Spool, evil: Make, deed: str, words: str) -> None:
    """A crash, an exit, a lie and a flood end as a problem without a word of the data; the next picture is made."""
    previews = evil(deed)
    bad, good = _stored(spool, written(an_image(ramp(41)))), _stored(spool, written(an_image(ramp())))

    replies = [previews.answer(PreviewRequest(row, 1, 64)) for row in (bad, good)]

    assert ["", True] == [replies[0].png, bool(replies[1].png)]
    assert words.replace("\\", "") in replies[0].problem
    assert "SECRET" not in replies[0].problem


def test_a_codec_that_hangs_is_ended_and_those_behind_it_do_not_wait_for_ever(spool: Spool, evil: Make) -> None:
    """A child of which nothing comes is killed; who finds every place taken for too long is told so."""
    previews = evil("time.sleep(600)", progress_s=2.0, wait_s=0.05)
    bad, good = _stored(spool, written(an_image(ramp(41)))), _stored(spool, written(an_image(ramp())))
    previews._workbench._places.acquire()
    previews._workbench._places.acquire()

    crowded = previews.answer(PreviewRequest(good, 1, 64))
    previews._workbench._places.release(2)
    hanging = previews.answer(PreviewRequest(bad, 1, 64))

    assert "too many others" in crowded.problem
    assert "no progress" in hanging.problem


def test_a_picture_that_takes_too_long_is_given_up(spool: Spool, workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that is read for longer than anybody waits ends as a problem."""
    clock, row = FakeClock(), _stored(spool, written(an_image(np.zeros((40, 512, 1024), "u1"))))
    honest = SealedObject.read

    def slow(sealed: Any, size: int) -> bytes:
        clock.advance(1.0)
        return honest(sealed, size)

    monkeypatch.setattr("appliance.spool.sealed.SealedObject.read", slow)

    reply = Previews(spool, workbench, clock).answer(PreviewRequest(row, 40, 64))

    assert "takes too long" in reply.problem


def test_objects_that_cannot_be_opened_are_told_apart(spool: Spool, workbench: Workbench, tmp_path: Path) -> None:
    """What is gone, damaged, sealed by another box, another instance, or no object at all has no picture, each in words of its own."""
    previews, data = Previews(spool, workbench, SystemClock()), written(an_image(grey(bits=12), BitsStored=12))
    damaged, gone, whole = (_stored(spool, data) for _ in range(3))
    foreign = _stored(a_spool(tmp_path / "data", private=OTHER_PRIVATE), data)
    path = next(path for path in files_under(tmp_path / "data") if path.name == damaged.spool_name)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    spool.remove(_name(gone))
    rows = {
        "does not keep": gone,
        "damaged on the disk": damaged,
        "key that opens": foreign,
        "damaged": replace(whole, sop_instance_uid="1.2.3.9"),
        "not an image": replace(whole, spool_name="../../etc/passwd"),
    }

    problems = {words: previews.answer(PreviewRequest(row, 1, 64)).problem for words, row in rows.items()}

    assert all(words in problem for words, problem in problems.items()), problems


def test_no_pixel_is_written_down(spool: Spool, workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a picture leaves no file behind, neither in the data directory nor in the temporary one."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    row = _stored(spool, written(an_image(ramp())))
    before = files_under(tmp_path)

    reply = Previews(spool, workbench, SystemClock()).answer(PreviewRequest(row, 1, 64))

    assert reply.png
    assert before == files_under(tmp_path)


def _name(row: ObjectRow) -> SpoolName:
    name = SpoolName.parse(row.spool_name)
    assert name is not None
    return name
