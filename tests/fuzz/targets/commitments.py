"""`dimse/commitment`: what an archive says it keeps and has lost, or the reader's own word that it says nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.core.identity import Uid, uid_fault
from appliance.dimse.commitment import CommitmentReportInvalidError, Reference, encode_request, read_report
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from tests.fuzz.target import Bound, Target

_SYNTAXES = (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN)
_LARGEST_REASON = 0xFFFF


def _run(data: bytes) -> None:
    syntax = _SYNTAXES[data[0] % len(_SYNTAXES)] if data else IMPLICIT_LITTLE_ENDIAN
    try:
        report = read_report(data[1:], syntax)
    except CommitmentReportInvalidError:
        return
    failed = [uid for uid, _ in report.failed]
    named = [*report.committed, *failed]
    assert not any(map(uid_fault, (report.transaction_uid, *named)))
    assert len(named) == len(set(named))
    assert all(0 <= reason <= _LARGEST_REASON for _, reason in report.failed)


def _seeds() -> Iterator[bytes]:
    both = (Reference("1.2.840.10008.5.1.4.1.1.2", "1.2.3"), Reference("1.2.840.10008.5.1.4.1.1.4", "1.2.4"))
    for number, syntax in enumerate(_SYNTAXES):
        yield bytes([number]) + encode_request("1.2.9", both, syntax) + _failed(b"1.2.4\0", syntax)


def _failed(uid: bytes, syntax: Uid) -> bytes:
    """Return a Failed SOP Sequence of undefined length, with one item of undefined length."""
    implicit = syntax == IMPLICIT_LITTLE_ENDIAN
    head = struct.pack("<HHL", 0x0008, 0x1198, 0xFFFFFFFF) if implicit else struct.pack("<HH2sHL", 0x0008, 0x1198, b"SQ", 0, 0xFFFFFFFF)
    reason = struct.pack("<HHLH", 0x0008, 0x1197, 2, 0x0112) if implicit else struct.pack("<HH2sHH", 0x0008, 0x1197, b"US", 2, 0x0112)
    instance = (
        struct.pack("<HH", 0x0008, 0x1155) + (struct.pack("<L", len(uid)) if implicit else struct.pack("<2sH", b"UI", len(uid))) + uid
    )
    return head + _ITEM_BEGINS + instance + reason + _ITEM_ENDS + _SEQUENCE_ENDS


_ITEM_BEGINS = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_ENDS = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
_SEQUENCE_ENDS = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_WORDS = (
    _ITEM_BEGINS, _ITEM_ENDS, _SEQUENCE_ENDS, b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff", b"\x08\0\x95\x11", b"\x08\0\x98\x11",
    b"\x08\0\x99\x11", b"\x08\0\x55\x11", b"\x08\0\x97\x11", b"UI", b"SQ", b"US", b"UN", b"OB\0\0", b"1.2.3\0", b"1.2.4 ",
)  # fmt: skip
REPORT = Target("commitment-report", _run, _seeds, _WORDS, steps=Bound(2_000, 60))
