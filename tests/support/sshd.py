"""OpenSSH's server as an independent peer: SFTP for the present user, with keys made for one test.

Promises: `start` returns when the port listens, and it is the same port at every start; no process is left behind.
Failures: a missing sshd skips the test on a laptop and fails it where CI=true.
Limits: written against OpenSSH 9.2, Debian's. Only keys log in: a password would be the user's own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import weakref
from pathlib import Path
from typing import NoReturn, Self

import pytest

from tests.support import processes, reserved_port

_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
# As root it insists on this folder, which Debian's service makes.
_PRIVILEGE_FOLDER = Path("/run/sshd")


class Sshd:
    """One server with a folder that it begins in."""

    def __init__(self, directory: Path) -> None:
        """Prepare a server under `directory`, not started."""
        self._program = _program("sshd")
        self._directory = directory
        self.folder = directory / "kept"
        self.folder.mkdir(parents=True)
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.key_file = make_key(directory / "client")
        shutil.copy(directory / "client.pub", directory / "authorized_keys")
        holder = reserved_port.reserve()
        weakref.finalize(self, holder.close)
        self.port = reserved_port.port_of(holder)
        self._process: subprocess.Popen[bytes] | None = None
        self._host_keys: list[Path] = []
        self.new_host_keys()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.stop()

    def new_host_keys(self) -> None:
        """Give it other host keys, an Ed25519 and an ECDSA one, from the next start on."""
        number = len(self._host_keys)
        self._host_keys = [
            make_key(self._directory / f"host{number}-ed25519"),
            make_key(self._directory / f"host{number}-ecdsa", "-t", "ecdsa"),
        ]

    @property
    def fingerprints(self) -> tuple[str, str]:
        """What `ssh-keygen -l` says of its host keys, the Ed25519 one first."""
        first, second = (fingerprint_of(key) for key in self._host_keys)
        return first, second

    def start(self) -> Self:
        """Listen."""
        assert self._process is None, "this server runs already"
        if os.getuid() == 0:
            _PRIVILEGE_FOLDER.mkdir(mode=0o755, exist_ok=True)
        lines = [
            f"ListenAddress 127.0.0.1:{self.port}",
            *(f"HostKey {key}" for key in self._host_keys),
            f"AuthorizedKeysFile {self._directory / 'authorized_keys'}",
            f"PidFile {self._directory / 'pid'}",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "StrictModes no",
            "UsePAM no",
            "LogLevel VERBOSE",
            f"Subsystem sftp internal-sftp -d {self.folder}",
        ]
        (self._directory / "sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process = processes.start_listening(self._started, self.port, "sshd")
        return self

    def _started(self) -> subprocess.Popen[bytes]:
        command = [self._program, "-D", "-e", "-f", str(self._directory / "sshd_config")]
        with (self._directory / "sshd.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        """Kill it and every session of it in mid-work, as an outage would."""
        if self._process is None:
            return
        family = [self._process.pid]
        for pid in family:
            family += processes.children_of(pid)
        processes.end(family)
        self._process.wait()
        self._process = None

    def sessions(self) -> list[int]:
        """Return the processes of its sessions, for a test to stop and let go on."""
        assert self._process is not None
        family = processes.children_of(self._process.pid)
        for pid in family:
            family += processes.children_of(pid)
        return family

    def log(self) -> str:
        """Everything it said."""
        return (self._directory / "sshd.log").read_text(encoding="utf-8", errors="replace")


def make_key(path: Path, *options: str) -> Path:
    """Make a key pair, Ed25519 unless `options` say otherwise, and return the private one's path."""
    command = [_program("ssh-keygen"), "-q", *(options or ("-t", "ed25519")), "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def fingerprint_of(key: Path) -> str:
    """Return what `ssh-keygen -l` says of a key."""
    command = [_program("ssh-keygen"), "-l", "-f", f"{key}.pub"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()[1]


def _program(name: str) -> str:
    found = shutil.which(name, path=_PLACES)
    return found if found is not None else _missing(name)


def _missing(name: str) -> NoReturn:
    reason = f"not installed: {name} (Debian packages: openssh-server, openssh-client)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
