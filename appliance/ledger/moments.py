"""Due times as the three columns in which the ledger keeps them. Pure.

Promises: `due_from(*columns(due)) == due`.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from appliance.runtime.clock import Due


def columns(due: Due | None) -> tuple[float | None, float | None, str | None]:
    """Return the values of due_wall, due_boottime and due_boot_id."""
    return (None, None, None) if due is None else (due.wall, due.boottime, due.boot_id)


def due_from(wall: float | None, boottime: float | None, boot_id: str | None) -> Due | None:
    """Return the due time that the three columns hold, None when they hold none."""
    if wall is None or boottime is None or boot_id is None:
        return None
    return Due(wall, boottime, boot_id)
