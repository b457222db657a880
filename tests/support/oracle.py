"""The oracle of the hostile suite: what must be true of a running box whatever was done to it (hostile-inputs.md, last line).

How to use it. One oracle a box, one row an attack:

    oracle = Oracle(box)                     # the box runs; `a_hostile_site()` of tests/hostile/site.py lets the honest peer in
    with oracle.row(Limits(peak_bytes=96 << 20)) as row:
        ...                                  # attack: open connections, send bytes, assert the answers on the wire
        row.address                          # 127.0.2.n: an address that no other row of this box attacks from (what is logged and
                                             # how many may be at the door is counted by address)
        row.honest()                         # at the height of the attack: waits until a whole visit of the honest peer was served
        row.acknowledged(uid, data_set)      # the box said 0000 to an object of the attack's own
        row.may_keep(uid, data_set)          # nobody was told, but the box may well have it
        row.plant(b"secret")                 # this must be found nowhere afterwards, like the planted patient (tests/support/planted.py)
        row.expect_log("association.refused", calling="CT2")                   # waits for it; returns the lines
        row.expect_log("listener.calls_dropped", at_most=2)                    # and no flood of lines
    oracle.close()                           # once more over everything that was ever acknowledged

Promises: when `row` ends without an error, then since it began: receiver workers, router and sender are the same processes; an honest peer
was associated, answered to C-ECHO and C-STORE, and released, all the time and once more after it; threads and descriptors are back to
what they were, memory is within the limits; every acknowledged object opens whole with the bytes that were sent, and nothing else is kept;
nothing waits in `incoming/`, is left in `receiving/`, or lies in the box's temporary directory; deliveries are in the states they were in;
no planted name, number, date or secret stands in any log, file or file name.
Failures: `AssertionError` that says which of these does not hold.
Limits: Linux; an attack on the box's archives or on its files is not watched here. The patient is looked for in ASCII and UTF-16.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.keys.derive import Label, derive
from appliance.keys.root import load_root
from appliance.manage.control import Control
from tests.support import footprint, planted, sealed
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.footprint import Footprint
from tests.support.honest import HonestPeer

# Those that live as long as the box; the others come and go when somebody asks.
_ALWAYS = frozenset({"receiver", "router", "sender"})
# So many visits that each of two workers has served some, and has loaded and opened what it keeps.
_WARM_UP_VISITS = 8
_ELSEWHERE = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
# File systems round the times of files.
_CLOCK_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attack may cost a daemon: memory kept and at the peak, what else it may keep, and how long it may take to settle."""

    kept_bytes: int = 24 << 20
    peak_bytes: int = 64 << 20
    threads: int = 0
    descriptors: int = 0
    settle_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The box before a row."""

    daemons: dict[int, str]
    footprints: dict[int, Footprint]
    deliveries: dict[str, int]
    temporary: frozenset[Path]


class Oracle:
    """What is known of one running box: everything that it ever acknowledged, and what is kept of it."""

    def __init__(self, box: Box) -> None:
        """Let the honest peer visit until the box is warm, so that what comes later is the attack's."""
        self.box = box
        # Every digest that the box may have under a UID, and those it must have.
        self.allowed: dict[str, set[str]] = {}
        self.owed: dict[str, set[str]] = {}
        self._opened: dict[str, sealed.Opened] = {}
        self._rows = 0
        peer = HonestPeer(lambda: box.port)
        for _ in range(_WARM_UP_VISITS):
            peer.visit()
        self.believe(peer)
        self.wait_until_recorded()
        self._control = Control(box.data / "run")
        self._control.status()
        eventually(self._is_at_rest, message="daemons that open nothing more")

    @contextmanager
    def row(self, limits: Limits | None = None) -> Iterator[Row]:
        """Watch one attack."""
        self._rows += 1
        row = Row(self, limits or Limits(), f"127.0.2.{self._rows}")
        try:
            yield row
        except BaseException:
            row.leave()
            raise
        row.finish()

    def close(self) -> None:
        """Open everything that is kept once more, whoever it came from, and search all files and names whenever they were written."""
        self._opened.clear()
        self.assert_kept()
        self.assert_hidden((), since=0.0)

    def _is_at_rest(self) -> bool:
        """Say whether no daemon has more threads or descriptors than a second ago: on a busy machine one may still be starting."""
        before = self.snapshot().footprints
        time.sleep(1.0)
        now = self.snapshot().footprints
        return [(one.threads, one.descriptors) for one in before.values()] == [(one.threads, one.descriptors) for one in now.values()]

    def believe(self, peer: HonestPeer) -> None:
        """Take over what was acknowledged to an honest peer."""
        for uid, digest in peer.acknowledged.items():
            self.owe(uid, digest)

    def owe(self, uid: str, digest: str) -> None:
        """The box acknowledged an object."""
        self.owed.setdefault(uid, set()).add(digest)
        self.allowed.setdefault(uid, set()).add(digest)

    def snapshot(self) -> Snapshot:
        """Return how the box is now."""
        daemons = {pid: name for pid, name in self.box.daemons().items() if name in _ALWAYS}
        footprints = {pid: seen for pid in daemons if (seen := footprint.measure(pid)) is not None}
        return Snapshot(daemons, footprints, self.deliveries(), frozenset(self.box.temporary.rglob("*")))

    def deliveries(self) -> dict[str, int]:
        """Return how many deliveries are in each state; those on their way count as one, because they move."""
        states = dict(self._control.status().deliveries)
        moving = sum(states.pop(state, 0) for state in ("queued", "sending", "deferred", "delivered"))
        return {**states, "moving or delivered": moving}

    def wait_until_recorded(self) -> None:
        """Return when the router has recorded everything that was received."""
        incoming = self.box.data / "spool" / "incoming"
        eventually(lambda: not any(incoming.iterdir()), within=30.0, message="incoming/ to be recorded")

    def assert_kept(self) -> None:
        """Everything acknowledged is there, whole and with the bytes that were sent; nothing else is, and nothing half."""
        names = {path.name for path in sealed.sealed_files(self.box.data)}
        self._opened = {name: seen for name, seen in self._opened.items() if name in names}
        for seen in sealed.open_all(self.box.data, but=self._opened.keys()):
            self._opened[seen.name] = seen
        kept: dict[str, set[str]] = {}
        for seen in self._opened.values():
            kept.setdefault(seen.sop_instance_uid, set()).add(seen.digest)
        lost = [uid for uid, digests in self.owed.items() if not digests <= kept.get(uid, set())]
        phantoms = [uid for uid, digests in kept.items() if not digests <= self.allowed.get(uid, set())]
        half = sealed.partial_files(self.box.data)
        assert lost == [], f"acknowledged, and not kept as it was sent: {lost}"
        assert phantoms == [], f"kept, and never sent as a whole: {phantoms}"
        assert half == [], f"half objects: {half}"

    def assert_hidden(self, secrets: tuple[bytes, ...], *, since: float) -> None:
        """No planted text and no secret stands in a file that was changed since then, or in a file's name."""
        root = load_root(self.box.data, None).material
        digest = derive(root, Label.DIGEST)
        keys = (bytes(root), root.hex().encode("ascii"), digest, digest.hex().encode("ascii"))
        roots = [
            self.box.work,
            self.box.data,
            *(path for place in _ELSEWHERE if place.is_dir() for path in place.iterdir() if path.is_file()),
        ]
        own = frozenset({self.box.data / "keys" / "root.key"})
        found = planted.find(roots, (*planted.NEEDLES, *keys, *secrets), leave_out=own, since=since)
        assert found == [], f"in clear: {found}"


