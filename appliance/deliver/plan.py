"""What the engine is told about one destination, and what all destinations of a sender share.

Promises: values only; nothing here acts.
Failures: none.
Limits: made once from the configuration; new settings make new terms, and new terms new plans.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from appliance.config.model import AnyDestination, Delivery, DicomDestination, StowDestination, Tls
from appliance.config.shaping import Hours
from appliance.core.identity import AETitle, AETitleInvalidError
from appliance.deliver.destination import Pacing
from appliance.deliver.settlement import Waits
from appliance.ledger.claims import Claim
from appliance.runtime.clock import Clock

# Long enough that a study's next instance finds the association open, short enough not to keep a one-association archive from others.
LINGER_S = 2.0

# Enough to tell the terms of one destination apart; nobody has a reason to forge them.
_MARK_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything of a configuration on which the service of one destination depends; `box` is the box's own title."""

    destination: AnyDestination
    delivery: Delivery
    box: AETitle
    tls: Tls = field(default_factory=Tls)
    timezone: str = "UTC"

    @property
    def text(self) -> str:
        """The terms as one text: equal texts are equal terms, down to the spelling of titles, which is what peers see."""
        text = f"{self.destination.model_dump_json()}\n{self.delivery.model_dump_json()}\n{self.box.text}"
        if self.destination.window is not None:
            text = f"{text}\n{self.timezone}"
        uses_tls = isinstance(self.destination, StowDestination) or (
            isinstance(self.destination, DicomDestination) and self.destination.tls != "off"
        )
        return f"{text}\n{self.tls.model_dump_json()}" if uses_tls else text

    @property
    def mark(self) -> str:
        """What tells these terms from others, short enough to be kept."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:_MARK_DIGITS]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a destination is to the engine.

    `calling` gives the title under which a source's deliveries are sent; `separates`: it differs from source to source. `linger_s`: how
    long an idle association is kept. `is_open` says of a wall time whether everything is sent then, or what is STAT only.
    """

    name: str
    calling: Callable[[str], AETitle]
    separates: bool
    pacing: Pacing
    waits: Waits
    linger_s: float
    is_open: Callable[[float], bool] = lambda _wall: True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all destinations of a sender share, but for `stopping`, which ends the service of one.

    `dice` gives a number from -1 to 1; `set_apart` quarantines a damaged object. `condition` and `thread` make what they wait on and what
    they run in; a simulation passes those of its own time.
    """

    clock: Clock
    dice: Callable[[], float]
    stopping: threading.Event
    set_apart: Callable[[Claim], None]
    condition: Callable[[], threading.Condition] = threading.Condition
    thread: Callable[..., threading.Thread] = threading.Thread


def plan_for(terms: Terms) -> Plan:
    """Return what a destination is to the engine on these terms."""
    destination, settings, box = terms.destination, terms.delivery, terms.box

    def calling(source: str) -> AETitle:
        try:
            return destination.calling_title(AETitle.parse(source), box)
        except AETitleInvalidError:
            # Nobody is admitted under such a title; should one be in the ledger all the same, it must not stop the others.
            return box

    instances, studies, probe = settings.site_rule
    return Plan(
        name=destination.name,
        calling=calling,
        separates=destination.separates_sources,
        pacing=Pacing(
            lanes=destination.lanes,
            dead_hello=settings.dead_hello,
            throttled=settings.throttled,
            refusing=settings.refusing,
            rule_instances=instances,
            rule_studies=studies,
            probe=probe,
        ),
        waits=Waits(settings.soft, settings.held),
        linger_s=LINGER_S,
        is_open=_opening(destination.window, terms.timezone),
    )


def _opening(window: Hours | None, timezone: str) -> Callable[[float], bool]:
    if window is None:
        return lambda _wall: True
    zone = ZoneInfo(timezone)
    return lambda wall: window.holds(wall, zone)
