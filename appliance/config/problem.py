"""Problems: what is wrong with a configuration, where, and what to do, in words of a hospital technician. Pure.

Promises: every `Problem` is one printable line; a value from the file is shown cut and escaped, so that no file can flood or forge a log.
Failures: none.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic_core import PydanticCustomError

Severity = Literal["error", "notice"]

# The type pydantic reports for a refusal of ours; its context then holds the finished sentences.
REFUSAL = "refused"

# Long enough for an address or a mistyped title, short enough for one line on a terminal.
_SHOWN_CHARACTERS = 60
# A number of at most 39 digits.
_SHOWN_BITS = 128
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (`error`: the file is not used) or worth knowing (`notice`), and the next thing to try.

    `where` is a dotted path such as `route[0].to[1]` (counted from 0 in the order of the file), or the file's name with line and column.
    """

    where: str
    problem: str
    advice: str
    severity: Severity = "error"

    def __str__(self) -> str:
        """Return where and what in one line."""
        return f"{self.where}: {self.problem}"


def refusal(problem: str, advice: str, *, key: str = "") -> PydanticCustomError:
    """Return the error that a validator raises; `key` names the key at fault where a whole section was looked at."""
    return PydanticCustomError(REFUSAL, "refused", {"problem": problem, "advice": advice, "key": key})


def printable(text: str) -> str:
    """Return `text` on one line: cut to 60 characters, what does not print as escapes."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in cut)


def quoted(text: str) -> str:
    """Return `text` as it would stand in the file."""
    return f'"{printable(text)}"'


def kind_of(value: object) -> str:
    """Say in one plain phrase what sort of value the file holds."""
    match value:
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return "infinity or no number at all"
        case int() | float():
            return f"the number {printable(_digits(value))}"
        case str():
            return f"the text {quoted(value)}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a group of keys"
        case _:
            return "a date or a time"


def _digits(value: float) -> str:
    """Return a number as text; one too long to be printed at all is said to be long."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "with very many digits"
    return str(value)


def path_of(parts: Iterable[str | int]) -> str:
    """Return the dotted path of a place in the file: `source[0].reply.port`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _PLAIN_KEY.fullmatch(part) else quoted(part)
            text = f"{text}.{name}" if text else name
    return text


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the known word that `word` was most likely meant to be, or None; `likeness` is 0 to 1 as difflib measures it."""
    candidates = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(word[:_SHOWN_CHARACTERS].lower(), list(candidates), n=1, cutoff=likeness)
    return candidates[matches[0]] if matches else None


def listed(words: Iterable[str]) -> str:
    """Return words as a phrase: `a, b or c`."""
    every = list(words)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} or {every[-1]}"
