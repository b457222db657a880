"""A box that answers everything with nothing: for walking all pages at once.

Promises: every method of the class that it stands for answers a value of the type that the method says, made of empty strings, zeros and
empty lists; `called` has the names of what was asked.
Failures: `AttributeError` for a method that the class does not have.
Limits: what a page does with an answer that has something in it is for that page's own tests.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any


class Blank:
    """Stands for an object of a class."""

    def __init__(self, kind: type, **answers: Any) -> None:
        """Answer like `kind`, but for what `answers` says."""
        self._kind = kind
        self.answers = answers
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Return the method."""
        method = getattr(self._kind, name)
        reply = typing.get_type_hints(method, vars(__import__("sys").modules[method.__module__])).get("return")

        def answer(*_: Any, **__: Any) -> Any:
            self.called.append(name)
            return self.answers[name] if name in self.answers else blank(reply)

        return answer


def blank(kind: Any) -> Any:
    """Return an empty value of a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        return None if types.NoneType in arguments else blank(arguments[0])
    if origin is not None:
        fixed = origin is tuple and arguments[1:] != (...,)
        return tuple(map(blank, arguments)) if fixed else origin()
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        made: Any = kind
        return made(**{field.name: blank(hints[field.name]) for field in dataclasses.fields(kind) if field.init})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return kind() if isinstance(kind, type) and kind is not types.NoneType else None
