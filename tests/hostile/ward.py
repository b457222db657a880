"""A box between a hostile scanner and an archive that writes down what it gets, with the oracle beside both.

Promises: `a_ward` gives a running, warm box whose archive takes everything; when it ends, everything acknowledged in any row is still kept
as it was sent, and nothing is left running.
Failures: `AssertionError` of the oracle, and where the archive got other bytes than the box.
Limits: one archive, which accepts every transfer syntax: what must be converted on its way is not looked at here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from appliance.manage.control import Control
from appliance.runtime.requests import StudiesRequest
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.oracle import Limits, Oracle, Row
from tests.support.rogue import CT_STORAGE, EXPLICIT, Rogue
from tests.support.site import an_archive

# The association that the box keeps open to the archive for a moment, in case that more comes: it is there or not when a row ends.
_A_LANE = {"threads": 1, "descriptors": 2}
# More studies than all rows make.
_ALL = 10_000
# A router that walks through megabytes of nonsense on two busy cores is slow, not broken.
_DELIVERED_S = 30.0


class Ward:
    """One box, its archive and its oracle."""

    def __init__(self, box: Box, archive: ScriptedArchive) -> None:
        """Take a running box."""
        self.box = box
        self.archive = archive
        self.oracle = _ForwardingOracle(box)
        self._before = self.oracle.snapshot()

    def close(self) -> None:
        """See that everything is still kept, and that all rows together left no thread and no descriptor."""
        self.oracle.close()
        eventually(lambda: not self.archive.connections, message="the box to leave the archive")
        eventually(lambda: not self._left(), message="what the rows left to go")

    def row(self, *, kept_mib: int = 24, peak_mib: int = 64) -> AbstractContextManager[Row]:
        """Watch one attack, which may cost a daemon so much memory afterwards and at its peak."""
        return self.oracle.row(Limits(kept_bytes=kept_mib << 20, peak_bytes=peak_mib << 20, **_A_LANE))

    def rogue(self, contexts: Sequence[tuple[str, str]] = ((CT_STORAGE, EXPLICIT),)) -> Rogue:
        """Return an association as a listed scanner."""
        return Rogue(self.box.port, contexts, calling="CT1")

    def assert_forwarded(self, instance: str, data: bytes) -> None:
        """Wait until the archive has the instance, with exactly these bytes."""
        self.assert_delivered(instance, hashlib.sha256(data).hexdigest())

    def assert_delivered(self, instance: str, digest: str, *, within: float = _DELIVERED_S) -> None:
        """Wait until the archive has the instance, with bytes of this SHA-256."""
        eventually(lambda: self.archive.kept.get(instance) == digest, within=within, message="the bytes at the archive")

    def expect_log(self, event: str, **fields: object) -> None:
        """Wait for a line of this event with these fields, outside of any row."""

        def is_there() -> bool:
            lines = self.box.stderr_path.read_text(encoding="utf-8").splitlines()
            found = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("}") and event in line)
            return any(line["event"] == event and fields.items() <= line.items() for line in found)

        eventually(is_there, message=f"a log line {event} {fields}")

    def accessions(self) -> dict[str, str]:
        """Return the accession number that is shown for each study."""
        rows = Control(self.box.data / "run").studies(StudiesRequest(limit=_ALL)).rows
        return {row.study_instance_uid: row.accession_number for row in rows}

    def _left(self) -> list[str]:
        now = self.oracle.snapshot().footprints
        return [
            f"{pid}: {before} before, {now.get(pid)} now"
            for pid, before in self._before.footprints.items()
            if pid not in now or now[pid].threads > before.threads or now[pid].descriptors > before.descriptors
        ]


class _ForwardingOracle(Oracle):
    """An oracle for a box that delivers: what is on its way or has arrived may grow, nothing may be held, cancelled or the like."""

    def deliveries(self) -> dict[str, int]:
        """Return how many deliveries are in each state that a good one never comes to."""
        states = super().deliveries()
        del states["moving or delivered"]
        return states


@contextmanager
def a_ward(work: Path, site: Callable[..., str], environment: Mapping[str, str], *, data: Path | None = None) -> Iterator[Ward]:
    """Run a box and its archive in `work`, with the text of `site(destinations=...)`; `data` places the data directory elsewhere."""
    with ScriptedArchive() as archive:
        text = site(destinations=[an_archive(archive.port, lanes=1)])
        with Box(work, text, data=data, environment=environment) as box:
            ward = Ward(box, archive)
            try:
                yield ward
                ward.close()
            finally:
                # Gigabytes in the long form: logs are enough to look at afterwards.
                shutil.rmtree(box.data / "spool" / "store", ignore_errors=True)
