"""The document: the text of a TOML file as plain values, or the place where it stops being TOML. Pure.

Promises: a syntax error is one `Problem` with line and column; nothing of Python's wording or of the file's values is in it.
Failures: none are raised.
Limits: like the parser, it stops at the first syntax error.
Standard: TOML 1.0.
"""

from __future__ import annotations

import re
import tomllib

from appliance.config.problem import Problem

# What Windows editors put before the text; TOML does not know it.
_BYTE_ORDER_MARK = "\ufeff"

_PLACE = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$")

# Beginning of the parser's message: what it means, what to do. The parser's own words name Python values.
_MEANINGS = (
    ("Cannot declare", "this section was there before", "Write each section once; only sections in double brackets may be repeated."),
    ("Cannot overwrite a value", "this key was there before", "Write each key once in its section; remove one of the two."),
    ("Cannot mutate immutable", "this adds to something that was complete before", "Write all keys of a section or list in one place."),
    ("Cannot redefine namespace", "this adds to a section that was complete before", "Write all keys of a section in one place."),
    ("Duplicate inline table key", "this key is twice in the same braces", "Remove one of the two."),
    ("Unclosed array", "a list is not closed, or a comma is missing in it", 'Write lists as ["a", "b"].'),
    ("Unclosed inline table", "braces are not closed, or a comma is missing in them", "Write { key = value, key = value } on one line."),
    ("Illegal character", "a text is not closed on its line, or holds a control character", "End the text with a quote on the same line."),
    (
        "Found invalid character",
        "a text is not closed on its line, or there is a control character",
        "End the text with a quote on the same line.",
    ),
    ("Unterminated string", "a text is not closed", "End the text with a quote."),
    ("Expected \"'", "a text is not closed", "End the text with a quote."),
    ("Unescaped '\\'", "a backslash inside quotes", "Write it twice, or put the text in single quotes."),
    ("Invalid hex value", "a backslash inside quotes", "Write it twice, or put the text in single quotes."),
    ("Escaped character is not", "a backslash inside quotes", "Write it twice, or put the text in single quotes."),
    ("Invalid date or datetime", "this is not a date", "Put text in double quotes."),
    (
        "Invalid value",
        "this value is not understood",
        "Put text in double quotes; write true and false in small letters and numbers without leading zeros.",
    ),
    ("Expected '='", "an equals sign is missing after the key", 'Write key = value, for example name = "archive".'),
    (
        "Expected newline",
        "there is more on the line than one key and its value",
        "Write one key a line, text in double quotes, and numbers without leading zeros.",
    ),
    ("Expected ']]'", "the brackets of a section are not closed", "Write [[source]] with two brackets on each side."),
    ("Expected ']'", "the brackets of a section are not closed", "Write [section] alone on its line."),
    ("Invalid initial character", "a key is missing here", "A key is a word of letters, digits, _ and -."),
    ("Invalid statement", "this is neither a key nor a section nor a comment", "Begin remarks with #."),
)
_UNKNOWN_MEANING = ("this is not TOML", "Compare the line with the example in the documentation of the configuration.")


def read_document(text: str, *, where: str) -> dict[str, object] | Problem:
    """Return the keys and values of a TOML text, or what is wrong with it; `where` is the name of the file."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax_problem(str(error), text, where)
    except ValueError:
        # The parser hands a number to Python as it is, and Python refuses thousands of digits.
        return Problem(where, "a number has too many digits", "Shorten the number.")
    except RecursionError:
        return Problem(where, "lists or braces are nested far too deep", "Close each bracket and brace that is opened.")


def _syntax_problem(message: str, text: str, where: str) -> Problem:
    """Return the parser's message in plain words, with the place in the file."""
    place = _PLACE.search(message)
    problem, advice = next(((meaning, advice) for start, meaning, advice in _MEANINGS if message.startswith(start)), _UNKNOWN_MEANING)
    if place is None:
        return Problem(where, problem, advice)
    if place[1] is None:
        lines = text.split("\n")
        return Problem(f"{where} line {len(lines)}, column {len(lines[-1]) + 1}", problem, advice)
    return Problem(f"{where} line {place[1]}, column {place[2]}", problem, advice)
