"""`ActiveSite`: the configuration in force, for daemons that ask at every association.

Promises: `current` costs a comparison of two numbers, and once a second a look at the file's age; it returns the very same object until
another configuration is in force; a file that is damaged, gone or half there changes nothing, and is said once in the log.
Failures: at construction, what `load_active` raises; none afterwards.
Limits: a change is seen a second later, or at once after `poke`. Threads may share it.
"""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.config.generation_files import GenerationFiles
from appliance.config.load import ActiveConfigDamagedError, ActiveConfigMissingError, load_active, read_active
from appliance.config.model import Site
from appliance.core.errors import ApplianceError
from appliance.runtime.clock import Clock, SystemClock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A person who changed a setting looks for its effect; a second is at once to him, and one stat a second is nothing to us.
_BETWEEN_LOOKS_S = 1.0

Signature = tuple[int, int, int, int]


class ActiveSite:
    """The configuration in force, remembered."""

    def __init__(self, data: Path, *, clock: Clock | None = None) -> None:
        """Load it. Raises `ActiveConfigMissingError`, `ActiveConfigDamagedError` when there is none to begin with."""
        self._data = data
        self._path = GenerationFiles(data).active_path
        self._clock = clock or SystemClock()
        self._looking = threading.Lock()
        self._poked = threading.Event()
        # Before reading: what is replaced meanwhile then looks new at the next look.
        self._signature = self._look_at_file()
        self._site = load_active(data)
        self._next_look = self._clock.now().boottime + _BETWEEN_LOOKS_S

    def current(self) -> Site:
        """Return the configuration in force, as of a second ago at most."""
        is_poked = self._poked.is_set()
        if not is_poked and self._clock.now().boottime < self._next_look:
            return self._site
        # One thread looks; the others go on with what is known, unless they were told that it is old.
        if self._looking.acquire(blocking=is_poked):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._site

    def newest(self) -> Site:
        """Return the configuration in force, looked up at once."""
        self.poke()
        return self.current()

    def poke(self) -> None:
        """Make the next `current` look at the file."""
        self._poked.set()

    def _look(self) -> None:
        self._poked.clear()
        self._next_look = self._clock.now().boottime + _BETWEEN_LOOKS_S
        signature = self._look_at_file()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            site = read_active(self._data)
        except (ActiveConfigMissingError, ActiveConfigDamagedError) as error:
            self._say_kept(error)
            return
        if site.generation == self._site.generation and site == self._site:
            return
        log.info("config.taken_over", generation=site.generation, before=self._site.generation)
        self._site = site

    def _say_kept(self, error: ApplianceError) -> None:
        log.error("config.kept_last_good", generation=self._site.generation, because=str(error))

    def _look_at_file(self) -> Signature | None:
        """Return what changes whenever the file is replaced or written; None when it is not there."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        # An inode may be used again, and a time has grains of milliseconds; all four together do not repeat.
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
