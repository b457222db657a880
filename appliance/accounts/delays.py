"""How long the box does not listen to a subject (a name, everybody, the setup code), kept in the database: across threads and restarts.

Promises: a try is counted before it is judged, so that many at once are one; nobody waits longer than `lifetimes.LONGEST_WAIT_S`.
Failures: none; `begin` returns the seconds to wait, 0 where the try counts.
Limits: a restart of the machine forgets how long to wait, not how often it failed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from appliance.accounts.lifetimes import FORGET_FAILURES_S, elapsed_s, wait_s
from appliance.accounts.store import Work
from appliance.runtime.clock import Instant


@dataclass(frozen=True, slots=True)
class Subject:
    """What is slowed down, and how patient the box is with it."""

    name: str
    free: int
    step: int = 1

    @property
    def key(self) -> bytes:
        """What it is kept as: what somebody typed for a name may be a password."""
        return hashlib.sha256(self.name.encode("utf-8", "replace")).digest()


def remaining_s(work: Work, subject: Subject, now: Instant) -> float:
    """Return how long the subject is not listened to any more."""
    failures, last = _failures(work, subject, now)
    return max(0.0, wait_s(failures, free=subject.free, step=subject.step) - elapsed_s(last, now))


def count(work: Work, subject: Subject, now: Instant) -> None:
    """Count one more try as failed."""
    failures, _ = _failures(work, subject, now)
    work.change("DELETE FROM delay WHERE at < ?", (now.wall - FORGET_FAILURES_S,))
    work.change(
        "INSERT INTO delay (subject, failures, at, boottime, boot) VALUES (?, ?, ?, ?, ?) ON CONFLICT (subject) DO UPDATE SET "
        "failures = excluded.failures, at = excluded.at, boottime = excluded.boottime, boot = excluded.boot",
        (subject.key, failures + 1, now.wall, now.boottime, now.boot_id),
    )


def forgive(work: Work, subject: Subject) -> None:
    """Forget the failures of a subject: the right password was given."""
    work.change("DELETE FROM delay WHERE subject = ?", (subject.key,))


def take_back(work: Work, subject: Subject) -> None:
    """Uncount a try that was right; those before it stay."""
    work.change("UPDATE delay SET failures = max(0, failures - 1) WHERE subject = ?", (subject.key,))


def _failures(work: Work, subject: Subject, now: Instant) -> tuple[int, Instant]:
    rows = work.rows("SELECT failures, at, boottime, boot FROM delay WHERE subject = ?", (subject.key,))
    if not rows:
        return 0, now
    last = Instant(*rows[0][1:])
    return (0, now) if elapsed_s(last, now) > FORGET_FAILURES_S else (int(rows[0][0]), last)
