"""The name of a box, made from where it stands: hospital, department, what it serves. Pure.

Promises: what comes out is one part of a host name (RFC 1123) or empty; the same words give the same name on every keyboard.
Failures: none.
Limits: letters that are no Latin ones are left out; whether two boxes have the same name is for who names them.
"""

from __future__ import annotations

import re
import unicodedata

# RFC 1035: one part of a host name.
_LONGEST = 63
# Letters that no decomposition takes apart, as people write them without their stroke.
_STROKES = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe"})
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")


def box_name(*parts: str) -> str:
    """Return the parts as one name: ("Vinh", "General", "CT") is "vinh-general-ct". Accents go, whatever else is no letter is a hyphen."""
    words = (_plain(part) for part in parts)
    return "-".join(word for word in words if word)[:_LONGEST].strip("-")


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.lower().translate(_STROKES))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _NOT_OF_A_NAME.sub("-", bare).strip("-")
