"""The same-failure rule by itself: what is remembered, and for how long."""

from __future__ import annotations

from appliance.deliver.site_rule import SiteRule
from appliance.deliver.verdict import Verdict, judge_store
from tests.fakes.clock import FakeClock

C000, PROCESSING = judge_store(0xC000), judge_store(0x0110)


def fail(rule: SiteRule, clock: FakeClock, numbers: range, *, verdict: Verdict = C000) -> list[bool]:
    """Let these instances of two studies fail."""
    return [rule.failed(verdict, number, f"1.2.{number % 2}", clock.now()) for number in numbers]


def test_the_rule_is_met_once() -> None:
    """It is met by the fifth; what fails while it stands meets nothing; its end tells whose failures met it."""
    rule, clock = SiteRule(5, 2, 60.0), FakeClock()
    fail(rule, clock, range(100, 102), verdict=PROCESSING)

    met = fail(rule, clock, range(8))
    stood, accused = rule.stands, rule.end()

    assert met == [False] * 4 + [True] + [False] * 3
    assert (stood, rule.stands, accused) == (True, False, frozenset(range(5)))
    assert rule.end() == frozenset()


def test_old_failures_are_accused_too() -> None:
    """Failures beyond the window do not meet the rule, but what meets it later speaks for them."""
    rule, clock = SiteRule(5, 2, 60.0), FakeClock()
    early = fail(rule, clock, range(4))
    clock.advance(601)
    late = fail(rule, clock, range(10, 15))

    assert (early, late) == ([False] * 4, [False] * 4 + [True])
    assert rule.end() == frozenset({0, 1, 2, 3, *range(10, 15)})


def test_a_delivery_ends_the_pattern_but_not_the_rule() -> None:
    """What was gathered is forgotten; a rule that stands is ended by `end` alone."""
    rule, clock = SiteRule(5, 2, 60.0), FakeClock()
    fail(rule, clock, range(4))
    rule.delivered()
    after = fail(rule, clock, range(10, 14))
    fail(rule, clock, range(14, 15))

    rule.delivered()

    assert (after, rule.stands) == ([False] * 4, True)


def test_evidence_is_bounded() -> None:
    """A thousand failures of one study take a bounded memory."""
    rule, clock = SiteRule(5, 2, 60.0), FakeClock()

    for number in range(1000):
        rule.failed(C000, number, "1.2.3", clock.now())

    assert len(rule._evidence) == 256
