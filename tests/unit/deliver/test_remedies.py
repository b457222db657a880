"""The words of the connection doctor: every answer has some, and they name what was used."""

from __future__ import annotations

import itertools

import pytest

from appliance.core.identity import AETitle, Uid
from appliance.deliver import remedies
from appliance.deliver.remedies import Call
from appliance.dimse.failures import PeerUnreachableError, Unreachable

CALL = Call("10.1.0.5", 104, AETitle("EDGE"), AETitle("PACS1"), "10.0.0.9")


@pytest.mark.parametrize(("result", "source", "reason"), [*itertools.product((1, 2), (1, 2, 3), range(1, 8))])
def test_every_rejection_has_words(result: int, source: int, reason: int) -> None:
    """Whatever the three numbers, there is one line of what it is and one of what to try, without a gap in the text."""
    remark = remedies.for_rejection(result, source, reason, CALL)

    assert remark.detail
    assert remark.advice
    assert "{" not in remark.detail + remark.advice
    assert "\n" not in remark.detail + remark.advice


@pytest.mark.parametrize(("phase", "kind"), [*itertools.product(("name", "connect", "tls", "associate"), Unreachable)])
def test_every_way_not_to_reach_an_archive_has_words(phase: str, kind: Unreachable) -> None:
    """Each phase and kind, also those that do not occur together."""
    remark = remedies.for_unreachable(PeerUnreachableError("-", phase=phase, kind=kind), CALL)  # type: ignore[arg-type]

    assert remark.detail
    assert remark.advice


def test_the_words_of_the_connection_differ() -> None:
    """Refused, silent, unreachable and closed are four different things to a technician (N16)."""
    kinds = (Unreachable.REFUSED, Unreachable.TIMEOUT, Unreachable.UNREACHABLE, Unreachable.CLOSED)

    details = [remedies.for_unreachable(PeerUnreachableError("-", phase="connect", kind=kind), CALL).detail for kind in kinds]

    assert details == [
        "nobody listens at 10.1.0.5:104",
        "10.1.0.5:104 does not answer",
        "there is no way to 10.1.0.5:104",
        "10.1.0.5:104 closes the connection at once",
    ]


def test_an_own_address_that_is_not_known_is_described() -> None:
    """Without a route there is no address of our own to enter anywhere, and the text still reads."""
    remark = remedies.for_unknown_titles([AETitle("EDGE")], [], Call("::1", 104, AETitle("EDGE"), AETitle("PACS1")))

    assert "Enter EDGE with this box's address in the archive's list" in remark.advice
    assert Call("::1", 104, AETitle("EDGE"), AETitle("PACS1")).where == "[::1]:104"


def test_long_lists_are_cut() -> None:
    """A hundred contexts make a line that can be read; how many more there are is said."""
    answers = {(Uid("1.2.3"), Uid(f"1.2.3.{number}")): 0 for number in range(100)}

    _, remark = remedies.for_contexts(answers, [])

    assert remark.detail.endswith("and 88 more")
