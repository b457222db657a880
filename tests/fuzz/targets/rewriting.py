"""`opener/rewriting`: a data set with another header, other pixels, both or neither, or a documented refusal; cutting changes nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator

from appliance.core.errors import ApplianceError
from appliance.dimse.conversion import EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConversionError
from appliance.opener.elements import ElementsBrokenError
from appliance.opener.headers import HeadersRefusedError, Step
from appliance.opener.pixels import PixelsUnsuitableError
from appliance.opener.rewriting import Job, Rewriting
from tests.fuzz.target import Bound, Script, Target
from tests.fuzz.targets.data_sets import TOKENS, plain

_SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
_STEPS = (Step("prefix-patient-id", "KH-", "KH"), Step("set-institution-name", "Süd"))
_DOCUMENTED = (ElementsBrokenError, ConversionError, HeadersRefusedError, PixelsUnsuitableError)


def _rewritten(content: bytes, job: Job, most: int) -> tuple[bytes, ApplianceError | None]:
    """Return what comes out before the end or the refusal, and the refusal."""
    file, out = io.BytesIO(content), bytearray()
    try:
        for piece in Rewriting(lambda size: file.read(min(size, most)), job).pieces():
            out += piece
    except _DOCUMENTED as error:
        return bytes(out), error
    return bytes(out), None


def _run(data: bytes) -> None:
    script = Script(data)
    choices, most = script.byte(), script.byte() + 1
    syntax = _SYNTAXES[choices & 1]
    job = Job(syntax, "jpeg-ls" if choices & 2 else "", _STEPS if choices & 4 else (), 0.0)
    content = script.rest()

    whole, refused = _rewritten(content, job, 1 << 20)
    cut, cut_refused = _rewritten(content, job, most)

    assert (type(refused), str(refused)) == (type(cut_refused), str(cut_refused)), "it depends on how the data set is cut"
    if refused is None:
        assert whole == cut
        if syntax == EXPLICIT_LITTLE and choices & 6 == 0:
            assert whole == content, "nothing was asked for, and something changed"


def _seeds() -> Iterator[bytes]:
    for choices in range(8):
        yield bytes([choices, 40]) + plain(_SYNTAXES[choices & 1])
    pixels = b"\xe0\x7f\x10\x00OB\x00\x00\x10\x00\x00\x00" + bytes(range(16))
    yield (
        bytes([2, 9])
        + b"\x28\x00\x02\x00US\x02\x00\x01\x00\x28\x00\x04\x00CS\x0c\x00MONOCHROME2 "
        + b"".join(
            b"\x28\x00" + element + b"US\x02\x00" + bytes([value, 0])
            for element, value in (
                (b"\x10\x00", 4),
                (b"\x11\x00", 4),
                (b"\x00\x01", 8),
                (b"\x01\x01", 8),
                (b"\x02\x01", 7),
                (b"\x03\x01", 0),
            )
        )
        + pixels
    )


REWRITING = Target("rewriting", _run, _seeds, TOKENS, steps=Bound(8_000, 320), memory=Bound(1 << 20, 128), longest=2048)
