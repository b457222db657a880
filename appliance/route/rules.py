"""Whether a route applies to an instance, and why. Pure.

Promises: a route applies when all its conditions hold; a condition that is not set holds; one that is set holds when one of its words does.
Whatever a peer sent, the answer is yes or no. `explain` and `matches` never disagree.
Failures: none.
Limits: an instance whose data set does not say what a condition asks for does not meet it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.config.model import Route
from appliance.core.identity import Uid


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """What rules may ask about an instance: titles as sent, without padding; `source` by its configured name, "" when it is not listed.

    `source_address` ("" when it is not known) and `hops`, how many boxes of ours it passed, are for `loops` alone.
    """

    source: str
    calling_title: str
    called_title: str
    sop_class_uid: Uid
    modality: str = ""
    station_name: str = ""
    source_address: str = ""
    hops: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a route: what it asks for (`wanted`, empty when it is not set), what the instance has, and whether that will do."""

    name: str
    wanted: tuple[str, ...]
    found: str
    holds: bool


def matches(route: Route, facts: RoutingFacts) -> bool:
    """Say whether the route applies."""
    return all(condition.holds for condition in explain(route, facts))


def explain(route: Route, facts: RoutingFacts) -> tuple[Condition, ...]:
    """Return every condition that a route can have, judged."""
    when = route.when
    return (
        # A source that is not listed, or no longer, is known by the title it called with.
        _condition("source", when.source, facts.source or facts.calling_title, fold=not facts.source),
        _condition("modality", when.modality, facts.modality, fold=True),
        # Titles are compared without regard to case (house.md section 8).
        _condition("called", map(str, when.called), facts.called_title, fold=True),
        _condition("sop_class", when.sop_class, facts.sop_class_uid, fold=False),
        _condition("station", when.station, facts.station_name, fold=True),
    )


def _condition(name: str, wanted: Iterable[str], found: str, *, fold: bool) -> Condition:
    words = tuple(wanted)
    holds = found.strip().casefold() in {word.casefold() for word in words} if fold else found in words
    return Condition(name, words, found, holds or not words)
