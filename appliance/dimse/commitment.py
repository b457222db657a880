"""Storage commitment on the wire: the request's data set, and what a report says. Pure.

Promises: `read_report` looks at nothing outside the bytes it is given, keeps no more than they hold, and descends no deeper than a report
needs; what it does not know it skips.
Failures: `CommitmentReportInvalidError` (peer) for what is no report.
Limits: implicit and explicit VR little endian, as negotiated for this class. Where an archive keeps something (Retrieve AE Title, media) is
not read.
Standard: PS3.4 annex J; PS3.3 C.14.1; PS3.5 7.1 and 7.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid, uid_fault
from appliance.dimse.contexts import IMPLICIT_LITTLE_ENDIAN

# PS3.4 J.3: the class, and the one instance of it that everybody knows.
COMMITMENT_PUSH_MODEL: Final = Uid("1.2.840.10008.1.20.1")
COMMITMENT_INSTANCE: Final = Uid("1.2.840.10008.1.20.1.1")
# PS3.4 table J.3.2-1 and J.3.3-1.
REQUEST_COMMITMENT: Final = 1
ALL_COMMITTED: Final = 1
SOME_FAILED: Final = 2

# Five hundred references are 85 KiB; some archives say of each where it is kept. What is longer is no answer to a request of ours.
LARGEST_REPORT: Final = 256 * 1024

_SOP_CLASS = 0x00081150
_SOP_INSTANCE = 0x00081155
_TRANSACTION = 0x00081195
_FAILURE_REASON = 0x00081197
_FAILED = 0x00081198
_REFERENCED = 0x00081199

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
# A report has sequences in the data set, and nothing of interest in their items' own sequences.
_DEEPEST = 4
# PS3.5 7.1.2: these have two reserved bytes and a length of four.
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})

_Set: TypeAlias = "dict[int, bytes | list[_Set]]"


class CommitmentReportInvalidError(ApplianceError):
    """A peer sent a commitment report that cannot be read."""

    fault = Fault.PEER


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance as a request names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an archive says of one request: the instances that it commits itself to, and the reason for each of the others.

    An instance that is named in both is a failed one.
    """

    transaction_uid: str
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]


def encode_request(transaction_uid: str, references: Iterable[Reference], transfer_syntax: Uid) -> bytes:
    """Return the data set of an N-ACTION that asks for commitment to `references`."""
    implicit = transfer_syntax == IMPLICIT_LITTLE_ENDIAN
    items = b""
    for reference in references:
        item = _element(_SOP_CLASS, b"UI", _padded(reference.sop_class_uid), implicit=implicit)
        item += _element(_SOP_INSTANCE, b"UI", _padded(reference.sop_instance_uid), implicit=implicit)
        items += struct.pack("<HHL", _ITEM >> 16, _ITEM & 0xFFFF, len(item)) + item
    transaction = _element(_TRANSACTION, b"UI", _padded(transaction_uid), implicit=implicit)
    return transaction + _element(_REFERENCED, b"SQ", items, implicit=implicit)


def read_report(data_set: bytes, transfer_syntax: Uid) -> CommitmentReport:
    """Return what the data set of an N-EVENT-REPORT says. Raises `CommitmentReportInvalidError`."""
    if len(data_set) > LARGEST_REPORT:
        raise CommitmentReportInvalidError("a commitment report is longer than 256 KiB")
    try:
        elements, _ = _Walk(data_set, implicit=transfer_syntax == IMPLICIT_LITTLE_ENDIAN).set_at(0, len(data_set), 0)
    except struct.error as error:
        raise CommitmentReportInvalidError("a commitment report ends inside an element") from error
    transaction = _uid(elements, _TRANSACTION)
    if not transaction:
        raise CommitmentReportInvalidError("a commitment report without a Transaction UID")
    failed = {uid: _reason(item) for item in _items(elements, _FAILED) if (uid := _uid(item, _SOP_INSTANCE))}
    named = [uid for item in _items(elements, _REFERENCED) if (uid := _uid(item, _SOP_INSTANCE))]
    committed = tuple(uid for uid in dict.fromkeys(named) if uid not in failed)
    return CommitmentReport(transaction, committed, tuple(failed.items()))


