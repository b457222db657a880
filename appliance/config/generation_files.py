"""The files of the generations: `config/active.json`, `config/generations/<n>.json` and, beside each, its source text `<n>.toml`.

Promises: a file is written whole and durable or not at all; `active.json` is the one point at which a configuration comes into force, and
holds all of it, so that whoever reads it needs no other file; a number that was in force is never used again.
Failures: `OSError` from the file system; `RecordDamagedError` (ours) for what is no record.
Limits: no locking here; see `generations`. Generations are kept for good: a thousand of them take a few MiB.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from appliance.config.private_file import sync_directory, write_private_file
from appliance.config.record import GenerationRecord, RecordDamagedError, text_digest

_RECORD_NAME = re.compile(r"([1-9][0-9]{0,8})\.json")
_ANY_NAME = re.compile(r"([1-9][0-9]{0,8})\.(?:json|toml)")


class GenerationFiles:
    """Where the generations of one data directory lie."""

    def __init__(self, data: Path) -> None:
        """Name the places; nothing is made."""
        self.data = data
        self.active_path = data / "config" / "active.json"
        self.lock_path = data / "config" / "lock"
        self._home = data / "config" / "generations"

    def numbers(self) -> list[int]:
        """Return the numbers that have a record, whole or not, newest first."""
        return sorted(self._numbers(_RECORD_NAME), reverse=True)

    def next_number(self) -> int:
        """Return a number that no file and no configuration in force has had."""
        taken = self._numbers(_ANY_NAME)
        with contextlib.suppress(OSError, RecordDamagedError):
            taken.add(self.read_active().number)
        return max(taken, default=0) + 1

    def read(self, number: int) -> GenerationRecord:
        """Return a generation's record. Raises `OSError`, `RecordDamagedError`."""
        record = GenerationRecord.decode(self._record_path(number).read_bytes())
        if record.number != number:
            raise RecordDamagedError(f"the file of generation {number} of the configuration is that of generation {record.number}")
        return record

    def read_active(self) -> GenerationRecord:
        """Return the record in force. Raises `OSError`, `RecordDamagedError`."""
        return GenerationRecord.decode(self.active_path.read_bytes())

    def newest_whole(self) -> GenerationRecord | None:
        """Return the newest generation that this version can use, or None."""
        return next(self._usable(), None)

    def text(self, record: GenerationRecord) -> str | None:
        """Return the source text of a generation, or None where it is gone or is not the one that the record came from."""
        try:
            text = self._text_path(record.number).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return text if text_digest(text) == record.source_digest else None

    def write(self, record: GenerationRecord, text: str) -> None:
        """Keep a generation and its source text, without putting it in force. Raises `OSError`."""
        write_private_file(self._text_path(record.number), text.encode())
        write_private_file(self._record_path(record.number), record.encode())

    def write_active(self, record: GenerationRecord) -> None:
        """Put a record in force: this is the moment. Raises `OSError`."""
        write_private_file(self.active_path, record.encode())

    def discard(self, number: int) -> None:
        """Remove a generation that never came into force; what cannot be removed stays, and harms nobody."""
        with contextlib.suppress(OSError):
            self._record_path(number).unlink(missing_ok=True)
            self._text_path(number).unlink(missing_ok=True)
            sync_directory(self._home)

    def _usable(self) -> Iterator[GenerationRecord]:
        for number in self.numbers():
            with contextlib.suppress(OSError, RecordDamagedError):
                record = self.read(number)
                record.site()
                yield record

    def _numbers(self, pattern: re.Pattern[str]) -> set[int]:
        try:
            names = [path.name for path in self._home.iterdir()]
        except OSError:
            return set()
        return {int(match[1]) for match in map(pattern.fullmatch, names) if match}

    def _record_path(self, number: int) -> Path:
        return self._home / f"{number}.json"

    def _text_path(self, number: int) -> Path:
        return self._home / f"{number}.toml"
