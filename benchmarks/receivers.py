"""The programs that this box is compared with, each as its own manual starts it.

Promises: every program starts with an empty directory and a port of its own, and can say how many instances it holds.
Failures: `PeerMissingError` when it is not installed; `RunInvalidError` when it cannot say what it holds.
Limits: they promise different things. This box seals, syncs and admits by rule before it answers; Orthanc syncs and indexes; `storescp` and
the pynetdicom receiver only write.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import json
import os
import secrets
import socket
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import accounting, installed, orthanc_configuration, sender
from benchmarks.failures import RunInvalidError
from benchmarks.running import Start

_ANSWER_S = 30.0
# Below the kernel's own (net.ipv4.ip_local_port_range): a sender's connection must not take a port between our look and a program's start.
_PORTS = range(20_000, 32_000)
# What a data directory is called below the directory of a run; the output of the program lies beside it.
_DATA = "data"
_ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a TCP port that is free now, and that the kernel gives to nobody who does not ask for it by number."""
    while True:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True, slots=True)
class Place:
    """Where one start of a program works: an empty directory and its ports."""

    directory: Path
    port: int = field(default_factory=free_port)
    second_port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        """The directory for what it receives."""
        return self.directory / _DATA

    @property
    def output(self) -> Path:
        """What it prints."""
        return self.directory / "output"


class Program(ABC):
    """One program of the comparison."""

    name: str

    @abstractmethod
    def version(self) -> str:
        """Return the version that is installed; `PeerMissingError` when none is."""


class Receiver(Program):
    """A program that receives."""

    called = "ANY-SCP"

    @abstractmethod
    def prepare(self, place: Place) -> Start:
        """Write what it needs into its empty directory and say how it is started."""

    def is_ready(self, place: Place) -> bool:
        """Say whether it receives."""
        return accounting.is_listening(place.port)

    def received(self, place: Place) -> int:
        """Return how many instances it holds; asked while it runs, and while nothing is measured."""
        return sum(1 for _ in os.scandir(place.data))


class StoreScp(Receiver):
    """DCMTK's `storescp`, bit-preserving: it writes files, and neither syncs nor seals them."""

    def __init__(self, *, fork: bool) -> None:
        """Choose between one process for all and one for each association."""
        self._fork = fork
        self.name = "storescp --fork" if fork else "storescp"

    def version(self) -> str:
        """Return DCMTK's version."""
        return installed.version(installed.find("storescp", "dcmtk"))

    def prepare(self, place: Place) -> Start:
        """Start it with nothing but +B and where to write."""
        program = installed.find("storescp", "dcmtk")
        command = [str(program), "+B", *(["--fork"] if self._fork else []), "--output-directory", str(place.data), str(place.port)]
        return Start(command, sender.ENVIRONMENT, place.output)


class Orthanc(Receiver):
    """Orthanc from Debian with its defaults; told of a destination, it sends everything there by its own scripting."""

    name = "orthanc"

    def __init__(self, destination: int | None = None) -> None:
        """Keep what is received, and send it to this port as well."""
        self._destination = destination

    def version(self) -> str:
        """Return Orthanc's version."""
        return installed.version(installed.find("Orthanc", "orthanc"))

    def prepare(self, place: Place) -> Start:
        """Write the configuration beside the data."""
        settings = place.directory / "orthanc.json"
        text = orthanc_configuration.configuration(place.data, place.port, place.second_port)
        if self._destination is not None:
            script = place.directory / "route.lua"
            script.write_text(orthanc_configuration.SCRIPT, encoding="utf-8")
            text = orthanc_configuration.with_destination(text, script, self._destination)
        settings.write_text(text, encoding="utf-8")
        return Start([str(installed.find("Orthanc", "orthanc")), str(settings)], sender.ENVIRONMENT, place.output)

    def is_ready(self, place: Place) -> bool:
        """Ready when both of its ports listen."""
        return accounting.is_listening(place.port) and accounting.is_listening(place.second_port)

    def received(self, place: Place) -> int:
        """Ask its own statistics."""
        connection = http.client.HTTPConnection("127.0.0.1", place.second_port, timeout=_ANSWER_S)
        try:
            connection.request("GET", "/statistics")
            return int(json.loads(connection.getresponse().read())["CountInstances"])
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise RunInvalidError(f"orthanc does not say what it holds: {error}") from error
        finally:
            connection.close()


class DcmSend(Program):
    """DCMTK's `dcmsend`, which sends files and receives nothing."""

    name = "dcmsend"

    def version(self) -> str:
        """Return DCMTK's version."""
        return installed.version(installed.find("dcmsend", "dcmtk"))


class StockPynetdicom(Receiver):
    """The library this box is built on, as it comes, writing raw bytes."""

    name = "pynetdicom"

    def version(self) -> str:
        """Return the library's version."""
        return importlib.metadata.version("pynetdicom")

    def prepare(self, place: Place) -> Start:
        """Start the receiver of this package in a Python of its own."""
        command = [sys.executable, "-m", "benchmarks.pynetdicom_receiver", str(place.data), str(place.port)]
        return Start(command, os.environ | {"PYTHONPATH": str(_ROOT)}, place.output)
