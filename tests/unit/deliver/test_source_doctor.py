"""The doctor of sources: the last call, the address, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from appliance.config.model import Delivery, Source
from appliance.core.identity import AETitle
from appliance.deliver.diagnosis import Senses, Step
from appliance.deliver.source_doctor import NEVER_CALLED, SourceDiagnosis, SourcePhase, examine_source
from appliance.runtime.callers import LastCall
from tests.fakes.script import Welcome, refuse, welcome, with_contexts
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support.eventually import eventually
from tests.support.reserved_port import port_of, reserve

QUICK = Delivery(connect=1.0, associate=1.0, progress=1.0)
NOON = 1_709_208_000.0
OWN = Senses(own_address=lambda _host, _port: "10.0.0.9")


@pytest.fixture
def scanner() -> Iterator[ScriptedArchive]:
    """A scanner that takes associations."""
    with ScriptedArchive() as running:
        yield running


def visit(*calls: LastCall, **settings: Any) -> SourceDiagnosis:
    """Examine the source CT1 of this machine, as `settings` change it."""
    source = Source.model_validate({"name": "CT1", "ae_title": "CT1", "address": "127.0.0.1"} | settings)
    return examine_source(source, calls, box=AETitle("EDGE"), settings=QUICK, senses=OWN)


def a_call(
    *, calling: str = "CT1", called: str = "EDGE", address: str = "127.0.0.1", source: str = "", answer: str = "", why: str = ""
) -> LastCall:
    """Return a call at noon."""
    return LastCall(source, calling, called, address, NOON, answer, why)


def reply_at(port: int) -> dict[str, object]:
    """Return where replies go."""
    return {"ae_title": "CT1", "host": "127.0.0.1", "port": port}


def step_of(diagnosis: SourceDiagnosis, phase: SourcePhase) -> Step:
    """Return the step of a phase."""
    return next(step for step in diagnosis.steps if step.phase is phase)


def test_a_source_that_calls_is_well() -> None:
    """Its last call is shown with titles, address and moment, and a machine that refuses a port is there."""
    diagnosis = visit(a_call(source="CT1"))

    assert diagnosis.ok
    assert [step.detail for step in diagnosis.steps] == [
        "its last call was accepted: as CT1 from 127.0.0.1, calling EDGE, at 2024-02-29T12:00:00+00:00",
        "a machine answers at 127.0.0.1 (it refuses port 104, as most scanners do)",
    ]


def test_a_source_that_never_called() -> None:
    """Calls of others are not its own; what to try is said."""
    diagnosis = visit(a_call(calling="MR1", address="10.0.0.8", source="MR1"), a_call(calling="MR1", address="127.0.0.1", source="MR1"))

    step = step_of(diagnosis, SourcePhase.CALLED)
    assert (diagnosis.ok, step.ok, step.detail, step.advice) == (False, False, NEVER_CALLED.detail, NEVER_CALLED.advice)


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (a_call(address="10.0.0.99", answer="1/1/3", why="known title from another address"), "It calls from 10.0.0.99: correct address"),
        (a_call(calling="CT01", answer="1/1/3", why="unknown calling title"), "It calls itself CT01: correct ae_title"),
        (a_call(called="PACS1", answer="1/1/7", why="called title is not one of ours"), "It calls the box PACS1"),
        (a_call(answer="2/3/1", why="no storage at the moment"), "The reason in brackets"),
    ],
)
def test_why_it_was_refused(call: LastCall, advice: str) -> None:
    """The answer, the reason that only the box knows, and what to correct."""
    step = step_of(visit(call), SourcePhase.CALLED)

    assert (step.ok, f"refused ({call.answer}: {call.why})" in step.detail) == (False, True)
    assert step.advice.startswith(advice)


def test_the_last_of_its_calls_counts() -> None:
    """A refusal that is over is not told."""
    assert visit(a_call(source="CT1"), a_call(answer="1/1/3", why="unknown calling title")).ok


def test_a_source_without_an_address_is_looked_for_where_it_called_from() -> None:
    """Where the configuration knows no address, or a whole network, the last call does; without one there is nothing to look at."""
    known = visit(a_call(source="CT1"), address="127.0.0.0/8")
    unknown = visit(address=None)

    assert "127.0.0.1" in step_of(known, SourcePhase.ADDRESS).detail
    assert step_of(unknown, SourcePhase.ADDRESS).detail == "it has no single address to look at"


def test_the_way_back_is_tried(scanner: ScriptedArchive) -> None:
    """Where replies go, the box calls under its own title, and leaves."""
    diagnosis = visit(a_call(source="CT1"), reply=reply_at(scanner.port))

    assert diagnosis.ok
    assert [step.phase for step in diagnosis.steps] == list(SourcePhase)
    assert [(one.calling.strip(), one.called.strip()) for one in scanner.visits] == [("EDGE", "CT1")]
    eventually(lambda: scanner.connections == 0, within=5, message="no association to be left")


@pytest.mark.parametrize(
    ("answer", "ok", "detail"),
    [
        (Welcome(reject=(1, 1, 3)), False, "the source does not know this box as EDGE"),
        (Welcome(reject=(1, 1, 7)), False, "the source does not know itself as CT1"),
        (Welcome(echo=0x0110), False, "C-ECHO is answered with 0110 instead of success"),
        (with_contexts(refuse(3, classes=("1.2.840.10008.1.1",))), True, "it lets the box in, and takes no C-ECHO"),
    ],
)
def test_a_way_back_that_does_not_lead_there(scanner: ScriptedArchive, answer: Welcome, detail: str, *, ok: bool) -> None:
    """The scanner's refusal is told in words about the scanner."""
    scanner.greeting = welcome(answer)

    step = step_of(visit(a_call(source="CT1"), reply=reply_at(scanner.port)), SourcePhase.REPLY_ECHO)

    assert (step.ok, step.detail.startswith(detail)) == (ok, True)
    assert "archive" not in step.detail + step.advice


def test_nobody_listens_where_replies_go() -> None:
    """A closed port ends the way back; the echo is not tried."""
    holder = reserve()
    try:
        diagnosis = visit(a_call(source="CT1"), reply=reply_at(port_of(holder)))
    finally:
        holder.close()

    assert [(step.phase, step.ok) for step in diagnosis.steps[-2:]] == [(SourcePhase.REPLY_TCP, False), (SourcePhase.REPLY_ECHO, False)]
    assert diagnosis.steps[-1].detail == "not reached"
