"""What lies in the spool, found by looking: every file of `incoming/` and `store/`, where it is, and whether it belongs there.

Promises: files come in one fixed order, so that a walk that was interrupted goes on behind the last file seen; an object that is there
from the beginning to the end of a walk is met, wherever it is moved meanwhile. Nothing is opened, followed or changed.
Failures: none; a folder that cannot be read is met as that.
Limits: objects that come or go during a walk may be met or not. What is in `quarantine/` and `receiving/` is not looked at.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from appliance.spool.names import SpoolName

INCOMING = "incoming"
STORE = "store"

# store/g<n>/<hour>/<two characters>/, and nothing else is entered.
_LEVELS = (re.compile(r"g[1-9][0-9]{0,8}"), re.compile(r"[0-9]{10}"), re.compile(r"[0-9a-f]{2}"))

_Folder: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that lies in the spool: `where` is its path relative to the spool, which is also what a walk goes on after.

    `name` is None for what is not an object of ours in its own place. Then `where` ends with its inode number, because the name that
    somebody gave it may say what no log may hold. `problem` is the error number of a folder that cannot be read.
    """

    where: str
    name: SpoolName | None
    problem: int | None = None


class Inventory:
    """The files of the spool under one data directory."""

    def __init__(self, data: Path) -> None:
        """Look under `data`."""
        self._spool = data / "spool"

    def files(self, after: str = "") -> Iterator[Found]:
        """Yield what there is, after the file that was met as `after`: first what waits, then the store by generation and hour."""
        waited: set[str] = set()
        folder, _, file = after.rpartition("/")
        seen = tuple(folder.split("/")), file
        # What moves from the one to the other meanwhile is met in the first at the latest, and once.
        for found in self._walk((INCOMING,), seen):
            if found.name is not None:
                waited.add(found.name.object_id)
            yield found
        for found in self._walk((STORE,), seen):
            if found.name is None or found.name.object_id not in waited:
                yield found

    def _walk(self, folder: _Folder, seen: tuple[_Folder, str]) -> Iterator[Found]:
        """Yield what lies in a folder by its label, then what is in its folders: the order of (folder, label) compared part by part."""
        if folder < seen[0][: len(folder)]:
            return
        folders, files = [], []
        try:
            with os.scandir(self._spool.joinpath(*folder)) as entries:
                for entry in entries:
                    if _is_level(folder, entry):
                        folders.append(entry.name)
                    else:
                        files.append(_labelled(folder, entry))
        except OSError as error:
            # A folder that was emptied and removed meanwhile holds nothing.
            if error.errno != errno.ENOENT:
                yield Found("/".join(folder), None, error.errno)
            return
        for label, name in sorted(files, key=lambda file: file[0]):
            if (folder, label) > seen:
                yield Found("/".join((*folder, label)), name)
        for level in sorted(folders):
            yield from self._walk((*folder, level), seen)


def _is_level(folder: _Folder, entry: os.DirEntry[str]) -> bool:
    depth = len(folder) - 1
    return (
        folder[0] == STORE
        and depth < len(_LEVELS)
        and _LEVELS[depth].fullmatch(entry.name) is not None
        and entry.is_dir(follow_symlinks=False)
    )


def _labelled(folder: _Folder, entry: os.DirEntry[str]) -> tuple[str, SpoolName | None]:
    """Return how an entry is called in `where`, and its name where it is an object of ours in its own place."""
    name = SpoolName.parse(entry.name)
    if name is None or folder not in {(INCOMING,), (STORE, *name.store_directory().split("/"))}:
        return f"inode {entry.inode()}", None
    return entry.name, name
