"""The clear header of a sealed object: a DICOM file's preamble and group 0002, with where the object came from in a private element.

Promises: `read_header` of what `encode_header` wrote gives the same header and takes not a byte of the data set; any DICOM reader
understands the result, because what is ours stands in the element that the standard keeps for it. Pure.
Failures: `ObjectHeaderError` (ours): values that no header can hold, bytes that are not a header of ours, a newer version.
Limits: at most 64 KiB; elements of group 0002 that are not ours are skipped, not kept.
Standard: PS3.10 7.1 (file meta information); the private information is versioned, see docs/formats.md.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from appliance.core.errors import ApplianceError
from appliance.core.identity import AE_TITLE_LENGTH, Uid, uid_fault

# UIDs derived from UUIDs (PS3.5 B.2), made once and never changed: who wrote the file, and who says what its private information means.
IMPLEMENTATION_CLASS_UID = Uid("2.25.318230876889457152264882366519844927691")
PRIVATE_CREATOR_UID = Uid("2.25.201222300302869955652749371941375670159")
IMPLEMENTATION_VERSION = "DICOM_EDGE_0"
PRIVATE_VERSION = 1

MAX_HEADER_BYTES = 64 * 1024

ObjectKind = Literal["instance", "message"]

# What a calendar can say, to the end of the year 9999: the ledger and every clock take such a moment. NaN lies in no range.
_FIRST_MOMENT, _LAST_MOMENT = 0.0, 253_402_300_799.999

_PREAMBLE = bytes(128)
_MAGIC = b"DICM"
_META_GROUP = 0x0002
_GROUP_LENGTH = 0x0000
_VERSION = 0x0001
_SOP_CLASS_UID = 0x0002
_SOP_INSTANCE_UID = 0x0003
_TRANSFER_SYNTAX_UID = 0x0010
_IMPLEMENTATION_CLASS_UID = 0x0012
_IMPLEMENTATION_VERSION = 0x0013
_SOURCE_TITLE = 0x0016
_SENDING_TITLE = 0x0017
_RECEIVING_TITLE = 0x0018
_PRIVATE_CREATOR = 0x0100
_PRIVATE_INFORMATION = 0x0102

# PS3.5 7.1.2: these have two reserved bytes and a length of four.
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_GROUP_LENGTH_ELEMENT = struct.Struct("<HH2sHL")


class ObjectHeaderError(ApplianceError):
    """The header of a stored object cannot be written or read."""


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """What is known when the first byte of an object arrives.

    `calling_title` and `called_title` as sent, without padding; `peer_address` as text; `reception_id` is the object id of the spool name,
    or empty for the spool to give one; `received_at` in seconds since the epoch. `command` holds a message's command set. `hops`: how many
    boxes of ours the object passed before this one.
    """

    sop_class_uid: Uid
    sop_instance_uid: Uid
    transfer_syntax_uid: Uid
    calling_title: str
    called_title: str
    peer_address: str
    reception_id: str
    received_at: float
    kind: ObjectKind = "instance"
    command: bytes = b""
    hops: int = 0


def encode_header(header: ObjectHeader) -> bytes:
    """Return preamble, magic and group 0002. Raises `ObjectHeaderError`, which repeats nothing that a peer sent."""
    elements = [
        _element(_VERSION, b"OB", b"\x00\x01"),
        _element(_SOP_CLASS_UID, b"UI", _uid(header.sop_class_uid, "SOP class UID", header.kind)),
        _element(_SOP_INSTANCE_UID, b"UI", _uid(header.sop_instance_uid, "SOP instance UID", header.kind)),
        _element(_TRANSFER_SYNTAX_UID, b"UI", _uid(header.transfer_syntax_uid, "transfer syntax UID", "instance")),
        _element(_IMPLEMENTATION_CLASS_UID, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
        _element(_IMPLEMENTATION_VERSION, b"SH", IMPLEMENTATION_VERSION.encode("ascii")),
        _element(_SOURCE_TITLE, b"AE", _title(header.calling_title, "calling")),
        _element(_SENDING_TITLE, b"AE", _title(header.calling_title, "calling")),
        _element(_RECEIVING_TITLE, b"AE", _title(header.called_title, "called")),
        _element(_PRIVATE_CREATOR, b"UI", PRIVATE_CREATOR_UID.encode("ascii")),
        _element(_PRIVATE_INFORMATION, b"OB", _encode_private(header)),
    ]
    group = b"".join(elements)
    encoded = _PREAMBLE + _MAGIC + _GROUP_LENGTH_ELEMENT.pack(_META_GROUP, _GROUP_LENGTH, b"UL", 4, len(group)) + group
    if len(encoded) > MAX_HEADER_BYTES:
        raise ObjectHeaderError("the header of an object would be longer than 64 KiB")
    return encoded


def encode_copy_header(sop_class_uid: Uid, sop_instance_uid: Uid, transfer_syntax_uid: Uid, calling_title: str) -> bytes:
    """Return preamble, magic and group 0002 of a copy that leaves the box: what every reader needs, and nothing about how it came here.

    Raises `ObjectHeaderError`.
    """
    elements = [
        _element(_VERSION, b"OB", b"\x00\x01"),
        _element(_SOP_CLASS_UID, b"UI", _uid(sop_class_uid, "SOP class UID", "instance")),
        _element(_SOP_INSTANCE_UID, b"UI", _uid(sop_instance_uid, "SOP instance UID", "instance")),
        _element(_TRANSFER_SYNTAX_UID, b"UI", _uid(transfer_syntax_uid, "transfer syntax UID", "instance")),
        _element(_IMPLEMENTATION_CLASS_UID, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
        _element(_IMPLEMENTATION_VERSION, b"SH", IMPLEMENTATION_VERSION.encode("ascii")),
        _element(_SOURCE_TITLE, b"AE", _title(calling_title, "calling")),
    ]
    group = b"".join(elements)
    return _PREAMBLE + _MAGIC + _GROUP_LENGTH_ELEMENT.pack(_META_GROUP, _GROUP_LENGTH, b"UL", 4, len(group)) + group


def read_header(read: Callable[[int], bytes]) -> ObjectHeader:
    """Return the header at the start of a sealed object's content, having read exactly to its end.

    `read` returns at most as many bytes as it is asked for, none at the end. Raises `ObjectHeaderError`, and what `read` raises.
    """
    opening = _exactly(read, len(_PREAMBLE) + len(_MAGIC) + _GROUP_LENGTH_ELEMENT.size)
    group, element, vr, size, length = _GROUP_LENGTH_ELEMENT.unpack(opening[-_GROUP_LENGTH_ELEMENT.size :])
    if not opening[len(_PREAMBLE) :].startswith(_MAGIC) or (group, element, vr, size) != (_META_GROUP, _GROUP_LENGTH, b"UL", 4):
        raise ObjectHeaderError("a stored object does not begin like a DICOM file of ours")
    if length > MAX_HEADER_BYTES - len(opening):
        raise ObjectHeaderError("the header of a stored object is longer than 64 KiB")
    values = dict(_elements(_exactly(read, length)))
    try:
        if values[_PRIVATE_CREATOR].rstrip(b"\0") != PRIVATE_CREATOR_UID.encode("ascii"):
            raise ObjectHeaderError("the private information of a stored object is not ours")
        return ObjectHeader(
            sop_class_uid=_read_uid(values[_SOP_CLASS_UID]),
            sop_instance_uid=_read_uid(values[_SOP_INSTANCE_UID]),
            transfer_syntax_uid=_read_uid(values[_TRANSFER_SYNTAX_UID]),
            **_decode_private(values[_PRIVATE_INFORMATION]),
        )
    except KeyError:
        raise ObjectHeaderError("the header of a stored object lacks an element") from None
    except UnicodeDecodeError:
        raise ObjectHeaderError("the header of a stored object holds characters outside ASCII") from None


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if vr in {b"AE", b"SH"} else b"\0"
    length = struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", _META_GROUP, number) + vr + length + value


def _elements(group: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield element number and value of everything in group 0002; a length that points outside ends with `ObjectHeaderError`."""
    at = 0
    try:
        while at < len(group):
            number, element, vr = struct.unpack_from("<HH2s", group, at)
            length, start = struct.unpack_from("<L", group, at + 8)[0], at + 12
            if vr not in _LONG:
                length, start = struct.unpack_from("<H", group, at + 6)[0], at + 8
            at = start + length
            if number != _META_GROUP or at > len(group):
                raise ObjectHeaderError("the header of a stored object is damaged")
            yield element, group[start:at]
    except struct.error:
        raise ObjectHeaderError("the header of a stored object is damaged") from None


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Return `size` bytes, asking as often as it takes."""
    parts = []
    while size:
        part = read(size)
        if not part:
            raise ObjectHeaderError("a stored object ends inside its header")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _uid(uid: Uid, name: str, kind: ObjectKind) -> bytes:
    # A message need not name an instance: N-CREATE may leave it to us (PS3.7 10.1.5.1.4).
    fault = None if kind == "message" and not uid else uid_fault(uid)
    if fault is not None:
        raise ObjectHeaderError(f"the {name} of an object cannot be stored: {fault}")
    return uid.encode("ascii")


def _read_uid(value: bytes) -> Uid:
    return Uid(value.rstrip(b"\0 ").decode("ascii"))


def _title(title: str, name: str) -> bytes:
    if len(title) > AE_TITLE_LENGTH or not title.isascii() or not title.isprintable():
        raise ObjectHeaderError(f"the {name} title of an object cannot be stored")
    return title.encode("ascii")


def _encode_private(header: ObjectHeader) -> bytes:
    if not _FIRST_MOMENT <= header.received_at <= _LAST_MOMENT:
        raise ObjectHeaderError("the moment of an object's reception cannot be stored")
    information: dict[str, Any] = {
        "v": PRIVATE_VERSION,
        "id": header.reception_id,
        "at": header.received_at,
        "peer": header.peer_address,
        "calling": header.calling_title,
        "called": header.called_title,
    }
    if header.kind == "message":
        information |= {"kind": "message", "command": base64.b64encode(header.command).decode("ascii")}
    if header.hops:
        information["hops"] = header.hops
    # OB is padded with a NUL, which JSON does not know: `_decode_private` takes it off again.
    return json.dumps(information, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _decode_private(value: bytes) -> dict[str, Any]:
    """Return the fields of `ObjectHeader` that the private information holds. Raises `ObjectHeaderError`."""
    try:
        information = json.loads(value.rstrip(b"\0").decode("utf-8"))
        if information["v"] != PRIVATE_VERSION:
            raise ObjectHeaderError("a stored object was written by another version of this program", advice="Install the newer version.")
        fields: dict[str, Any] = {
            "calling_title": information["calling"],
            "called_title": information["called"],
            "peer_address": information["peer"],
            "reception_id": information["id"],
            "received_at": float(information["at"]),
            "kind": information.get("kind", "instance"),
            "command": base64.b64decode(information.get("command", ""), validate=True),
            "hops": information.get("hops", 0),
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ObjectHeaderError("the private information of a stored object is damaged") from None
    texts = (fields["calling_title"], fields["called_title"], fields["peer_address"], fields["reception_id"], fields["kind"])
    is_whole = all(isinstance(text, str) for text in texts) and fields["kind"] in {"instance", "message"}
    is_whole = is_whole and isinstance(fields["hops"], int) and fields["hops"] >= 0
    if not is_whole or not _FIRST_MOMENT <= fields["received_at"] <= _LAST_MOMENT:
        raise ObjectHeaderError("the private information of a stored object is damaged")
    return fields
