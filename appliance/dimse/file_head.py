"""The beginning of a DICOM file that is in memory: what it says it is, and what of its data set is there.

Promises: nothing but the header is taken apart, and no length in it leads out of what is there.
Failures: `FileNotDicomError` (operator).
Limits: files without the Part 10 header (bare data sets) are not taken; what stands behind the head is not known.
Standard: PS3.10 7.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid, uid_fault
from appliance.dimse.prefix import ElementWalk

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_META_GROUP = 0x0002
_TRANSFER_SYNTAX_UID = 0x0010
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
# The VRs of PS3.10 7.1 that have a 32-bit length.
_LONG_LENGTH = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ"})


class HeadNotDicomError(ApplianceError):
    """What is there is not the beginning of a DICOM file."""

    fault = Fault.OPERATOR
    advice = "Choose a file in the DICOM file format, such as those on a patient CD; a DICOMDIR is none."


@dataclass(frozen=True, slots=True)
class FileHead:
    """What the beginning of a file says; `data_set` is as much of its data set as is there."""

    sop_class_uid: Uid
    sop_instance_uid: Uid
    transfer_syntax_uid: Uid
    data_set: bytes = field(repr=False)


def read_head(head: bytes) -> FileHead:
    """Return what the beginning of a file says. Raises `HeadNotDicomError`."""
    if head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_MAGIC)] != _MAGIC:
        raise HeadNotDicomError("this is not a DICOM file")
    syntax, start = _meta(head)
    walk = ElementWalk(syntax, frozenset({_SOP_CLASS_UID, _SOP_INSTANCE_UID}))
    data_set = head[start:]
    walk.feed(data_set)
    sop_class, sop_instance = (_uid(walk.values.get(tag, b"")) for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID))
    if uid_fault(sop_class) is not None or uid_fault(sop_instance) is not None:
        raise HeadNotDicomError("this file has no usable SOP class or instance UID")
    return FileHead(sop_class, sop_instance, syntax, data_set)


def _meta(head: bytes) -> tuple[Uid, int]:
    """Return the transfer syntax and where the data set begins: group 0002 element by element, whatever its own length says."""
    at, syntax = _PREAMBLE_BYTES + len(_MAGIC), Uid("")
    while at + 8 <= len(head):
        group, element, vr, length = struct.unpack_from("<HH2sH", head, at)
        if group != _META_GROUP:
            break
        begin = at + 8
        if vr in _LONG_LENGTH:
            if at + 12 > len(head):
                break
            begin, length = at + 12, struct.unpack_from("<L", head, at + 8)[0]
        if element == _TRANSFER_SYNTAX_UID:
            syntax = _uid(head[begin : begin + length])
        at = begin + length
    if uid_fault(syntax) is not None:
        raise HeadNotDicomError("this file does not name its transfer syntax")
    if at >= len(head):
        raise HeadNotDicomError("this file ends inside its header")
    return syntax, at


def _uid(raw: bytes) -> Uid:
    return Uid(raw.rstrip(b"\0 ").decode("latin-1"))
