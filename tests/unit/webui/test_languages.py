"""The languages of the pages: every text has its words in each, with the same places for what is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

_WEBUI = Path(__file__).resolve().parents[3] / "webui"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
_PLACE = re.compile(r"%(?:\((\w+)\))?[sd%]")


def texts() -> set[str]:
    """Return the first form of every text that the pages show."""
    found = extract_from_dir(_WEBUI, _METHODS, keywords=_KEYWORDS)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue(language: str) -> Catalog:
    """Return a language's words."""
    with (_WEBUI / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def words(message: Message) -> Iterator[str]:
    """Yield each form of a translation."""
    forms = message.string or ""
    yield from [forms] if isinstance(forms, str) else forms


@pytest.mark.parametrize("language", ["vi", "fr"])
def test_every_text_is_translated(language: str) -> None:
    """No text of a page is missing, empty or doubtful in a language, and none is kept that no page shows (`make catalogues`)."""
    known = {(one.id if isinstance(one.id, str) else one.id[0]): one for one in catalogue(language) if one.id}

    wanted = texts()

    assert set() == wanted - known.keys()
    assert set() == known.keys() - wanted
    assert [] == [text for text, one in known.items() if one.fuzzy or not all(words(one))]


@pytest.mark.parametrize("language", ["vi", "fr"])
def test_what_is_filled_in_stays(language: str) -> None:
    """A translation has the places of its text, no more and no fewer: a missing one loses a number, another one breaks the page."""
    wrong = []
    for one in catalogue(language):
        originals = [one.id] if isinstance(one.id, str) else list(one.id)
        places = {place for original in originals for place in _PLACE.findall(original)}
        wrong += [text for text in words(one) if one.id and set(_PLACE.findall(text)) - places]
        if one.id and isinstance(one.string, str):
            wrong += [one.string] if set(_PLACE.findall(one.string)) != places else []

    assert [] == wrong
