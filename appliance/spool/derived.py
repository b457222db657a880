"""Objects derived from stored ones, on their way out: sealed like these, and of no worth, because they can be made again.

Promises: nothing here is in clear on the disk, and nothing is ever taken for an original: no list of stored objects looks here. A derived
object has its original's id, and its own digest and length; whoever reads it to the end got it whole.
Failures: those of `admission` and `sealed`; `OSError`.
Limits: not durable. A power cut may leave what does not open: whoever starts the box empties the place first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from appliance.spool.landing import Landing, Publishable
from appliance.spool.names import SpoolName


class DerivedPlace(Landing):
    """The folder of what is derived in one way for one destination."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is not there. Raises `OSError`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(folder)
        self.folder = folder

    def publish(self, file: Publishable, name: str) -> None:
        """Give the file its name, at once and whole; neither content nor name is durable by that."""
        with contextlib.suppress(FileExistsError):
            # The same object derived the same way twice is the same bytes.
            file.name_in(self._opened(), name)

    def find(self, object_id: str) -> SpoolName | None:
        """Return what was derived from the object with this id, if it is here. Raises `OSError`."""
        with os.scandir(self.folder) as entries:
            names = (SpoolName.parse(entry.name) for entry in entries if entry.name.startswith(object_id))
            return next((name for name in names if name is not None), None)


def empty(derived: Path) -> None:
    """Remove everything that was derived; never raises."""
    shutil.rmtree(derived, ignore_errors=True)


def sweep(derived: Path, before: float) -> int:
    """Remove what was derived before the wall time `before`; return how many objects that were. Never raises."""
    removed = 0
    for path in derived.glob("*/*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed
