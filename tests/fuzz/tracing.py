"""What a call did: the edges between the lines that it ran, and how many lines it took (returns counted).

Promises: the same call gives the same features in the same process; a call that takes more than its limit of lines ends, whatever it
catches.
Failures: `StepsExceededError`, which is no `Exception`, so that no boundary in the product swallows it.
Limits: lines in the chosen packages only, not what C code does; one call at a time, in one thread.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

# Seldom, often, and very often: where a loop goes on for long, its exact length leads nowhere.
_MOST_OFTEN = 6
# No module has more lines.
_LINE_BITS = 20

Feature = tuple[int, int, int]
"""From which line to which, and how often, in powers of two up to 32."""


class StepsExceededError(BaseException):
    """A call took more lines than its input may cost."""


@dataclass
class Observed:
    """What a call did, also where it failed."""

    features: set[Feature] = field(default_factory=set)
    steps: int = 0


class Tracer:
    """Watches calls in some packages. It is the debugger's hook: do not step through it."""

    def __init__(self, packages: Collection[str]) -> None:
        """Watch what lies in `packages`, which are imported already."""
        self._roots = tuple(str(Path(str(sys.modules[package].__file__)).parent) for package in packages)
        # By the identity of the code, whose hash would be made anew each time; the code is kept with it, or another might get its identity.
        self._watched: dict[int, tuple[CodeType, Callable[[FrameType, str, Any], Any] | None]] = {}
        self._lines: list[int] = []
        self._limit = 0

    def watch(self, call: Callable[[], object], limit: int | None) -> tuple[Observed, BaseException | None]:
        """Return what `call` did within `limit` lines, and what it raised; without a limit nobody looks what it does."""
        self._lines.clear()
        self._limit = limit or 0
        raised: BaseException | None = None
        outer = sys.gettrace()
        if limit is not None:
            sys.settrace(self._enter)
        try:
            call()
        except (Exception, StepsExceededError) as error:  # noqa: BLE001 (whatever comes out is what the caller asks for)
            raised = error
        finally:
            sys.settrace(outer)
        counts = Counter(pairwise(self._lines))
        features = {(*edge, min(count.bit_length(), _MOST_OFTEN)) for edge, count in counts.items()}
        return Observed(features, len(self._lines)), raised

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        known = self._watched.get(id(code))
        if known is None:
            number = len(self._watched) << _LINE_BITS
            known = self._watched[id(code)] = (code, self._step(number) if code.co_filename.startswith(self._roots) else None)
        return known[1]

    def _step(self, number: int) -> Callable[[FrameType, str, Any], Any]:
        """Return what follows one function's lines; it is run for each, so it does next to nothing."""
        lines = self._lines

        def step(frame: FrameType, _event: str, _argument: Any) -> Any:
            lines.append(number | frame.f_lineno)
            if len(lines) > self._limit:
                raise StepsExceededError(f"more than {self._limit} lines")
            return step

        return step
