"""Which lines of a flood are written."""

from __future__ import annotations

from appliance.runtime import sparing
from appliance.runtime.sparing import Sparing


def test_the_first_lines_of_a_minute_are_written_and_the_rest_counted() -> None:
    """A flood costs so many lines a minute; the first line of the next minute says how many were left out."""
    now = [0.0]
    lines = Sparing(lambda: now[0])

    flood = [lines.fields("refused", "10.0.0.1") for _ in range(100)]
    now[0] = 60.0
    after = [lines.fields("refused", "10.0.0.1") for _ in range(2)]

    assert [line for line in flood if line is not None] == [{}] * sparing._LINES_A_WINDOW
    assert after == [{"left_out": 100 - sparing._LINES_A_WINDOW}, {}]


def test_each_peer_and_kind_has_its_own_account() -> None:
    """Who floods silences nobody else, and nothing else of its own."""
    lines = Sparing(lambda: 0.0)
    for _ in range(100):
        lines.fields("refused", "10.0.0.1")

    assert lines.fields("refused", "10.0.0.2") == {}
    assert lines.fields("lost", "10.0.0.1") == {}


def test_what_is_remembered_is_bounded() -> None:
    """A flood from ever new addresses does not fill the memory."""
    lines = Sparing(lambda: 0.0)

    for number in range(sparing._REMEMBERED + 100):
        lines.fields("refused", str(number))

    assert len(lines._accounts) == sparing._REMEMBERED
