"""Slots hold across processes and vanish with their holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from appliance.runtime.slots import Slots
from tests.support.eventually import eventually

_HOLDER = """
import sys, time
from pathlib import Path
from appliance.runtime.slots import Slots
slot = Slots(Path(sys.argv[1])).take("k", 1)
print("held", flush=True)
time.sleep(60)
"""


def test_no_more_than_the_limit_are_given(tmp_path: Path) -> None:
    """The one above the limit gets None, and gets a slot when one is given back."""
    slots = Slots(tmp_path)
    first, second = slots.take("CT1", 2), slots.take("CT1", 2)

    refused = slots.take("CT1", 2)
    assert first is not None
    first.release()
    again = slots.take("CT1", 2)

    assert refused is None
    assert second is not None
    assert again is not None


def test_keys_do_not_share(tmp_path: Path) -> None:
    """A busy source takes nothing from another."""
    slots = Slots(tmp_path)

    taken = slots.take("CT1", 1), slots.take("MR1", 1)

    assert None not in taken


def test_a_key_never_becomes_a_path(tmp_path: Path) -> None:
    """What a peer calls itself stays out of the file system."""
    Slots(tmp_path / "slots").take("../../evil/\x00", 1)

    assert [path.name for path in tmp_path.iterdir()] == ["slots"]


def test_a_killed_holder_frees_its_slot(tmp_path: Path) -> None:
    """The kernel gives the slot back when its process dies."""
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        slots = Slots(tmp_path)
        while_alive = slots.take("k", 1)

        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

        assert while_alive is None
        eventually(lambda: slots.take("k", 1) is not None, within=5)
