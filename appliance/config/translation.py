"""Translation: what pydantic found, as problems in plain words with the path of the file. Pure.

Promises: no text of pydantic's reaches a reader; an unknown key comes with the key that was most likely meant; what follows from a problem
already named (the missing keys of a destination of a kind we do not have) is not said again.
Failures: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from appliance.config.problem import REFUSAL, Problem, kind_of, nearest, path_of, printable, quoted

Path = tuple[str | int, ...]

# Said of a destination, this makes its other problems noise: they ask for the keys of another kind.
_DECISIVE_KEYS = ("kind",)
# Consequences of another problem, reported by pydantic as problems of their own.
_CONSEQUENCES = ("default_factory_not_called",)


def problems_of(error: ValidationError, root: type[BaseModel]) -> tuple[Problem, ...]:
    """Return every problem in `error`, which came from reading a `root`, in the order of the model's sections."""
    details = [detail for detail in error.errors(include_url=False) if detail["type"] not in _CONSEQUENCES]
    decided = {path[:-1] for path in (_full_path(detail) for detail in details) if path[-1] in _DECISIVE_KEYS}
    return tuple(_problem(detail, root) for detail in details if detail["loc"][:-1] not in decided or detail["loc"][-1] in _DECISIVE_KEYS)


def _full_path(detail: ErrorDetails) -> Path:
    """Return where the problem is, the key included that a check of a whole section blames."""
    key = detail["ctx"]["key"] if detail["type"] == REFUSAL else ""
    return (*detail["loc"], key) if key else detail["loc"]


def _problem(detail: ErrorDetails, root: type[BaseModel]) -> Problem:
    """Return one of pydantic's findings in plain words."""
    path, value = _full_path(detail), detail["input"]
    where = path_of(path)
    match detail["type"]:
        case "refused":
            return Problem(where, detail["ctx"]["problem"], detail["ctx"]["advice"])
        case "missing":
            return Problem(where, "is missing", f"Add a line with {path_of(path[-1:])} = …")
        case "extra_forbidden":
            return _unknown_key(path, root)
        case "tuple_type" if isinstance(value, dict):
            return Problem(where, "must be written with double brackets", f"Write [[{_section_name(path)}]]: there may be several.")
        case "tuple_type" if isinstance(value, str):
            return Problem(where, f"must be a list, not {kind_of(value)}", f"Write it in brackets: [{quoted(value)}].")
        case "tuple_type":
            return Problem(where, f"must be a list, not {kind_of(value)}", 'Write a list in brackets, for example ["a", "b"].')
        case "model_type" | "model_attributes_type" if isinstance(value, list):
            return Problem(where, "must be written once and with single brackets", f"Write [{_section_name(path)}].")
        case "model_type" | "model_attributes_type":
            return Problem(
                where, f"must be a group of keys, not {kind_of(value)}", "Write a section, or { key = value, key = value } in braces."
            )
        case _:
            return Problem(where, "cannot be read", "Compare it with the example in the documentation of the configuration.")


def _section_name(path: Path) -> str:
    """Return the name of a section as it stands in brackets."""
    return ".".join(printable(part) for part in path if isinstance(part, str))


def _unknown_key(path: Path, root: type[BaseModel]) -> Problem:
    """Return the problem of a key that its section does not have, with the key or section that was meant."""
    key = str(path[-1])
    section = _section_at(path[:-1], root)
    known = tuple(keys_of(section)) if section is not None else ()
    meant = nearest(key, known)
    if meant is not None:
        return Problem(path_of(path), "is not a known key", f"Did you mean {meant}?")
    homes = [name for name, keys in sections_of(root) if key in keys]
    if homes:
        return Problem(path_of(path), "is not a known key of this section", f"It belongs into {homes[0]}.")
    return Problem(path_of(path), "is not a known key", f"Remove it, or use one of: {', '.join(known)}.")


def _section_at(path: Path, root: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model of the section that `path` leads to."""
    section: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and section is not None:
            section = dict(_subsections(section)).get(part)
    return section


def keys_of(section: type[BaseModel]) -> Iterator[str]:
    """Yield the keys of a section as the file spells them."""
    for name, field in section.model_fields.items():
        yield field.validation_alias if isinstance(field.validation_alias, str) else name


def sections_of(root: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each section below `root` with its brackets and its keys: `[box]`, `[[source]]`, `[source.reply]`, …"""
    for key, section in _subsections(root):
        name = f"{prefix}{key}"
        repeated = get_origin(_field(root, key)) is tuple
        yield (f"[[{name}]]" if repeated else f"[{name}]"), frozenset(keys_of(section))
        yield from sections_of(section, f"{name}.")


def _field(section: type[BaseModel], key: str) -> object:
    """Return the annotation of the field that the file calls `key`."""
    return dict(zip(keys_of(section), (field.annotation for field in section.model_fields.values()), strict=True))[key]


def _subsections(section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the keys of a section that are sections themselves, with their models."""
    for key, field in zip(keys_of(section), section.model_fields.values(), strict=True):
        for candidate in _inner_types(field.annotation):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield key, candidate


def _inner_types(annotation: object) -> Iterator[object]:
    """Yield what a tuple or an optional holds, or the type itself."""
    if get_origin(annotation) in (tuple, Union, UnionType):
        for inner in get_args(annotation):
            yield from _inner_types(inner)
    else:
        yield annotation
