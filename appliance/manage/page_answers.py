"""Everything that the pages ask of the ledger, and who answers it.

Promises: each request of `runtime/page_requests` that `lookup` answers is here.
Failures: those of whoever answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.config.model import Site
from appliance.ledger.database import Ledger
from appliance.manage.activity import Activities
from appliance.manage.answering import Desk
from appliance.manage.backlog import Backlogs
from appliance.manage.overview import Overview
from appliance.manage.searching import Searching
from appliance.manage.throughput import Throughputs
from appliance.manage.timeline import Timelines
from appliance.manage.today import Today
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler


def page_handlers(ledger: Ledger, site: Callable[[], Site], clock: Clock, overview: Overview) -> Mapping[type, Handler]:
    """Return which request is answered by what; `overview` says how each destination is."""
    desk = Desk(ledger, site, clock)
    backlogs = Backlogs(desk, overview.conditions)
    desks = (Searching(desk), Timelines(desk), Activities(desk), Throughputs(desk), backlogs, Today(desk))
    return {kind: handler for one in desks for kind, handler in one.handlers().items()}
