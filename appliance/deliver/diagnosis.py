"""What a doctor finds, and what he sees the network with: shared by the doctors of archives, of other destinations and of sources.

Promises: nothing here sends anything but questions to the system's resolver. Whoever watches a walk hears of each phase as it begins and
as it ends.
Failures: `resolve` says which.
Limits: names are resolved by the system, with its own time-outs.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from appliance.deliver import remedies
from appliance.deliver.remedies import Call, Remark
from appliance.deliver.transport import Context
from appliance.dimse.failures import AssociationAbortedError, AssociationRejectedError, PeerUnreachableError


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of a doctor: whether it went well, what was found, what to try (empty where nothing is), and how long it took."""

    phase: StrEnum
    ok: bool
    detail: str
    advice: str = ""
    ms: int = 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An examination's result: a step a phase, and `ok` when all went well.

    `ends_refusal`: the archive let the box in under every title in use, so that a site which was refusing need not be waited for any
    longer. `answers`: the result of every context asked for (PS3.8 9.3.3.2), 0 is taken.
    """

    destination: str
    ok: bool
    steps: tuple[Step, ...]
    ends_refusal: bool = False
    answers: Mapping[Context, int] = field(default_factory=lambda: MappingProxyType({}))


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a name. Raises `OSError` or `UnicodeError` where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def own_address(host: str, port: int) -> str:
    """Return the address from which this machine would call `host`, "" where it has none. Nothing is sent."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return ""


@dataclass(frozen=True, slots=True)
class Senses:
    """What the doctor sees the network with, for tests to replace; `begins` and `found` hear of each phase while he walks."""

    resolve: Callable[[str, int], tuple[str, ...]] = resolve
    own_address: Callable[[str, int], str] = own_address
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    begins: Callable[[str], None] = lambda _phase: None
    found: Callable[[Step], None] = lambda _step: None


Look = Callable[[], tuple[bool, Remark]]
"""Looks at one phase: whether it went well, and what to say."""


def walk(phases: Iterable[tuple[StrEnum, Look]], senses: Senses) -> tuple[Step, ...]:
    """Go through the phases and return a step for each; those behind the first that fails are not reached. Raises what a look raises."""
    steps: list[Step] = []
    for phase, look in phases:
        if steps and not steps[-1].ok:
            step = Step(phase, ok=False, detail="not reached")
        else:
            senses.begins(phase.value)
            started = senses.monotonic()
            ok, remark = look()
            step = Step(phase, ok, remark.detail, remark.advice, round((senses.monotonic() - started) * 1000))
        senses.found(step)
        steps.append(step)
    return tuple(steps)


def is_address(host: str) -> bool:
    """Say whether a host is an address already, and no name to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def refusal(error: PeerUnreachableError | AssociationRejectedError | AssociationAbortedError, call: Call) -> Remark:
    """Return what to say about an association that was not to be had."""
    match error:
        case PeerUnreachableError():
            return remedies.for_unreachable(error, call)
        case AssociationRejectedError():
            return remedies.for_rejection(error.result, error.source, error.reason, call)
        case AssociationAbortedError():
            return remedies.for_abort(error.source, error.reason, call)
