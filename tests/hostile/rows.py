"""The rows of one module: each is a function whose name is its number and what it does, and whose docstring is its answer.

Promises: `ids` are unique and stand in the order of the table, "row_04_floods_the_door" as "row-04-floods-the-door".
Failures: `ValueError` for a name twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.caller import Caller
from tests.support.oracle import Limits, Row
from tests.support.stranger import Stranger

Attack = Callable[[Row], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One row: its attack, which asserts the answers on the wire and in the log, and what it may cost the box."""

    attack: Attack
    limits: Limits

    @property
    def name(self) -> str:
        """Its id."""
        return self.attack.__name__.replace("_", "-")


@dataclass(slots=True)
class Rows:
    """The rows of one module."""

    cases: list[Case] = field(default_factory=list)

    def row(self, limits: Limits | None = None) -> Callable[[Attack], Attack]:
        """Return the decorator that adds a row."""

        def add(attack: Attack) -> Attack:
            case = Case(attack, limits or Limits())
            if case.name in self.ids:
                raise ValueError(case.name)
            self.cases.append(case)
            return attack

        return add

    @property
    def ids(self) -> list[str]:
        """The names of all rows."""
        return [case.name for case in self.cases]


def stranger(row: Row) -> Stranger:
    """Return a connection of the row's own address, on which nothing was said."""
    return Stranger(row.box.port, address=row.address)


def scanner(row: Row) -> Caller:
    """Return an association of a listed scanner at the row's own address."""
    return Caller(row.box.port, address=row.address)
