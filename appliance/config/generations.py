"""Generations: every configuration that was ever in force, by number, and the one way to put the next in force.

Promises: one change at a time, whoever asks; when `apply` or `rollback` returns, the new generation is durable and in force; an error or a
power cut before that leaves the last one in force; a text that says nothing new makes no generation; a generation is never changed or
removed, so a rollback is a new one with the old content; a destination keeps its id through renames (see `destination_ids`).
Failures: `ConfigInvalidError` with every problem, `GenerationMissingError`, `ConfigBusyError`, `ActiveConfigUnwritableError` (operator);
`GenerationDamagedError` (ours).
Limits: a text whose configuration is the one in force is not kept, though its comments may be new. After a power cut in the middle a number
may be listed as *unfinished*: it was never in force.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.config.change import Change, difference, needs_restart
from appliance.config.check import check
from appliance.config.destination_ids import identify, known_destinations, last_holders, with_ids
from appliance.config.generation_files import GenerationFiles
from appliance.config.load import ActiveConfigUnwritableError, ConfigInvalidError, default_site, to_toml, unusable
from appliance.config.model import Site
from appliance.config.problem import Problem
from appliance.config.record import GenerationRecord, RecordDamagedError, text_digest
from appliance.config.secret_files import own_file_problems
from appliance.config.writer_lock import SiteStaleError, sole_writer
from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.clock import Clock, SystemClock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

GenerationState = Literal["active", "earlier", "unfinished", "damaged"]


class GenerationMissingError(ApplianceError):
    """There is no such generation of the configuration."""

    fault = Fault.OPERATOR
    advice = "Look for its number with `dicom-edge config history`."


class GenerationDamagedError(ApplianceError):
    """This generation of the configuration cannot be read."""

    advice = "Use another one: `dicom-edge config history` says which are whole."


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation: `text` is what it came from, comments and all, or the same written anew where that is lost (`is_original`).

    `activated_at` is in seconds since 1970 (UTC).
    """

    number: int
    activated_at: float
    by: str
    reason: str
    digest: str
    site: Site
    text: str
    is_original: bool


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """A line of the history; of a damaged generation only the number is known, and `activated_at` is None."""

    number: int
    state: GenerationState
    activated_at: float | None = None
    by: str = ""
    reason: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a text would change. `problems` are notices; `removed_destinations` are names: what is owed to these becomes held."""

    site: Site
    changed: tuple[Change, ...]
    needs_restart: tuple[str, ...]
    removed_destinations: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was changed: `number` is in force now, and `is_new` False says that it was before."""

    number: int
    is_new: bool
    changed: tuple[Change, ...]
    needs_restart: tuple[str, ...]
    removed_destinations: tuple[str, ...]
    problems: tuple[Problem, ...]


