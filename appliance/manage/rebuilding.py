"""Asking for a rebuild of the ledger, whether the box runs or not.

Promises: the wish is durable before this returns; daemons that have the ledger open see it and let go, and the router does
the work before it is ready again. A box that does not run does it at its next start.
Failures: `LedgerStorageError` of the disk.
"""

from __future__ import annotations

from pathlib import Path

from appliance.ledger.access import RebuildCause, request_rebuild
from appliance.runtime.service import living


def request_ledger_rebuild(data: Path) -> bool:
    """Mark that the ledger is to be rebuilt; return whether the box runs."""
    request_rebuild(data, RebuildCause.REQUESTED)
    return bool(living(data / "run"))
