"""Orthanc from Debian as an independent archive that is asked through its REST API, and as a client that sends what it holds.

Promises: `start` returns when the DICOM and the REST port answer; `kill` is SIGKILL, and what was stored is on its disk for the next
`start`, which has the same ports; no process is left behind. What the API says is returned as it says it.
Failures: a missing Orthanc skips the test on a laptop and fails it where CI=true; an answer that is no success raises `AssertionError`.
Limits: written against Orthanc 1.10.1, Debian's, without plugins but DICOMweb 1.7 where it is asked for. It writes each data set anew:
the elements are those that were received, lengths of sequences may not be.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

import pydicom
import pytest
from pydicom.dataset import FileDataset

from tests.support import processes, reserved_port
from tests.support.eventually import eventually

# Debian keeps it where the PATH of a plain user does not look.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
_READY_S = 30.0
_STOP_S = 20.0
# The plug-in of Debian's package orthanc-dicomweb.
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
# A file of 300 MB is read by Orthanc as a whole before the first byte comes.
_ANSWER_S = 120.0


class Orthanc:
    """One Orthanc with its own storage. `modalities` maps the names of peers to (AE title, port on this machine).

    With `dicomweb` it is a STOW-RS server too, at `url`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ae_title: str = "ARCHIVE",
        modalities: Mapping[str, tuple[str, int]] | None = None,
        dicomweb: bool = False,
    ) -> None:
        """Prepare one that keeps everything under `directory`, not started; it has the same ports at every start."""
        self._plugins = [str(_plugin())] if dicomweb else []
        self._storage = directory / "storage"
        self._storage.mkdir(parents=True)
        self._log_path = directory / "orthanc.log"
        self._configuration = directory / "orthanc.json"
        self.ae_title = ae_title
        holders = [reserved_port.reserve(), reserved_port.reserve()]
        for holder in holders:
            weakref.finalize(self, holder.close)
        self.port, self._http_port = map(reserved_port.port_of, holders)
        self._process: subprocess.Popen[bytes] | None = None
        self._write_configuration(modalities or {})

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.kill()

    @property
    def url(self) -> str:
        """Where its DICOMweb plug-in answers."""
        return f"http://{reserved_port.LOOPBACK}:{self._http_port}/dicom-web"

    # -- starting and ending ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start and return when both ports answer."""
        assert self._process is None, "this Orthanc runs already"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TCP_NODELAY": "1"},
                start_new_session=True,
            )
        try:
            eventually(self._is_ready, within=_READY_S, message="Orthanc to answer")
        except AssertionError as late:
            self.kill()
            raise AssertionError(f"{late}\n{self.log()[-4000:]}") from None
        return self

    def stop(self) -> None:
        """End it as systemd would."""
        assert self._process is not None, "this Orthanc does not run"
        self._process.terminate()
        self._process.wait(_STOP_S)
        self._process = None

    def kill(self) -> None:
        """Kill it in mid-work, as a power cut would; one that does not run is left alone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def know(self, modalities: Mapping[str, tuple[str, int]]) -> None:
        """Replace the peers that the next start knows."""
        assert self._process is None, "Orthanc reads its peers when it starts"
        self._write_configuration(modalities)

    # -- asking ------------------------------------------------------------------------------------------------------------------------

    def log(self) -> str:
        """Everything it printed."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def count(self) -> int:
        """Return how many instances it has."""
        return int(self.get("/statistics")["CountInstances"])

    def instances(self) -> dict[str, str]:
        """Return its own identifier of each SOP Instance UID that it has."""
        return {row["MainDicomTags"]["SOPInstanceUID"]: row["ID"] for row in self.get("/instances?expand")}

    def studies(self) -> dict[str, dict[str, Any]]:
        """Return what it says of each study, by Study Instance UID."""
        return {row["MainDicomTags"]["StudyInstanceUID"]: row for row in self.get("/studies?expand")}

    def attributes(self, identifier: str) -> dict[str, Any]:
        """Return the attributes of an instance by keyword, as Orthanc reads them."""
        answer: dict[str, Any] = self.get(f"/instances/{identifier}/simplified-tags")
        return answer

    def file(self, identifier: str) -> bytes:
        """Return the Part 10 file of an instance."""
        return self._ask("GET", f"/instances/{identifier}/file")

    def data_set(self, identifier: str) -> FileDataset:
        """Return an instance, decoded."""
        return pydicom.dcmread(io.BytesIO(self.file(identifier)))

    def frame(self, identifier: str, number: int) -> bytes:
        """Return the pixel data of one frame, counted from 0, as it is stored."""
        return self._ask("GET", f"/instances/{identifier}/frames/{number}/raw")

    # -- as a client -----------------------------------------------------------------------------------------------------------------

    def upload(self, path: Path) -> str:
        """Give it a file by its API, as no DICOM peer does, and return its identifier."""
        return str(json.loads(self._ask("POST", "/instances", path.read_bytes()))["ID"])

    def echo(self, modality: str) -> None:
        """Let it send a C-ECHO to a peer."""
        self._ask("POST", f"/modalities/{modality}/echo", b"{}")

    def store(self, modality: str, identifiers: Sequence[str]) -> dict[str, Any]:
        """Let it C-STORE instances to a peer, and return what it says when all are acknowledged."""
        body = json.dumps({"Resources": list(identifiers), "Synchronous": True})
        answer: dict[str, Any] = json.loads(self._ask("POST", f"/modalities/{modality}/store", body.encode()))
        return answer

    def get(self, path: str) -> Any:
        """Return the parsed answer to a GET."""
        return json.loads(self._ask("GET", path))

    def _ask(self, verb: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(reserved_port.LOOPBACK, self._http_port, timeout=_ANSWER_S)
        try:
            connection.request(verb, path, body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        assert response.status == http.client.OK, f"{verb} {path}: {response.status} {content[:2000]!r}"
        return content

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Orthanc ended with {self._process.returncode}"
        if not all(processes.is_listening(port) for port in (self.port, self._http_port)):
            return False
        return bool(self.get("/system")["Version"])

    def _write_configuration(self, modalities: Mapping[str, tuple[str, int]]) -> None:
        configuration = {
            "Name": self.ae_title,
            "StorageDirectory": str(self._storage),
            "IndexDirectory": str(self._storage),
            "Plugins": self._plugins,
            "HttpPort": self._http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.port,
            "DicomAet": self.ae_title,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomScpTimeout": 30,
            "DicomModalities": {name: [title, reserved_port.LOOPBACK, port] for name, (title, port) in modalities.items()},
        }
        self._configuration.write_text(json.dumps(configuration, indent=1), encoding="utf-8")


def _program() -> str:
    found = shutil.which("Orthanc", path=_PLACES)
    if found is None:
        _missing("Orthanc (Debian package: orthanc)")
    return found


def _plugin() -> Path:
    if not _DICOMWEB.exists():
        _missing("Orthanc's DICOMweb plug-in (Debian package: orthanc-dicomweb)")
    return _DICOMWEB


def _missing(what: str) -> NoReturn:
    reason = f"not installed: {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
