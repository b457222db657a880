"""All programs there are to compare, in the order in which they take turns."""

from __future__ import annotations

from benchmarks.box import Box
from benchmarks.receivers import DcmSend, Orthanc, Program, Receiver, StockPynetdicom, StoreScp


def everyone() -> tuple[Program, ...]:
    """Return each program once."""
    return (StoreScp(fork=False), StoreScp(fork=True), Orthanc(), StockPynetdicom(), DcmSend(), Box())


def named(name: str) -> Receiver:
    """Return the program of this name, which receives."""
    return next(program for program in everyone() if isinstance(program, Receiver) and program.name == name)


def forwarder(name: str, destination: int) -> Receiver:
    """Return the program of this name, told to send what it receives to a port of this machine."""
    return next(program for program in (Orthanc(destination), Box(destination)) if program.name == name)
