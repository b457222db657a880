"""What the head of a data set says about its patient, study and series, as text that is safe to keep and to show.

Promises: `read_attributes` reads at most `HEAD_BYTES`, and stops in front of the pixel data. Whatever the bytes are, it returns
`Attributes` whose values have at most `VALUE_CHARACTERS` characters and no control, bidirectional or surrogate character; what is absent or
unreadable is "" (a moment: None). Study and series UIDs are well-formed or "".
Failures: only what `read` raises (a damaged seal, an I/O error); a data set that makes no sense is not a failure.
Limits: attributes behind the first `HEAD_BYTES`, or behind the series UID in a data set whose tags are out of order, count as absent.
Standard: PS3.5 6.1 (character sets) and 7.1 (data elements), PS3.3 C.12.1.1.2 (Specific Character Set).
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo

from pydicom.charset import decode_bytes, python_encoding

from appliance.core.identity import Uid, uid_fault
from appliance.dimse.prefix import ElementWalk
from appliance.ledger.instances import Attributes
from appliance.route.acquisition import SAYING_WHEN, acquired_at

# Private blocks and icons in front of group 0020 are kilobytes in practice; a megabyte is a few percent of a large object.
HEAD_BYTES = 1 << 20
# What a page or a list shows of one value (hostile-inputs.md row 49).
VALUE_CHARACTERS = 64
# The wanted attributes of an image stand in its first few kilobytes; every further chunk of the seal would be opened for nothing.
_READ_BYTES = 1 << 13

_SPECIFIC_CHARACTER_SET = 0x00080005
_STUDY_INSTANCE_UID = 0x0020000D
_SERIES_INSTANCE_UID = 0x0020000E
_TEXTS: Mapping[str, int] = {
    "study_date": 0x00080020,
    "accession_number": 0x00080050,
    "modality": 0x00080060,
    "station_name": 0x00081010,
    "study_description": 0x00081030,
    "patient_name": 0x00100010,
    "patient_id": 0x00100020,
    "birth_date": 0x00100030,
    "body_part": 0x00180015,
}
_WANTED = frozenset({_SPECIFIC_CHARACTER_SET, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, *_TEXTS.values(), *SAYING_WHEN})

# PS3.5 6.1.2.5.3: code extensions end at the component and value delimiters ^ = \ and at the end of a line.
_DELIMITERS = frozenset(b"^=\\\r\n\t\f")
# PS3.3 C.12.1.1.2: these stand alone; where one is a later value, scanners mean the first value.
_WITHOUT_EXTENSIONS = frozenset({"UTF8", "GB18030", "GBK"})
# Control, format (bidirectional overrides, zero width), surrogate, private use, line and paragraph separators.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def read_attributes(read: Callable[[int], bytes], transfer_syntax_uid: Uid, zone: tzinfo = UTC) -> Attributes:
    """Return what the data set that `read` yields from its start says, reading no more of it than needed.

    `zone` is where the scanner stands, if the data set does not say. Raises what `read` raises, nothing else.
    """
    walk = _walk(transfer_syntax_uid)
    left = HEAD_BYTES
    while walk.state == "reading" and left > 0:
        piece = read(min(left, _READ_BYTES))
        if not piece:
            break
        left -= len(piece)
        walk.feed(piece)
    return interpret(walk.values, zone)


def attributes_in(data: bytes, transfer_syntax_uid: Uid, zone: tzinfo = UTC, *, is_whole: bool) -> Attributes | None:
    """Return what the data set says that begins with `data`, or None where more of it has to be read; `is_whole`: there is no more."""
    walk = _walk(transfer_syntax_uid)
    walk.feed(data)
    return None if walk.state == "reading" and not is_whole else interpret(walk.values, zone)


def _walk(transfer_syntax_uid: Uid) -> ElementWalk:
    return ElementWalk(transfer_syntax_uid, _WANTED, max_bytes=HEAD_BYTES, stop_after=_SERIES_INSTANCE_UID)


def interpret(values: Mapping[int, bytes], zone: tzinfo = UTC) -> Attributes:
    """Return the attributes in raw element values, decoded by the data set's own character set where it is usable. Never raises."""
    encodings = _encodings(values.get(_SPECIFIC_CHARACTER_SET, b""))
    texts = {name: _text(values.get(tag, b""), encodings) for name, tag in _TEXTS.items()}
    return Attributes(
        study_instance_uid=_uid(values.get(_STUDY_INSTANCE_UID, b"")),
        series_instance_uid=_uid(values.get(_SERIES_INSTANCE_UID, b"")),
        **texts,
        acquired_at=acquired_at(values, zone),
    )


def _uid(raw: bytes) -> str:
    text = raw.strip(b"\0 ").decode("latin-1")
    return text if uid_fault(text) is None else ""


def _normal(term: str) -> str:
    """Return a defined term in the one spelling in which `_ENCODINGS` has it; scanners write ISO-IR 100, ISO_IR_100 and iso ir 100."""
    return re.sub(r"[\s_-]+", " ", term.strip("\0 ").upper())


_ENCODINGS: Mapping[str, str] = {_normal(term): encoding for term, encoding in python_encoding.items()}


def _encodings(raw: bytes) -> tuple[str, ...]:
    """Return the Python encodings that Specific Character Set names; empty when it names none that is known."""
    terms = [_normal(term) for term in raw.decode("latin-1").split("\\")]
    if terms == [""]:
        return ()
    known = [_ENCODINGS[term] for term in terms if term in _ENCODINGS]
    if not known or known[0] in _WITHOUT_EXTENSIONS:
        return tuple(known[:1])
    return tuple(encoding for encoding in known if encoding not in _WITHOUT_EXTENSIONS)


def _text(raw: bytes, encodings: Sequence[str]) -> str:
    text = _decoded(raw.strip(b"\0 "), encodings)
    # What is printable in ASCII is what most scanners send, and is shown as it is.
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(character for character in text if unicodedata.category(character) not in _UNSHOWABLE)
    return shown.strip()[:VALUE_CHARACTERS].rstrip()


def _decoded(raw: bytes, encodings: Sequence[str]) -> str:
    # Every encoding that DICOM names reads bytes below 0x80 as ASCII until an escape sequence says otherwise.
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    if not encodings:
        # Undeclared bytes are UTF-8 more often than chance allows when they are well-formed UTF-8; else Latin-1, which always decodes.
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    with warnings.catch_warnings():
        # Malformed text is ordinary here and already replaced by U+FFFD; a warning for each would flood the journal.
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(raw, encodings, set(_DELIMITERS))
        except (UnicodeError, LookupError, ValueError):
            return raw.decode("latin-1")
