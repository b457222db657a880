"""Blanks: files that wait for an object, already sealed to its recipients, though nobody knows yet which object it will be.

Making the file and wrapping its key were a sixth of a CT image's time. Done while the peer prepares its next one, nobody waits for it.

Promises: a blank belongs to the thread that made it, which serves one association, and is closed when that thread ends; it is used for one
object, and only while its recipients are those in force. `make_ready` never raises and leaves nothing behind that has a name.
Failures: `OSError` from `take` where a file cannot be made or written.
Limits: only files without a name are made ready: others would lie there until the next sweep.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from appliance.keys.generations import Recipients
from appliance.spool.age import SealWriter
from appliance.spool.files import write_all
from appliance.spool.partial import PartialFile


@dataclass(frozen=True, slots=True)
class Blank:
    """A file that holds nothing but the seal's own header, and the seal that goes on from there."""

    file: PartialFile
    seal: SealWriter
    recipients: Recipients


class _Waiting:
    """A blank on hold; it is closed with whoever holds it."""

    def __init__(self, blank: Blank) -> None:
        """Hold it."""
        self.blank: Blank | None = blank

    def take(self) -> Blank | None:
        """Give it away."""
        blank, self.blank = self.blank, None
        return blank

    def __del__(self) -> None:
        """Close what nobody took."""
        blank = self.take()
        if blank is not None:
            blank.file.discard()


class Blanks:
    """The blanks of one process; threads may share them."""

    def __init__(self, unnamed: Callable[[], int | None], named: Callable[[], PartialFile]) -> None:
        """Make files with `unnamed`, which returns a descriptor, or None where that is not possible: then with `named`."""
        self._unnamed = unnamed
        self._named = named
        # Gone with its thread: an association that is over keeps no descriptor.
        self._own = threading.local()

    def take(self, recipients: Recipients) -> Blank:
        """Return a blank for `recipients`, the one that waits if there is one. Raises `OSError`."""
        blank = self._take_waiting()
        if blank is not None and blank.recipients == recipients:
            return blank
        if blank is not None:
            blank.file.discard()
        descriptor = self._unnamed()
        return _seal(self._named() if descriptor is None else PartialFile(descriptor, None), recipients)

    def make_ready(self, recipients: Recipients) -> None:
        """Make a blank for this thread's next object; where it cannot be made, `take` will say why."""
        with contextlib.suppress(OSError):
            descriptor = self._unnamed()
            if descriptor is not None:
                self._own.waiting = _Waiting(_seal(PartialFile(descriptor, None), recipients))

    def close(self) -> None:
        """Close this thread's."""
        self._own.waiting = None

    def _take_waiting(self) -> Blank | None:
        waiting: _Waiting | None = getattr(self._own, "waiting", None)
        return None if waiting is None else waiting.take()


def _seal(file: PartialFile, recipients: Recipients) -> Blank:
    try:
        return Blank(file, SealWriter(partial(write_all, file.descriptor), recipients.all), recipients)
    except BaseException:  # boundary: whatever ends it, the descriptor must not stay open; it is raised again
        file.discard()
        raise
