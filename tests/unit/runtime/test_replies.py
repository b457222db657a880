"""Every reply that a daemon can give is read back as it was."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing

import pytest

from appliance.runtime import deriving, questions, requests
from appliance.runtime.replies import reader


def _replies() -> list[type]:
    found = (one for module in (deriving, questions, requests) for one in vars(module).values() if inspect.isclass(one))
    return [one for one in found if dataclasses.is_dataclass(one) and one.__name__.endswith("Reply")]


def _example(kind: object) -> object:
    """Return a value of a type with something in every place."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind(*(_example(hint) for hint in typing.get_type_hints(kind).values()))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return (_example(arguments[0]),) * 2
    if origin is dict:
        return {"key": _example(arguments[1])}
    if origin is types.UnionType:
        return _example(arguments[0])
    return {str: "word", int: 7, float: 1.5, bool: True}[typing.cast("type", kind)]


@pytest.mark.parametrize("kind", _replies(), ids=lambda kind: kind.__name__)
def test_a_reply_is_read_as_it_was_written(kind: type) -> None:
    """Through JSON and back, each reply of the vocabulary is equal to itself."""
    reply = _example(kind)

    read = reader(kind)(json.loads(json.dumps(dataclasses.asdict(reply))))  # type: ignore[call-overload]

    assert read == reply


def test_what_no_reply_is_made_of_is_refused() -> None:
    """A type outside the vocabulary is a mistake of who wrote the reply, and is found at once."""
    with pytest.raises(TypeError, match="no reply is made of"):
        reader(bytes)
