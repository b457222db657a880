"""The scanners as pages show them: what is configured, with what each has sent and how it called last. Without I/O.

Promises: every configured source is there once, in the order of the configuration, whether it has sent anything or not.
Failures: none.
Limits: what is counted is what `activity` counts; a call is the last one since the box was started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.config.addresses import network_text
from appliance.config.model import Site, Source
from appliance.config.sources import find_source
from appliance.runtime.callers import LastCall
from appliance.runtime.page_requests import SourceActivity

# A clock that is off by less does no harm: nobody tells two examinations a minute apart by the minute.
_DRIFT_S = 60.0


@dataclass(frozen=True, slots=True)
class Scanner:
    """One configured source. `last_image` is ISO 8601 in UTC, `drift_s` how far its clock is ahead; `refused` its last call, if it was."""

    source: Source
    last_image: str | None
    today: int
    last_hour: int
    drift_s: float | None
    last_call: LastCall | None
    refused: LastCall | None

    @property
    def name(self) -> str:
        """What it is called here."""
        return self.source.name

    @property
    def title(self) -> str:
        """What it calls itself, "*" for anything."""
        return "*" if self.source.ae_title is None else self.source.ae_title.text

    @property
    def address(self) -> str:
        """Where it calls from, "" for anywhere."""
        return "" if self.source.address is None else network_text(self.source.address)

    @property
    def is_clock_off(self) -> bool:
        """Say whether its clock is so far off that somebody should set it."""
        return self.drift_s is not None and abs(self.drift_s) >= _DRIFT_S


def listed_scanners(site: Site, activity: Iterable[SourceActivity], calls: Sequence[LastCall], *, now: float) -> list[Scanner]:
    """Return every configured source with what is known of it; `calls` are the last of everybody, `now` is wall time."""
    sent: dict[str, list[SourceActivity]] = {}
    for row in activity:
        source = find_source(site, row.calling, row.address)
        if source is not None:
            sent.setdefault(source.name, []).append(row)
    called: dict[str, LastCall] = {}
    for call in sorted(calls, key=lambda one: one.at, reverse=True):
        source = find_source(site, call.calling, call.address)
        # A call of the future is one of before somebody set the clock.
        if source is not None and call.at <= now + _DRIFT_S:
            called.setdefault(source.name, call)
    return [_scanner(source, sent.get(source.name, []), called.get(source.name)) for source in site.sources]


def _scanner(source: Source, rows: Sequence[SourceActivity], call: LastCall | None) -> Scanner:
    newest = max(rows, key=lambda row: row.last_received, default=None)
    return Scanner(
        source=source,
        last_image=None if newest is None else newest.last_received,
        today=sum(row.today for row in rows),
        last_hour=sum(row.last_hour for row in rows),
        drift_s=None if newest is None else newest.drift_s,
        last_call=call,
        refused=call if call is not None and call.answer else None,
    )
