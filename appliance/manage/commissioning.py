"""What a commissioning sheet says of a box: where it is reached, and what to type into a scanner when it is not.

Promises: nothing here asks a daemon; no patient and no secret is in it.
Failures: none; what cannot be known is left out.
Limits: addresses are those that the machine knows of itself: a translating router has others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.config.model import DicomDestination, Site
from appliance.manage.certificates import names_of

PLACES = ("dicom", "dicom_tls", "web")
"""What the box listens for."""


@dataclass(frozen=True, slots=True)
class Bypass:
    """How a scanner reaches an archive without the box; `knows_scanners`: the archive is used to the scanners' own titles."""

    destination: str
    ae_title: str
    host: str
    port: int
    is_secure: bool
    knows_scanners: bool
    is_drop_in: bool
    """Scanners call the box by this very title: only address and port change."""


def bypasses(site: Site) -> tuple[Bypass, ...]:
    """Return how to go round the box, for each archive that scanners could reach themselves."""
    reached = {name for route in site.routes for name in route.to}
    return tuple(
        Bypass(
            destination.name,
            destination.ae_title.text,
            str(destination.host),
            destination.port,
            destination.tls != "off",
            destination.calling_ae == "source",
            destination.ae_title in site.local_titles,
        )
        for destination in site.destinations
        if isinstance(destination, DicomDestination) and destination.name in reached
    )


def addresses_of(site: Site) -> tuple[str, ...]:
    """Return the names and addresses by which others may reach the box."""
    return names_of(site)


def listening(data: Path) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Return where the running box listens, by what for; empty where it does not run."""
    try:
        content = json.loads((data / "run" / "listening.json").read_text(encoding="utf-8"))
        return {place: tuple((str(host), int(port)) for host, port in content.get(place, ())) for place in PLACES}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
