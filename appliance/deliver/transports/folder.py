"""Deliveries into a folder of this machine, most often a mounted share: written beside, made durable, then renamed.

Promises: nothing is written unless the folder holds its marker, so a mount point whose share is not mounted never fills; what is written
goes where the marker was seen, whatever is mounted meanwhile. A file that has its name is whole, its content synced; so was its name,
where the file system can sync a folder.
Failures: `AssociationFailedError`; everything else is an outcome.
Limits: a share whose server hangs holds the lanes of this destination, and of no other, until the kernel gives up; links inside the folder
are not followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.config.layout import LayoutTemplate
from appliance.deliver.file_verdicts import FileTroubleError, Trouble, trouble_of
from appliance.deliver.transport import AssociationFailedError, Wanted
from appliance.deliver.transports.files import FileChannel, OpenObject
from appliance.spool.files import write_all

MARKER = "dicom-edge.here"
"""The file that says: this is the folder that was meant, and not the empty one below an unmounted share."""

# The group may take the files away; others see nothing. The umask may leave less.
_FILE_MODE, _FOLDER_MODE = 0o660, 0o770
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
# File systems of shares that cannot sync a folder say so in one of these ways.
_NOT_SYNCED = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES})
# What a write or a name would mean by them, a sync does not: neither has anything to do with it.
_SYNC_FAILED = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS})


class FolderTransport:
    """The way to one folder. Threads may share it."""

    def __init__(self, path: Path, layout: LayoutTemplate, open_object: OpenObject) -> None:
        """Write below `path`, laid out as `layout` says, what `open_object` opens."""
        self._path = path
        self._layout = layout
        self._open_object = open_object

    def hello(self) -> None:
        """Return when the folder is there and holds its marker. Raises `AssociationFailedError`."""
        self._place().close()

    def echo(self) -> None:
        """Return: whoever has the marker is the folder that was meant."""

    def open(self, wanted: Wanted) -> FileChannel:  # noqa: ARG002 (a folder takes everything)
        """Return the folder, open. Raises `AssociationFailedError`."""
        return FileChannel(self._place(), self._layout, self._open_object)

    def _place(self) -> FolderPlace:
        try:
            return FolderPlace(self._path)
        except FileTroubleError as error:
            raise AssociationFailedError(error.verdict) from error


class FolderPlace:
    """The folder, held by its descriptor."""

    def __init__(self, path: Path) -> None:
        """Open the folder and find its marker. Raises `FileTroubleError`."""
        self._path = path
        try:
            self._root = os.open(path, _FOLDER)
        except NotADirectoryError:
            raise FileTroubleError(Trouble.NOT_A_FOLDER) from None
        except OSError as error:
            raise FileTroubleError(trouble_of(error.errno)) from None
        try:
            is_marked = stat.S_ISREG(os.stat(MARKER, dir_fd=self._root, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            is_marked = False
        except OSError as error:
            self.close()
            raise FileTroubleError(trouble_of(error.errno)) from None
        if not is_marked:
            self.close()
            raise FileTroubleError(Trouble.UNMARKED)

    @property
    def is_open(self) -> bool:
        """Whether what is at the path now is still what was opened."""
        try:
            return self._root >= 0 and os.path.samestat(self._path.stat(), os.fstat(self._root))
        except OSError:
            return False

    def draft(self, path: tuple[str, ...], temporary: str) -> FolderDraft:
        """Return a new file. Raises `FileTroubleError`."""
        *folders, name = path
        with _told():
            folder = _open_folders(self._root, folders)
            try:
                with contextlib.suppress(FileNotFoundError):
                    # What a cut-off try of this very delivery left.
                    os.unlink(temporary, dir_fd=folder)
                file = os.open(temporary, _NEW_FILE, _FILE_MODE, dir_fd=folder)
            except OSError:
                os.close(folder)
                raise
        return FolderDraft(self, folder, file, temporary, name)

    def close(self) -> None:
        """Give the folder back."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)


class FolderDraft:
    """A file being written."""

    def __init__(self, place: FolderPlace, folder: int, file: int, temporary: str, name: str) -> None:
        """Own both descriptors."""
        self._place = place
        self._folder = folder
        self._file = file
        self._temporary = temporary
        self._name = name

    def write(self, data: bytes) -> None:
        """Add to the file."""
        with _told():
            write_all(self._file, data)

    def finish(self) -> None:
        """Return when content and name are durable."""
        with _told():
            _sync_content(self._file)
            file, self._file = self._file, -1
            # A share may keep an error for the one who closes.
            os.close(file)
            if not self._place.is_open:
                raise FileTroubleError(Trouble.GONE)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            _sync(self._folder)
        self._let_go()

    def discard(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._folder)
        self._let_go()

    def _let_go(self) -> None:
        for descriptor in (self._file, self._folder):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._file = self._folder = -1


def _open_folders(root: int, names: list[str]) -> int:
    """Return a descriptor of the folder below `root`, made where it is not there, its name durable."""
    folder = os.dup(root)
    for name in names:
        try:
            try:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
                _sync(folder)
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def _sync_content(file: int) -> None:
    """Make a file's content durable. A file system that cannot has failed: the box may forget what it has."""
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno in _SYNC_FAILED:
            raise FileTroubleError(Trouble.STORAGE_FAILED) from None
        raise


def _sync(folder: int) -> None:
    """Make names durable, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the file system into what they mean."""
    try:
        yield
    except OSError as error:
        raise FileTroubleError(trouble_of(error.errno)) from None
