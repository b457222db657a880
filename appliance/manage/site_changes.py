"""Changing the configuration from a page: what it says, what a change would do, and a way back for what could lock somebody out.

Promises: a change is made to what its author saw, or not at all (`SiteStaleError`); what could lock somebody out is taken back after 60 s
unless a person says that all is well, also when the process that made it has died, and after a power cut; until then no other change is
made here.
Failures: those of `config.generations` and `config.edits`; `SiteStaleError`, `SiteUnconfirmedError` (operator).
Limits: what `config apply` or an edited `site.toml` puts in force is nobody's to take back here, and ends the waiting. A demonstration has
no generation to go back to: nothing waits in one. `site.toml` itself is never written (docs/configuration.md, Generations).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.config.change import Change, difference
from appliance.config.edits import Edit
from appliance.config.generations import Applied, Generation, GenerationInfo, Generations, Proposal
from appliance.config.load import ActiveConfigMissingError, ConfigInvalidError, default_site, load_active, to_toml
from appliance.config.model import Site
from appliance.config.record import text_digest
from appliance.config.unconfirmed import LockOut, Unconfirmed, UnconfirmedFile
from appliance.config.writer_lock import SiteStaleError, sole_writer
from appliance.core.errors import ApplianceError, Fault
from appliance.manage.configuration import apply_text, roll_back
from appliance.manage.lock_outs import lock_outs
from appliance.runtime.callers import last_calls
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger

__all__ = ["Current", "Pending", "SiteChanges", "SiteStaleError", "SiteUnconfirmedError", "taking_back_unconfirmed"]

log = get_logger(__name__)

CONFIRM_WITHIN_S = 60.0
"""Long enough to load a page anew or to send a test image, short enough to wait for when nothing answers any more."""
BY_ITSELF = "dicom-edge"
"""Who takes back what nobody confirmed, in the history."""

# A look is one stat of a file that is not there.
_BETWEEN_LOOKS_S = 1.0
# What fits on a line; the history has the rest.
_CHANGES_SHOWN = 3


class SiteUnconfirmedError(ApplianceError):
    """Another change waits to be confirmed."""

    fault = Fault.OPERATOR
    advice = "Confirm it or take it back first: it says so at the top of every page. After a minute it is taken back by itself."


@dataclass(frozen=True, slots=True)
class Current:
    """The configuration in force: its number (0 in a demonstration), its text, and what it says."""

    generation: int
    text: str
    site: Site


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that is in force and waits for somebody's word; `remaining_s` seconds are left."""

    generation: int
    previous: int
    by: str
    lock_outs: tuple[LockOut, ...]
    remaining_s: float


