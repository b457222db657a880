"""What the pages ask: everything behind them, given to `create_app` and found again from any page.

Promises: the pages reach the box through this alone; a test gives fakes.
Failures: none of its own.
Limits: one box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from appliance.config.model import Site
    from appliance.manage.accounts import Accounts
    from appliance.manage.control import Control
    from appliance.manage.site_changes import SiteChanges
    from appliance.runtime.callers import LastCall
    from appliance.runtime.clock import Clock

_KEY = "dicom-edge"


@dataclass(frozen=True)
class Services:
    """The box as the pages see it."""

    data: Path
    control: Control
    """Questions and orders, answered by the daemons."""
    accounts: Accounts
    """People, sessions, tokens, and the journal of what they changed."""
    changes: SiteChanges
    """The configuration: what it says, and changing it."""
    site: Callable[[], Site]
    """The configuration in force."""
    calls: Callable[[], list[LastCall]]
    """Who called the box last, known or not."""
    clock: Clock
    is_demo: bool = False

    def attach(self, extensions: dict[str, object]) -> None:
        """Put these where `services` finds them."""
        extensions[_KEY] = self


def services() -> Services:
    """Return what the application of this request was made with."""
    return cast("Services", current_app.extensions[_KEY])
