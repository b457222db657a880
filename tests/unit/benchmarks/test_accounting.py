"""The cost of a program, read from /proc."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import accounting
from benchmarks.accounting import ProcessFacts
from tests.support.eventually import eventually

_STAT = "42 (a (very) odd name) S 1 42 40 0 -1 4194560 100 0 0 0 7 5 3 2 20 0 1 0 12345 1000 200 18446744073709551615"


def test_a_process_counts_itself_and_the_children_it_buried() -> None:
    """User and system time of the process and of its buried children are added, whatever brackets its name holds."""
    assert accounting.parse_stat(42, _STAT) == ProcessFacts(pid=42, session=40, ticks=17, is_alive=True)


def test_a_zombie_is_not_alive_and_still_counts() -> None:
    """What an ended child took is not lost before its parent asks for it."""
    facts = accounting.parse_stat(42, _STAT.replace(") S ", ") Z "))

    assert (False, 17) == (facts.is_alive, facts.ticks)


def test_a_session_has_its_members() -> None:
    """This process is found in its own session, and nobody in a session that is not there."""
    assert os.getpid() in {process.pid for process in accounting.members(os.getsid(0))}
    assert accounting.cpu_s(-1) == 0.0


def test_a_daemon_is_named_by_its_command_line() -> None:
    """The word behind `serve` is the daemon; whatever else runs is the box's own start."""
    with subprocess.Popen([sys.executable, "-c", "input()", "serve", "router"], stdin=subprocess.PIPE, start_new_session=True) as process:
        eventually(lambda: accounting.daemon_name(process.pid) == "router", within=10.0, message="its command line")
        assert accounting.cpu_by_daemon(process.pid).keys() == {"router"}
        process.communicate(b"\n")

    assert accounting.daemon_name(os.getpid()) == "run"
