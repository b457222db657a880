"""`spool/part10` and `spool/names`: a stored object's header and name, or their own word that they are none of ours."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from appliance.core.identity import Uid
from appliance.spool.names import SpoolName
from appliance.spool.part10 import MAX_HEADER_BYTES, ObjectHeader, ObjectHeaderError, encode_header, read_header
from tests.fuzz.target import Bound, Script, Target, record
from tests.unit.spool.builders import OBJECT_ID, a_header

# An input without the 132 bytes that never change.
_PREAMBLE = bytes(128) + b"DICM"
_TAIL = b"the data set"
# (0002,0102) OB.
_INFORMATION = b"\x02\0\x02\x01OB\0\0"


_FIELDS = {
    "v": b"1",
    "id": b'"x"',
    "at": b"0",
    "peer": b'"p"',
    "calling": b'"c"',
    "called": b'"d"',
    "kind": b'"instance"',
    "command": b'""',
}


def _with_values(rest: bytes) -> bytes:
    """Return a header whose private information has the values that records give, by the number of the field."""
    values = {**_FIELDS, **{list(_FIELDS)[number % len(_FIELDS)]: value for number, value in Script(rest).records()}}
    return _with_information(b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in values.items()) + b"}")


def _with_information(information: bytes) -> bytes:
    """Return a header with this private information, its lengths right."""
    whole = encode_header(a_header(reception_id=OBJECT_ID))
    before = whole[len(_PREAMBLE) + 12 : whole.rindex(_INFORMATION)]
    group = before + _INFORMATION + struct.pack("<L", len(information)) + information
    return whole[: len(_PREAMBLE) + 8] + struct.pack("<L", len(group)) + group


# Everything, everything but the preamble, the private information alone, or its values.
_KINDS: tuple[Callable[[bytes], bytes], ...] = (bytes, lambda rest: _PREAMBLE + rest, _with_information, _with_values)


def _run_header(data: bytes) -> None:
    script = Script(data)
    kind, most = script.byte(), script.byte() + 16
    source = io.BytesIO(_KINDS[kind % len(_KINDS)](script.rest()) + _TAIL)
    try:
        header = read_header(lambda size: source.read(min(size, most)))
    except ObjectHeaderError:
        return
    assert source.tell() <= MAX_HEADER_BYTES
    # Whatever could be read is what it says it is; what may be written is narrower.
    for text in (header.calling_title, header.called_title, header.peer_address, header.reception_id):
        assert isinstance(text, str)
    assert isinstance(header.received_at, float)
    assert isinstance(header.command, bytes)
    assert header.kind in {"instance", "message"}
    try:
        again = encode_header(header)
    except ObjectHeaderError:
        return
    assert _same(read_header(io.BytesIO(again).read), header)


def _same(one: ObjectHeader, other: ObjectHeader) -> bool:
    """Compare what is kept; a command is kept of messages only."""
    return one == (other if other.kind == "message" else replace(other, command=b""))


def _headers() -> Iterator[bytes]:
    plain = a_header(reception_id=OBJECT_ID)
    message = replace(plain, kind="message", command=b"\0\1\2", sop_instance_uid=Uid(""))
    for number, header in enumerate((plain, message, replace(plain, peer_address="fe80::1%eth0"))):
        whole = encode_header(header)
        yield bytes([1, 40 * number]) + whole[len(_PREAMBLE) :]
        yield bytes([2, 255]) + whole[whole.rindex(_INFORMATION) + len(_INFORMATION) + 4 :]
    yield bytes([0, 255]) + encode_header(plain)
    yield bytes([3, 255]) + record(2, b"1.5") + record(6, b'"message"') + record(7, b'"AAEC"')


def _run_name(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    name = SpoolName.parse(text)
    if name is None:
        return
    assert str(name) == text
    assert SpoolName.parse(str(name)) == name
    assert all(part not in {"", ".", ".."} for part in name.store_directory().split("/"))
    assert name.generation >= 1
    assert name.length >= 0


def _names() -> Iterator[bytes]:
    for kind in "im":
        yield f"{OBJECT_ID}-g1-{'ab' * 16}-1234.{kind}.age".encode()
    yield f"{OBJECT_ID}-g999999999-{'00' * 16}-0.i.age".encode()


_WORDS = (
    b'"at":', b'"v":1', b"1e999", b"NaN", b"-1", b"null", b"[" * 64, b'{"a":' * 16, b'"kind":"message"', b'"command":""', b"9" * 400,
    _INFORMATION, b"\\ud800", b"\xff",
)  # fmt: skip
HEADER = Target("object-header", _run_header, _headers, _WORDS, steps=Bound(2_000, 30), longest=8192)
NAME = Target(
    "spool-name", _run_name, _names, (b"-g", b".age", b"\n", b"\0", b"/../", "٣".encode(), b"f" * 12), steps=Bound(200, 4), longest=256
)
