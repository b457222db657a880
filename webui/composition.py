"""What the pages are made of on a real box: every service, from the data directory and the key of the accounts.

Promises: no other key is needed; what the box knows is asked of its daemons.
Failures: those of reading the active configuration.
Limits: one box.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance.config.active import ActiveSite
from appliance.manage.accounts import Accounts
from appliance.manage.control import Control
from appliance.manage.site_changes import SiteChanges
from appliance.runtime.callers import last_calls
from appliance.runtime.clock import SystemClock
from webui.services import Services


def compose(data: Path, accounts_key: bytes) -> Services:
    """Return the services of the box at `data`."""
    run_dir, clock = data / "run", SystemClock()
    return Services(
        data=data,
        control=Control(run_dir),
        accounts=Accounts(data, accounts_key, clock),
        changes=SiteChanges(data, clock),
        site=ActiveSite(data).newest,
        calls=lambda: last_calls(run_dir),
        clock=clock,
        is_demo=_is_demo(run_dir),
    )


def _is_demo(run_dir: Path) -> bool:
    try:
        return bool(json.loads((run_dir / "listening.json").read_text(encoding="utf-8")).get("demo", False))
    except (OSError, ValueError):
        return False
