"""Who called the box last, and what it was answered: written by the receivers for `sources test`, which cannot ask the past.

Promises: for each (title, address) the last call, under a bound for listed sources and another for strangers, so that no flood makes a
scanner be forgotten. Files are whole whenever they are read; nothing waits for a disk. Thread-safe.
Failures: none; what cannot be written is written the next time, what cannot be read was not there.
Limits: calls of the last second before a receiver was killed; everything, when the run directory is removed.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

# More than any department has scanners, and workstations that try.
_MOST_LISTED = 512
_MOST_STRANGERS = 64
_FILES = "callers-*.json"

MOST_WANTED = 8
"""SOP classes that are kept of one request: enough to see what a caller is, few enough that 500 callers stay a small file."""


@dataclass(frozen=True, slots=True)
class LastCall:
    """The last association request of a caller: `source` is its configured name, "" where it was not let in; titles are safe to show.

    `at` is wall time (UTC); `answer` is empty for an accepted one, else result/source/reason of PS3.8 9.3.4, and `why` is the log's reason.
    `wanted`: the first SOP classes that it proposed, at most `MOST_WANTED` well-formed UIDs.
    """

    source: str
    calling: str
    called: str
    address: str
    at: float
    answer: str = ""
    why: str = ""
    wanted: tuple[str, ...] = ()


class Callers:
    """The calls that one receiver heard."""

    def __init__(self, run_dir: Path, instance: int) -> None:
        """Write into `run_dir`; `instance` tells the receivers apart."""
        self._path = run_dir / f"callers-{instance}.json"
        self._lock = threading.Lock()
        self._listed: OrderedDict[tuple[str, str], LastCall] = OrderedDict()
        self._strangers: OrderedDict[tuple[str, str], LastCall] = OrderedDict()
        self._is_written = True

    def heard(self, call: LastCall, *, is_listed: bool) -> None:
        """Take note of a call; `is_listed`: by a title that the configuration knows."""
        calls, most = (self._listed, _MOST_LISTED) if is_listed else (self._strangers, _MOST_STRANGERS)
        with self._lock:
            calls[call.calling, call.address] = call
            calls.move_to_end((call.calling, call.address))
            if len(calls) > most:
                calls.popitem(last=False)
            self._is_written = False

    def write(self) -> None:
        """Write what was heard since the last time, if anything was."""
        with self._lock:
            if self._is_written:
                return
            calls = [asdict(call) for call in (*self._strangers.values(), *self._listed.values())]
            self._is_written = True
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(calls), encoding="utf-8")
            draft.replace(self._path)
        except OSError:
            with self._lock:
                self._is_written = False


def last_calls(run_dir: Path) -> list[LastCall]:
    """Return the last calls that all receivers wrote down, the latest first."""
    found = [call for path in run_dir.glob(_FILES) for call in _read(path)]
    return sorted(found, key=lambda call: call.at, reverse=True)


def _read(path: Path) -> Iterable[LastCall]:
    try:
        calls = [LastCall(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        # JSON knows no tuples.
        return [replace(call, wanted=tuple(call.wanted)) for call in calls]
    except (OSError, ValueError, TypeError, RecursionError):
        return []
