"""`dimse/conversion`: a data set in another transfer syntax, sound and not much longer, or `ConversionError`; cutting changes nothing."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from appliance.core.identity import Uid
from appliance.dimse import vr as vrs
from appliance.dimse.conversion import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConversionError, ConvertedSource
from tests.fuzz.target import Bound, Script, Target
from tests.fuzz.targets.data_sets import TOKENS, plain

_PAIRS = (
    (IMPLICIT_LITTLE, EXPLICIT_LITTLE),
    (EXPLICIT_LITTLE, IMPLICIT_LITTLE),
    (EXPLICIT_BIG, IMPLICIT_LITTLE),
    (EXPLICIT_BIG, EXPLICIT_LITTLE),
)
_UNDEFINED = 0xFFFFFFFF


def _converted(content: bytes, pair: tuple[Uid, Uid], source_most: int, read_most: int) -> tuple[bytes, str]:
    """Return what is given, and the error that ended it."""
    file, out = io.BytesIO(content), bytearray()
    source = ConvertedSource(lambda size: file.read(min(size, source_most)), from_syntax=pair[0], to_syntax=pair[1])
    try:
        while piece := source.read(read_most):
            assert len(piece) <= read_most
            out += piece
    except ConversionError as error:
        try:
            assert not source.read(1), "it goes on after an error"
        except ConversionError:
            return bytes(out), str(error)
        raise AssertionError("an error looks like an end at the next call") from None
    return bytes(out), ""


def _run(data: bytes) -> None:
    script = Script(data)
    pair = _PAIRS[script.byte() % len(_PAIRS)]
    source_most, read_most = script.byte() + 1, script.byte() + 1
    content = script.rest()

    whole, problem = _converted(content, pair, 1 << 20, 1 << 20)
    cut, cut_problem = _converted(content, pair, source_most, read_most)

    assert problem == cut_problem, "it depends on how the data set is cut"
    # Worst is an empty sequence in implicit VR: 8 bytes become 12 and a delimiter of 8.
    assert max(len(whole), len(cut)) <= 3 * len(content) + 64
    if problem:
        assert whole == b"", "a large read gives something although the data set is broken"
        return
    assert whole == cut
    _check(whole, implicit=pair[1] == IMPLICIT_LITTLE)
    if pair[1] == EXPLICIT_LITTLE:
        _, problem = _converted(whole, (EXPLICIT_LITTLE, IMPLICIT_LITTLE), 1 << 20, 1 << 20)
        assert problem == "", "what came out is not well formed"


def _check(data: bytes, *, implicit: bool) -> None:
    """Walk through an output by itself: even lengths, nothing but sequences without a length, all of them closed."""
    at, open_tags = 0, [0]
    while at < len(data):
        group, element, length = struct.unpack_from("<HHL", data, at)
        tag = group << 16 | element
        at += 8
        if tag in {0xFFFEE00D, 0xFFFEE0DD}:
            assert length == 0
            assert open_tags.pop() == (0xFFFEE000 if tag == 0xFFFEE00D else 1), "a delimiter ends what is not open"
            continue
        vr = b""
        if group != 0xFFFE and not implicit:
            vr, length = data[at - 4 : at - 2], length >> 16
            if vr not in vrs.SHORT_LENGTH:
                length = struct.unpack_from("<L", data, at)[0]
                at += 4
        assert (tag == 0xFFFEE000) == (open_tags[-1] == 1), "items stand in sequences, and nothing else does"
        if length == _UNDEFINED:
            assert implicit or tag == 0xFFFEE000 or vr == vrs.SEQUENCE
            open_tags.append(tag if tag == 0xFFFEE000 else 1)
        else:
            assert length % 2 == 0, "an odd length"
            at += length
    assert at == len(data), "it ends inside a value"
    assert open_tags == [0], "something is not closed"


def _seeds() -> Iterator[bytes]:
    for number, (syntax, _) in enumerate(_PAIRS):
        yield bytes([number, 40, 90]) + plain(syntax)


CONVERSION = Target("conversion", _run, _seeds, TOKENS, steps=Bound(3_000, 160), memory=Bound(640 << 10, 64), longest=2048)
