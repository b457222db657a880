r"""Application entity titles and unique identifiers, compared the way the field compares them.

Promises: two `AETitle`s are equal when they differ only in case, surrounding spaces or trailing NULs; the spelling is kept for sending.
`uid_fault` names what is wrong with a UID without ever echoing more than it must.
Failures: `AETitleInvalidError` (peer or operator) for what PS3.5 does not allow in an AE.
Standard: PS3.5 6.2 (AE: at most 16 characters of the default repertoire without control characters and backslash) and 9.1 (UID).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from appliance.core.errors import ApplianceError, Fault

Uid = NewType("Uid", str)
"""A DICOM unique identifier as text, without padding."""

# PS3.8 9.3.2: both titles in an A-ASSOCIATE PDU are exactly 16 bytes.
AE_TITLE_LENGTH = 16
# PS3.5 9.1.
UID_LENGTH = 64

_UID_CHARACTERS = re.compile(r"[0-9.]+")
_LEADING_ZERO = re.compile(r"(?:^|\.)0[0-9]")


class AETitleInvalidError(ApplianceError):
    """An AE title holds characters that no AE title may hold, or is too long."""

    fault = Fault.PEER
    advice = "An AE title has 1 to 16 printable ASCII characters and no backslash."


@dataclass(frozen=True, slots=True, eq=False)
class AETitle:
    """An application entity title: the spelling as configured or received, equality as house.md section 8 says."""

    text: str

    def __post_init__(self) -> None:
        """Refuse what PS3.5 6.2 forbids; surrounding spaces must be gone already (see `parse` and `from_wire`)."""
        if not 1 <= len(self.text) <= AE_TITLE_LENGTH or self.text != self.text.strip(" "):
            raise AETitleInvalidError("an AE title has 1 to 16 characters and no surrounding spaces")
        if any(not " " <= character <= "~" or character == "\\" for character in self.text):
            raise AETitleInvalidError("an AE title holds only printable ASCII characters and no backslash")

    @classmethod
    def parse(cls, text: str) -> AETitle:
        """Return the title that `text` spells, surrounding spaces removed. Raises `AETitleInvalidError`."""
        return cls(text.strip(" "))

    @classmethod
    def from_wire(cls, raw: bytes) -> AETitle | None:
        """Return the title in the 16 bytes of a PDU, or None where it is blank.

        Surrounding spaces and trailing NULs are padding; anything else that is not a printable ASCII character, and a backslash,
        raises `AETitleInvalidError` (peer).
        """
        stripped = raw.rstrip(b"\0 ").lstrip(b" ")
        if not stripped:
            return None
        try:
            return cls(stripped.decode("ascii"))
        except UnicodeDecodeError:
            raise AETitleInvalidError("an AE title holds a byte outside ASCII") from None

    @property
    def key(self) -> str:
        """The form in which titles are compared."""
        return self.text.upper()

    def __eq__(self, other: object) -> bool:
        """Compare without regard to case."""
        return isinstance(other, AETitle) and self.key == other.key

    def __hash__(self) -> int:
        """Hash the compared form."""
        return hash(self.key)

    def __str__(self) -> str:
        """Return the spelling."""
        return self.text


def escaped(raw: bytes | str) -> str:
    """Return peer-controlled text so that it can stand in a log line: printable ASCII kept, the rest as escapes."""
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    return text.encode("unicode_escape").decode("ascii")


def uid_fault(text: str) -> str | None:
    """Return what is wrong with a UID as a short constant phrase, or None.

    Leading zeros in a component are tolerated, because scanners send them (hostile-inputs.md row 37).
    """
    if not text:
        return "empty"
    if len(text) > UID_LENGTH:
        return "longer than 64 characters"
    if not _UID_CHARACTERS.fullmatch(text):
        return "characters other than digits and dots"
    if text.startswith(".") or text.endswith(".") or ".." in text:
        return "an empty component"
    return None


def has_leading_zero(uid: str) -> bool:
    """Say whether a component of a UID begins with a zero that is not all of it: PS3.5 9.1 forbids it, and we take it all the same."""
    return _LEADING_ZERO.search(uid) is not None
