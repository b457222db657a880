"""Rules: which conditions hold for which instance, and who a source is."""

from __future__ import annotations

import pytest

from appliance.route.rules import explain, matches
from tests.unit.route.sites import CT_IMAGE, Table, a_route, a_site, facts


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"source": ["CT1"]}, True),
        ({"source": ["ct1"]}, False),
        ({"source": ["MR1", "CT1"]}, True),
        ({"source": ["MR1"]}, False),
        ({"modality": ["CT", "MR"]}, True),
        ({"modality": ["MR"]}, False),
        ({"called": ["edge"]}, True),
        ({"called": ["PACS1"]}, False),
        ({"sop_class": [CT_IMAGE]}, True),
        ({"sop_class": [CT_IMAGE + ".1"]}, False),
        ({"station": ["room 3"]}, True),
        ({"station": ["room"]}, False),
        ({"modality": ["CT"], "station": ["room 4"]}, False),
        ({"modality": ["CT"], "source": ["CT1"], "called": ["EDGE"]}, True),
    ],
)
def test_conditions(when: Table, expected: bool) -> None:  # noqa: FBT001 (the expectation of a table)
    """All conditions that are set must hold, and one word of each is enough."""
    route = a_site(routes=[a_route("r", "archive", when=when)]).routes[0]

    answer = matches(route, facts())

    assert expected == answer


@pytest.mark.parametrize("word", ["source", "modality", "called", "sop_class", "station"])
def test_absent_value_meets_no_condition(word: str) -> None:
    """An instance that does not say what a condition asks for does not meet it."""
    wanted = {"sop_class": CT_IMAGE}.get(word, "CT")
    route = a_site(routes=[a_route("r", "archive", when={word: [wanted]})]).routes[0]
    silent = facts(source="", calling_title="", called_title="", sop_class_uid="", modality="", station_name="")

    answer = matches(route, silent)

    assert answer is False


def test_modality_in_small_letters() -> None:
    """A scanner that writes its modality in small letters is still that modality."""
    route = a_site(routes=[a_route("r", "archive", when={"modality": ["CT"]})]).routes[0]

    answer = matches(route, facts(modality="ct"))

    assert answer is True


def test_unlisted_source_is_known_by_its_title() -> None:
    """A source that is not listed meets a source condition by the title it called with, in any case."""
    route = a_site(routes=[a_route("r", "archive", when={"source": ["US9"]})]).routes[0]

    answer = matches(route, facts(source="", calling_title="us9"))

    assert answer is True


def test_explain_names_what_failed() -> None:
    """An explanation says of every condition what was wanted, what was found and whether it holds."""
    route = a_site(routes=[a_route("r", "archive", when={"modality": ["MR"]})]).routes[0]

    expected = [("modality", ("MR",), "CT")]
    failed = [(condition.name, condition.wanted, condition.found) for condition in explain(route, facts()) if not condition.holds]

    assert expected == failed
