"""Which contexts a caller gets: storage and verification for sources, commitment reports for destinations. Pure.

Promises: a context for storage commitment is granted only to a caller that is a destination, and one that is nothing else gets no storage.
Failures: none.
Limits: whether the caller may come in at all was decided before (`admission`).
Standard: PS3.8 9.3.3.2; PS3.4 J.3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.dimse.commands import CommandSet
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTANCE,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    NOTHING_KNOWN,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    VERIFICATION,
    Acceptance,
    ContextResult,
    ProposedContext,
    choose,
)
from appliance.dimse.stream import AcceptedContext, IncomingSink
from appliance.receive.admission import Admitted, AssociationOrigin

Known = Callable[[Site, str, str], Acceptance]
"""Asked with a configuration, a source's name and the called title: what the destinations are known to take to which that can lead."""


ReportSinks = Callable[[AssociationOrigin, CommandSet, AcceptedContext], IncomingSink]
"""Makes the sink of a commitment report."""


def nothing_known(_site: Site, _source_name: str, _called: str) -> Acceptance:
    """Know nothing."""
    return NOTHING_KNOWN


def grant(proposed: Sequence[ProposedContext], admitted: Admitted, site: Site, known: Known, *, reports: bool) -> list[ContextResult]:
    """Return the results in the order of the proposal; `reports`: there is somebody who takes commitment reports."""
    if admitted.only_reports:
        results = [
            choose([context])[0] if context.abstract_syntax == VERIFICATION else _refused(context, ABSTRACT_SYNTAX_NOT_SUPPORTED)
            for context in proposed
        ]
    else:
        policy = admitted.source.accept if admitted.source is not None else "choose"
        results = choose(proposed, policy, known(site, admitted.source_name, admitted.called.text))
    if not reports or not admitted.reporter:
        return results
    return [
        _for_reports(context) if context.abstract_syntax == COMMITMENT_PUSH_MODEL else result
        for context, result in zip(proposed, results, strict=True)
    ]


def _for_reports(context: ProposedContext) -> ContextResult:
    syntaxes = [syntax for syntax in context.transfer_syntaxes if syntax in {EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN}]
    if not syntaxes:
        return _refused(context, TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return ContextResult(context.context_id, context.abstract_syntax, ACCEPTANCE, syntaxes[0])


def _refused(context: ProposedContext, result: Literal[3, 4]) -> ContextResult:
    return ContextResult(context.context_id, context.abstract_syntax, result, Uid(""))
