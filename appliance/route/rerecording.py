"""The router's part in rebuilding the ledger: recording what is in the store already.

Promises: `record` leaves every object where it is, except damaged ones, which go to quarantine; one object that cannot be recorded never
stops the next (P6). Done again after a crash it records the same.
Failures: what concerns all objects (the ledger's errors); those of one object put it among those that are returned.
Limits: routes are those of the site as it is now.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.config.model import Site
from appliance.ledger.database import Ledger
from appliance.ledger.faults import LedgerStatementError
from appliance.route.reception import Reception, read_reception
from appliance.route.recorder import Recorder
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool

log = get_logger(__name__)

_DAMAGED = (SealDamagedError, SealFormatError, ObjectHeaderError)


class Rerecording:
    """Records objects of one spool into a ledger that is being rebuilt."""

    def __init__(self, spool: Spool, site: Site, clock: Clock) -> None:
        """Route by `site`."""
        self._spool = spool
        self._site = site
        self._clock = clock

    def record(self, ledger: Ledger, names: Sequence[SpoolName], *, anew: bool) -> list[SpoolName]:
        """Record objects in this order; return those that the ledger does not point to now.

        With `anew` the ledger has lost what it knew: what is owed is held (`recorder`). Else objects are recorded as if just received.
        """
        left: list[SpoolName] = []
        opened = [reception for name in names if (reception := self._open(name, left)) is not None]
        recorder = Recorder(ledger, self._clock, anew=anew, completion=lambda: self._site.completion)
        while opened:
            try:
                done = recorder.record(opened)
            except LedgerStatementError as error:
                if len(opened) == 1:
                    log.error("object.not_recorded", object_id=opened[0].name.object_id, error=type(error).__name__)  # noqa: TRY400 (says nothing)
                    return [*left, opened[0].name]
                # The one that is at fault is found when each is alone.
                return [*left, *(name for one in opened for name in self.record(ledger, [one.name], anew=anew))]
            left += [recorded.reception.name for recorded in done if not recorded.is_kept]
            opened = opened[len(done) :]
        return left

    def _open(self, name: SpoolName, left: list[SpoolName]) -> Reception | None:
        try:
            return read_reception(self._spool, self._site, name)
        except _DAMAGED as error:
            self._spool.quarantine(name, type(error).__name__)
        except Exception as error:  # noqa: BLE001 # boundary: P6, whatever one object provokes the next ones go on
            log.error("object.not_opened", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (it may quote what it holds)
            left.append(name)
        return None
