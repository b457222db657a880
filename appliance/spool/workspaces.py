"""The memory in which objects are sealed and opened, used again and again: fresh memory for each chunk would cost as much as sealing it.

Promises: who borrows a workspace has it alone until it is given back; at most `_KEPT` idle ones are kept.
Failures: none.
Limits: what the last object left in a workspace stays in the process's memory until it is overwritten, as everywhere in Python.
"""

from __future__ import annotations

from collections import deque

from appliance.spool.age import Workspace

# As many as objects usually arrive at once at a box; more are made when they are needed and dropped afterwards.
_KEPT = 16


class Workspaces:
    """The workspaces of one process; threads may share them."""

    def __init__(self) -> None:
        """Have none yet."""
        self._idle: deque[Workspace] = deque(maxlen=_KEPT)

    def borrow(self) -> Workspace:
        """Return a workspace that nobody else uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return Workspace()

    def give_back(self, workspace: Workspace) -> None:
        """Take a workspace that the caller will not touch again."""
        self._idle.append(workspace)
