"""Reading a reply: from what JSON knows to the dataclass that a daemon answered with.

Promises: `reader(kind)` returns a function that returns a `kind`; keys that it does not know are left out, those that are missing get
their default.
Failures: reading raises `TypeError`, `KeyError` or `AttributeError` where the value is no `kind`; `reader` itself raises `TypeError` for a
kind that is none of those below.
Limits: dataclasses, `tuple[X, ...]`, `dict[str, X]`, `X | None`, and str, int, float and bool: the vocabulary of `requests` and its like.
Pydantic does the same for input of strangers, and to load it takes longer than most questions take to be answered.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

Read = Callable[[Any], Any]


def reader(kind: Any) -> Read:
    """Return what reads values of a type."""
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[1:] == (...,):
        entry = reader(arguments[0])
        return lambda value: tuple(entry(one) for one in value)
    if origin is dict:
        entry = reader(arguments[1])
        return lambda value: {key: entry(one) for key, one in value.items()}
    if origin is types.UnionType and arguments[1:] == (types.NoneType,):
        entry = reader(arguments[0])
        return lambda value: None if value is None else entry(value)
    if kind in {str, int, float, bool}:
        return _plain_reader(kind)
    raise TypeError(f"no reply is made of {kind!r}")


def _dataclass_reader(kind: Any) -> Read:
    hints = typing.get_type_hints(kind)
    parts = {field.name: reader(hints[field.name]) for field in dataclasses.fields(kind)}
    return lambda value: kind(**{name: read(value[name]) for name, read in parts.items() if name in value})


def _plain_reader(kind: type) -> Read:
    # JSON may write a whole number of seconds without a point.
    taken = (int, float) if kind is float else kind

    def read(value: Any) -> Any:
        if not isinstance(value, taken):
            raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
        return value

    return read
