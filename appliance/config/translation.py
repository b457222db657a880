"""Translation: what pydantic found, as problems in plain words with the path of the file. Pure.

Promises: no text of pydantic's reaches a reader; an unknown key comes with the key that was most likely meant; what follows from a problem
already named (the missing keys of a destination of a kind we do not have) is not said again.
Failures: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from appliance.config.problem import REFUSAL, Problem, kind_of, nearest, path_of, printable, quoted

Path = tuple[str | int, ...]
Models = tuple[type[BaseModel], ...]

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
    loc, value = _full_path(detail), detail["input"]
    path = _as_in_the_file(loc, root)
    where = path_of(path)
    match detail["type"]:
        case "refused":
            return Problem(where, detail["ctx"]["problem"], detail["ctx"]["advice"])
        case "missing":
            return Problem(where, "is missing", f"Add a line with {path_of(path[-1:])} = …")
        case "extra_forbidden":
            return _unknown_key(loc, root)
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


def _unknown_key(loc: Path, root: type[BaseModel]) -> Problem:
    """Return the problem of a key that its section does not have, with the key or section that was meant."""
    path, key = _as_in_the_file(loc, root), str(loc[-1])
    section = _section_at(loc[:-1], root)
    known = tuple(keys_of(section)) if section is not None else ()
    kind = next((tag for tag, model in _kinds_of(path[:-1], root) if key in keys_of(model)), None)
    if kind is not None:
        return Problem(path_of(path), "is not a known key of this section", f"It belongs to kind = {quoted(kind)}.")
    meant = nearest(key, known)
    if meant is not None:
        return Problem(path_of(path), "is not a known key", f"Did you mean {meant}?")
    homes = [name for name, model in models_of(root) if key in keys_of(model)]
    if homes:
        return Problem(path_of(path), "is not a known key of this section", f"It belongs into {homes[0]}.")
    return Problem(path_of(path), "is not a known key", f"Remove it, or use one of: {', '.join(known)}.")


def _as_in_the_file(loc: Path, root: type[BaseModel]) -> Path:
    """Return the path without the kinds that pydantic puts into it."""
    return tuple(part for part, is_kind, _ in _walk(loc, root) if not is_kind)


def _section_at(loc: Path, root: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model of the section that `loc` leads to; where kinds differ and none is named, that of the first."""
    found = next((models for _, _, models in reversed(list(_walk(loc, root)))), (root,))
    return found[0] if found else None


def _kinds_of(path: Path, root: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    """Return the kinds of the section at `path`, which is below no other section; none where it has none."""
    return [(tag, model) for key, tag, model in _subsections(root) if path[:1] == (key,) and len(path) <= 2 and tag]  # noqa: PLR2004 (name and number)


def _walk(loc: Path, root: type[BaseModel]) -> Iterator[tuple[str | int, bool, Models]]:
    """Yield each part of a path, whether it is a kind, and the models that the path up to it may mean."""
    models: Models = (root,)
    kinds: dict[str, type[BaseModel]] = {}
    for part in loc:
        if isinstance(part, str) and part in kinds:
            models, kinds = (kinds[part],), {}
            yield part, True, models
            continue
        if isinstance(part, str):
            inner = [(tag, model) for section in models for key, tag, model in _subsections(section) if key == part]
            models, kinds = tuple(model for _, model in inner), {tag: model for tag, model in inner if tag}
        yield part, False, models


def keys_of(section: type[BaseModel]) -> Iterator[str]:
    """Yield the keys of a section as the file spells them."""
    for name, field in section.model_fields.items():
        yield field.validation_alias if isinstance(field.validation_alias, str) else name


def models_of(root: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each section below `root` with its brackets: `[box]`, `[[source]]`, `[source.reply]`, `[[destination]] with kind = "sftp"`."""
    is_first = True
    before = ""
    for key, tag, section in _subsections(root):
        is_first, before = key != before, key
        name = f"{prefix}{key}"
        repeated = get_origin(_field(root, key)) is tuple
        kind = f' with kind = "{tag}"' if tag and not is_first else ""
        yield (f"[[{name}]]" if repeated else f"[{name}]") + kind, section
        yield from models_of(section, f"{name}.")


def sections_of(root: type[BaseModel]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each section below `root` with its brackets and its keys."""
    return ((name, frozenset(keys_of(model))) for name, model in models_of(root))


def _field(section: type[BaseModel], key: str) -> object:
    """Return the annotation of the field that the file calls `key`."""
    return dict(zip(keys_of(section), (field.annotation for field in section.model_fields.values()), strict=True))[key]


def _subsections(section: type[BaseModel]) -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Yield the keys of a section that are sections themselves, each kind (else "") with its model, the usual kind first."""
    for key, field in zip(keys_of(section), section.model_fields.values(), strict=True):
        for tag, candidate in _inner_types(field.annotation):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield key, tag, candidate


def _inner_types(annotation: object, tag: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a tuple, an optional or a choice of kinds holds, each with its kind, or the type itself."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        yield from _inner_types(inner, next((mark.tag for mark in metadata if isinstance(mark, Tag)), tag))
    elif get_origin(annotation) in (tuple, Union, UnionType):
        for inner in get_args(annotation):
            yield from _inner_types(inner, tag)
    else:
        yield tag, annotation
