"""The box as its users have it: a command, a data directory, a port and JSON.

Nothing of `appliance` is imported here but what asks `status` as the command does: waiting must not take the processor from the box.

Promises: `start` returns when READY was printed and the real port is known; whatever happens, `close` leaves no process of this box behind.
Failures: `AssertionError` with the end of the box's own output when it does not start, stop or answer as the command line contract says.
Limits: Linux (processes are found in /proc).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from appliance.manage.control import Control
from tests.support import processes
from tests.support.eventually import eventually

# house.md section 3: open C-STOREs get 30 s to finish on SIGTERM; the rest is for Python to end on two busy cores.
_STOP_S = 45.0
# Generous beside the promised 10 s: the cores are shared with peers and senders, and a start waits for the drain of a killed predecessor.
_READY_S = 60.0
_COMMAND_S = 30.0
# More than any test holds.
_ALL_ROWS = 10_000
# `python -m appliance` finds the package that these tests stand beside.
_ROOT = Path(__file__).resolve().parents[2]


class Box:
    """One appliance under test: its data directory, its configuration and its running processes."""

    def __init__(self, work: Path, site: str, *, data: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Prepare a box in `work`, not started; `data` places the data directory elsewhere, `environment` is added to its own."""
        self.work = work
        self.data = data or work / "data"
        self.temporary = work / "tmp"
        self.data.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._added = dict(environment or {})
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.configure(site)

    def configure(self, site: str) -> None:
        """Write `site.toml`; a running box keeps what it started with."""
        (self.data / "site.toml").write_text(site, encoding="utf-8")

    def __enter__(self) -> Self:
        """Start the box."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.close()

    # -- starting and ending ---------------------------------------------------------------------------------------------------------

    def start(self, *arguments: str, within: float = _READY_S) -> Self:
        """Start `run` and return when it printed READY."""
        assert self._process is None, "this box runs already"
        self._starts += 1
        with self.stdout_path.open("wb") as stdout, self.stderr_path.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*_command("run", "--data", str(self.data)), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=self._environment(),
                cwd=_ROOT,
                start_new_session=True,
            )
        try:
            eventually(self._is_ready, within=within, message="READY")
        except AssertionError as late:
            self.close()
            raise AssertionError(f"{late}\n{self.output()[-4000:]}") from None
        return self

    def stop(self, within: float = _STOP_S) -> int:
        """End the box as systemd would, and return the exit code; nothing of it may survive."""
        assert self._process is not None, "this box does not run"
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            left = [processes.command_of(pid) for pid in processes.marked(self._mark)]
            self.close()
            raise AssertionError(f"the box did not stop within {within:g} s; still there: {left}\n{self.output()[-4000:]}") from None
        self._process = None
        self.wait_until_gone()
        return code

    def kill(self) -> None:
        """Kill the supervisor with SIGKILL; its daemons notice by themselves, and may still be draining when this returns."""
        assert self._process is not None, "this box does not run"
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> Self:
        """Stop, then start with what `site.toml` says now."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Kill whatever of this box is still running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        processes.end(processes.marked(self._mark))

    def wait_until_gone(self) -> None:
        """Return when no process of this box is left; whoever needs longer than a drain is named."""
        try:
            eventually(lambda: not processes.marked(self._mark), within=_STOP_S, message="the daemons to end")
        except AssertionError as late:
            left = [processes.command_of(pid) for pid in processes.marked(self._mark)]
            raise AssertionError(f"{late}: {left}") from None

    # -- looking -----------------------------------------------------------------------------------------------------------------------

    @property
    def stdout_path(self) -> Path:
        """Where the latest start's standard output is kept."""
        return self.work / f"box-{self._starts}.stdout"

    @property
    def stderr_path(self) -> Path:
        """Where the latest start's standard error, the log, is kept."""
        return self.work / f"box-{self._starts}.stderr"

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None, "this box does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def port(self) -> int:
        """The port that the kernel chose for plain DICOM."""
        listening = json.loads((self.data / "run" / "listening.json").read_text(encoding="utf-8"))
        return int(listening["dicom"][0][1])

    @property
    def tls_port(self) -> int:
        """The port that the kernel chose for DICOM over TLS."""
        listening = json.loads((self.data / "run" / "listening.json").read_text(encoding="utf-8"))
        return int(listening["dicom_tls"][0][1])

    @property
    def web_port(self) -> int:
        """The port that the kernel chose for the pages."""
        listening = json.loads((self.data / "run" / "listening.json").read_text(encoding="utf-8"))
        return int(listening["web"][0][1])

    def output(self) -> str:
        """Everything that every start of this box printed, oldest first."""
        texts = []
        for number in range(1, self._starts + 1):
            for stream in ("stdout", "stderr"):
                path = self.work / f"box-{number}.{stream}"
                texts.append(path.read_text(encoding="utf-8", errors="replace"))
        return "\n".join(texts)

    def daemons(self) -> dict[int, str]:
        """Return the live daemons as the kernel lists them: process id and name."""
        found = {}
        for pid in processes.children_of(self.pid):
            command = processes.command_of(pid)
            if "serve" in command:
                found[pid] = command[command.index("serve") + 1]
        return found

    # -- asking ------------------------------------------------------------------------------------------------------------------------

    def command(self, *arguments: str, within: float = _COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run the command line with this box's data directory and return what came of it."""
        return subprocess.run(
            _command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment(),
            cwd=_ROOT,
            timeout=within,
            check=False,
        )

    def cli(self, *arguments: str) -> Any:
        """Return the parsed answer of a command that must succeed."""
        result = self.command(*arguments, "--json")
        assert result.returncode == 0, f"{arguments}: exit {result.returncode}: {result.stderr}{result.stdout}"
        return json.loads(result.stdout)

    def run_refused(self, *arguments: str, within: float = _READY_S) -> subprocess.CompletedProcess[str]:
        """Run `run` where it must not start, and return how it ended; a box that starts all the same is ended and fails the test."""
        try:
            return self.command("run", "--data", str(self.data), *arguments, within=within)
        except subprocess.TimeoutExpired as started:
            raise AssertionError(f"the box started: {started.stdout!r}") from None
        finally:
            if self._process is None:
                self.close()

    def outstanding(self) -> int:
        """Return how much is on its way: received and not recorded, or recorded and neither delivered nor held."""
        status = Control(self.data / "run").status()
        return status.instances["incoming"] + sum(status.deliveries[state] for state in ("queued", "sending", "deferred"))

    def count(self, state: str) -> int:
        """Return how many deliveries are in this state."""
        return int(self.cli("status")["deliveries"][state])

    def wait_until_delivered(self, within: float = 30.0) -> None:
        """Return when nothing is on its way any more; what is held is for the test to look at."""
        deadline = time.monotonic() + within
        while (left := self.outstanding()) > 0 or not self._is_clear():
            if time.monotonic() > deadline:
                raise AssertionError(f"{left} still owed after {within:g} s: {self.cli('status')}\n{self.output()[-4000:]}")
            time.sleep(0.1)

    def _is_clear(self) -> bool:
        """Say whether nothing is on its way at this moment: what `status` counts of the ledger may be a moment old, rows are not.

        What left `incoming/` before it was counted is in the ledger before it is read.
        """
        incoming = sum(1 for _ in (self.data / "spool" / "incoming").glob("*.age"))
        return not incoming and all(row.state == "held" for row in Control(self.data / "run").queue(limit=_ALL_ROWS).rows)

    def _is_ready(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise AssertionError(f"the box ended with {code} instead of getting ready")
        return any(line.startswith("READY") for line in self.stdout_path.read_text(encoding="utf-8").splitlines())

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DICOM_EDGE_")}
        return (kept | self._added) | {
            "DICOM_EDGE_DATA": str(self.data),
            "TMPDIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1",
            processes.MARKER: self._mark,
        }


class BoxMaker(Protocol):
    """The `make_box` fixture: makes boxes that are gone when the test ends."""

    def __call__(self, site: str, *, name: str = "box", data: Path | None = None) -> Box:
        """Return a box with this configuration, not started."""


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "appliance", *arguments]