class _Walk:
    """One data set, read element by element."""

    def __init__(self, data: bytes, *, implicit: bool) -> None:
        self._data = data
        self._implicit = implicit

    def set_at(self, at: int, end: int, depth: int, *, until_delimiter: bool = False) -> tuple[_Set, int]:
        """Return the elements from `at` to `end`, or to the delimiter of their item, and where it ends."""
        if depth > _DEEPEST:
            raise CommitmentReportInvalidError("a commitment report with sequences deeper than there are")
        found: _Set = {}
        while at < end:
            tag, vr, length, at = self._head(at)
            if until_delimiter and tag == _ITEM_END:
                return found, at
            if length == _UNDEFINED or vr == b"SQ" or (self._implicit and tag in {_FAILED, _REFERENCED}):
                items, at = self._sequence(at, None if length == _UNDEFINED else at + length, end, depth + 1)
                found.setdefault(tag, items)
                continue
            if at + length > end:
                raise CommitmentReportInvalidError("an element of a commitment report is longer than its data set")
            found.setdefault(tag, self._data[at : at + length])
            at += length
        if until_delimiter:
            raise CommitmentReportInvalidError("an item of a commitment report does not end")
        return found, at

    def _sequence(self, at: int, stop: int | None, end: int, depth: int) -> tuple[list[_Set], int]:
        if stop is not None and stop > end:
            raise CommitmentReportInvalidError("a sequence of a commitment report is longer than its data set")
        items: list[_Set] = []
        while at < (end if stop is None else stop):
            group, element, length = struct.unpack_from("<HHL", self._data, at)
            at += 8
            tag = group << 16 | element
            if tag == _SEQUENCE_END and stop is None:
                return items, at
            if tag != _ITEM:
                raise CommitmentReportInvalidError("a sequence of a commitment report holds something that is no item")
            inside = end if stop is None else stop
            is_open = length == _UNDEFINED
            if not is_open and at + length > inside:
                raise CommitmentReportInvalidError("an item of a commitment report is longer than its sequence")
            item, at = self.set_at(at, inside if is_open else at + length, depth, until_delimiter=is_open)
            items.append(item)
        if stop is None:
            raise CommitmentReportInvalidError("a sequence of a commitment report does not end")
        return items, at

    def _head(self, at: int) -> tuple[int, bytes, int, int]:
        """Return tag, VR (empty where it is not written), length, and where the value begins."""
        group, element, length = struct.unpack_from("<HHL", self._data, at)
        tag = group << 16 | element
        if self._implicit or group == _ITEM >> 16:
            return tag, b"", length, at + 8
        vr = self._data[at + 4 : at + 6]
        if vr in _LONG:
            return tag, vr, struct.unpack_from("<L", self._data, at + 8)[0], at + 12
        return tag, vr, struct.unpack_from("<H", self._data, at + 6)[0], at + 8


def _items(elements: Mapping[int, bytes | list[_Set]], tag: int) -> list[_Set]:
    found = elements.get(tag, [])
    return found if isinstance(found, list) else []


def _uid(elements: Mapping[int, bytes | list[_Set]], tag: int) -> str:
    """Return a UID, empty where there is none or it is not one."""
    value = elements.get(tag, b"")
    text = value.strip(b"\0 ").decode("latin-1") if isinstance(value, bytes) else ""
    return "" if uid_fault(text) else text


def _reason(elements: Mapping[int, bytes | list[_Set]]) -> int:
    """Return the failure reason; "processing failure" where an archive gives none, because that is asked again."""
    value = elements.get(_FAILURE_REASON, b"")
    return int.from_bytes(value, "little") if isinstance(value, bytes) and len(value) == struct.calcsize("<H") else 0x0110


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)


def _element(tag: int, vr: bytes, value: bytes, *, implicit: bool) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<L", len(value)) + value
    return head + vr + (struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))) + value
