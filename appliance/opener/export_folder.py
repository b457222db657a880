"""The folder that files are exported to, which may be a stick with a file system of its own ideas.

Promises: a file gets its name when it is whole and durable, and never takes the place of another unless that is asked for; the folder is
held by its descriptor, so that renaming or replacing it meanwhile redirects nothing. Files are for their owner only (0600) where the file
system knows owners.
Failures: `ExportFolderError` (operator) for whatever the file system refuses.
Limits: a process killed in the middle leaves a file whose name begins with `.export-` and ends with `.part`; on file systems without hard
links (FAT) an empty file under a final name is possible too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.core.errors import ApplianceError, Fault
from appliance.spool.files import open_directory, sync_directory, write_all

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class ExportFolderError(ApplianceError):
    """The folder to export to cannot be used."""

    fault = Fault.OPERATOR
    advice = "Name a folder that exists, that this user may write, and that has room."


class ExportFolder:
    """The folder, open. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open `path`, which exists. Raises `ExportFolderError`."""
        try:
            self._descriptor = open_directory(path)
        except OSError as error:
            raise _refused(error) from None

    def has(self, name: str) -> bool:
        """Say whether anything has this name. Raises `ExportFolderError`."""
        try:
            os.lstat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _refused(error) from None
        return True

    def draft(self) -> Draft:
        """Return a new file under a temporary name. Raises `ExportFolderError`."""
        return Draft(self._descriptor)

    def __enter__(self) -> Self:
        """Export within a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the folder back."""
        os.close(self._descriptor)


class Draft:
    """One file under a temporary name; nothing is left of what was not published when its block ends."""

    def __init__(self, folder: int) -> None:
        """Make it in the folder with this descriptor. Raises `ExportFolderError`."""
        self._folder = folder
        self._name = f".export-{secrets.token_hex(8)}.part"
        try:
            self._descriptor = os.open(self._name, _NEW_FILE, 0o600, dir_fd=folder)
        except OSError as error:
            raise _refused(error) from None

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises `ExportFolderError`."""
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise _refused(error) from None

    def publish(self, name: str, *, overwrite: bool) -> bool:
        """Make the content durable and give it its name, durably; False, and nothing changed, where the name is taken.

        Raises `ExportFolderError`.
        """
        try:
            os.fsync(self._descriptor)
            if not overwrite and not self._claim(name):
                return False
            # After a claim by link this does nothing (rename(2): two names of one file); the temporary name goes with the block.
            os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            sync_directory(self._folder)
        except OSError as error:
            raise _refused(error) from None
        return True

    def _claim(self, name: str) -> bool:
        """Take `name` unless it is taken: by a link, or where there are none by an empty file that the rename replaces at once."""
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError:
            try:
                os.close(os.open(name, _NEW_FILE, 0o600, dir_fd=self._folder))
            except FileExistsError:
                return False
        return True

    def __enter__(self) -> Self:
        """Write within a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file and take its temporary name away."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)


def _refused(error: OSError) -> ExportFolderError:
    return ExportFolderError(f"the folder to export to cannot be used: {os.strerror(error.errno or 0)}")
