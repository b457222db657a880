"""The router's eye on whole studies: which are complete, what waited for that, and to whom they have been delivered.

Promises: a study is complete when nothing of it was recorded for its quiet time; then what waited for it is owed like everything else. That
a destination has all of a complete study is written once, durably (`ledger.study_events`). Each transaction is short, a look does a
bounded amount of work. After a restart of the machine, while no scanner could send, the time is counted anew.
Failures: what the ledger raises; the next look goes on where this one ended.
Limits: with thousands of studies that a dead destination is owed, an event may come a minute after its study arrived elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.config.model import Site
from appliance.ledger.completions import Completions, StudyProgress
from appliance.ledger.database import Ledger
from appliance.ledger.study_events import Arrival, StudyDelivered, StudyEvents
from appliance.route.completion import quiet_s
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# Studies a look: a department begins one every few minutes; after a rebuild there are thousands, and reception must not wait for them.
_STUDIES_AT_ONCE = 20
# Looked up in a few milliseconds, whatever they are owed.
_ARRIVALS_AT_ONCE = 1000
# After all of them were looked at and none had arrived; whoever is told can wait so long, and a week's outage costs next to nothing.
_QUIET_S = 10.0
# Rows a transaction, as everywhere (house.md section 6); an event is two.
_TOLD_AT_ONCE = 20

_FIRST = Arrival(0, "")


class StudyWatch:
    """Watches the studies of one ledger; used by the router's thread."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site], clock: Clock, wake_sender: Callable[[], None]) -> None:
        """Watch `ledger`; `wake_sender` is called after each commit that lets deliveries go."""
        self._ledger = ledger
        self._site = site
        self._clock = clock
        self._wake_sender = wake_sender
        self._completions = Completions(ledger)
        self._events = StudyEvents(ledger)
        self._looked_at = _FIRST
        self._announce_due = clock.now().after(0.0)

    def look(self) -> None:
        """Do what is due. Only when everything that was received before is recorded: what waits may be of a study that seems complete."""
        now = self._clock.now()
        with self._ledger.read():
            interrupted = self._completions.of_other_boots(now, limit=_STUDIES_AT_ONCE)
            due = self._completions.due(now, limit=_STUDIES_AT_ONCE)
        if interrupted:
            self._wait_anew(interrupted)
        for study in due:
            self._complete(study)
        if due or self._announce_due.is_due(now):
            self._announce()

    def _wait_anew(self, studies: list[StudyProgress]) -> None:
        settings, now = self._site().completion, self._clock.now()
        with self._ledger.write():
            for study in studies:
                self._completions.wait(study.id, now.after(quiet_s(settings, study.modalities)))

    def _complete(self, study: StudyProgress) -> None:
        let_go = 0
        while True:
            with self._ledger.write():
                done = self._completions.complete(study.id, self._clock.now().wall)
            let_go += done.let_go
            if done.let_go:
                self._wake_sender()
            if done.round is not None:
                break
        log.info("study.complete", study_instance_uid=study.study_instance_uid, round=done.round, let_go=let_go)

    def _announce(self) -> None:
        """Look at the next of the complete studies that somebody may have all of by now, all of them in turn."""
        with self._ledger.read():
            expected = self._events.expected(self._looked_at, limit=_ARRIVALS_AT_ONCE)
        arrived = [arrival for arrival, owed in expected if not owed]
        more = len(expected) == _ARRIVALS_AT_ONCE
        self._looked_at = expected[-1][0] if more else _FIRST
        self._announce_due = self._clock.now().after(0.0 if arrived or more else _QUIET_S)
        for start in range(0, len(arrived), _TOLD_AT_ONCE):
            with self._ledger.write():
                told = [self._tell(arrival) for arrival in arrived[start : start + _TOLD_AT_ONCE]]
            for event in told:
                if event is not None:
                    _log(event)

    def _tell(self, arrival: Arrival) -> StudyDelivered | None:
        # Looked at once more: somebody may have asked for something between the two transactions.
        return None if self._events.is_owed(arrival) else self._events.tell(arrival, self._clock.now().wall)


def _log(event: StudyDelivered) -> None:
    log.info(
        "study.delivered",
        number=event.number,
        study_instance_uid=event.study_instance_uid,
        destination=event.destination_id,
        round=event.round,
        received=event.received,
        delivered=event.delivered,
        proved=event.proved,
        given_up=event.given_up,
    )