class SiteChanges:
    """The configuration of one data directory, as the pages change it. Threads and processes may share it."""

    def __init__(self, data: Path, clock: Clock) -> None:
        """Name the directory; nothing is read or made."""
        self._data = data
        self._clock = clock
        self._generations = Generations(data, clock=clock)
        self._file = UnconfirmedFile(data)

    def current(self) -> Current:
        """Return the configuration in force."""
        generation = self._generations.current() if self._generations.in_force() else None
        if generation is not None:
            return Current(generation.number, generation.text, generation.site)
        try:
            site = load_active(self._data)
        except ActiveConfigMissingError:
            site = default_site()
        return Current(0, to_toml(site), site)

    def propose(self, edit: Edit) -> Proposal:
        """Return what the edit would do, and do nothing. Raises `ConfigInvalidError` and what the edit raises."""
        return self._generations.propose(edit(self.current().text))

    def apply(self, edit: Edit, *, expected: int, by: str, reason: str) -> Applied:
        """Put the edited text in force; `expected` is the generation that the person saw.

        Raises `SiteStaleError`, `SiteUnconfirmedError`, what the edit raises, and what `Generations.apply` raises.
        """
        with self._sole_change(expected) as current:
            text = edit(current.text)
            after = self._generations.propose(text).site
            return self._put(current, after, text, by, lambda: self._apply(text, expected, by, reason))

    def roll_back(self, number: int, *, expected: int, by: str, reason: str) -> Applied:
        """Put an earlier generation in force again, as a new one. Raises as `apply`, and what `read` raises."""
        with self._sole_change(expected) as current:
            old = self._generations.read(number)
            return self._put(
                current, old.site, old.text, by, lambda: roll_back(self._data, number, by=by, reason=reason, expected=expected)
            )

    def history(self) -> list[GenerationInfo]:
        """Return every generation, the newest first."""
        return self._generations.history()

    def read(self, number: int) -> Generation:
        """Return a generation. Raises `GenerationMissingError`, `GenerationDamagedError`."""
        return self._generations.read(number)

    def difference(self, before: int, after: int) -> tuple[Change, ...]:
        """Return what changes from one generation to another, each a readable line. Raises as `read`."""
        return difference(self.read(before).site, self.read(after).site)

    def pending(self) -> Pending | None:
        """Return the change that waits for somebody's word, or None. Costs one look at a file that is not there while nothing waits.

        Looking changes nothing: `taking_back_unconfirmed` takes back what is due.
        """
        record = self._file.read()
        if record is None or record.due.is_due(self._clock.now()):
            return None
        return self._waiting(record)

    def confirm(self, by: str) -> bool:
        """Let the change that waits stay; False where none does any more."""
        with self._locked():
            record = self._file.read()
            number = None if record is None or record.due.is_due(self._clock.now()) else self._number_of(record)
            if number is None:
                return False
            self._file.clear()
            log.info("config.confirmed", generation=number, by=by)
            return True

    def revert(self, by: str) -> Applied | None:
        """Take back the change that waits; None where none does. Raises what `Generations.rollback` raises."""
        with self._locked():
            record = self._file.read()
            number = None if record is None else self._number_of(record)
            if record is None or number is None:
                return None
            return self._take_back(record, number, by, "taken back before it was confirmed")

    def take_back_if_due(self) -> bool:
        """Take back what nobody confirmed in time; True where something was. What stands in the way is said in the log."""
        record = self._file.read()
        if record is None or not record.due.is_due(self._clock.now()):
            return False
        try:
            with self._locked():
                return self._take_back_due()
        except (ApplianceError, OSError) as error:
            log.error("config.not_taken_back", because=str(error))  # noqa: TRY400 - the line says all
            return False

    def _take_back_due(self) -> bool:
        # Once more, in the lock: somebody may have confirmed it while this waited.
        record = self._file.read()
        if record is None or not record.due.is_due(self._clock.now()):
            return False
        number = self._number_of(record)
        if number is None:
            self._file.clear()
            return False
        try:
            self._take_back(record, number, BY_ITSELF, "nobody confirmed it in time")
        except ConfigInvalidError:
            # What was in force then cannot be today (a file that it names is gone): trying again every second mends nothing.
            self._file.clear()
            raise
        return True

    def _take_back(self, record: Unconfirmed, number: int, by: str, reason: str) -> Applied:
        applied = roll_back(self._data, record.previous, by=by, reason=f"back to {record.previous}: {reason}", expected=number)
        self._file.clear()
        log.warning("config.taken_back", generation=number, back_to=record.previous, by=by)
        return applied

    def _put(self, current: Current, after: Site, text: str, by: str, change: Callable[[], Applied]) -> Applied:
        """Make the change, with a record before it where it could lock somebody out."""
        now = self._clock.now()
        found = lock_outs(current.site, after, last_calls(self._data / "run"), now=now.wall) if current.generation else ()
        if not found:
            return change()
        # Before the change: whoever dies between the two leaves a record of what never came, and no change without a way back.
        self._file.write(Unconfirmed(current.generation, text_digest(text), by, found, now.after(CONFIRM_WITHIN_S)))
        try:
            return change()
        except BaseException:  # boundary: whatever stopped the change, nothing waits to be taken back then; raised again
            self._file.clear()
            raise

    def _apply(self, text: str, expected: int, by: str, reason: str) -> Applied:
        return apply_text(self._data, text, by=by, reason=reason, where="site.toml", expected=expected)

    def _waiting(self, record: Unconfirmed) -> Pending | None:
        number, now = self._number_of(record), self._clock.now()
        return None if number is None else Pending(number, record.previous, record.by, record.lock_outs, record.due.remaining_s(now))

    def _number_of(self, record: Unconfirmed) -> int | None:
        """Return the generation that a record is about, if that is in force."""
        generation = self._generations.current() if self._generations.in_force() else None
        if generation is None or generation.number == record.previous or generation.digest != record.digest:
            return None
        return generation.number

    @contextlib.contextmanager
    def _sole_change(self, expected: int) -> Iterator[Current]:
        """Hold the lock of the pages and give what is in force, which is what the person saw."""
        with self._locked():
            self._take_back_due()
            record = self._file.read()
            if record is not None and self._waiting(record) is not None:
                raise SiteUnconfirmedError("another change of the configuration waits to be confirmed")
            current = self.current()
            if current.generation != expected:
                raise SiteStaleError(self._said_meanwhile(expected))
            try:
                yield current
            except SiteStaleError:
                raise SiteStaleError(self._said_meanwhile(expected)) from None

    def _said_meanwhile(self, expected: int) -> str:
        """Return who changed what since the person looked."""
        try:
            now = self._generations.current()
            if now is None:
                return "the configuration was changed meanwhile"
            changes = [str(change) for change in difference(self._generations.read(expected).site, now.site)]
        except ApplianceError:
            return "the configuration was changed meanwhile"
        more = [f"and {len(changes) - _CHANGES_SHOWN} more"] if len(changes) > _CHANGES_SHOWN else []
        said = "; ".join([*changes[:_CHANGES_SHOWN], *more])
        return f"{now.by or 'somebody'} put generation {now.number} in force meanwhile: {said}"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # Not the lock of the generations, which is taken within: it is held by `config apply` and the router too, for milliseconds.
        with sole_writer(self._file.path.with_name("changes.lock"), self._clock):
            yield


@contextlib.contextmanager
def taking_back_unconfirmed(changes: SiteChanges) -> Iterator[None]:
    """While the block runs, take back what nobody confirmed in time, from a thread of its own."""
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(_BETWEEN_LOOKS_S):
            changes.take_back_if_due()

    thread = threading.Thread(target=watch, name="unconfirmed", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
