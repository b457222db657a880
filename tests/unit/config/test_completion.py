"""`[completion]` and `when_complete` in the file."""

from __future__ import annotations

import pytest

from tests.unit.config.texts import a_destination, a_route, site_of, the_error_of

TEXT = a_destination() + a_route('to = ["archive"]')


def test_a_time_of_one_modality_leaves_the_others() -> None:
    """What is named is added to the defaults, in whatever case it is written."""
    site = site_of('[completion]\nquiet = { mr = "20 min", CT = "1 min" }\n')

    assert dict(site.completion.quiet) == {"CR": 120.0, "CT": 60.0, "MR": 1200.0, "US": 1800.0, "XA": 3600.0}


@pytest.mark.parametrize(
    ("line", "where", "problem"),
    [
        ('quiet = "5 min"', "completion.quiet", "must be a group of modalities"),
        ("quiet = { CT = 5 }", "completion.quiet.CT", "has no unit"),
        ('quiet = { CT = "0 s" }', "completion.quiet.CT", "must be between"),
        ('quiet = { "C*T" = "5 min" }', 'completion.quiet."C*T"', "is not a modality"),
        ("otherwise = 600", "completion.otherwise", "has no unit"),
    ],
)
def test_what_is_no_time_is_refused(line: str, where: str, problem: str) -> None:
    """The refusal names the modality and what is wrong with it."""
    error = the_error_of(f"[completion]\n{line}\n")

    assert (error.where, problem in error.problem) == (where, True)


def test_a_route_to_nowhere_waits_for_nothing() -> None:
    """`when_complete` without a destination is refused."""
    error = the_error_of(a_route('keep = "2 days"', "when_complete = true"))

    assert error.where == "route[0].when_complete"


def test_when_complete_is_a_switch() -> None:
    """A word is no switch."""
    error = the_error_of(TEXT + 'when_complete = "yes"\n')

    assert error.where == "route[0].when_complete"
