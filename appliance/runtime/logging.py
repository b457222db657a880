"""Structured logging: constant event names with fields, one JSON object a line, and a guard that lets no patient through.

Promises: a line always has `at`, `level`, `daemon`, `event`; a field whose name says it holds a patient's name, ID or birth date is
replaced before it is written.
Failures: none; a stream that is gone loses lines, never the daemon.
Limits: the guard knows field names, not meanings; the canary tests look for the rest.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

# Field names that would hold what no log may hold (style.md R17). Matching is by exact name: our own code is the only writer.
_FORBIDDEN = frozenset({"patient", "patient_name", "patient_id", "birth_date", "patient_birth_date", "name_of_patient"})

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def _guard(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _FORBIDDEN & event.keys():
        event[name] = "withheld"
    return event


class _Lines:
    """Writes lines to a stream and forgives a stream that is gone: a closed terminal must not stop a daemon."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = msg


def configure(daemon: str, *, level: str = "info", stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged from now on to `stream` as lines of JSON, marked with the daemon's name.

    Libraries that log by themselves (they may print what a peer sent) are cut off.
    """
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            lambda _logger, _method, event: {"daemon": daemon, **event},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _guard,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that carries the module's name; it may be made before `configure` is called."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
