"""The support bundle: what somebody far away must know of a box in trouble, as one text that a person can read before sending it.

Promises: only what is named here goes in: states, counts, codes, moments, and the configuration without remarks. No patient's name, number
or UID, no word of a peer, no reason that a person typed, no secret, no line of a log.
Failures: none; a part that cannot be had says so, by the name of the error alone.
Limits: names and addresses of scanners, archives and machines are in it, as the configuration has them, and log-in names of who changed it.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.config.generations import GenerationInfo
from appliance.config.load import to_toml
from appliance.config.model import Site
from appliance.core.errors import ApplianceError
from appliance.manage.certificates import shown_certificates
from appliance.manage.commissioning import listening
from appliance.manage.control import Control
from appliance.manage.sealing_keys import sealing_keys
from appliance.runtime.callers import LastCall

# What happened lately is what matters; the history page has the rest.
_GENERATIONS = 20
_CALLS = 100
# What most often explains a difference between two boxes.
_LIBRARIES = (
    "blake3", "cryptography", "flask", "gunicorn", "h11", "paramiko", "peewee", "pydantic", "pydicom", "pynetdicom", "sqlcipher3",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Findable:
    """What a bundle is made from: the box's daemons, its configuration and history, and who called; `now` is wall time."""

    data: Path
    control: Control
    site: Site
    history: Iterable[GenerationInfo]
    calls: Iterable[LastCall]
    now: float


def bundle(source: Findable) -> str:
    """Return the whole text."""
    parts: list[tuple[str, Callable[[], object]]] = [
        ("box", lambda: _box(source)),
        ("state", lambda: _state(source.control)),
        ("destinations", lambda: _destinations(source.control)),
        ("held, by code", lambda: _held(source.control)),
        ("last tests of destinations", lambda: _tests(source.control)),
        ("hours", lambda: _hours(source.control)),
        ("who called last", lambda: _calls(source.calls)),
        ("history of the configuration", lambda: _history(source.history)),
        ("certificate", lambda: _certificates(source)),
        ("keys", lambda: _keys(source.data)),
        ("versions", _versions),
        # Written anew from what is in force: remarks are people's words.
        ("configuration", lambda: to_toml(source.site)),
    ]
    head = "DICOM Edge support bundle. No patient is in it: read it through before you send it.\n"
    return head + "".join(f"\n== {title} ==\n{_said(part)}\n" for title, part in parts)


def _said(part: Callable[[], object]) -> str:
    try:
        content = part()
    except (ApplianceError, OSError, ValueError) as error:
        # Not what it says: a peer's words could be in it.
        return f"not to be had: {type(error).__name__}"
    return content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)


def _box(source: Findable) -> object:
    return {
        "made": _moment(source.now),
        "box": source.site.box.name,
        "generation": source.site.generation,
        "listening": {place: [f"{host}:{port}" for host, port in places] for place, places in listening(source.data).items()},
    }


def _state(control: Control) -> object:
    status = control.status()
    return {
        "version": status.version,
        "ready": status.ready,
        "generation": status.generation,
        "daemons": sorted(control.ready()),
        "deliveries": status.deliveries,
        "instances": status.instances,
        "oldest_undelivered_s": status.oldest_undelivered_s,
        "spool_bytes": status.spool.bytes,
        "free_bytes": status.spool.free_bytes,
        "total_bytes": status.spool.total_bytes,
        "findings": [{"code": one.code, "severity": one.severity, "since": one.since} for one in status.findings],
    }


def _destinations(control: Control) -> object:
    # Without `reason`: it may be what the destination said.
    return [
        {
            "name": one.name,
            "state": one.state,
            "since": one.since,
            "address": one.address,
            "queued": one.queued,
            "oldest_s": one.oldest_s,
            "held": one.held,
            "unproved": one.unproved,
            "lanes": one.lanes,
            "last_success": one.last_success,
        }
        for one in control.destinations().destinations
    ]


def _held(control: Control) -> object:
    return [
        {
            "destination": one.destination,
            "class": one.hold_class,
            "code": one.code,
            "count": one.count,
            "studies": one.studies,
            "since": one.since,
        }
        for one in control.backlog().held
    ]


def _tests(control: Control) -> object:
    return [{"destination": one.destination, "at": one.at, "ok": one.ok} for one in control.last_tests().rows]


def _hours(control: Control) -> object:
    return [
        {"start": row.start, "received": row.received, "bytes": row.received_bytes, "delivered": row.delivered}
        for row in control.throughput("hour").rows
        if row.received or any(row.delivered.values())
    ]


def _calls(calls: Iterable[LastCall]) -> object:
    latest = sorted(calls, key=lambda call: call.at, reverse=True)[:_CALLS]
    return [
        {
            "source": one.source,
            "calling": one.calling,
            "called": one.called,
            "address": one.address,
            "at": _moment(one.at),
            "answer": one.answer,
        }
        for one in latest
    ]


def _history(history: Iterable[GenerationInfo]) -> object:
    # Without `reason`: people type what they like.
    return [
        {"generation": one.number, "state": one.state, "at": None if one.activated_at is None else _moment(one.activated_at), "by": one.by}
        for one in list(history)[:_GENERATIONS]
    ]


def _certificates(source: Findable) -> object:
    shown = shown_certificates(source.data, source.site)
    return [
        {"subject": one.subject, "issuer": one.issuer, "until": _moment(one.not_after), "sha256": one.sha256} for one in shown.certificates
    ]


def _keys(data: Path) -> object:
    keys = sealing_keys(data)
    return {"generation": keys.generation, "generations": keys.generations, "recovery": keys.recovery is not None}


def _versions() -> object:
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
