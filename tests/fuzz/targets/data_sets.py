"""`dimse/prefix` and `route/attributes`: what the head of a data set says, however it is cut, within bounds."""

from __future__ import annotations

import contextlib
import io
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import fields

from appliance.core.identity import Uid, uid_fault
from appliance.dimse.prefix import ElementWalk
from appliance.route.attributes import VALUE_CHARACTERS, read_attributes
from tests.fuzz.target import Bound, Script, Target, pieces
from tests.unit.dimse.building import BIG_ENDIAN, BOTH, DEFLATED, EXPLICIT, IMPLICIT, UNDEFINED, data_set, deflated, element

# GE's private syntax is implicit, an unknown one is explicit.
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, Uid("1.2.840.113619.5.2"), Uid("1.2.3"))
_MOST_INFLATED = 1024
_LIMITS = (64, 256, 1024, 65536)

_TAGS = (
    0x00080005,
    0x00080016,
    0x00080018,
    0x00081140,
    0x00100010,
    0x00091001,
    0x0020000D,
    0x0020000E,
    0x7FE00010,
    0x00020010,
    0xFFFEE000,
    0xFFFEE00D,
    0xFFFEE0DD,
)
TOKENS = (
    *(struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) for tag in _TAGS for order in "<>"),
    *(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD) for length in (0, 8, UNDEFINED)),
    b"SQ\0\0\xff\xff\xff\xff", b"UN\0\0\xff\xff\xff\xff", b"OB\0\0\0\0\0\x01", b"UI\2\0", b"PN\x10\0", b"LO\0\0", b"\xff\xff\xff\xff",
    b"ISO_IR 192", b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"GB18030",
    b"\x1b$B", b"\x1b(J", b"\x1b$)C", b"\xe2\x80\xae", b"\xc3\x28", b"^=\\",
)  # fmt: skip


def _is_bomb(content: bytes) -> bool:
    """Say whether deflated content grows so much that its own length says nothing about the work it makes (`tests/unit` has bombs)."""
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), _MOST_INFLATED
    with contextlib.suppress(zlib.error):
        for piece in pieces(content, b"\x1f"):
            left -= len(inflater.decompress(piece, left + 1))
            if left < 0:
                return True
    return False


def _run_prefix(data: bytes) -> None:
    script = Script(data)
    syntax = SYNTAXES[script.byte() % len(SYNTAXES)]
    limit, depth = _LIMITS[script.byte() % len(_LIMITS)], script.byte() % 8
    cuts, content = script.take(3), script.rest()
    if syntax == DEFLATED and _is_bomb(content):
        return
    walks = [
        ElementWalk(syntax, BOTH, max_bytes=limit, max_value=16, max_depth=depth, stop_after=0x00200000 if depth & 1 else None)
        for _ in range(2)
    ]

    walks[0].feed(content)
    for piece in pieces(content, cuts):
        walks[1].feed(piece)

    whole, cut = ((walk.state, walk.values, walk.problem) for walk in walks)
    assert whole == cut, "it depends on how the data set is cut"
    assert bool(walks[0].problem) == (walks[0].state == "failed")
    assert walks[0].values.keys() <= BOTH
    assert all(len(value) <= 16 for value in walks[0].values.values())
    walks[1].feed(content)
    assert whole == (walks[1].state, walks[1].values, walks[1].problem) or whole[0] == "reading", "it reads on behind its end"


def _run_attributes(data: bytes) -> None:
    script = Script(data)
    syntax, most = SYNTAXES[script.byte() % len(SYNTAXES)], script.byte() + 1
    content = script.rest()
    if syntax == DEFLATED and _is_bomb(content):
        return
    source = io.BytesIO(content)

    found = read_attributes(lambda size: source.read(min(size, most)), syntax)

    for text in (getattr(found, field.name) for field in fields(found) if field.name != "acquired_at"):
        assert len(text) <= VALUE_CHARACTERS
        assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for character in text)
    assert all(uid == "" or uid_fault(uid) is None for uid in (found.study_instance_uid, found.series_instance_uid))
    # From 1900 to 2200, as `route.acquisition` says.
    assert found.acquired_at is None or -2.3e9 < found.acquired_at < 7.3e9


def nested(syntax: str, depth: int) -> bytes:
    """Return a sequence with `depth` items within each other, one after the other of defined and of undefined length."""
    inner = element(0x00081155, b"1.2\0", syntax=syntax)
    for level in range(depth):
        length = UNDEFINED if level % 2 else None
        end = element(0xFFFEE00D, b"", syntax=syntax) if level % 2 else b""
        item = element(0xFFFEE000, inner + end, syntax=syntax, length=length)
        end = element(0xFFFEE0DD, b"", syntax=syntax) if level % 2 else b""
        inner = element(0x00081140, item + end, vr="SQ", syntax=syntax, length=length)
    return inner


def plain(syntax: str) -> bytes:
    """Return a data set in `syntax`: identifiers, sequences, texts, numbers, a private element and pixels."""
    return (
        element(0x00080005, b"ISO_IR 192", vr="CS", syntax=syntax)
        + element(0x00080016, b"1.2\0", syntax=syntax)
        + nested(syntax, 3)
        + element(0x00091001, nested("1.2.840.10008.1.2", 1), vr="UN", syntax=syntax)
        + element(0x00100010, "Müller^Änne".encode(), vr="PN", syntax=syntax)
        + element(0x0020000D, b"1.2.3\0", syntax=syntax)
        + element(0x0020000E, b"1.2.4\0", syntax=syntax)
        + element(0x00280103, b"\0\1" if syntax == BIG_ENDIAN else b"\1\0", vr="US", syntax=syntax)
        + element(0x7FE00010, bytes(range(32)), vr="OW", syntax=syntax)
    )


def encoded(syntax: Uid) -> bytes:
    """Return that data set as `syntax` has it on the wire."""
    if syntax == DEFLATED:
        return deflated(plain(EXPLICIT))
    return plain({"1.2.840.113619.5.2": IMPLICIT, "1.2.3": EXPLICIT}.get(syntax, syntax))


def _prefixes() -> Iterator[bytes]:
    for number, syntax in enumerate(SYNTAXES):
        yield bytes([number, 3, 7, 2, 6, 0]) + data_set(syntax=syntax if number < 4 else EXPLICIT)
        yield bytes([number, 3, 6, 40, 0, 9]) + encoded(syntax)


def _heads() -> Iterator[bytes]:
    for number, syntax in enumerate(SYNTAXES):
        yield bytes([number, 255]) + encoded(syntax)
    # PS3.5 annex H.3: a Japanese name in three representations.
    yield (
        bytes([1, 200])
        + element(0x00080005, b"ISO 2022 IR 6\\ISO 2022 IR 87", vr="CS")
        + element(0x00100010, b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", vr="PN")
    )
    yield (
        bytes([1, 9]) + element(0x00080005, b"GB18030 ", vr="CS") + element(0x00100010, b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", vr="PN")
    )


PREFIX = Target("prefix", _run_prefix, _prefixes, TOKENS, steps=Bound(12_000, 80), longest=2048)
ATTRIBUTES = Target("attributes", _run_attributes, _heads, TOKENS, ("appliance", "pydicom"), steps=Bound(8_000, 80), longest=2048)
