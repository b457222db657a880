"""Route replay as a person asks for it: between two moments, counted first where that is wished."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.config.model import Site
from appliance.ledger.database import Ledger
from appliance.route.replay import Replay
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler
from appliance.runtime.requests import ReplayReply, ReplayRequest


class ReplayDesk:
    """Takes requests for a replay, with the routes of the configuration in force."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site], clock: Clock, wake_sender: Callable[[], None]) -> None:
        """Replay over `ledger`; `wake_sender` is called when something new is owed."""
        self._ledger = ledger
        self._site = site
        self._clock = clock
        self._wake_sender = wake_sender

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {ReplayRequest: self.take}

    def take(self, request: ReplayRequest) -> ReplayReply:
        """Do it, or count it, and say how much it was."""
        replay = Replay(self._ledger, self._site(), self._clock, self._wake_sender)
        try:
            done = replay.run(request.since, request.until, dry_run=request.dry_run)
        finally:
            # The thread ends with this answer; its connection must not outlive it.
            self._ledger.close()
        return ReplayReply(done.instances, sum(done.deliveries.values()))
