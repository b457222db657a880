"""A change that waits for somebody's word: the record on the disk, which outlives whoever made the change.

Promises: the record is whole and durable when `write` returns, and is there before the change that it is about; whoever reads it later, in
another process or after a power cut, knows what to go back to and when.
Failures: `OSError` from `write` and `clear`; what cannot be read is none, and is said in the log.
Limits: one change at a time; whoever writes holds the lock of `manage.site_changes`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.config.private_file import sync_directory, write_private_file
from appliance.runtime.clock import Due
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LockOut:
    """How a change could lock somebody out: a word for the rule, and whom or what it is about."""

    rule: str
    about: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A change: the generation before it, the digest of its own text, who made it, why it waits, and when it is taken back."""

    previous: int
    digest: str
    by: str
    lock_outs: tuple[LockOut, ...]
    due: Due


class UnconfirmedFile:
    """The record of one data directory."""

    def __init__(self, data: Path) -> None:
        """Name the file; nothing is read."""
        self.path = data / "config" / "unconfirmed.json"

    def read(self) -> Unconfirmed | None:
        """Return the change that waits, or None."""
        try:
            raw = self.path.read_bytes()
        except OSError:
            return None
        try:
            content = json.loads(raw)
            lock_outs = tuple(LockOut(**entry) for entry in content.pop("lock_outs"))
            return Unconfirmed(**content | {"lock_outs": lock_outs, "due": Due(**content["due"])})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            log.error("config.unconfirmed_damaged")  # noqa: TRY400 - the line says all
            return None

    def write(self, change: Unconfirmed) -> None:
        """Keep the record. Raises `OSError`."""
        write_private_file(self.path, json.dumps(asdict(change)).encode() + b"\n")

    def clear(self) -> None:
        """Return when no change waits any more. Raises `OSError`."""
        if self.path.exists():
            self.path.unlink(missing_ok=True)
            sync_directory(self.path.parent)
