"""Every decision about an association request as a line for `sources test`: who called, and what the answer was.

Promises: titles are shown as the log shows them; a listed scanner that is refused is remembered among the listed.
Failures: none.
Limits: none of its own; see `runtime.callers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.config.model import Site
from appliance.core.identity import AETitle
from appliance.receive.admission import Admitted, AssociationFacts, Refused, shown
from appliance.runtime.callers import Callers, LastCall
from appliance.runtime.clock import Clock

Heard: TypeAlias = Callable[[AssociationFacts, Admitted | Refused], None]
"""Takes note of a request and what was decided about it."""


def nobody_listens(_facts: AssociationFacts, _judgement: Admitted | Refused) -> None:
    """Take no note."""


def noted_by(callers: Callers, site: Callable[[], Site], clock: Clock) -> Heard:
    """Return what writes decisions down in `callers`."""

    def heard(facts: AssociationFacts, judgement: Admitted | Refused) -> None:
        source, answer, why = "", "", ""
        if isinstance(judgement, Admitted):
            source = judgement.source_name if judgement.source is not None else ""
        else:
            answer, why = f"{judgement.result}/{judgement.source}/{judgement.reason}", judgement.detail
        call = LastCall(source, shown(facts.calling), shown(facts.called), facts.address, clock.now().wall, answer, why)
        callers.heard(call, is_listed=bool(source) or _is_listed(facts, site()))

    return heard


def _is_listed(facts: AssociationFacts, site: Site) -> bool:
    return isinstance(facts.calling, AETitle) and any(source.ae_title == facts.calling for source in site.sources)
