"""Edits: changes of a `site.toml`'s text as a form makes them, without losing a line that somebody typed. Pure.

Promises: the text that comes out says exactly what went in, and the change; remarks, order and spelling of everything else stay, also of
the section that changed. Nothing is checked here: `config check` does, and `field_problems` puts what it says to the fields of a form.
Failures: `TableMissingError` (operator) where what should be changed is not there any more; `ConfigInvalidError` for a text that is no
TOML.
Limits: where sections are written so that no line of them is one section's alone, remarks may be lost; what is configured never is.
Standard: TOML 1.0.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, Literal

from appliance.config.document import read_document
from appliance.config.edits_text import added, blocks_of, moved, places_of, removed, text_of
from appliance.config.load import ConfigInvalidError
from appliance.config.problem import Problem, printable, quoted
from appliance.config.rendering import groups_last
from appliance.core.errors import ApplianceError, Fault

Edit = Callable[[str], str]
"""A change: the text of a `site.toml` to the text that it shall be."""
Kind = Literal["source", "destination", "route", "local_ae"]
Values = Mapping[str, Any]
"""Plain values under the keys of the file; None takes a key away, a mapping changes the keys of a sub-section."""

_Document = MutableMapping[str, Any]
_PLACE = re.compile(r"(?P<section>[a-z_]+)(?:\[(?P<index>[0-9]+)\])?(?:\.(?P<key>.+))?")
# How `config check` names what stands elsewhere in the file, with its name behind it where it says it.
_ELSEWHERE = re.compile(r"\b(source|destination|route|local_ae)\[([0-9]+)\](?: \([^)]*\))?")


class TableMissingError(ApplianceError):
    """What should be changed is not in the configuration."""

    fault = Fault.OPERATOR
    advice = "Somebody may have renamed or removed it meanwhile: load the page again."


def add_table(kind: Kind, values: Values) -> Edit:
    """Return the edit that adds a section at the end of its kind."""
    fresh = _present(values)

    def add(document: _Document) -> None:
        # An empty list in brackets, or none: the first section decides how they are written.
        if document.get(kind):
            document[kind].append(fresh)
        else:
            document.pop(kind, None)
            document[kind] = [fresh]

    def add_lines(text: str, _plain: Values) -> str:
        blocks = blocks_of(text)
        places = places_of(blocks, kind, is_row=True)
        return added(blocks, _toml({kind: [fresh]}), after=places[-1] if places else None)

    return _edit(add, add_lines)


def change_table(kind: Kind, name: str, values: Values) -> Edit:
    """Return the edit that changes keys of the section with that name (its title, for a `local_ae`), and leaves its other keys."""

    def change(document: _Document) -> None:
        index = _index(document, kind, name)
        _merge(document[kind][index], values)

    def change_lines(text: str, plain: Values) -> str:
        blocks = blocks_of(text)
        place = places_of(blocks, kind, is_row=True)[_index(plain, kind, name)]
        inner = _parsed(text_of(blocks[place]))
        _merge(inner[kind][0], values)
        return text_of(blocks[: place.start]) + _dumped(inner) + text_of(blocks[place.stop :])

    return _edit(change, change_lines)


def remove_table(kind: Kind, name: str) -> Edit:
    """Return the edit that takes the section away, with the remarks right above it."""

    def remove(document: _Document) -> None:
        index = _index(document, kind, name)
        del document[kind][index]
        if not document[kind]:
            del document[kind]

    def remove_lines(text: str, plain: Values) -> str:
        blocks = blocks_of(text)
        return text_of(removed(blocks, places_of(blocks, kind, is_row=True)[_index(plain, kind, name)]))

    return _edit(remove, remove_lines)


def move_table(kind: Kind, name: str, to_index: int) -> Edit:
    """Return the edit that puts the section at `to_index` (from 0) among those of its kind; beyond the last is last."""

    def move(document: _Document) -> None:
        index = _index(document, kind, name)
        rows: MutableSequence[Any] = document[kind]
        rows.insert(max(0, to_index), rows.pop(index))

    def move_lines(text: str, plain: Values) -> str:
        blocks = blocks_of(text)
        return text_of(moved(blocks, places_of(blocks, kind, is_row=True), _index(plain, kind, name), max(0, to_index)))

    return _edit(move, move_lines)


def set_values(section: str, values: Values) -> Edit:
    """Return the edit that changes keys of a section that is there once, such as "box", and makes it where it is missing."""

    def change(document: _Document) -> None:
        _merge(document, {section: values})

    def change_lines(text: str, plain: Values) -> str:
        blocks = blocks_of(text)
        if section not in plain:
            fresh = _present(values)
            return added(blocks, _toml({section: fresh}), after=None) if fresh else text
        (place,) = places_of(blocks, section, is_row=False)
        inner = _parsed(text_of(blocks[place]))
        _merge(inner, {section: values})
        return text_of(blocks[: place.start]) + _dumped(inner) + text_of(blocks[place.stop :])

    return _edit(change, change_lines)


def replace_text(text: str) -> Edit:
    """Return the edit that puts another text in the place of the whole."""
    return lambda _text: text


def together(*edits: Edit) -> Edit:
    """Return the edit that does several, in their order."""

    def every(text: str) -> str:
        for edit in edits:
            text = edit(text)
        return text

    return every


def field_problems(error: ConfigInvalidError, kind: str, name: str) -> dict[str, list[str]]:
    """Return what `config check` said, by the field of a form about one section: "port", "reply.host", "to"; the rest is under "".

    `kind` and `name` say which section the form is about, as it stands in the refused text; `kind` may be a section that is there once.
    """
    document = read_document(error.text, where="site.toml")
    plain: Values = {} if isinstance(document, Problem) else document
    mine = {index for index, row in enumerate(_rows(plain, kind)) if _is_called(row, kind, name)}
    found: dict[str, list[str]] = {}
    for problem in error.problems:
        if problem.severity == "error":
            field = _field(problem, kind, mine)
            said = _sentence(problem, plain)
            found.setdefault(field or "", []).append(said if field is not None else f"{_elsewhere(problem.where, plain)}: {said}")
    return found


def _field(problem: Problem, kind: str, mine: set[int]) -> str | None:
    """Return the key that a problem is about, without places in lists; "" for the section as a whole, None for another section."""
    place = _PLACE.fullmatch(problem.where)
    if place is None or place["section"] != kind:
        return None
    if place["index"] is not None and int(place["index"]) not in mine:
        return None
    return (place["key"] or "").partition("[")[0]


def _sentence(problem: Problem, plain: Values) -> str:
    """Return problem and advice as sentences, with names in the place of numbers in the file."""
    said = _elsewhere(problem.problem, plain)
    return f"{said[:1].upper()}{said[1:]}. {_elsewhere(problem.advice, plain)}".strip()


def _elsewhere(text: str, plain: Values) -> str:
    """Return the text with `source[0]` as `source "CT1"`: nobody who fills in a form counts sections."""

    def named(match: re.Match[str]) -> str:
        rows = list(_rows(plain, match[1]))
        index = int(match[2])
        name = rows[index].get(_name_key(match[1])) if index < len(rows) else None
        return f"{match[1]} {quoted(name)}" if isinstance(name, str) else match[0]

    return _ELSEWHERE.sub(named, text)


def _edit(change: Callable[[_Document], None], change_lines: Callable[[str, Values], str]) -> Edit:
    """Return the edit that does `change`, by lines where that says the same."""

    def edit(text: str) -> str:
        has_windows_ends = "\r\n" in text
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        wanted = _plain(text)
        change(wanted)
        outcome = next((found for found in _attempts(text, change, change_lines) if _says(found, wanted)), None)
        if outcome is None:
            # However it is written: what is configured comes first.
            outcome = _toml(groups_last(wanted))
        return outcome.replace("\n", "\r\n") if has_windows_ends else outcome

    return edit


def _attempts(text: str, change: Callable[[_Document], None], change_lines: Callable[[str, Values], str]) -> Iterator[str]:
    """Yield the changed text, the most careful way first; a way that does not fit how the text is written yields what fits nobody."""
    with contextlib.suppress(LookupError, ValueError, TypeError, AttributeError):
        yield change_lines(text, _plain(text))
    with contextlib.suppress(LookupError, ValueError, TypeError, AttributeError):
        document = _parsed(text)
        change(document)
        yield _dumped(document)


def _says(text: str, wanted: Values) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except ValueError:
        return False


def _plain(text: str) -> dict[str, Any]:
    document = read_document(text, where="site.toml")
    if isinstance(document, Problem):
        raise ConfigInvalidError((document,), text=text)
    return document


def _parsed(text: str) -> _Document:
    # The daemons that read a configuration need not hold the library that writes it.
    import tomlkit

    return tomlkit.parse(text)


def _dumped(document: _Document) -> str:
    import tomlkit

    return tomlkit.dumps(document)


def _toml(values: Values) -> str:
    import tomlkit

    return tomlkit.dumps(groups_last(values))


def _merge(target: _Document, values: Values) -> None:
    """Put the values into the section; a sub-section that has no key left is gone."""
    for key, value in values.items():
        present = target.get(key)
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(present, MutableMapping):
            _merge(present, value)
            if not present:
                del target[key]
        elif isinstance(value, Mapping):
            fresh = _present(value)
            if fresh:
                target[key] = fresh
        elif present != value:
            if key in target and (_holds_sections(present) or _holds_sections(value)):
                # What was written as sections cannot be replaced where it stands.
                del target[key]
            target[key] = _plain_list(value)


def _present(values: Values) -> dict[str, Any]:
    """Return the values that are set, those of sub-sections too, groups last."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        inner = _present(value) if isinstance(value, Mapping) else _plain_list(value)
        if inner is not None and inner != {}:
            kept[key] = inner
    return groups_last(kept)


def _holds_sections(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and any(isinstance(entry, Mapping) for entry in value))


def _plain_list(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_present(entry) if isinstance(entry, Mapping) else entry for entry in value]
    return value


def _index(document: Values, kind: str, name: str) -> int:
    """Return where the section stands among its kind. Raises `TableMissingError`."""
    for index, row in enumerate(_rows(document, kind)):
        if _is_called(row, kind, name):
            return index
    raise TableMissingError(f"there is no {kind} called {printable(name)}")


def _rows(document: Values, kind: str) -> Iterator[Values]:
    rows = document.get(kind)
    return (row for row in rows if isinstance(row, Mapping)) if isinstance(rows, list) else iter(())


def _is_called(row: Values, kind: str, name: str) -> bool:
    own = row.get(_name_key(kind), "")
    if kind == "local_ae" and isinstance(own, str):
        return own.strip().upper() == name.strip().upper()
    return bool(own == name)


def _name_key(kind: str) -> str:
    return "ae_title" if kind == "local_ae" else "name"
