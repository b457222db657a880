"""What a turn leaves behind: its bytes are given back at once, its emptied files when everything is measured.

Some file systems look, for each new file, through what was removed within the last minutes (ext4 without a journal does): removing a turn's
files would be paid for by the next turn, whoever's it is. `storescp` cost twice its CPU a GiB right after thousands of files were removed.

Promises: after `clear` the directory is not there, its bytes are free and nothing is left to be written.
Failures: `OSError` where the directory cannot be moved.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

_EMPTIED = "emptied"


def clear(directory: Path) -> None:
    """Give back what the directory holds, and put what is left of it aside, beside it."""
    if directory.is_dir():
        for home, _, names in os.walk(directory):
            for name in names:
                _empty(Path(home, name))
        aside = directory.parent / _EMPTIED
        aside.mkdir(exist_ok=True)
        directory.rename(aside / secrets.token_hex(8))
    os.sync()


def _empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        status = path.lstat()
        # A second name of something else is not ours to empty.
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.truncate(path, 0)