class Generations:
    """The generations of one data directory. Threads and processes may share it."""

    def __init__(self, data: Path, *, clock: Clock | None = None) -> None:
        """Name the directory; nothing is read or made."""
        self._files = GenerationFiles(data)
        self._clock = clock or SystemClock()

    def propose(self, text: str, *, where: str = "site.toml") -> Proposal:
        """Return what `apply` would do with the text, and do nothing. Raises `ConfigInvalidError`."""
        return self._proposal(text, self._standing(), where)

    def apply(self, text: str, by: str, reason: str, *, where: str = "site.toml", expected: int | None = None) -> Applied:
        """Put the text in force as the next generation, unless it says what is in force already.

        `by` is the person or machine that asked, `where` the name of the file for problems, `expected` the generation that the text is
        a change of. Raises `ConfigInvalidError`, `ConfigBusyError`, `ActiveConfigUnwritableError`, and `SiteStaleError` where another
        than the expected is in force.
        """
        with self._sole_writer():
            self._insist(expected)
            current = self._standing()
            proposal = self._proposal(text, current, where)
            return self._put_in_force(proposal, text, current, by, reason)

    def rollback(self, number: int, by: str, reason: str, *, expected: int | None = None) -> Applied:
        """Put the content of an earlier generation in force, as a new one. Raises what `apply` and `read` raise.

        Destinations get the ids they had then.
        """
        with self._sole_writer():
            self._insist(expected)
            current, old = self._standing(), self.read(number)
            # Today's rules are asked: what an earlier version took may be refused now, and is not to come back by this door.
            checked = check(old.text, where=f"generation {number}")
            if checked.site is None:
                raise ConfigInvalidError(checked.problems)
            ids = {destination.name: destination.id for destination in old.site.destinations}
            site = with_ids(checked.site, [ids.get(destination.name, destination.id) for destination in checked.site.destinations])
            proposal = _compared(site, current, (*_lost_text(old), *checked.problems))
            return self._put_in_force(proposal, old.text, current, by, reason)

    def in_force(self) -> int:
        """Return the number of what daemons go by; 0 before the first generation and during a demonstration."""
        active = _usable(self._files.read_active)
        standing = active if active is not None and active.number == 0 else self._standing()
        return 0 if standing is None else standing.number

    def current(self) -> Generation | None:
        """Return the generation in force; None before the first one. Where it is damaged, the newest whole one (and a log event)."""
        record = self._standing()
        return None if record is None or record.number == 0 else self._generation(record)

    def restore(self) -> Generation | None:
        """Make sure that what daemons read is the current generation, and return it; None before the first one.

        For the start of the box: mends a damaged or lost copy in force, and ends a demonstration. Raises `ConfigBusyError`,
        `ActiveConfigUnwritableError`.
        """
        with self._sole_writer():
            record = self._standing()
            if record is None or record.number == 0:
                return None
            self._mend(record, even_if_whole=True)
            return self._generation(record)

    def read(self, number: int) -> Generation:
        """Return a generation. Raises `GenerationMissingError`, `GenerationDamagedError`."""
        return self._generation(self._record(number))

    def changes(self, number: int) -> tuple[Change, ...]:
        """Return what a generation changed, compared with the one before it. Raises as `read`, for that one too."""
        record = self._record(number)
        before = default_site() if record.previous == 0 else self._record(record.previous).site()
        return difference(before, record.site())

    def history(self) -> list[GenerationInfo]:
        """Return every generation, the newest first."""
        standing = self._standing()
        records: dict[int, GenerationRecord | None] = dict.fromkeys(self._files.numbers())
        records |= {record.number: record for record in self._earlier()}
        if standing is not None and standing.number:
            records[standing.number] = standing
        active = 0 if standing is None else standing.number
        return [_info(number, records, active) for number in sorted(records, reverse=True)]

    def _insist(self, expected: int | None) -> None:
        number = self.in_force()
        if expected is not None and number != expected:
            raise SiteStaleError(f"generation {number} of the configuration is in force, and generation {expected} was changed")

    def _standing(self) -> GenerationRecord | None:
        """Return the record in force: the generation that `active.json` names, or the newest whole one."""
        active = _usable(self._files.read_active)
        if active is None:
            whole = self._files.newest_whole()
            if whole is not None:
                log.error("config.fell_back", generation=whole.number)
            return whole
        if active.number == 0:
            # Put there without a number: a demonstration, or a box that has none yet.
            return self._files.newest_whole() or active
        record = _usable(lambda: self._files.read(active.number))
        if record is None:
            log.error("config.generation_damaged", generation=active.number)
        return record or active

    def _record(self, number: int) -> GenerationRecord:
        """Return the record of a generation, from the copy in force where its own file is damaged."""
        record = _usable(lambda: self._files.read(number))
        if record is not None:
            return record
        active = _usable(self._files.read_active)
        if active is not None and active.number == number > 0:
            return active
        if number in self._files.numbers():
            raise GenerationDamagedError(f"generation {number} of the configuration is damaged or of another version")
        raise GenerationMissingError(f"there is no generation {number} of the configuration")

    def _generation(self, record: GenerationRecord) -> Generation:
        site, original = record.site(), self._files.text(record)
        text = to_toml(site) if original is None else original
        return Generation(
            record.number, record.activated_at, record.by, record.reason, record.source_digest, site, text, original is not None
        )

    def _proposal(self, text: str, current: GenerationRecord | None, where: str) -> Proposal:
        problem = unusable(text, where)
        if problem is not None:
            raise ConfigInvalidError((problem,))
        checked = check(text, where=where)
        if checked.site is None:
            raise ConfigInvalidError(checked.problems, text=text)
        in_force = () if current is None else known_destinations(current.values)
        identified = identify(checked.site, in_force, last_holders(known_destinations(record.values) for record in self._earlier()))
        problems = (*identified.problems, *checked.problems, *own_file_problems(checked.site, self._files.data))
        if any(problem.severity == "error" for problem in problems):
            raise ConfigInvalidError(tuple(sorted(problems, key=lambda problem: problem.severity != "error")), text=text)
        return _compared(identified.site, current, problems)

    def _earlier(self) -> Iterator[GenerationRecord]:
        """Yield every record that can be read, the newest first; also those that this version would not put in force."""
        for number in self._files.numbers():
            with contextlib.suppress(OSError, RecordDamagedError):
                yield self._files.read(number)

    def _put_in_force(self, proposal: Proposal, text: str, current: GenerationRecord | None, by: str, reason: str) -> Applied:
        if current is not None and current.number and not proposal.changed:
            self._mend(current, even_if_whole=False)
            number, is_new = current.number, False
        else:
            previous = 0 if current is None else current.number
            number, is_new = self._files.next_number(), True
            now = self._clock.now().wall
            digest = text_digest(text)
            self._write(
                GenerationRecord.of(
                    proposal.site, number=number, activated_at=now, previous=previous, by=by, reason=reason, source_digest=digest
                ),
                text,
            )
            log.info("config.activated", generation=number, changes=len(proposal.changed))
        return Applied(number, is_new, proposal.changed, proposal.needs_restart, proposal.removed_destinations, proposal.problems)

    def _write(self, record: GenerationRecord, text: str) -> None:
        """Keep the generation, then put it in force."""
        try:
            self._files.write(record, text)
            self._files.write_active(record)
        except OSError as error:
            if self._is_in_force(record):
                said = f"generation {record.number} is in force, but the disk did not confirm it ({error.strerror})"
                raise ActiveConfigUnwritableError(said) from error
            self._files.discard(record.number)
            raise _unwritable(error) from error

    def _is_in_force(self, record: GenerationRecord) -> bool:
        try:
            return self._files.read_active() == record
        except (OSError, RecordDamagedError):
            return False

    def _mend(self, current: GenerationRecord, *, even_if_whole: bool) -> None:
        """Make what daemons read the current generation again."""
        active = _usable(self._files.read_active)
        if active is not None and (active == current or not even_if_whole):
            return
        try:
            self._files.write_active(current)
        except OSError as error:
            raise _unwritable(error) from error
        log.info("config.mended", generation=current.number)

    @contextlib.contextmanager
    def _sole_writer(self) -> Iterator[None]:
        """Hold the lock of the configuration; the kernel lets it go when this process dies."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(sole_writer(self._files.lock_path, self._clock))
            except OSError as error:
                raise _unwritable(error) from error
            yield


def _unwritable(error: OSError) -> ActiveConfigUnwritableError:
    return ActiveConfigUnwritableError(f"the configuration cannot be written to the data directory ({error.strerror})")


def _lost_text(generation: Generation) -> tuple[Problem, ...]:
    """Say that the remarks in a file are gone; the configuration is not."""
    if generation.is_original:
        return ()
    where = f"generation {generation.number}"
    return (Problem(where, "the text it came from is lost", "Its settings are all there; its remarks are not.", "notice"),)


def _compared(site: Site, current: GenerationRecord | None, problems: tuple[Problem, ...]) -> Proposal:
    """Return what putting `site` in force changes."""
    before = default_site() if current is None else current.site()
    changed = difference(before, site)
    kept = {destination.id for destination in site.destinations}
    removed = tuple(destination.name for destination in before.destinations if destination.id not in kept)
    return Proposal(site, changed, needs_restart(changed), removed, problems)


def _info(number: int, records: Mapping[int, GenerationRecord | None], active: int) -> GenerationInfo:
    """Return a line of the history; what is not in force, and was followed by no other, never was in force."""
    record = records[number]
    if record is None:
        return GenerationInfo(number, "damaged")
    # What a damaged one followed cannot be known; it gets the benefit of the doubt.
    followed = any(other.previous == number if other is not None else later > number for later, other in records.items())
    state: GenerationState = "active" if number == active else "earlier" if followed else "unfinished"
    return GenerationInfo(number, state, record.activated_at, record.by, record.reason, record.source_digest)


def _usable(read: Callable[[], GenerationRecord]) -> GenerationRecord | None:
    """Return the record that `read` gives, or None where it is not there, is damaged, or is none that this version takes."""
    try:
        record = read()
        record.site()
    except (OSError, RecordDamagedError):
        return None
    return record
