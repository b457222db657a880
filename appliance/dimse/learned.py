"""What a destination was seen to take, as a value that travels: from the sender, who learns it, to the receivers, who choose by it. Pure.

Promises: equal knowledge is equal bytes; what `encode` wrote, `decode` reads; `together` never calls refused what one destination has not
been seen to refuse.
Failures: `LearnedInvalidError` (ours) for bytes that are no such knowledge.
Limits: a transfer syntax that was never asked for is neither taken nor refused; knowledge has no age, the last answer counts.
Standard: PS3.8 9.3.3.2 (results 3 and 4 are learned; 1 and 2 may pass and are not); house.md section 8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid
from appliance.dimse.contexts import NOTHING_KNOWN, Acceptance

Pair: TypeAlias = tuple[Uid, Uid]
"""A SOP class and a transfer syntax."""

VERSION = 1


class LearnedInvalidError(ApplianceError):
    """What destinations are known to take cannot be read."""


@dataclass(frozen=True, slots=True)
class Learned:
    """The knowledge about one destination: pairs it took, pairs it refused for their transfer syntax, SOP classes it refused altogether."""

    taken: frozenset[Pair] = frozenset()
    refused: frozenset[Pair] = frozenset()
    refused_classes: frozenset[Uid] = frozenset()

    def as_document(self) -> dict[str, Any]:
        """Return what is written down; SOP classes only where there are any."""
        document: dict[str, Any] = {"accepted": sorted(self.taken), "refused": sorted(self.refused)}
        return document | ({"refused_classes": sorted(self.refused_classes)} if self.refused_classes else {})

    @classmethod
    def of_document(cls, document: Any) -> Learned:
        """Return what was written down. Raises `LearnedInvalidError`."""
        if not isinstance(document, dict):
            raise LearnedInvalidError("the knowledge about a destination is no table")
        return cls(
            frozenset(_pair(pair) for pair in _list(document, "accepted")),
            frozenset(_pair(pair) for pair in _list(document, "refused")),
            frozenset(_text(uid) for uid in _list(document, "refused_classes")),
        )


def encode(destinations: Mapping[str, Learned]) -> bytes:
    """Return what is published about all destinations, by id."""
    known = {name: learned.as_document() for name, learned in sorted(destinations.items())}
    return json.dumps({"version": VERSION, "destinations": known}, separators=(",", ":")).encode()


def decode(data: bytes) -> dict[str, Learned]:
    """Return what was published. Raises `LearnedInvalidError`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise LearnedInvalidError("what is published about the destinations is not JSON") from None
    if not isinstance(document, dict) or document.get("version") != VERSION or not isinstance(document.get("destinations"), dict):
        raise LearnedInvalidError("what is published about the destinations is of another version")
    return {str(name): Learned.of_document(known) for name, known in document["destinations"].items()}


def together(destinations: Sequence[Learned]) -> Acceptance:
    """Return what an association may count on that can lead to any of `destinations`."""
    if not destinations:
        return NOTHING_KNOWN
    taken = _by_class(pair for learned in destinations for pair in learned.taken)
    refused_classes = frozenset.intersection(*(learned.refused_classes for learned in destinations)) - taken.keys()
    refused: dict[Uid, set[Uid]] = {}
    for sop_class, syntax in {pair for learned in destinations for pair in learned.refused}:
        pair = (sop_class, syntax)
        if all(pair in learned.refused or sop_class in learned.refused_classes for learned in destinations):
            refused.setdefault(sop_class, set()).add(syntax)
    return Acceptance(taken, refused_classes, {sop_class: frozenset(syntaxes) for sop_class, syntaxes in refused.items()})


def _by_class(pairs: Iterable[Pair]) -> dict[Uid, frozenset[Uid]]:
    found: dict[Uid, set[Uid]] = {}
    for sop_class, syntax in pairs:
        found.setdefault(sop_class, set()).add(syntax)
    return {sop_class: frozenset(syntaxes) for sop_class, syntaxes in found.items()}


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key, [])
    if not isinstance(value, list):
        raise LearnedInvalidError(f"{key} is no list")
    return value


def _pair(value: Any) -> Pair:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 (a pair)
        raise LearnedInvalidError("a pair of SOP class and transfer syntax is none")
    return _text(value[0]), _text(value[1])


def _text(value: Any) -> Uid:
    if not isinstance(value, str):
        raise LearnedInvalidError("a UID is no text")
    return Uid(value)