class Row:
    """One attack on the box, from before its first byte."""

    def __init__(self, oracle: Oracle, limits: Limits, address: str) -> None:
        """Take the snapshot, and let the honest peer work from now on."""
        self.box = oracle.box
        self.address = address
        self._oracle = oracle
        self._limits = limits
        self._secrets: list[bytes] = []
        self._log_at = self.box.stderr_path.stat().st_size
        self._began_at = time.time() - _CLOCK_SLACK_S
        self._before = oracle.snapshot()
        for pid in self._before.daemons:
            footprint.forget_peak(pid)
        self._honest = HonestPeer(lambda: self.box.port)
        self._honest.start()

    def honest(self) -> None:
        """Return when the honest peer was served from beginning to end after this moment."""
        self._honest.wait_for_visit()

    def acknowledged(self, uid: str, data: bytes) -> None:
        """The attack's own object was answered 0000: from now on it may never be lost."""
        self._oracle.owe(uid, hashlib.sha256(data).hexdigest())

    def may_keep(self, uid: str, data: bytes) -> None:
        """Nobody was told that the object is kept, but it may be."""
        self._oracle.allowed.setdefault(uid, set()).add(hashlib.sha256(data).hexdigest())

    def plant(self, *secrets: bytes) -> None:
        """Look for these too; they may be found nowhere."""
        self._secrets += secrets

    def log(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the log's lines of this event with these fields, since the row began."""
        return self._lines(self._log_at, event, fields)

    def whole_log(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the log's lines of this event with these fields, since the box started."""
        return self._lines(0, event, fields)

    def _lines(self, since: int, event: str, fields: dict[str, object]) -> list[dict[str, Any]]:
        with self.box.stderr_path.open("rb") as log:
            log.seek(since)
            lines = [json.loads(line) for line in log.read().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        return [line for line in lines if line["event"] == event and fields.items() <= line.items()]

    def expect_log(self, event: str, *, at_least: int = 1, at_most: int | None = None, **fields: object) -> list[dict[str, Any]]:
        """Wait for that many lines of this event with these fields, and return them; more than `at_most` are a flood."""
        wanted = " ".join([event, *(f"{key}={value!r}" for key, value in fields.items())])
        eventually(lambda: len(self.log(event, **fields)) >= at_least, within=10.0, message=f"{at_least} log lines {wanted}")
        lines = self.log(event, **fields)
        assert at_most is None or len(lines) <= at_most, f"{len(lines)} log lines {wanted}, more than {at_most}"
        return lines

    def leave(self) -> None:
        """Stop watching: the row failed already, and why is said elsewhere."""
        try:
            self._honest.close()
        except AssertionError:
            return
        finally:
            self._oracle.believe(self._honest)

    def finish(self) -> None:
        """See that everything is as it must be. Raises `AssertionError`."""
        try:
            self.honest()
            self._honest.close()
        finally:
            self._oracle.believe(self._honest)
        after = HonestPeer(lambda: self.box.port)
        after.visit()
        self._oracle.believe(after)
        self._assert_alive()
        eventually(lambda: not self._unsettled(), within=self._limits.settle_s, message=f"the daemons to settle: {self._unsettled()}")
        self._oracle.wait_until_recorded()
        self._assert_memory()
        self._oracle.assert_kept()
        deliveries = self._oracle.deliveries()
        assert self._before.deliveries == deliveries, f"deliveries were {self._before.deliveries} and are {deliveries}"
        left = frozenset(self.box.temporary.rglob("*")) - self._before.temporary
        assert not left, f"temporary files: {sorted(left)}"
        self._oracle.assert_hidden(tuple(self._secrets), since=self._began_at)

    def _assert_alive(self) -> None:
        alive = {pid: name for pid, name in self.box.daemons().items() if name in _ALWAYS}
        assert self._before.daemons == alive, f"daemons ended, or were started again: {self._before.daemons} before, {alive} now"

    def _unsettled(self) -> list[str]:
        """Return which daemons hold more threads or descriptors than before, and how many."""
        found = []
        for pid, before in self._before.footprints.items():
            now = footprint.measure(pid)
            if now is None:
                found.append(f"{self._before.daemons[pid]} is gone")
            elif now.threads > before.threads + self._limits.threads or now.descriptors > before.descriptors + self._limits.descriptors:
                name = self._before.daemons[pid]
                found.append(f"{name}: threads {before.threads} to {now.threads}, descriptors {before.descriptors} to {now.descriptors}")
        return found

    def _assert_memory(self) -> None:
        too_much = []
        for pid, before in self._before.footprints.items():
            now = footprint.measure(pid)
            assert now is not None, f"{self._before.daemons[pid]} is gone"
            kept, peak = now.resident_bytes - before.resident_bytes, now.peak_bytes - before.resident_bytes
            if kept > self._limits.kept_bytes or peak > self._limits.peak_bytes:
                too_much.append(f"{self._before.daemons[pid]}: {kept >> 20} MiB kept, {peak >> 20} MiB at the peak")
        assert too_much == [], f"too much memory: {too_much}"
