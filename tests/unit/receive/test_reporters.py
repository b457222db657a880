"""Archives that report: who is let in for it, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.config.check import check
from appliance.config.model import Site
from appliance.core.identity import AETitle, Uid
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import ProposedContext
from appliance.receive.admission import Admitted, AssociationFacts, Refused, admit
from appliance.receive.granting import grant, nothing_known

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
VERIFICATION = Uid("1.2.840.10008.1.1")
IMPLICIT, EXPLICIT, BIG = Uid("1.2.840.10008.1.2"), Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.2")

SITE = """
[box]
ae_title = "EDGE"

[[source]]
name = "CT1"
ae_title = "CT1"
address = "10.0.0.7"

[[source]]
name = "archive, which sends old images"
ae_title = "PACS2"
address = "10.1.0.6"

[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"
also_calls_from = [{ ae_title = "PACS1SC", address = "10.1.0.0/24" }, { ae_title = "ODD" }]

[[destination]]
name = "second"
ae_title = "PACS2"
host = "pacs2.example"
"""


def _site() -> Site:
    checked = check(SITE, where="test")
    assert checked.site is not None, checked.problems
    return checked.site


def _facts(calling: str, address: str, *syntaxes: Uid) -> AssociationFacts:
    return AssociationFacts(AETitle(calling), AETitle("EDGE"), address, syntaxes or (COMMITMENT_PUSH_MODEL,))


@pytest.mark.parametrize(
    ("calling", "address", "reporter"),
    [
        ("PACS1", "10.1.0.5", "archive"),
        ("pacs1", "10.1.0.5", "archive"),
        ("PACS1SC", "10.1.0.77", "archive"),
        ("ODD", "192.0.2.1", "archive"),
        ("PACS2", "192.0.2.1", "second"),
    ],
)
def test_a_destination_may_report(calling: str, address: str, reporter: str) -> None:
    """A destination is let in under its own title from its own address, and under what `also_calls_from` lists, for reports only."""
    judgement = admit(_facts(calling, address), _site())

    assert isinstance(judgement, Admitted)
    assert (reporter, True) == (judgement.reporter, judgement.only_reports)


@pytest.mark.parametrize(("calling", "address"), [("PACS1", "10.1.0.6"), ("PACS1SC", "10.2.0.1"), ("WHO", "10.1.0.5")])
def test_others_that_want_to_report_are_refused(calling: str, address: str) -> None:
    """A stranger that wants to report gets the answer of every stranger; the log says what it looks like."""
    judgement = admit(_facts(calling, address), _site())

    assert isinstance(judgement, Refused)
    assert (1, 1, 3) == (judgement.result, judgement.source, judgement.reason)
    assert "looks like your archive" in judgement.detail


def test_a_destination_that_wants_no_reports_is_a_stranger() -> None:
    """A destination's title alone opens nothing: who proposes storage only is refused as everybody is."""
    judgement = admit(_facts("PACS1", "10.1.0.5", CT), _site())

    assert isinstance(judgement, Refused)
    assert "archive" not in judgement.detail


def test_without_room_reports_are_let_in() -> None:
    """A full disk does not keep an archive's word out, whatever else it proposes."""
    facts = replace(_facts("PACS1", "10.1.0.5", COMMITMENT_PUSH_MODEL, CT), storage_ok=False)

    assert isinstance(admit(facts, _site()), Admitted)


PROPOSED = (
    ProposedContext(1, COMMITMENT_PUSH_MODEL, (BIG, IMPLICIT, EXPLICIT)),
    ProposedContext(3, CT, (EXPLICIT,)),
    ProposedContext(5, VERIFICATION, (IMPLICIT,)),
    ProposedContext(7, COMMITMENT_PUSH_MODEL, (BIG,)),
)


@pytest.mark.parametrize(
    ("calling", "address", "reports", "expected"),
    [
        ("PACS1", "10.1.0.5", True, [0, 3, 0, 4]),
        ("PACS2", "10.1.0.6", True, [0, 0, 0, 4]),
        ("CT1", "10.0.0.7", True, [3, 0, 0, 3]),
        ("PACS1", "10.1.0.5", False, [3, 3, 0, 3]),
    ],
    ids=["archive", "archive that is a source too", "scanner", "nobody takes reports"],
)
def test_contexts_are_granted_by_what_the_caller_is(calling: str, address: str, expected: list[int], *, reports: bool) -> None:
    """An archive gets reports and verification, a scanner storage and verification, who is both gets all."""
    site = _site()
    admitted = admit(_facts(calling, address, COMMITMENT_PUSH_MODEL, CT, VERIFICATION), site)
    assert isinstance(admitted, Admitted)

    results = grant(PROPOSED, admitted, site, nothing_known, reports=reports)

    assert expected == [result.result for result in results]
    assert all(result.transfer_syntax == IMPLICIT for result in results if result.context_id == 1 and result.result == 0)
