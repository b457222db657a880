"""Who knocked, and what would let them in."""

from __future__ import annotations

import pytest

from appliance.config.check import check
from appliance.config.model import Site
from appliance.manage.callers import COMMITMENT, Acceptance, Knock, Verdict, free_name, knocks, modality_of
from appliance.runtime.callers import LastCall
from tests.support.site import a_route, a_site, a_source, an_archive

CT, MR, ECHO = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"
ARCHIVE = an_archive(104, ae_title="PACS1", host="10.1.0.5")


def the_site(text: str = "") -> Site:
    """Return a box that knows CT1 at 10.0.0.7, MR1 from a network, and an archive; it answers to EDGE and PACS1."""
    text = text or a_site(
        sources=[a_source("CT1", address="10.0.0.7"), a_source("MR1", address="10.2.0.0/16")],
        destinations=[ARCHIVE],
        routes=[a_route("archive")],
        local_ae=[{"ae_title": "PACS1"}],
    )
    checked = check(text, where="test")
    assert checked.site is not None, checked.problems
    return checked.site


def a_call(
    calling: str, address: str, *, called: str = "EDGE", at: float = 10.0, source: str = "", wanted: tuple[str, ...] = ()
) -> LastCall:
    """Return a call that was refused, or with `source` one that was let in."""
    return LastCall(source, calling, called, address, at, "" if source else "1/1/3", "" if source else "unknown calling title", wanted)


def the_knock(*calls: LastCall, site: Site | None = None) -> Knock:
    """Return the one knock among the calls."""
    found = knocks(calls, site or the_site())
    assert 1 == len(found), found
    return found[0]


def test_a_new_device_is_added_with_everything_filled_in() -> None:
    """Nobody knows it: its title, address and the modality of its images are offered, under its title as its name."""
    call = a_call("US9", "10.0.0.50", wanted=(ECHO, "1.2.840.10008.5.1.4.1.1.6.1"))

    knock = the_knock(call)

    values = {"name": "US9", "ae_title": "US9", "address": "10.0.0.50", "modality": "US"}
    assert Knock(call, Verdict.NEW, acceptance=Acceptance("source", "", values)) == knock


def test_a_new_device_that_calls_the_archive_gets_the_title_too() -> None:
    """What calls the box by another title is let in only when the box answers to that as well: one click does both."""
    knock = the_knock(a_call("US9", "10.0.0.50", called="OLDPACS"))

    assert (Verdict.NEW, False) == (knock.verdict, knock.is_called_ours)
    assert knock.acceptance is not None
    assert "OLDPACS" == knock.acceptance.answer_to


def test_a_scanner_that_moved_is_known_by_its_title() -> None:
    """A listed title from another address is that scanner, moved; its entry gets the new address."""
    knock = the_knock(a_call("ct1", "10.0.0.9"))

    assert (Verdict.MOVED, "CT1", "10.0.0.7") == (knock.verdict, knock.about, knock.listed)
    assert Acceptance("source", "CT1", {"address": "10.0.0.9"}) == knock.acceptance


def test_a_scanner_that_still_calls_has_not_moved() -> None:
    """While CT1 goes on calling from its old address, another one with its title is another device, and gets an entry of its own."""
    knock = the_knock(a_call("CT1", "10.0.0.9", at=10.0), a_call("CT1", "10.0.0.7", at=11.0, source="CT1"))

    assert (Verdict.TWIN, "CT1") == (knock.verdict, knock.about)
    assert Acceptance("source", "", {"name": "CT1 2", "ae_title": "CT1", "address": "10.0.0.9"}) == knock.acceptance


def test_a_listed_network_is_not_narrowed_to_one_address() -> None:
    """A title that is listed for a whole network, from outside of it, is added and does not move: others may call from there."""
    knock = the_knock(a_call("MR1", "10.3.0.1"))

    assert (Verdict.TWIN, "MR1", "10.2.0.0/16") == (knock.verdict, knock.about, knock.listed)
    assert knock.acceptance is not None
    assert "" == knock.acceptance.name


def test_a_title_spelled_differently_is_seen_by_its_address() -> None:
    """A listed address under another title is that scanner, whose title was typed wrong."""
    knock = the_knock(a_call("CT-1", "10.0.0.7"))

    assert (Verdict.RENAMED, "CT1", "CT1") == (knock.verdict, knock.about, knock.listed)
    assert Acceptance("source", "CT1", {"ae_title": "CT-1"}) == knock.acceptance


def test_a_second_title_of_a_scanner_that_works_is_added() -> None:
    """A scanner that also calls under its listed title keeps that; the second one is added beside it."""
    knock = the_knock(a_call("CT1_ECHO", "10.0.0.7", at=10.0), a_call("CT1", "10.0.0.7", at=11.0, source="CT1"))

    assert Verdict.TWIN == knock.verdict
    assert knock.acceptance is not None
    assert ("", "CT1_ECHO") == (knock.acceptance.name, knock.acceptance.values["name"])


