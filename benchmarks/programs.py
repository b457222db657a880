"""All programs there are to compare, in the order in which they take turns."""

from __future__ import annotations

from benchmarks.box import Box
from benchmarks.receivers import Orthanc, Receiver, StockPynetdicom, StoreScp


def everyone() -> tuple[Receiver, ...]:
    """Return each program once."""
    return (StoreScp(fork=False), StoreScp(fork=True), Orthanc(), StockPynetdicom(), Box())


def named(name: str) -> Receiver:
    """Return the program of this name."""
    return next(program for program in everyone() if program.name == name)


def forwarder(name: str, destination: int) -> Receiver:
    """Return the program of this name, told to send what it receives to a port of this machine."""
    return next(program for program in (Orthanc(destination), Box(destination)) if program.name == name)
