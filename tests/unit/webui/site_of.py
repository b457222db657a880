"""A configuration in force in a directory, and the changes of it that pages make: the real ones, remembered."""

from __future__ import annotations

from pathlib import Path

from appliance.config.generations import Generations
from appliance.config.model import Site
from appliance.manage.site_changes import SiteChanges
from appliance.runtime.clock import SystemClock
from tests.support.pages import Said


def changes_of(data: Path, site: str) -> Said:
    """Put the text `site` in force in `data`, and return what pages change it through."""
    Generations(data).apply(site, "test", "the test begins")
    real = SiteChanges(data, SystemClock())
    return Said(current=real.current, propose=real.propose, apply=real.apply, pending=None)


def site_now(changes: Said) -> Site:
    """Return what is in force now."""
    site = changes.current().site
    assert isinstance(site, Site)
    return site