@pytest.mark.parametrize(("title", "address"), [("PACS1", "10.9.9.9"), ("REPORTER", "10.1.0.5")])
def test_an_archive_that_wants_to_report_is_seen(title: str, address: str) -> None:
    """A destination is known by its title or its address; where it wants to report it is offered to be listened to."""
    found = knocks([a_call(title, address, wanted=(COMMITMENT,))], the_site())

    assert [(Verdict.ARCHIVE, "archive")] == [(knock.verdict, knock.about) for knock in found]
    assert Acceptance("destination", "archive", {"also_calls_from": [{"ae_title": title, "address": address}]}) == found[0].acceptance


def test_what_already_reports_stays() -> None:
    """Those from whom the archive reports already are kept when another is added."""
    archive = {**ARCHIVE, "also_calls_from": [{"ae_title": "ONE", "address": "10.1.0.6"}]}
    site = the_site(a_site(destinations=[archive]))

    knock = the_knock(a_call("TWO", "10.1.0.5", wanted=(COMMITMENT,)), site=site)

    assert knock.acceptance is not None
    assert [{"ae_title": "ONE", "address": "10.1.0.6"}, {"ae_title": "TWO", "address": "10.1.0.5"}] == knock.acceptance.values[
        "also_calls_from"
    ]


def test_an_archive_that_only_tests_is_told_and_offered_nothing() -> None:
    """An archive's echo needs no entry: it is said who it is, and no click would help."""
    knock = the_knock(a_call("PACS1", "10.1.0.5", wanted=(ECHO,)))

    assert (Verdict.ARCHIVE, None) == (knock.verdict, knock.acceptance)


def test_a_known_scanner_that_calls_a_title_of_nobody() -> None:
    """A listed scanner that calls the box by another title is offered that title, and nothing else changes."""
    knock = the_knock(a_call("CT1", "10.0.0.7", called="ARCHIV"))

    assert (Verdict.WRONG_CALLED, "CT1", Acceptance(answer_to="ARCHIV")) == (knock.verdict, knock.about, knock.acceptance)


@pytest.mark.parametrize("called", ["", "\\x00\\x01"])
def test_a_called_title_that_is_none_cannot_be_answered_to(called: str) -> None:
    """A scanner that names no title, or one that cannot be, is told of; no click would help."""
    knock = the_knock(a_call("CT1", "10.0.0.7", called=called))

    assert (Verdict.WRONG_CALLED, None) == (knock.verdict, knock.acceptance)


@pytest.mark.parametrize("calling", ["", "CT\\x1b[0m"])
def test_a_caller_without_a_title_cannot_be_listed(calling: str) -> None:
    """Whoever does not say a proper title is shown, and offered nothing."""
    knock = the_knock(a_call(calling, "10.0.0.50"))

    assert (Verdict.UNUSABLE, None) == (knock.verdict, knock.acceptance)


def test_whom_the_configuration_lets_in_by_now_is_gone() -> None:
    """A call that was refused before its caller was listed is no knock any more; neither is what was let in."""
    calls = [a_call("CT1", "10.0.0.7"), a_call("MR1", "10.2.3.4", source="MR1"), a_call("PACS1", "10.1.0.5", source="")]

    assert [Verdict.ARCHIVE] == [knock.verdict for knock in knocks(calls, the_site())]


def test_a_box_that_lets_everybody_in_still_says_who_is_not_listed() -> None:
    """Where unknown sources are accepted, strangers are shown as let in, to be listed."""
    site = the_site(a_site(sources=[], admission={"unknown_sources": "accept"}))

    knock = the_knock(LastCall("", "ANY", "EDGE", "10.0.0.50", 1.0), site=site)

    assert Verdict.LET_IN == knock.verdict


def test_the_latest_call_of_each_comes_first() -> None:
    """Two receivers that heard the same device make one knock, its latest; the latest caller is on top."""
    calls = [a_call("A", "10.0.0.50", at=1.0), a_call("B", "10.0.0.51", at=2.0), a_call("A", "10.0.0.50", at=3.0)]

    assert [("A", 3.0), ("B", 2.0)] == [(knock.call.calling, knock.call.at) for knock in knocks(calls, the_site())]


def test_names_that_are_taken_get_a_number() -> None:
    """A name is never given twice."""
    site = the_site(a_site(sources=[a_source("CT1"), {**a_source("X"), "name": "CT1 2"}]))

    assert ("CT1 3", "US1") == (free_name("CT1", site), free_name("US1", site))


def test_a_modality_is_told_only_when_it_is_one() -> None:
    """Images of one kind tell the modality; of several, or none, they do not."""
    assert ("CT", "", "") == (modality_of((ECHO, CT, CT + ".1")), modality_of((CT, MR)), modality_of((ECHO,)))
