"""What the row about the pages makes of what it saw."""

from __future__ import annotations

from benchmarks import pages


def test_browsers_cost_what_the_same_round_lost() -> None:
    """A slow round of the machine slows both and is no loss; what browsers cost is."""
    figure = pages.loss("work", [{"none": 200.0, "browsers": 198.0}, {"none": 100.0, "browsers": 98.0}])

    assert [1.0, 2.0] == [round(value, 6) for value in figure.values["ours"]]
    assert {"none": 150.0, "browsers": 148.0} == figure.parts


def test_the_slowest_page_counts() -> None:
    """One slow page is not hidden by many quick ones, and one slow answer of a page not made to stand for all."""
    figure = pages._slowest("work", {"/": [0.01] * 40, "/queue/": [0.02] * 39 + [0.5]})

    assert [20.0] == [round(value) for value in figure.values["ours"]]
    assert {"/": 10, "/queue/": 20} == {path: round(value) for path, value in figure.parts.items()}
