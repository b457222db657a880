"""What receivers write down about a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.check import check
from appliance.core.identity import AETitle, Uid
from appliance.receive.admission import AssociationFacts, admit
from appliance.receive.hearing import noted_by
from appliance.runtime.callers import MOST_WANTED, Callers, LastCall, last_calls
from appliance.runtime.clock import SystemClock
from tests.support.site import a_site, a_source


def heard(tmp_path: Path, *proposed: str) -> LastCall:
    """Return what is written down of a stranger that proposes these classes."""
    site = check(a_site(sources=[a_source("CT1")]), where="test").site
    assert site is not None
    callers = Callers(tmp_path, 0)
    facts = AssociationFacts(AETitle("STRANGER"), AETitle("EDGE"), "10.0.0.9", tuple(Uid(uid) for uid in proposed))
    noted_by(callers, lambda: site, SystemClock())(facts, admit(facts, site))
    callers.write()
    return last_calls(tmp_path)[0]


def test_what_a_stranger_wanted_is_written_down(tmp_path: Path) -> None:
    """The classes that a refused caller proposed are kept in their order, each once."""
    call = heard(tmp_path, "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1")

    assert ("1/1/3", ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2")) == (call.answer, call.wanted)


def test_much_is_cut_short(tmp_path: Path) -> None:
    """A request that proposes a hundred classes costs no more than a few."""
    call = heard(tmp_path, *(f"1.2.3.{number}" for number in range(100)))

    assert MOST_WANTED == len(call.wanted)


@pytest.mark.parametrize("bad", ["<script>alert(1)</script>", "1.2\n3", "1." * 40, ""])
def test_what_is_no_uid_is_not_kept(tmp_path: Path, bad: str) -> None:
    """Text that a peer puts where a class belongs goes nowhere."""
    assert ("1.2.3",) == heard(tmp_path, bad, "1.2.3").wanted
