"""The bounded attribute reader under everything: it never raises, and how data is cut never changes what it finds."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.identity import Uid
from appliance.dimse.prefix import ElementWalk
from tests.unit.dimse.building import BIG_ENDIAN, BOTH, DEFLATED, EXPLICIT, IMPLICIT, UNDEFINED, data_set, element

_SYNTAXES = st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, Uid("1.2.3")])
_VRS = st.sampled_from(["UI", "OB", "SQ", "UN", "LO", "zz", "QQ"])
_TAGS = st.sampled_from([0x00080016, 0x00080018, 0x00020010, 0x00091001, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010])
_LENGTHS = st.sampled_from([None, 0, 1, 3, 0xFFFE, UNDEFINED])
_BLOCKS = st.lists(
    st.builds(
        lambda tag, value, vr, syntax, length: element(
            tag,
            value,
            vr=vr,
            syntax=syntax,
            length=length if vr in {"OB", "SQ", "UN"} or syntax == IMPLICIT or tag >> 16 == 0xFFFE else None,
        ),
        _TAGS,
        st.binary(max_size=12),
        _VRS,
        st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]),
        _LENGTHS,
    ),
    max_size=12,
).map(b"".join)


@given(data=st.one_of(st.binary(max_size=400), _BLOCKS), syntax=_SYNTAXES, seed=st.integers(0, 1000))
@settings(max_examples=300, deadline=None)
def test_cutting_changes_nothing(data: bytes, syntax: Uid, seed: int) -> None:
    """Whatever the bytes, feeding them whole or in pieces ends in the same state with the same values."""
    whole = ElementWalk(syntax, BOTH, max_bytes=256, max_value=16, max_depth=3)
    pieces = ElementWalk(syntax, BOTH, max_bytes=256, max_value=16, max_depth=3)

    whole.feed(data)
    cutter = random.Random(seed)
    at = 0
    while at < len(data):
        size = cutter.randint(1, 20)
        pieces.feed(data[at : at + size])
        at += size

    assert (pieces.state, pieces.values, pieces.problem) == (whole.state, whole.values, whole.problem)
    assert all(len(value) <= 16 for value in whole.values.values())


@given(data=st.binary(max_size=200), syntax=_SYNTAXES, at=st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_damage_never_raises(data: bytes, syntax: Uid, at: int) -> None:
    """A good data set with bytes replaced anywhere is read or refused, without an exception."""
    good = data_set(syntax=syntax if syntax != "1.2.3" else EXPLICIT)
    walk = ElementWalk(syntax, BOTH)

    walk.feed(good[:at] + data + good[at + len(data) :])

    assert walk.state in {"reading", "complete", "failed", "exhausted"}
