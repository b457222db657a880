"""DCMTK's command line tools as independent peers: an archive that keeps every byte, and senders that nobody here wrote.

Promises: `StoreScp` listens when `start` returns, keeps each received instance in a file of its own (a re-send is a second file), and
leaves no process behind; the senders return what the tool printed.
Failures: a missing tool skips the test on a laptop and fails it where CI=true; a sender that fails raises `AssertionError` with its output.
Limits: written against DCMTK 3.6.7, Debian's.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

import pytest

from tests.support import part10, processes
from tests.support.certificates import Authority, Identity
from tests.support.reserved_port import port_of, reserve

# Without it DCMTK's small packets wait for delayed acknowledgements, 40 ms an instance.
_ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}
_SEND_S = 120.0
# Which `storescu` option proposes a compressed transfer syntax (PS3.6 A); every other file is sent uncompressed.
_PROPOSE = {
    "1.2.840.10008.1.2.1.99": "--propose-deflated",
    "1.2.840.10008.1.2.4.50": "--propose-jpeg8",
    "1.2.840.10008.1.2.4.51": "--propose-jpeg12",
    "1.2.840.10008.1.2.4.57": "--propose-lossless",
    "1.2.840.10008.1.2.4.70": "--propose-lossless",
    "1.2.840.10008.1.2.4.80": "--propose-jls-lossless",
    "1.2.840.10008.1.2.4.81": "--propose-jls-lossy",
    "1.2.840.10008.1.2.4.90": "--propose-j2k-lossless",
    "1.2.840.10008.1.2.4.91": "--propose-j2k-lossy",
    "1.2.840.10008.1.2.5": "--propose-rle",
}


def require(*tools: str) -> None:
    """Go on only where these tools are installed: skip on a laptop, fail where CI=true."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (Debian package: dcmtk)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that the kernel says is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StoreScp:
    """`storescp` as the archive: bit-preserving, every transfer syntax, one process an association unless told otherwise."""

    def __init__(
        self, directory: Path, *, ae_title: str = "ARCHIVE", port: int | None = None, fork: bool = True, options: Sequence[str] = ()
    ) -> None:
        """Prepare an archive that keeps files under `directory`, not started; it has the same port at every start."""
        self.directory = directory / "kept"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "storescp.log"
        self.ae_title = ae_title
        if port is None:
            # Nobody else gets it while the archive is not there.
            holder = reserve()
            weakref.finalize(self, holder.close)
            port = port_of(holder)
        self.port = port
        self._fork = fork
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[Path, part10.Instance] = {}

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> Self:
        """Start and return when the port listens."""
        require("storescp")
        assert self._process is None, "this archive runs already"
        command = ["storescp", "--debug", "--bit-preserving", "--accept-all", "--unique-filenames", "--promiscuous"]
        command += ["--fork"] if self._fork else []
        command += ["--max-pdu", "131072", "--aetitle", self.ae_title, "--output-directory", str(self.directory), *self._options]
        self._process = processes.start_listening(lambda: self._started([*command, str(self.port)]), self.port, "storescp")
        return self

    def _started(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_ENVIRONMENT, start_new_session=True
            )

    def stop(self) -> None:
        """Kill the archive and its associations in mid-work, as an outage would."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def log(self) -> str:
        """Everything it printed."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def count(self) -> int:
        """Return how many files there are, whole or not: cheap, for waiting."""
        return sum(1 for _ in os.scandir(self.directory))

    def arrivals(self) -> list[part10.Instance]:
        """Return every instance received, a re-send counted again; ask when nothing is being received."""
        for entry in os.scandir(self.directory):
            path = Path(entry.path)
            if path not in self._seen:
                self._seen[path] = part10.read(path)
        return list(self._seen.values())

    def identities(self) -> set[tuple[str, str]]:
        """Return the distinct (SOP instance UID, data set digest) received; ask when nothing is being received."""
        return {instance.identity for instance in self.arrivals()}


class ArchiveMaker(Protocol):
    """The `make_archive` fixture: makes archives that are gone when the test ends."""

    def __call__(self, name: str = "archive", *, ae_title: str = "ARCHIVE", fork: bool = True, options: Sequence[str] = ()) -> StoreScp:
        """Return an archive, not started."""


def echoscu(port: int, *, called: str = "EDGE", calling: str = "ECHOSCU", options: Sequence[str] = ()) -> int:
    """Send one C-ECHO and return the exit code, 0 when it was answered 0000."""
    require("echoscu")
    return _run("echoscu", "--timeout", "5", *options, "--aetitle", calling, "--call", called, "127.0.0.1", str(port)).returncode


def storescu(port: int, files: Iterable[Path], *, called: str = "EDGE", calling: str = "STORESCU", options: Sequence[str] = ()) -> str:
    """Send files with `storescu` and return its output; files DCMTK cannot read or send are its own affair."""
    require("storescu")
    command = ["storescu", "--verbose", "--no-halt", "--required", *options, "--aetitle", calling, "--call", called]
    return _output_of(*command, "127.0.0.1", str(port), *map(str, files))


def storescu_by_syntax(port: int, files: Iterable[tuple[Path, str]], *, called: str = "EDGE", calling: str = "STORESCU") -> str:
    """Send (file, transfer syntax UID) pairs with `storescu`, one association for each option that proposes their syntax."""
    groups: dict[str, list[Path]] = {}
    for path, transfer_syntax in files:
        groups.setdefault(_PROPOSE.get(transfer_syntax, "--propose-uncompr"), []).append(path)
    return "\n".join(storescu(port, group, called=called, calling=calling, options=[option]) for option, group in groups.items())


def dcmsend(port: int, files: Iterable[Path], *, called: str = "EDGE", calling: str = "DCMSEND", options: Sequence[str] = ()) -> str:
    """Send files with `dcmsend`, never decompressing, and return its output."""
    require("dcmsend")
    command = ["dcmsend", "--verbose", "--no-halt", "--decompress-never", *options, "--aetitle", calling, "--call", called]
    return _output_of(*command, "127.0.0.1", str(port), *map(str, files))


def tls_options(identity: Identity, authority: Authority) -> list[str]:
    """Return what lets a tool show an identity and check the peer's certificate."""
    return ["+tls", str(identity.key), str(identity.certificate), "+cf", str(authority.path)]


def successes(output: str) -> int:
    """Return how many C-STOREs a verbose DCMTK sender says were answered 0000."""
    return output.count("Response (Success)")


def _output_of(*command: str) -> str:
    result = _run(*command)
    sys.stderr.write(result.stdout[-2000:] if result.returncode else "")
    return result.stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_ENVIRONMENT,
        timeout=_SEND_S,
        check=False,
    )
