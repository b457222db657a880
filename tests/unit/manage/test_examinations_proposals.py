"""`destinations test` of what is only proposed, and step by step: as the sender answers it."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import ConfigInvalidError
from appliance.config.model import Site
from appliance.deliver.diagnosis import Diagnosis, Senses
from appliance.manage.examination import Examinations, TestImageRefusedError
from appliance.manage.proposals import ProposalForbiddenError, ProposalsTooManyError
from appliance.manage.running_tests import TestForgottenError, TestsTooManyError
from appliance.manage.typed_secrets import keep_secret
from appliance.runtime.questions import (
    DestinationTestProgressReply,
    DestinationTestProgressRequest,
    DestinationTestRequest,
    LastTestsRequest,
)
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support.eventually import eventually
from tests.support.strict_stow import StrictStow
from tests.unit.config.texts import HOST_KEY
from tests.unit.ledger.bench import Bench

Told = list[tuple[str, Diagnosis]]


def of_a_demo(bench: Bench, *, is_demo: bool = True) -> None:
    """Let the box be one that runs a demonstration, in which this machine may be called."""
    (bench.data / "run" / "listening.json").write_text(json.dumps({"dicom": [["127.0.0.1", 11112]], "demo": is_demo}))


def examinations(bench: Bench, *destinations: dict[str, object], senses: Senses | None = None, told: Told | None = None) -> Examinations:
    """Return the examinations of a box with these destinations."""
    site = Site.model_validate({"destination": list(destinations)})
    heard: Told = [] if told is None else told
    run_dir = bench.data / "run"
    return Examinations(bench.ledger, lambda: site, lambda *one: heard.append(one), run_dir=run_dir, clock=FakeClock(), senses=senses)


def proposal(port: int, host: str = "127.0.0.1", **more: object) -> str:
    """Return the text of a DICOM destination."""
    lines = {"name": "new", "ae_title": "ARCHIVE", "host": host, "port": port, "proof": "delivered", **more}
    return "[[destination]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in lines.items()) + "\n"


def ended(asked: Examinations, ticket: str) -> DestinationTestProgressReply:
    """Return what a test found, at its end."""
    return eventually(lambda: found if (found := asked.progress(DestinationTestProgressRequest(ticket))).done else None, within=30)


def test_a_proposal_is_tested_like_any_other(bench: Bench, archive: ScriptedArchive) -> None:
    """Every phase is there, its name first and once; the sender is told nothing, for it is not in force."""
    of_a_demo(bench)
    told: Told = []

    reply = examinations(bench, told=told).examine(DestinationTestRequest("", proposal=proposal(archive.port)))

    assert ("new", True) == (reply.destination, reply.ok)
    assert ["name", "route", "tcp", "association", "contexts", "echo"] == [step.phase for step in reply.steps]
    assert [] == told


@pytest.mark.parametrize("is_demo", [False, None])
def test_this_machine_is_not_called_outside_a_demonstration(bench: Bench, archive: ScriptedArchive, *, is_demo: bool | None) -> None:
    """Where the box does not say that it demonstrates something, loopback is refused before a byte is sent."""
    if is_demo is not None:
        of_a_demo(bench, is_demo=is_demo)

    reply = examinations(bench).examine(DestinationTestRequest("", proposal=proposal(archive.port)))

    assert [("name", False)] == [(step.phase, step.ok) for step in reply.steps]
    assert 0 == archive.connections


def test_a_name_is_looked_up_once_and_the_judged_address_is_called(bench: Bench, archive: ScriptedArchive) -> None:
    """A name that leads elsewhere at the second look changes nothing: it is not looked at again."""
    of_a_demo(bench)
    answers = iter([("127.0.0.1",)])
    senses = replace(Senses(), resolve=lambda _host, _port: next(answers))

    reply = examinations(bench, senses=senses).examine(DestinationTestRequest("", proposal=proposal(archive.port, "pacs.invalid")))

    assert reply.ok, reply.steps
    assert "pacs.invalid is 127.0.0.1" == reply.steps[0].detail


def test_a_name_that_leads_to_this_box_is_refused(bench: Bench, archive: ScriptedArchive) -> None:
    """What counts is where a name leads, not how it is spelled."""
    senses = replace(Senses(), resolve=lambda _host, _port: ("10.0.0.5", "127.0.0.1"))

    reply = examinations(bench, senses=senses).examine(DestinationTestRequest("", proposal=proposal(archive.port, "pacs.invalid")))

    assert (1, False) == (len(reply.steps), reply.ok)
    assert 0 == archive.connections


def test_what_is_in_force_may_be_changed_and_tested_where_it_is(bench: Bench, archive: ScriptedArchive) -> None:
    """A destination of this machine that is in force may be tried with other settings, though this is no demonstration."""
    standing = {"name": "new", "id": "old", "ae_title": "WRONG", "host": "127.0.0.1", "port": archive.port, "proof": "delivered"}

    reply = examinations(bench, standing).examine(DestinationTestRequest("", proposal=proposal(archive.port)))

    assert reply.ok, reply.steps


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[[destination]]\nname = 'x'\nae_title = 'A'\nhost = 'pacs'\nport = 0\n", "port"),
        ("[[destination]]\nname = 'x'\nae_title = 'A'\nhost = 'http://pacs'\n", "host"),
        ("[[destination]]\nname = 'x'\nkind = 'stow'\nurl = 'file:///etc/passwd'\n", "url"),
        ("[[destination]]\nname = 'x'\nae_title = 'A'\nhost = 'pacs'\n[box]\nname = 'y'\n", "proposal"),
        ("[[destination]]\nname = 'x'\n[[destination]]\nname = 'y'\n", "proposal"),
        ("not toml", "proposal line 1, column 5"),
        ("x" * 70_000, "proposal"),
    ],
    ids=["port-0", "a-web-address", "a-file", "more-than-a-destination", "two", "no-toml", "too-long"],
)
def test_a_proposal_is_held_to_every_rule(bench: Bench, text: str, where: str) -> None:
    """What the configuration would refuse is refused, with the key at fault."""
    with pytest.raises(ConfigInvalidError) as raised:
        examinations(bench).examine(DestinationTestRequest("", proposal=text))

    assert where == raised.value.problems[0].where


def test_a_proposal_sends_nobody_elses_secret(bench: Bench, tmp_path: Path) -> None:
    """A file of the box that is no typed secret is not used, whatever is in it."""
    root = tmp_path / "root.key"
    root.write_text("secret\n")
    root.chmod(0o600)
    account = f"kind = 'sftp'\nhost = 'depot.invalid'\nuser = 'edge'\nhost_key = '{HOST_KEY}'\nkey_file = '{root}'\n"
    text = f"[[destination]]\nname = 'x'\n{account}"

    with pytest.raises(ProposalForbiddenError):
        examinations(bench).examine(DestinationTestRequest("", proposal=text))


def test_a_typed_secret_reaches_a_web_service_under_its_own_name(bench: Bench) -> None:
    """The address that was judged is called, and the request still names the server as it was typed."""
    of_a_demo(bench)
    token = keep_secret(bench.data, "abc123")
    with StrictStow() as server:
        text = f"[[destination]]\nname = 'x'\nkind = 'stow'\nurl = 'http://pacs.invalid:{server.port}/dicom-web'\n"
        senses = replace(Senses(), resolve=lambda _host, _port: ("127.0.0.1",))

        reply = examinations(bench, senses=senses).examine(DestinationTestRequest("", send=True, proposal=text))

    assert reply.ok, reply.steps
    assert ["name", "tcp", "http", "login", "send"] == [step.phase for step in reply.steps]
    assert {f"pacs.invalid:{server.port}"} == {request.headers["host"] for request in server.requests}
    assert token.startswith(str(bench.data))


def test_only_so_many_proposals_a_minute(bench: Bench) -> None:
    """Whoever looks for machines by testing is stopped after a dozen."""
    asked = examinations(bench)
    for _ in range(12):
        asked.examine(DestinationTestRequest("", proposal=proposal(104, "169.254.169.254")))

    with pytest.raises(ProposalsTooManyError):
        asked.examine(DestinationTestRequest("", proposal=proposal(104, "169.254.169.254")))


def test_steps_are_seen_by_their_ticket(bench: Bench, archive: ScriptedArchive) -> None:
    """With a ticket the answer comes at once, and the steps and the end are asked for."""
    standing = {"name": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port, "proof": "delivered"}
    asked, ticket = examinations(bench, standing), secrets.token_urlsafe(8)

    reply = asked.examine(DestinationTestRequest("archive", ticket=ticket))
    found = ended(asked, ticket)

    assert () == reply.steps
    assert (True, "archive", "", "") == (found.ok, found.destination, found.now, found.problem)
    assert ["name", "route", "tcp", "association", "contexts", "echo"] == [step.phase for step in found.steps]


def test_a_phase_is_shown_while_it_is_looked_at(bench: Bench, archive: ScriptedArchive) -> None:
    """Whoever asks in the middle sees which phase it is, and those before it."""
    seen: list[DestinationTestProgressReply] = []
    standing = {"name": "archive", "ae_title": "ARCHIVE", "host": "pacs.invalid", "port": archive.port, "proof": "delivered"}

    def resolve(_host: str, _port: int) -> tuple[str, ...]:
        seen.append(asked.progress(DestinationTestProgressRequest("t")))
        return ("127.0.0.1",)

    asked = examinations(bench, standing, senses=replace(Senses(), resolve=resolve))
    asked.examine(DestinationTestRequest("archive", ticket="t"))
    ended(asked, "t")

    assert [("name", (), False)] == [(one.now, one.steps, one.done) for one in seen]


def test_a_test_that_breaks_says_so(bench: Bench, archive: ScriptedArchive) -> None:
    """Whoever waits for a test whose own part failed is told, instead of waiting for ever."""

    def broken(_host: str, _port: int) -> str:
        raise ZeroDivisionError

    standing = {"name": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}
    asked = examinations(bench, standing, senses=replace(Senses(), own_address=broken))
    asked.examine(DestinationTestRequest("archive", ticket="t"))

    found = ended(asked, "t")

    assert (False, "the test itself failed (ZeroDivisionError)") == (found.ok, found.problem)


def test_a_ticket_that_nobody_was_given_shows_nothing(bench: Bench) -> None:
    """An unknown ticket is answered alike whether it was never given or is too old."""
    with pytest.raises(TestForgottenError):
        examinations(bench).progress(DestinationTestProgressRequest("guess"))


def test_only_so_many_tests_at_a_time(bench: Bench) -> None:
    """Each test under way costs a thread and an association: a fifth has to wait."""
    asked = examinations(bench)
    for number in range(4):
        asked._running.begin(str(number), "archive", "")

    with pytest.raises(TestsTooManyError):
        asked._running.begin("5", "archive", "")


def test_tickets_are_forgotten_after_a_while(bench: Bench) -> None:
    """Ten minutes after it began a test that has ended is not remembered, and no more than 32 ever are."""
    asked = examinations(bench)
    clock = asked._clock
    assert isinstance(clock, FakeClock)
    for number in range(40):
        asked._running.begin(str(number), "archive", "")
        asked._running.ended(str(number), ok=True)

    remembered = [number for number in range(40) if _is_remembered(asked, str(number))]
    clock.advance(601)

    assert 32 == len(remembered)
    assert not _is_remembered(asked, "39")


def _is_remembered(asked: Examinations, ticket: str) -> bool:
    try:
        asked.progress(DestinationTestProgressRequest(ticket))
    except TestForgottenError:
        return False
    return True


def test_the_last_test_of_each_destination_is_known(bench: Bench, archive: ScriptedArchive) -> None:
    """The list of destinations can say when each was tested, and what stood in the way."""
    well = {"name": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port, "proof": "delivered"}
    asked = examinations(bench, well, {"name": "other", "ae_title": "OTHER", "host": "nobody.invalid"})

    asked.examine(DestinationTestRequest("archive"))
    asked.examine(DestinationTestRequest("other"))

    rows = asked.last_tests(LastTestsRequest()).rows
    assert [("archive", True), ("other", False)] == [(row.destination, row.ok) for row in rows]
    assert "nobody.invalid" in rows[1].detail


def test_a_test_image_goes_over_dicom_and_stow_only(bench: Bench, tmp_path: Path) -> None:
    """A folder has nobody who would say what became of it."""
    with pytest.raises(TestImageRefusedError):
        examinations(bench, {"name": "share", "kind": "folder", "path": str(tmp_path)}).examine(DestinationTestRequest("share", send=True))
