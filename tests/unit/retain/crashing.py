"""Killing a process at each of its steps on the disk: before the n-th fsync, rename, removal or commit it is gone.

Promises: `crashing_at(n)` raises `Crash` instead of step n, and at every step after it, as nothing happens after a kill; `steps` says how
many steps there were.
Limits: what SQLite does by itself between two commits is not cut; its own tests do that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.ledger import cipher_file
from appliance.ledger.database import Ledger
from tests.unit.retain.bench import Crash

_STEPS = ("fsync", "rename", "unlink", "link", "replace")


@dataclass(slots=True)
class Counter:
    """How many steps there were."""

    steps: int = 0


@contextmanager
def crashing_at(last: int) -> Iterator[Counter]:
    """Be killed before step `last`, counted from 1; never, with 0."""
    counter = Counter()

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **keywords: Any) -> Any:
            counter.steps += 1
            if last and counter.steps >= last:
                raise Crash
            return step(*arguments, **keywords)

        return run

    def run_statement(self: Ledger, sql: str, parameters: Any) -> Any:
        return committing(self, sql, parameters) if sql == "COMMIT" else statement(self, sql, parameters)

    statement = Ledger._run
    committing = counted(statement)
    with pytest.MonkeyPatch.context() as patch:
        for name in _STEPS:
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(Ledger, "_run", run_statement)
        patch.setattr(cipher_file, "checkpoint", counted(cipher_file.checkpoint))
        yield counter
