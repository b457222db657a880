"""Lists in forms: things to tick, and lines of text; and classes of images by the names that departments have for them.

Promises: what is ticked and what is typed come out as one list, each entry once.
Failures: none.
Limits: whether an entry is right is for `config check`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wtforms import SelectMultipleField
from wtforms.fields import SelectChoice
from wtforms.widgets import CheckboxInput, ListWidget

from webui.vocabulary import class_word

COMMON_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.59",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.66",
    "1.2.840.10008.5.1.4.1.1.104.1",
)
"""Classes that a department knows by name (PS3.6 annex A); any other is typed by its UID."""

# What all of them begin with.
_IMAGES = "1.2.840.10008.5.1.4.1.1."


class Ticks(SelectMultipleField):
    """Things to tick, any number of them."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take any entry: what was offered may have been removed meanwhile, and is refused in words by `config check`."""
        super().__init__(*arguments, validate_choice=False, **named)


def class_choices() -> list[SelectChoice]:
    """Return the common classes to tick: each by its word and its number, as several share a word."""
    return [SelectChoice(uid, f"{class_word(uid)} ({uid.removeprefix(_IMAGES)})") for uid in COMMON_CLASSES]


def lines_of(text: str | None) -> list[str]:
    """Return what is typed, a line each, without blanks around it."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def words_of(text: str | None) -> list[str]:
    """Return what is typed, divided by commas, semicolons or line breaks."""
    return lines_of((text or "").replace(",", "\n").replace(";", "\n"))


def together(ticked: Iterable[str] | None, typed: Iterable[str]) -> list[str] | None:
    """Return both as one list, each entry once; None for none at all."""
    return list(dict.fromkeys([*(ticked or ()), *typed])) or None
