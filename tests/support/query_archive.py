"""DCMTK's `dcmqrscp` as the archive that can be asked: it stores, and answers C-FIND at every level.

Promises: it listens when `start` returns, knows exactly the titles it was given, and leaves no process behind.
Failures: a missing tool skips the test on a laptop and fails it where CI=true.
Limits: written against DCMTK 3.6.7, Debian's; it answers what its index says, which it writes at each reception.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support import processes
from tests.support.dcmtk import free_port, require

_CONFIGURATION = """
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
box = ({box}, localhost, 104)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{ae_title} {storage} RW (200, 1024mb) {peers}
AETable END
"""


class QueryArchive:
    """One archive. `knows`: the only calling title it knows; without, it knows everybody."""

    def __init__(self, directory: Path, *, ae_title: str = "ARCHIVE", knows: str | None = None, options: Sequence[str] = ()) -> None:
        """Prepare an archive that keeps files under `directory`, not started."""
        storage = directory / "kept"
        storage.mkdir(parents=True)
        self.port = free_port()
        self.ae_title = ae_title
        self._log = directory / "dcmqrscp.log"
        self._configuration = directory / "dcmqrscp.cfg"
        text = _CONFIGURATION.format(box=knows or "EDGE", ae_title=ae_title, storage=storage, peers="box" if knows else "ANY")
        self._configuration.write_text(text, encoding="ascii")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start."""
        require("dcmqrscp")
        command = ["dcmqrscp", "--verbose", "--config", str(self._configuration), *self._options, str(self.port)]
        self._process = processes.start_listening(lambda: self._started(command), self.port, "dcmqrscp")
        return self

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TCP_NODELAY": "1"},
                start_new_session=True,
            )

    def __exit__(self, *_: object) -> None:
        """Stop."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
