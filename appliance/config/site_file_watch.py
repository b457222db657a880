"""`SiteFileWatch`: hands on what the operator wrote into `site.toml`, once it has been still for a second.

Promises: however an editor saves (in place, in pieces, by rename, by deleting and writing anew), the text that is handed on was the file's
whole content for a second; a text is handed on once; nobody's error ends the watch; a file that is gone proposes nothing.
Failures: none; what is refused, or cannot be read, is said in the log.
Limits: an editor that pauses for more than a second in the middle of writing is taken at its word, and the rest follows as a second text.
The file system's notices only wake the watch: where there are none (too many watches, some network file systems), a change is seen after
five seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from appliance.config.load import ConfigInvalidError
from appliance.config.site_file import Signature, SiteFile
from appliance.core.errors import ApplianceError
from appliance.runtime.clock import Clock, SystemClock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# Editors write a file of this size in one breath; a second is far more, and no one waits for it.
STILL_S = 1.0
# Without notices; also the net below lost ones.
BETWEEN_LOOKS_S = 5.0
# Reading the file, which we do ourselves, changes nothing in it.
_ONLY_READ = frozenset({"opened", "closed_no_write"})


class SiteFileWatch:
    """Watches one `site.toml` from a thread of its own, between `start` and `close`; a context manager does both."""

    def __init__(self, site_file: SiteFile, on_proposal: Callable[[str], object], *, clock: Clock | None = None) -> None:
        """Remember what to do: `on_proposal` gets each new text, and settles it by returning; nothing is watched yet.

        What it raises leaves the text unsettled, so that it is proposed again at the next start.
        """
        self._file = site_file
        self._on_proposal = on_proposal
        self._clock = clock or SystemClock()
        self._stirred = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="site-file", daemon=True)
        self._observer: BaseObserver | None = None
        # What the file looked like, since when, and what it looked like when it was last handed on.
        self._seen: Signature | None = None
        self._since = 0.0
        self._handled: Signature | None = None

    def start(self) -> None:
        """Begin to watch; what changed while nobody watched is seen first."""
        self._observer = _observer(self._file.path, self._stirred)
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when nothing is handed on any more. A second call does nothing."""
        self._stopping.set()
        self._stirred.set()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def step(self) -> float:
        """Look once, hand on what is due, and return in how many seconds to look again if nothing stirs."""
        now, signature = self._clock.now().boottime, self._file.signature()
        if signature != self._seen:
            self._seen, self._since = signature, now
        if signature is None or signature == self._handled:
            return BETWEEN_LOOKS_S
        still_for = now - self._since
        if still_for < STILL_S:
            return STILL_S - still_for
        self._hand_on(signature)
        return BETWEEN_LOOKS_S if self._handled == signature else STILL_S

    def _hand_on(self, signature: Signature) -> None:
        try:
            text = self._file.news()
        except ConfigInvalidError as error:
            self._handled = signature
            log.warning("config.proposal_unreadable", because=str(error), advice=error.advice)
            return
        if self._file.signature() != signature:
            # It was written to while it was read: this may be half a text.
            return
        self._handled = signature
        if text is None:
            return
        try:
            self._on_proposal(text)
        except ApplianceError as error:
            self._file.refuse(text)
            log.warning("config.proposal_refused", because=str(error), advice=error.advice)
        except Exception as error:  # boundary: whatever a proposal does to who takes it, the next one must be seen
            self._file.refuse(text)
            log.exception("config.proposal_failed", because=type(error).__name__)
        else:
            self._file.settle(text)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stirred.wait(self.step())
            self._stirred.clear()


def _observer(path: Path, stirred: threading.Event) -> BaseObserver | None:
    """Return a running observer of the folder (editors replace the file itself); None where the system gives no notices."""
    observer = Observer()
    try:
        observer.schedule(_Stir(path.name, stirred), os.fspath(path.parent), recursive=False)
        observer.start()
    except OSError as error:
        log.warning("config.watch_polls", because=error.strerror, every_s=BETWEEN_LOOKS_S)
        return None
    return observer


class _Stir(FileSystemEventHandler):
    """Wakes the watch when something happened to the file."""

    def __init__(self, name: str, stirred: threading.Event) -> None:
        self._name = name
        self._stirred = stirred

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the watch, unless the event is about another file."""
        names = {Path(os.fsdecode(path)).name for path in (event.src_path, event.dest_path)}
        if event.event_type not in _ONLY_READ and self._name in names:
            self._stirred.set()
