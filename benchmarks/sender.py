"""The sender, the same for every program: DCMTK's `dcmsend`, one process for each association, timed by its own clock.

Promises: the time runs from the first association request to the last release; finding and checking files beforehand is not in it. A run in
which an instance was not answered 0000, or that took more associations than it should, raises.
Failures: `RunInvalidError` with what the sender said last.
Limits: DCMTK 3.6.7's words are what is looked for. Times are of the wall clock in milliseconds: measure at least a second.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.batches import Written
from benchmarks.failures import RunInvalidError

CALLING = "BENCH"
# Without it DCMTK's small packets wait 40 ms an instance for delayed acknowledgements.
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}
_SEND_S = 900.0
# Each line begins with its time; lines are kept in memory until there are many, so that they cost the run nothing.
_LOGGER = """log4cplus.rootLogger = INFO, file
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = ${BENCHMARK_LOG}
log4cplus.appender.file.ImmediateFlush = false
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %d{%s.%q} %m%n
"""
# --scan-directories keeps thousands of names off the command line.
_DCMSEND = ("dcmsend", "--single-association", "--decompress-never", "--scan-directories", "--log-config")
_LINE = re.compile(r"(?P<at>\d+\.\d{3}) (?P<said>.*)")
_FIRST, _LAST, _SUCCESS = "Requesting Association", "Releasing Association", "Received C-STORE Response (Success)"


@dataclass(frozen=True, slots=True)
class Sent:
    """What one or several senders did, in seconds since the epoch; `answered` is when the last instance was."""

    began: float
    ended: float
    successes: int
    answered: float

    @property
    def took_s(self) -> float:
        """From the first request to the last release."""
        return self.ended - self.began


def read_log(text: str) -> Sent:
    """Return what a sender's log says of its one association."""
    moments: dict[str, list[float]] = {_FIRST: [], _LAST: [], _SUCCESS: []}
    for match in _LINE.finditer(text):
        if match["said"] in moments:
            moments[match["said"]].append(float(match["at"]))
    if len(moments[_FIRST]) != 1 or len(moments[_LAST]) != 1:
        raise RunInvalidError(f"the sender made {len(moments[_FIRST])} associations and released {len(moments[_LAST])}, not one each")
    ended = moments[_LAST][0]
    return Sent(moments[_FIRST][0], ended, len(moments[_SUCCESS]), max(moments[_SUCCESS], default=ended))


def together(parts: Sequence[Sent]) -> Sent:
    """Return what several senders did at once, as one."""
    return Sent(
        min(part.began for part in parts),
        max(part.ended for part in parts),
        sum(part.successes for part in parts),
        max(part.answered for part in parts),
    )


def send(written: Written, port: int, called: str, work: Path, callings: Sequence[str] = (CALLING,)) -> Sent:
    """Send a batch to a port of this machine, every directory over an association of its own, all at once; return when all is answered.

    The associations call themselves by the titles `callings` in turn.
    """
    configuration = work / "sender.cfg"
    configuration.write_text(_LOGGER, encoding="ascii")
    logs = [work / f"sender-{number}.log" for number in range(len(written.directories))]
    senders = []
    try:
        for directory, log, calling in zip(written.directories, logs, itertools.cycle(callings), strict=False):
            log.unlink(missing_ok=True)
            command = [*_DCMSEND, str(configuration), "--aetitle", calling, "--call", called, "127.0.0.1", str(port), str(directory)]
            senders.append(_start(command, log))
        codes = [sender.wait(_SEND_S) for sender in senders]
    except subprocess.TimeoutExpired:
        raise RunInvalidError(f"the sender took more than {_SEND_S:g} s") from None
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    if any(codes):
        raise RunInvalidError(f"the sender ended with {codes}: {texts[0].strip().splitlines()[-1:]}")
    sent = together([read_log(text) for text in texts])
    if sent.successes != written.count:
        raise RunInvalidError(f"{sent.successes} of {written.count} instances were answered 0000")
    return sent


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    environment = ENVIRONMENT | {"BENCHMARK_LOG": str(log)}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
