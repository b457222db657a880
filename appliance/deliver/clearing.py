"""Which instances an archive has already, asked of the archive itself: after a rebuild of the ledger nobody else knows.

Promises: an instance is called present only when the archive listed exactly its UID, at the level of instances, in a list that it
completed; everything else is unknown or absent, and stays held. An archive that lists nothing of a series, and has the series all the
same, does not list instances: counts prove nothing, so all of it is unknown. No failure of one series keeps the others from being asked,
unless the archive answers several in a row with a failure.
Failures: none; `Cleared.reason` says in an operator's words why something stayed unknown.
Limits: the archive is believed. One that lists only part of a series has the rest called absent, which costs a second delivery, not an
image. Of an instance with several versions nobody can say which one the archive has.
Standard: PS3.4 C.4.1 and C.6.2, PS3.18 10.6; an SCP without IMAGE level is not conformant, and they exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeVar

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import uid_fault
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    PeerUnreachableError,
    TransferBrokenError,
)
from appliance.dimse.query import Match, QueryRefusedError, QueryTooLargeError
from appliance.dimse.service import ServiceNotTakenError
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# An archive that fails so many queries one after the other will fail the next thousand too.
_FAILURES_IN_A_ROW = 3
# PS3.4 table C.6.2.1-1: "IMAGE"; what an archive leaves out is taken for what was asked.
_INSTANCE_LEVELS = frozenset({"IMAGE", ""})
_NO_INSTANCE_LEVEL = "the archive does not list single instances, only series or studies"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """Instances of one series, by UID."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What the archive said: the instances it has, those of the answered series that it does not list, and those it said nothing about.

    `reason` is the last reason why something is unknown, empty when nothing is.
    """

    present: frozenset[str]
    absent: frozenset[str]
    unknown: frozenset[str]
    reason: str = ""


class ArchiveNotAskableError(ApplianceError):
    """An archive that is asked in another way than by C-FIND cannot be asked at all now."""

    fault = Fault.PEER


class SeriesNotAnsweredError(ApplianceError):
    """An archive that is asked in another way than by C-FIND does not say what it has of one series."""

    fault = Fault.PEER


_NOT_OPENED = (PeerUnreachableError, AssociationRejectedError, AssociationAbortedError, ServiceNotTakenError, ArchiveNotAskableError)


class Queries(Protocol):
    """What can be asked: an association (`dimse.query.ImageQueries`), or a web service (`transports.qido`)."""

    def images(self, study_instance_uid: str, series_instance_uid: str) -> list[Match]:
        """Return every instance of a series that the archive lists."""

    def has_series(self, study_instance_uid: str, series_instance_uid: str) -> bool:
        """Say whether the archive knows a series although it lists no instance of it."""

    def release(self) -> None:
        """End."""


def ask_by(
    open_queries: Callable[[], Queries],
    groups: Iterable[SeriesGroup],
    *,
    destination: str,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Cleared:
    """Ask for the instances of `groups`, a series at a time, for as long as `is_wanted`; what was not asked is unknown.

    `open_queries` begins to ask, by C-FIND or otherwise; `destination` is whom, for the log. Takes as long as the archive does: call it
    from a thread that may wait.
    """
    inquiry = _Inquiry(destination, open_queries)
    try:
        for group in groups:
            if not is_wanted():
                inquiry.give_up("the box was told to stop")
            inquiry.ask(group)
    finally:
        inquiry.end()
    return inquiry.result()


class _NotAnsweredError(Exception):
    """Nothing can be said about a series; the message says why."""


class _Inquiry:
    """One round of questions."""

    def __init__(self, destination: str, open_queries: Callable[[], Queries]) -> None:
        self._destination = destination
        self._open_queries = open_queries
        self._queries: Queries | None = None
        self._failures = 0
        self._given_up = ""
        self._reason = ""
        self._present: set[str] = set()
        self._absent: set[str] = set()
        self._unknown: set[str] = set()

    def ask(self, group: SeriesGroup) -> None:
        """Ask for one series and take note of what is said."""
        asked = frozenset(group.sop_instance_uids)
        try:
            present = self._listed(group, asked)
        except _NotAnsweredError as error:
            self._reason = str(error)
            self._unknown |= asked
            return
        self._failures = 0
        self._present |= present
        self._absent |= asked - present

    def give_up(self, reason: str) -> None:
        """Ask nothing more."""
        self._given_up = self._given_up or reason

    def end(self) -> None:
        """Give the association back."""
        queries, self._queries = self._queries, None
        if queries is not None:
            queries.release()

    def result(self) -> Cleared:
        """Return everything that was said."""
        # One UID may be asked for in two series; who lists it anywhere has it.
        unknown = frozenset(self._unknown - self._present)
        absent = frozenset(self._absent - self._present - unknown)
        log.info("clearing.asked", destination=self._destination, present=len(self._present), absent=len(absent), unknown=len(unknown))
        return Cleared(frozenset(self._present), absent, unknown, self._reason if unknown else "")

    def _listed(self, group: SeriesGroup, asked: frozenset[str]) -> frozenset[str]:
        """Return which of `asked` the archive lists. Raises `_NotAnsweredError`."""
        if uid_fault(group.study_instance_uid) or uid_fault(group.series_instance_uid):
            raise _NotAnsweredError("some instances have no usable study or series UID, so that nobody can be asked for them")
        study, series = group.study_instance_uid, group.series_instance_uid
        matches = self._answer(lambda queries: queries.images(study, series))
        if not matches and self._answer(lambda queries: queries.has_series(study, series)):
            self._failed(_NO_INSTANCE_LEVEL)
        if any(match.level not in _INSTANCE_LEVELS or not match.sop_instance_uid for match in matches):
            self._failed(_NO_INSTANCE_LEVEL)
        return asked & _in_study(matches, group.study_instance_uid)

    def _answer(self, question: Callable[[Queries], _Answer]) -> _Answer:
        """Ask; an association that broke is opened once more. Raises `_NotAnsweredError`."""
        for is_last in (False, True):
            queries = self._opened()
            try:
                return question(queries)
            except QueryRefusedError as error:
                self._failed(f"{error}; it may not know the IMAGE level")
            except SeriesNotAnsweredError as error:
                self._failed(str(error))
            except ArchiveNotAskableError as error:
                self.give_up(str(error))
                self._failed(str(error))
            except (TransferBrokenError, QueryTooLargeError) as error:
                # Over by itself: there is nothing to release.
                self._queries = None
                if is_last:
                    self._failed(str(error))
        raise _NotAnsweredError(self._given_up)

    def _opened(self) -> Queries:
        if self._given_up:
            raise _NotAnsweredError(self._given_up)
        if self._queries is None:
            try:
                self._queries = self._open_queries()
            except _NOT_OPENED as error:
                self._given_up = str(error)
                raise _NotAnsweredError(self._given_up) from error
        return self._queries

    def _failed(self, reason: str) -> NoReturn:
        """Count a failure, and ask nothing more after several in a row. Always raises `_NotAnsweredError`."""
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            self.give_up(reason)
        raise _NotAnsweredError(reason)


def _in_study(matches: Sequence[Match], study_instance_uid: str) -> frozenset[str]:
    """Return the instances of the matches; one that is in another study is another instance, whatever its UID."""
    return frozenset(match.sop_instance_uid for match in matches if match.study_instance_uid in {"", study_instance_uid})
