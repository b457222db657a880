"""The lock of the configuration: one change at a time, whichever process or thread makes it.

Promises: inside the block nobody else is inside theirs; the kernel lets go of the lock when its holder dies.
Failures: `ConfigBusyError` (operator) when another holds it for too long; `OSError` when the file cannot be made. `SiteStaleError`
(operator) is for whoever finds inside that another was faster.
Limits: not re-entrant. Nothing that takes long, and nothing of the network, may happen inside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.config.private_file import make_private_directory
from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.clock import Clock

# A change takes milliseconds, a slow disk included; who waits longer waits for something that is stuck.
_PATIENCE_S = 10.0
_PAUSE_S = 0.05


class ConfigBusyError(ApplianceError):
    """Somebody else is changing the configuration."""

    fault = Fault.OPERATOR
    advice = "Try again in a moment, and look first at what the other change was: `dicom-edge config history`."


class SiteStaleError(ApplianceError):
    """Another configuration is in force than the one that was changed."""

    fault = Fault.OPERATOR
    advice = "Load the page again, look at what it says now, and make your change once more."


@contextlib.contextmanager
def sole_writer(path: Path, clock: Clock) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it up to ten seconds. Raises `ConfigBusyError`, `OSError`."""
    make_private_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        give_up = clock.now().after(_PATIENCE_S)
        while not _locked(descriptor):
            if give_up.is_due(clock.now()):
                raise ConfigBusyError("another change of the configuration is at work")
            clock.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
