"""Who is admitted, and which answer everybody else gets: a row a rule of semantics.md 1.2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.config.check import check
from appliance.config.model import Site
from appliance.core.identity import AETitle, Uid
from appliance.receive.admission import Admitted, AssociationFacts, InvalidTitle, Refused, admit, read_title

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
VERIFICATION = Uid("1.2.840.10008.1.1")

SITE = """
[box]
name = "box"
ae_title = "EDGE"
[[local_ae]]
ae_title = "Pacs1"
[[source]]
name = "scanner"
ae_title = "CT1"
address = "10.0.0.7"
[[source]]
name = "ward"
ae_title = "US1"
[[source]]
name = "floor"
ae_title = "*"
address = "10.1.0.0/16"
[[source]]
name = "room"
ae_title = "*"
address = "10.1.2.0/24"
[[source]]
name = "six"
ae_title = "MR6"
address = "fd00::/8"
"""


def a_site(text: str = "") -> Site:
    """Return the site, with an [admission] table."""
    checked = check(SITE + "[admission]\n" + text, where="test")
    assert checked.site is not None, checked.problems
    return checked.site


GOOD = AssociationFacts(calling=AETitle("CT1"), called=AETitle("EDGE"), address="10.0.0.7", abstract_syntaxes=(CT, VERIFICATION))


def answer(judgement: Admitted | Refused) -> tuple[int, int, int]:
    """Return the three numbers of a refusal."""
    assert isinstance(judgement, Refused)
    return judgement.result, judgement.source, judgement.reason


def test_a_listed_source_is_admitted() -> None:
    """A source is its title and its address; the titles are kept as sent."""
    judgement = admit(replace(GOOD, calling=AETitle("ct1"), called=AETitle("edge")), a_site())

    assert isinstance(judgement, Admitted)
    assert (judgement.source_name, judgement.calling.text, judgement.called.text, judgement.local.text) == (
        "scanner",
        "ct1",
        "edge",
        "EDGE",
    )


@pytest.mark.parametrize(
    ("calling", "address", "name"),
    [
        ("US1", "192.168.9.9", "ward"),
        ("US1", "10.1.2.3", "ward"),
        ("XYZ", "10.1.2.3", "room"),
        ("XYZ", "10.1.3.3", "floor"),
        ("MR6", "fd00::5%eth0", "six"),
        ("CT1", "::ffff:10.0.0.7", "scanner"),
    ],
)
def test_the_closest_source_counts(calling: str, address: str, name: str) -> None:
    """A title counts more than an address, a small network more than a large one, and IPv4 is IPv4 through any socket."""
    judgement = admit(replace(GOOD, calling=AETitle(calling), address=address), a_site())

    assert isinstance(judgement, Admitted)
    assert judgement.source_name == name


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"calling": AETitle("CT2")}, "unknown calling title"),
        ({"address": "10.0.0.8"}, "known title from another address"),
        ({"address": "not an address"}, "known title from another address"),
        ({"calling": InvalidTitle("CT\\n1")}, "calling title with invalid characters"),
        ({"calling": None}, "blank calling title"),
        ({"calling": AETitle("CT2"), "called": AETitle("NOBODY")}, "unknown calling title"),
    ],
)
def test_every_stranger_gets_the_same_answer(change: dict[str, object], detail: str) -> None:
    """Unknown, moved, unreadable and blank callers all hear 1/1/3; the reason stands in the log only."""
    judgement = admit(replace(GOOD, **change), a_site())  # type: ignore[arg-type]

    assert answer(judgement) == (1, 1, 3)
    assert isinstance(judgement, Refused)
    assert judgement.detail == detail


def test_strangers_are_admitted_only_where_configured() -> None:
    """With unknown_sources = "accept" a stranger is a source under its own title; unreadable titles stay out."""
    site = a_site('unknown_sources = "accept"')
    judgement = admit(replace(GOOD, calling=AETitle("WHO")), site)

    assert isinstance(judgement, Admitted)
    assert (judgement.source_name, judgement.source) == ("WHO", None)
    assert answer(admit(replace(GOOD, calling=InvalidTitle("?")), site)) == (1, 1, 3)


@pytest.mark.parametrize("called", [AETitle("edge"), AETitle("PACS1"), AETitle("pacs1")])
def test_all_titles_of_the_box_answer(called: AETitle) -> None:
    """The box's own title and every local one are compared without regard to case."""
    assert isinstance(admit(replace(GOOD, called=called), a_site()), Admitted)


@pytest.mark.parametrize("called", [AETitle("OTHER"), InvalidTitle("?"), None])
def test_other_titles_are_not_called_here(called: AETitle | InvalidTitle | None) -> None:
    """A wrong, unreadable or blank called title is 1/1/7."""
    assert answer(admit(replace(GOOD, called=called), a_site())) == (1, 1, 7)


def test_a_blank_called_title_is_the_boxs_own_where_allowed() -> None:
    """With blank_called the box answers as itself."""
    judgement = admit(replace(GOOD, called=None), a_site("blank_called = true"))

    assert isinstance(judgement, Admitted)
    assert judgement.called == AETitle("EDGE")


def test_without_room_only_storage_is_refused() -> None:
    """A full or faulty disk is 2/3/1 for associations that propose storage; verification alone is always admitted."""
    full = replace(GOOD, storage_ok=False)

    assert answer(admit(full, a_site())) == (2, 3, 1)
    assert isinstance(admit(replace(full, abstract_syntaxes=(VERIFICATION,)), a_site()), Admitted)
    assert answer(admit(replace(full, abstract_syntaxes=(VERIFICATION, Uid("1.2.3"))), a_site())) == (2, 3, 1)


def test_version_and_application_context() -> None:
    """What does not speak DICOM's upper layer is told so before anything else."""
    assert answer(admit(replace(GOOD, version_supported=False, calling=None), a_site())) == (1, 2, 2)
    assert answer(admit(replace(GOOD, application_context="1.2.3", calling=None), a_site())) == (1, 1, 2)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"CT1             ", AETitle("CT1")),
        (b"  ct1\0\0\0\0\0\0\0\0\0\0\0", AETitle("ct1")),
        (b" " * 16, None),
        (b"\0" * 16, None),
        (b"CT\n1".ljust(16), InvalidTitle("CT\\n1")),
        (b"A\0B".ljust(16), InvalidTitle("A\\x00B")),
        (b"\xff".ljust(16), InvalidTitle("\\xff")),
    ],
)
def test_titles_of_the_wire(raw: bytes, title: object) -> None:
    """Padding is no part of a title; what is no title is kept escaped, for the log."""
    assert read_title(raw) == title
