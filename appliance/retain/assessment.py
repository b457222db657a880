"""Whether the ledger has to be rebuilt, found out before anybody opens it.

Promises: `assess` leaves a ledger that can be used, or a durable mark that asks for a rebuild (`ledger/access`), or raises; it removes
nothing. A file that does not open is taken for damaged only when the key is proven to be this box's own.
Failures: `LedgerKeyError` where nothing proves the key: the ledger, or the box, is another's. Everything else that `ledger/faults` lists.
Limits: SQLCipher cannot tell a wrong key from a damaged first page; the proof is a snapshot, or a sealed object, that opens.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from appliance.ledger import cipher_file
from appliance.ledger.access import RebuildCause, clear_request, rebuild_requested, request_rebuild
from appliance.ledger.database import Ledger, draft_path, ledger_path
from appliance.ledger.faults import LedgerDamagedError, LedgerKeyError
from appliance.retain.snapshot import Snapshots
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError
from appliance.spool.stored import StoredObjects

log = get_logger(__name__)

# One of these opens unless every one of them is damaged, or the key is wrong.
_SAMPLES = 50

_CLOSED = (SealForeignError, SealFormatError, SealDamagedError, ObjectHeaderError, SpoolObjectMissingError, OSError)


def assess(data: Path, key: bytes, spool: Spool, snapshots: Snapshots) -> RebuildCause | None:
    """Return why the ledger has to be rebuilt, marked durably, or None when it can be used: made, checked and brought up to date.

    Before any daemon opens the ledger. `spool` needs the private keys, which prove that the root key is this box's.
    """
    cause = rebuild_requested(data)
    if cause is RebuildCause.REQUESTED:
        return cause
    found = _find(data, key, spool, snapshots)
    if found is None:
        # What a rebuild that was cut off may have left beside it.
        cipher_file.remove(draft_path(data))
        clear_request(data)
        return None
    request_rebuild(data, found)
    log.error("ledger.to_rebuild", cause=found)
    return found


def is_in_doubt(data: Path) -> bool:
    """Say whether `assess` has anything to find that an earlier one did not: the mark, or no ledger at all. Costs next to nothing."""
    return rebuild_requested(data) is not None or not ledger_path(data).exists()


def is_proven(spool: Spool, data: Path, snapshots: Snapshots) -> bool | None:
    """Say whether the keys open what is kept here; None when there is nothing to open."""
    if snapshots.newest_good() is not None:
        return True
    stored = StoredObjects(data)
    # The last of the store would tell as well as the first, at the cost of walking to it.
    names = [*itertools.islice(stored.in_order(), _SAMPLES), *spool.incoming()[:_SAMPLES]]
    for name in names:
        try:
            spool.open(name).close()
        except _CLOSED:
            continue
        return True
    return False if names or snapshots.all() else None


def _find(data: Path, key: bytes, spool: Spool, snapshots: Snapshots) -> RebuildCause | None:
    """Return what is wrong with the ledger; where nothing is, it is there and up to date."""
    path = ledger_path(data)
    if not path.exists() and (snapshots.all() or not StoredObjects(data).is_empty()):
        return RebuildCause.MISSING
    try:
        # Not through `Ledger.open`, which a mark left by somebody who met damage would stop.
        Ledger.open_draft(data, key, path).let_go()
    except LedgerDamagedError:
        return RebuildCause.DAMAGED
    except LedgerKeyError:
        if not is_proven(spool, data, snapshots):
            raise
        return RebuildCause.DAMAGED
    return None
