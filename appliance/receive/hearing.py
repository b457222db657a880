"""Every decision about an association request as a line for `sources test`: who called, and what the answer was.

Promises: titles are shown as the log shows them; a listed scanner that is refused is remembered among the listed. Of what a caller wanted
only well-formed UIDs are kept, and few.
Failures: none.
Limits: none of its own; see `runtime.callers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from appliance.config.model import Site
from appliance.core.identity import AETitle, uid_fault
from appliance.receive.admission import Admitted, AssociationFacts, Refused, shown
from appliance.runtime.callers import MOST_WANTED, Callers, LastCall
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
        wanted = _wanted(facts.abstract_syntaxes)
        call = LastCall(source, shown(facts.calling), shown(facts.called), facts.address, clock.now().wall, answer, why, wanted)
        callers.heard(call, is_listed=bool(source) or _is_listed(facts, site()))

    return heard


def _wanted(proposed: Iterable[str]) -> tuple[str, ...]:
    """Return the first of what a request proposes, each once; what is no UID is a stranger's text and is left out."""
    found: dict[str, None] = {}
    for uid in proposed:
        if len(found) == MOST_WANTED:
            break
        if uid_fault(uid) is None:
            found[uid] = None
    return tuple(found)


def _is_listed(facts: AssociationFacts, site: Site) -> bool:
    return isinstance(facts.calling, AETitle) and any(source.ae_title == facts.calling for source in site.sources)
