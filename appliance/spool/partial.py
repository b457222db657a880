"""A partial file: where an object is written until it is whole, and gets its name.

Promises: per method; the words are those of `files`.
Failures: `OSError` of the file system.
Limits: the content is durable only after `sync`, the name only after an fsync of its folder.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from appliance.spool.files import publish


@dataclass(frozen=True, slots=True)
class PartialFile:
    """Where an object is written until it is complete: a descriptor, and a path where the file system needs one."""

    descriptor: int
    path: Path | None

    def sync(self) -> None:
        """Make the content durable. Raises `OSError`."""
        os.fsync(self.descriptor)

    def name_in(self, directory_descriptor: int, name: str) -> None:
        """Give the file its name in a directory, at once and whole; the name is not durable by that. Raises `OSError`."""
        if self.path is None:
            publish(self.descriptor, directory_descriptor, name)
        else:
            # The name holds an id of 128 bits that was never given before: there is nothing to replace.
            os.rename(self.path, name, dst_dir_fd=directory_descriptor)

    def discard(self) -> None:
        """Leave nothing; an object that was published stays."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
