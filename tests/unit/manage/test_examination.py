"""`destinations test` as the sender answers it: asked over the socket, examined on the spot, told to who sends."""

from __future__ import annotations

import pytest

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.doctor import Diagnosis
from appliance.dimse.commitment import CommitmentReport
from appliance.ledger.destinations import DestinationState, DestinationStates
from appliance.ledger.proofs import Proofs
from appliance.manage.examination import Examinations
from appliance.runtime.asking import RequestRefusedError, ask
from appliance.runtime.control import ControlServer
from appliance.runtime.questions import DestinationTestReply, DestinationTestRequest
from tests.fakes.script import Welcome, welcome
from tests.fakes.scripted_archive import ScriptedArchive
from tests.unit.ledger.bench import Bench

CT, EXPLICIT, J2K = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.90")


def examine(bench: Bench, archive: ScriptedArchive, name: str = "the archive") -> tuple[DestinationTestReply, list[tuple[str, Diagnosis]]]:
    """Ask over the socket; return the reply and what the sender was told."""
    told: list[tuple[str, Diagnosis]] = []
    destination = {"name": "the archive", "id": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}
    site = Site.model_validate({"destination": [destination]})
    examinations = Examinations(bench.ledger, lambda: site, lambda name, diagnosis: told.append((name, diagnosis)))
    control = ControlServer(bench.data / "run", "sender", examinations.handlers())
    try:
        return ask(bench.data / "run", "sender", DestinationTestRequest(name), DestinationTestReply), told
    finally:
        control.close()


def test_a_good_archive_is_told_phase_by_phase(bench: Bench, archive: ScriptedArchive) -> None:
    """Every phase is in the reply, and the sender knows the answers, under the destination's id, when it is given."""
    reply, told = examine(bench, archive)

    ((name, diagnosis),) = told
    assert (reply.destination, reply.ok, name) == ("the archive", True, "archive")
    assert [(step.phase, step.ok) for step in reply.steps] == [
        (phase, True) for phase in ("name", "route", "tcp", "association", "contexts", "echo")
    ]
    assert diagnosis.ends_refusal
    assert diagnosis.answers[CT, EXPLICIT] == 0


def test_what_is_known_of_a_destination_is_asked_for(bench: Bench, archive: ScriptedArchive) -> None:
    """What it was seen to take is asked for again; nothing else, for something is in use."""
    learned = Acceptance()
    learned.note([(CT, J2K)], taken=True)
    with bench.ledger.write():
        DestinationStates(bench.ledger).put(DestinationState("archive", learned=learned.as_json()))

    _, ((_, diagnosis),) = examine(bench, archive)

    assert set(diagnosis.answers) == {(CT, J2K)}


def test_an_archive_that_refuses_says_so_with_advice(bench: Bench, archive: ScriptedArchive) -> None:
    """A refusal stands in its phase with what to try; what comes after it was not reached."""
    archive.greeting = welcome(Welcome(reject=(1, 1, 3)))

    reply, ((_, diagnosis),) = examine(bench, archive)

    assert [(step.phase, step.ok) for step in reply.steps if step.detail != "not reached"] == [
        ("name", True),
        ("route", True),
        ("tcp", True),
        ("association", False),
    ]
    assert reply.steps[3].advice != ""
    assert (reply.ok, diagnosis.ends_refusal) == (False, False)


def test_a_destination_that_is_not_configured_is_refused_with_the_names(bench: Bench, archive: ScriptedArchive) -> None:
    """A name that is not in the configuration, also an id, is answered with those that are."""
    with pytest.raises(RequestRefusedError) as raised:
        examine(bench, archive, "archive")

    assert (str(raised.value), raised.value.advice) == ("there is no destination 'archive'", "Destinations are: the archive.")


def test_a_report_on_what_was_delivered_is_kept(bench: Bench) -> None:
    """What an archive reports of another request while it is examined is in the ledger for the sender, with who said it."""
    examinations = Examinations(bench.ledger, Site, lambda _name, _diagnosis: None)

    examinations._keep(CommitmentReport("2.25.1", ("1.2.3",), (("1.2.4", 0x0112),)), "ARCHIVE", 5.0)

    with bench.ledger.read():
        kept = Proofs(bench.ledger).next_report()
    assert kept is not None
    assert (kept.transaction_uid, kept.caller, kept.results) == ("2.25.1", "ARCHIVE", (("1.2.3", None), ("1.2.4", 0x0112)))
