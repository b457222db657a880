"""Tests of destinations that are under way, or have just ended, by the ticket of whoever asked: what was found so far.

Promises: whoever has the ticket sees each step as soon as it is made, and how it ended; at most 32 are remembered, each for ten minutes.
Failures: `TestForgottenError`, `TestsTooManyError` (operator).
Limits: in the memory of the sender alone; a restart forgets them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.clock import Clock
from appliance.runtime.questions import DestinationTestProgressReply, DoctorStep

# Far more people than look at one box at a time.
_MOST_TICKETS = 32
_REMEMBERED_S = 600.0
# Each is a thread, and an association or two at a time.
_MOST_UNDER_WAY = 4


class TestForgottenError(ApplianceError):
    """A ticket that is none, or no longer."""

    # Not a class of tests, whatever its name says to a collector of those.
    __test__ = False

    fault = Fault.OPERATOR
    advice = "Test again."


class TestsTooManyError(ApplianceError):
    """As many tests as may be are under way."""

    __test__ = False

    fault = Fault.OPERATOR
    advice = "Wait until one has ended."


@dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    reply: DestinationTestProgressReply


class RunningTests:
    """What is known by ticket. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def begin(self, ticket: str, destination: str, proposal: str) -> None:
        """Take note of a test that begins. Raises `TestsTooManyError`."""
        now = self._clock.now().boottime
        with self._lock:
            for old in [name for name, entry in self._entries.items() if now - entry.at > _REMEMBERED_S and entry.reply.done]:
                del self._entries[old]
            if sum(not entry.reply.done for entry in self._entries.values()) >= _MOST_UNDER_WAY:
                raise TestsTooManyError(f"{_MOST_UNDER_WAY} destinations are being tested")
            begun = DestinationTestProgressReply((), done=False, ok=False, destination=destination, proposal=proposal)
            self._entries[ticket] = _Entry(now, begun)
            while len(self._entries) > _MOST_TICKETS:
                del self._entries[next(name for name, entry in self._entries.items() if entry.reply.done)]

    def begins(self, ticket: str, phase: str) -> None:
        """Take note of the phase that is looked at now."""
        self._change(ticket, now=phase)

    def found(self, ticket: str, step: DoctorStep) -> None:
        """Take note of a step."""
        self._change(ticket, now="", steps=(*self.progress(ticket).steps, step))

    def ended(self, ticket: str, *, ok: bool) -> None:
        """Take note of the end."""
        self._change(ticket, now="", done=True, ok=ok)

    def failed(self, ticket: str, problem: str, advice: str) -> None:
        """Take note of a test that came to no end."""
        self._change(ticket, now="", done=True, problem=problem, advice=advice)

    def progress(self, ticket: str) -> DestinationTestProgressReply:
        """Return what is known. Raises `TestForgottenError`."""
        with self._lock:
            entry = self._entries.get(ticket)
        if entry is None or (entry.reply.done and self._clock.now().boottime - entry.at > _REMEMBERED_S):
            raise TestForgottenError("this test is not remembered any more")
        return entry.reply

    def _change(self, ticket: str, **values: object) -> None:
        with self._lock:
            entry = self._entries.get(ticket)
            if entry is not None:
                self._entries[ticket] = replace(entry, reply=replace(entry.reply, **values))  # type: ignore[arg-type]
