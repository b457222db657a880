"""The health of a destination: lanes, back-off, dead, refusing and paused, on a clock moved by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.deliver.destination import DestinationHealth, HealthRecord, Pacing
from appliance.deliver.own_faults import judge_damaged
from appliance.deliver.site_state import SiteState
from appliance.deliver.verdict import Break, Verdict, judge_break, judge_context, judge_reject, judge_store, judge_unreachable
from tests.fakes.clock import FakeClock

PACING = Pacing(lanes=4, dead_hello=5.0, throttled=(30.0, 900.0), refusing=900.0, rule_instances=5, rule_studies=2, probe=60.0)
A700, C000 = judge_store(0xA700), judge_store(0xC000)
ABORTED, CUT = (judge_break(kind, after_first_pdv=True, association_proved=True) for kind in (Break.ABORT_USER, Break.CLOSED))
DEAD, CONGESTION, LIMIT, UNKNOWN_TITLE = (
    judge_unreachable("connect", "refused"),
    judge_reject(2, 3, 1),
    judge_reject(2, 3, 2),
    judge_reject(1, 1, 3, calling="EDGE"),
)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> DestinationHealth:
    """A destination that nothing is known of, without jitter."""
    return DestinationHealth(PACING, lambda: 0.0, clock.now())


def refused(health: DestinationHealth, verdict: Verdict, clock: FakeClock, *, served: int = 0, title: str | None = None) -> None:
    """Let an association fail."""
    health.association_failed(verdict, clock.now(), others_served=served, title=title)


# --- lanes ----------------------------------------------------------------------------------------------------------------------------


def test_a_new_destination_may_have_one_lane(health: DestinationHealth, clock: FakeClock) -> None:
    """The first lane opens at once, the second only after the first has delivered."""
    assert health.lane_may_open(clock.now(), 0)

    health.lane_opened("first")

    assert not health.lane_may_open(clock.now(), 1)

    health.delivered("first", clock.now(), health.epoch, others_served=0)

    assert health.lane_may_open(clock.now(), 1)


def test_only_the_newest_lane_opens_the_next(health: DestinationHealth, clock: FakeClock) -> None:
    """A delivery on an older lane does not open a third one."""
    health.lane_opened("first")
    health.delivered("first", clock.now(), health.epoch, others_served=0)
    health.lane_opened("second")

    health.delivered("first", clock.now(), health.epoch, others_served=1)

    assert not health.lane_may_open(clock.now(), 2)


def test_a_newest_lane_that_ends_does_not_block(health: DestinationHealth, clock: FakeClock) -> None:
    """When the newest lane ends without a delivery another one may open."""
    health.lane_opened("first")
    health.delivered("first", clock.now(), health.epoch, others_served=0)
    health.lane_opened("second")

    health.lane_ended("first")
    before = health.lane_may_open(clock.now(), 1)
    health.lane_ended("second")

    assert (before, health.lane_may_open(clock.now(), 1)) == (False, True)


def test_never_more_lanes_than_configured(health: DestinationHealth, clock: FakeClock) -> None:
    """Four lanes are the most."""
    assert not health.lane_may_open(clock.now(), 4)


@pytest.mark.parametrize("verdict", [DEAD, CONGESTION, UNKNOWN_TITLE, judge_unreachable("associate", "timeout")])
def test_a_further_lane_that_fails_costs_lanes_only(health: DestinationHealth, clock: FakeClock, verdict: Verdict) -> None:
    """While another lane is served the destination stays alive, whatever the further lane was told, and has as many lanes as are served."""
    refused(health, verdict, clock, served=1)

    assert (health.state, health.allowed_lanes) == (SiteState.ALIVE, 1)
    assert not health.lane_may_open(clock.now(), 1)


def test_a_narrow_destination_is_tried_wider_after_the_back_off(health: DestinationHealth, clock: FakeClock) -> None:
    """After 30 s twice the lanes may open again; when that fails the wait is 60 s."""
    refused(health, DEAD, clock, served=1)
    clock.advance(29)
    before = health.lane_may_open(clock.now(), 1)
    clock.advance(2)
    after = health.lane_may_open(clock.now(), 1)
    refused(health, DEAD, clock, served=1)
    clock.advance(59)

    assert (before, after) == (False, True)
    assert not health.lane_may_open(clock.now(), 1)
    clock.advance(2)
    assert health.lane_may_open(clock.now(), 1)


def test_a_further_lane_that_delivers_resets_the_narrow_back_off(health: DestinationHealth, clock: FakeClock) -> None:
    """Once a further lane has delivered, the next narrowing begins with 30 s again."""
    refused(health, DEAD, clock, served=1)
    clock.advance(31)
    health.lane_may_open(clock.now(), 1)
    health.lane_opened("second")
    health.delivered("second", clock.now(), health.epoch, others_served=1)
    refused(health, DEAD, clock, served=1)

    clock.advance(31)

    assert health.lane_may_open(clock.now(), 1)


def test_local_limit_halves_the_lanes(health: DestinationHealth, clock: FakeClock) -> None:
    """2/3/2 halves what is allowed, and throttles where nothing is served."""
    refused(health, LIMIT, clock, served=3)
    while_served = (health.allowed_lanes, health.state)
    refused(health, LIMIT, clock)

    assert while_served == (2, SiteState.ALIVE)
    assert (health.allowed_lanes, health.state) == (1, SiteState.THROTTLED)


# --- throttled ------------------------------------------------------------------------------------------------------------------------


def test_throttled_is_one_lane_after_the_wait(health: DestinationHealth, clock: FakeClock) -> None:
    """A7xx: no lane for 30 s, then one; the lanes that run stop."""
    health.site_failed(A700, clock.now(), health.epoch)

    assert (health.state, health.lane_may_go_on) == (SiteState.THROTTLED, False)
    assert not health.lane_may_open(clock.now(), 0)
    assert health.wait_s(clock.now()) == 30.0
    clock.advance(30)
    assert health.lane_may_open(clock.now(), 0)
    assert not health.lane_may_open(clock.now(), 1)
    assert health.wait_s(clock.now()) is None


def test_throttle_doubles_and_only_a_delivery_resets_it(health: DestinationHealth, clock: FakeClock) -> None:
    """30, 60, 120 s …; a hello that is answered resets nothing, a delivered instance does."""
    waits = []
    for _ in range(3):
        health.site_failed(A700, clock.now(), health.epoch)
        waits.append(health.wait_s(clock.now()))
    health.hello_answered(clock.now())
    refused(health, CONGESTION, clock)
    waits.append(health.wait_s(clock.now()))
    health.delivered("lane", clock.now(), health.epoch, others_served=0)
    health.site_failed(A700, clock.now(), health.epoch)
    waits.append(health.wait_s(clock.now()))

    assert waits == [30.0, 60.0, 120.0, 240.0, 30.0]


def test_lanes_that_fail_together_count_once(health: DestinationHealth, clock: FakeClock) -> None:
    """Four lanes that are told A700 for instances begun together double nothing."""
    epoch = health.epoch
    for _ in range(4):
        health.site_failed(A700, clock.now(), epoch)

    assert health.backoff_s == 30.0


def test_a_throttle_waits_as_long_as_it_is_asked_to(health: DestinationHealth, clock: FakeClock) -> None:
    """A destination that asks to be left alone for longer than the back-off is; one that asks for less waits out the back-off."""
    health.site_failed(replace(A700, wait_s=70.0), clock.now(), health.epoch)

    assert health.wait_s(clock.now()) == 70.0

    clock.advance(70.0)
    health.site_failed(replace(A700, wait_s=1.0), clock.now(), health.epoch)

    assert health.wait_s(clock.now()) == 60.0


def test_an_older_delivery_does_not_end_a_throttle(health: DestinationHealth, clock: FakeClock) -> None:
    """An instance begun before the trouble and delivered after it says nothing about now."""
    epoch = health.epoch
    health.site_failed(A700, clock.now(), epoch)

    ended = health.delivered("lane", clock.now(), epoch, others_served=0)

    assert (ended, health.state) == (False, SiteState.THROTTLED)
    assert health.last_success == clock.now().wall


def test_a_delivery_ends_a_throttle(health: DestinationHealth, clock: FakeClock) -> None:
    """The instance of the one lane, delivered, makes the destination alive."""
    health.site_failed(A700, clock.now(), health.epoch)

    ended = health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert (ended, health.state, health.reason, health.backoff_s) == (True, SiteState.ALIVE, "", 0.0)


def test_a_failure_without_a_state_changes_nothing(health: DestinationHealth, clock: FakeClock) -> None:
    """An association that ended between two instances is nobody's trouble."""
    health.site_failed(judge_context(1, "1.2", "1.3"), clock.now(), health.epoch)

    assert health.state is SiteState.ALIVE


# --- one instance that draws an answer about the site ------------------------------------------------------------------------------------


NOT_AUTHORISED = judge_store(0x0124)


@pytest.mark.parametrize("verdict", [A700, NOT_AUTHORISED])
def test_a_second_opinion_is_asked_at_once(health: DestinationHealth, clock: FakeClock, verdict: Verdict) -> None:
    """The first such answer is tested with another instance, and no other choice, before the wait is over; once."""
    health.site_failed(verdict, clock.now(), health.epoch, 7)
    at_once = (health.lane_may_open(clock.now(), 0), health.passes_over(clock.now()))
    health.probe_started(clock.now())

    assert at_once == (True, (frozenset({7}), True))
    assert not health.lane_may_open(clock.now(), 0)


def test_a_second_opinion_that_is_the_same_confirms(health: DestinationHealth, clock: FakeClock) -> None:
    """Two instances that draw it: the destination waits as long as after one, and is then probed with a third, if there is one."""
    health.site_failed(A700, clock.now(), health.epoch, 7)
    health.probe_started(clock.now())
    health.site_failed(A700, clock.now(), health.epoch, 8)
    waiting = (health.backoff_s, health.lane_may_open(clock.now(), 0))
    clock.advance(30)

    assert waiting == (30.0, False)
    assert (health.lane_may_open(clock.now(), 0), health.passes_over(clock.now())) == (True, (frozenset({7, 8}), False))


def test_a_second_opinion_that_differs_is_the_instances_trouble(health: DestinationHealth, clock: FakeClock) -> None:
    """Another instance is delivered: the destination is alive, and the first one, should it draw the answer again, is alone with it."""
    health.site_failed(A700, clock.now(), health.epoch, 7)
    health.probe_started(clock.now())
    health.delivered("lane", clock.now(), health.epoch, others_served=0, delivery_id=8)
    times = []
    for number in range(10, 13):
        times.append(health.site_failed(A700, clock.now(), health.epoch, 7))
        health.delivered("lane", clock.now(), health.epoch, others_served=0, delivery_id=number)

    assert times == [1, 2, 3]
    assert (health.state, health.backoff_s) == (SiteState.ALIVE, 0.0)


def test_a_lone_instance_doubles_the_wait(health: DestinationHealth, clock: FakeClock) -> None:
    """Where there is nothing else to ask, the destination is throttled, 30, 60, 120 s; what comes then goes at once."""
    waits = []
    for _ in range(3):
        health.site_failed(A700, clock.now(), health.epoch, 7)
        waits.append(health.wait_s(clock.now()))
        clock.advance(waits[-1] or 0)
        health.probe_started(clock.now())
    health.site_failed(A700, clock.now(), health.epoch, 7)

    assert waits == [30.0, 60.0, 120.0]
    assert (health.lane_may_open(clock.now(), 0), health.passes_over(clock.now())[1]) == (True, True)


def test_many_suspects_at_once_need_no_second_opinion(health: DestinationHealth, clock: FakeClock) -> None:
    """Lanes that are told A700 for different instances begun together have confirmed each other."""
    epoch = health.epoch
    for number in range(4):
        health.site_failed(A700, clock.now(), epoch, number)

    assert not health.lane_may_open(clock.now(), 0)


def test_an_alive_destination_passes_nothing_over(health: DestinationHealth, clock: FakeClock) -> None:
    """Suspects wait for their turn like everybody when the destination is well."""
    health.site_failed(A700, clock.now(), health.epoch, 7)
    health.delivered("lane", clock.now(), health.epoch, others_served=0, delivery_id=8)

    assert health.passes_over(clock.now()) == (frozenset(), False)


# --- dead -----------------------------------------------------------------------------------------------------------------------------


def test_a_dead_destination_has_no_lane_and_is_knocked_at(health: DestinationHealth, clock: FakeClock) -> None:
    """Every 5 s, as long as it lasts, and no lane before it answered."""
    refused(health, DEAD, clock)
    knocks = []
    for _ in range(200):
        clock.advance(5)
        knocks.append(health.hello_is_due(clock.now()))
        health.hello_failed(DEAD, clock.now())
        assert not health.hello_is_due(clock.now())

    assert all(knocks)
    assert health.wait_s(clock.now()) == 4.0
    assert not health.lane_may_open(clock.now(), 0)
    health.hello_answered(clock.now())
    assert health.lane_may_open(clock.now(), 0)
    assert not health.hello_is_due(clock.now())


def test_a_knock_that_took_long_is_followed_at_once(health: DestinationHealth, clock: FakeClock) -> None:
    """The interval counts from the beginning of a knock: one that waited for an answer longer than that is repeated at once."""
    refused(health, DEAD, clock)
    began = clock.now()
    clock.advance(5)

    health.hello_failed(DEAD, began)

    assert (health.hello_is_due(clock.now()), health.wait_s(clock.now())) == (True, 0.0)


def test_how_it_is_dead_is_told_anew(health: DestinationHealth, clock: FakeClock) -> None:
    """The reason follows what the last knock found."""
    refused(health, DEAD, clock)

    health.hello_failed(judge_unreachable("connect", "unreachable"), clock.now())

    assert "no route" in health.reason


@pytest.mark.parametrize("kind", ["timeout", "closed"])
def test_an_echo_does_not_make_a_silent_destination_alive(health: DestinationHealth, clock: FakeClock, kind: str) -> None:
    """Who leaves storage associations unanswered is dead until it took an instance, whatever it answers to C-ECHO."""
    silent = judge_unreachable("associate", kind)
    records = []
    for _ in range(3):
        refused(health, silent, clock)
        clock.advance(4)
        assert health.hello_is_due(clock.now())
        health.hello_answered(clock.now())
        records.append((health.record.state, health.record.reason, health.hello_is_due(clock.now())))
        assert health.lane_may_open(clock.now(), 0)
        assert not health.lane_may_open(clock.now(), 1)
    since = health.since
    health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert set(records) == {(SiteState.DEAD, f"{silent.text} (it answers C-ECHO)", False)}
    assert since == clock.now().wall - 12
    assert (health.record.state, health.record.reason, health.lane_may_go_on) == (SiteState.ALIVE, "", True)


def test_a_silent_destination_says_the_same_all_the_time(health: DestinationHealth, clock: FakeClock) -> None:
    """Its reason does not change with every knock, so that the log is not filled by it."""
    silent = judge_unreachable("associate", "closed")
    refused(health, silent, clock)
    health.hello_answered(clock.now())
    answered = health.reason

    refused(health, silent, clock)

    assert health.reason == answered


def test_a_silent_destination_is_silent_after_a_restart(clock: FakeClock) -> None:
    """What a new sender recalls of it is not disproved by a C-ECHO either."""
    now = clock.now()
    reason = f"{judge_unreachable('associate', 'timeout').text} (it answers C-ECHO)"
    health = DestinationHealth(PACING, lambda: 0.0, now, HealthRecord(SiteState.DEAD, reason, 5.0, None, 1, 3.0, 0.0))

    health.hello_answered(now)

    assert (health.record.state, health.record.reason) == (SiteState.DEAD, reason)


# --- refusing -------------------------------------------------------------------------------------------------------------------------


def test_refusing_is_tried_every_15_minutes(health: DestinationHealth, clock: FakeClock) -> None:
    """A reject 1/x: no lane for 15 min, each time."""
    for _ in range(2):
        refused(health, UNKNOWN_TITLE, clock)
        clock.advance(899)
        assert not health.lane_may_open(clock.now(), 0)
        clock.advance(1)
        assert health.lane_may_open(clock.now(), 0)

    assert health.state is SiteState.REFUSING


def test_settings_or_a_doctor_end_the_waiting(health: DestinationHealth, clock: FakeClock) -> None:
    """`retry_now` lets a lane open at once."""
    refused(health, UNKNOWN_TITLE, clock)

    health.retry_now(clock.now())

    assert health.lane_may_open(clock.now(), 0)


def test_retrying_what_waits_for_nothing(health: DestinationHealth, clock: FakeClock) -> None:
    """`retry_now` on a well destination gives back all its lanes."""
    refused(health, DEAD, clock, served=1)

    health.retry_now(clock.now())

    assert (health.allowed_lanes, health.due) == (4, None)


def test_an_unknown_title_is_its_sources_trouble(health: DestinationHealth, clock: FakeClock) -> None:
    """Where the destination hears several titles, 1/1/3 stops that one for 15 min and no other."""
    refused(health, UNKNOWN_TITLE, clock, title="CT9")

    assert health.lane_may_open(clock.now(), 0)
    assert list(health.refused_titles(clock.now())) == ["CT9"]
    assert health.wait_s(clock.now()) == 900.0
    clock.advance(900)
    assert health.refused_titles(clock.now()) == {}


def test_a_destination_that_knows_no_title_shows_as_refusing(health: DestinationHealth, clock: FakeClock) -> None:
    """As long as nothing was delivered since a title was refused, people see a refusing destination; then an alive one."""
    refused(health, UNKNOWN_TITLE, clock, title="CT9")
    before = health.record.state
    health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert (before, health.record.state) == (SiteState.REFUSING, SiteState.ALIVE)


# --- paused ---------------------------------------------------------------------------------------------------------------------------


def fail(
    health: DestinationHealth, clock: FakeClock, count: int, *, studies: int = 2, verdict: Verdict = C000, first: int = 0
) -> list[bool]:
    """Let so many instances of so many studies fail."""
    return [health.instance_failed(verdict, first + number, f"1.2.{number % studies}", clock.now()) for number in range(count)]


def test_five_instances_of_two_studies_pause(health: DestinationHealth, clock: FakeClock) -> None:
    """The fifth same failure is the site's, and so is every later one; a lane may open once a minute."""
    charged_to_site = fail(health, clock, 5)

    assert charged_to_site == [False] * 4 + [True]
    assert (health.state, health.lane_may_go_on) == (SiteState.PAUSED, False)
    assert not health.lane_may_open(clock.now(), 0)
    clock.advance(60)
    assert health.lane_may_open(clock.now(), 0)


def test_a_probe_a_minute_until_one_is_delivered(health: DestinationHealth, clock: FakeClock) -> None:
    """A probe that fails in the same way is uncharged and the next one a minute later; one that is delivered resumes."""
    fail(health, clock, 5)
    clock.advance(60)
    health.probe_started(clock.now())
    during = health.lane_may_open(clock.now(), 0)
    again = health.instance_failed(C000, 77, "1.2.7", clock.now())
    clock.advance(60)
    health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert (during, again) == (False, True)
    assert health.state is SiteState.ALIVE


@pytest.mark.parametrize(
    ("verdict", "is_the_sites"),
    [(judge_store(0x0117), True), (ABORTED, True), (judge_store(0x0122), False), (judge_damaged(), False)],
)
def test_other_failures_during_a_pause(
    health: DestinationHealth,
    clock: FakeClock,
    verdict: Verdict,
    is_the_sites: bool,  # noqa: FBT001
) -> None:
    """Whatever a probe fails with costs it nothing, but for what a setting or the box itself explains."""
    fail(health, clock, 5)

    assert health.instance_failed(verdict, 77, "1.2.7", clock.now()) is is_the_sites


def test_unknown_outcomes_pause_too(health: DestinationHealth, clock: FakeClock) -> None:
    """Five instances of two studies that were aborted, cut off or left without an answer, in whatever mixture, pause."""
    verdicts = [ABORTED, CUT, ABORTED, CUT, judge_store(None)]

    charged_to_site = [health.instance_failed(verdict, number, f"1.2.{number % 2}", clock.now()) for number, verdict in enumerate(verdicts)]

    assert charged_to_site == [False] * 4 + [True]
    assert health.state is SiteState.PAUSED


def test_a_pause_for_unknown_outcomes_begins_with_a_look(health: DestinationHealth, clock: FakeClock) -> None:
    """Many lanes cut at once are what a dying destination looks like: one probe at once, the next after the interval."""
    fail(health, clock, 5, verdict=CUT)
    at_once = health.lane_may_open(clock.now(), 0)
    health.probe_started(clock.now())

    assert (at_once, health.lane_may_open(clock.now(), 0), health.wait_s(clock.now())) == (True, False, 60.0)


def test_a_pause_outlives_an_outage(health: DestinationHealth, clock: FakeClock) -> None:
    """Dead in the middle of a pause, it is paused again when it is back: it has taken nothing yet."""
    fail(health, clock, 5, verdict=CUT)
    refused(health, DEAD, clock)
    late = health.instance_failed(CUT, 9, "1.2.9", clock.now())
    during = health.state
    health.hello_answered(clock.now())

    assert (late, during, health.state, health.lane_may_open(clock.now(), 0)) == (True, SiteState.DEAD, SiteState.PAUSED, True)


def test_who_led_to_a_pause_is_told_when_it_is_over(health: DestinationHealth, clock: FakeClock) -> None:
    """The instances that were charged on the way to a pause are given out once, and not before something was delivered."""
    fail(health, clock, 5, first=10)
    before = health.take_accused()
    health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert (before, health.take_accused(), health.take_accused()) == (frozenset(), frozenset(range(10, 15)), frozenset())


@pytest.mark.parametrize(("count", "studies"), [(4, 2), (20, 1)])
def test_fewer_do_not_pause(health: DestinationHealth, clock: FakeClock, count: int, studies: int) -> None:
    """Four instances, or any number of one study, are the instances' own."""
    assert not any(fail(health, clock, count, studies=studies))
    assert health.state is SiteState.ALIVE


def test_different_failures_do_not_add_up(health: DestinationHealth, clock: FakeClock) -> None:
    """Three of one kind and three of another are no pattern."""
    fail(health, clock, 3)
    fail(health, clock, 3, verdict=judge_store(0x0110), first=10)

    assert health.state is SiteState.ALIVE


def test_the_same_instance_counts_once(health: DestinationHealth, clock: FakeClock) -> None:
    """One instance that fails ten times is one instance."""
    for _ in range(10):
        health.instance_failed(C000, 1, "1.2.1", clock.now())
    health.instance_failed(C000, 2, "1.2.2", clock.now())

    assert health.state is SiteState.ALIVE


def test_a_delivery_in_between_is_no_pattern(health: DestinationHealth, clock: FakeClock) -> None:
    """Failures before something was delivered do not count."""
    fail(health, clock, 4)
    health.delivered("lane", clock.now(), health.epoch, others_served=0)
    fail(health, clock, 4, first=10)

    assert health.state is SiteState.ALIVE


def test_old_failures_do_not_count(health: DestinationHealth, clock: FakeClock) -> None:
    """Failures further apart than the window are no pattern."""
    fail(health, clock, 4)
    clock.advance(601)
    fail(health, clock, 4, first=10)

    assert health.state is SiteState.ALIVE


def test_configuration_is_no_evidence(health: DestinationHealth, clock: FakeClock) -> None:
    """A class that is not supported never pauses a destination, however many instances it has."""
    assert not any(fail(health, clock, 20, verdict=judge_store(0x0122)))


# --- across restarts ------------------------------------------------------------------------------------------------------------------


def restarted(clock: FakeClock, state: SiteState) -> DestinationHealth:
    """Return the health that a new sender recalls."""
    now = clock.now()
    return DestinationHealth(PACING, lambda: 0.0, now, HealthRecord(state, "as it was", 5.0, now.after(100), 1, 3.0, 60.0))


def test_a_dead_destination_is_knocked_at_at_once(clock: FakeClock) -> None:
    """After a restart the first knock is due now."""
    health = restarted(clock, SiteState.DEAD)

    assert health.hello_is_due(clock.now())
    assert (health.since, health.last_success, health.reason) == (5.0, 3.0, "as it was")


def test_a_throttle_outlives_a_restart(clock: FakeClock) -> None:
    """After a restart the due time and the back-off are as they were."""
    health = restarted(clock, SiteState.THROTTLED)

    assert (health.wait_s(clock.now()), health.backoff_s) == (100.0, 60.0)


@pytest.mark.parametrize("state", [SiteState.REFUSING, SiteState.PAUSED])
def test_what_refused_or_was_paused_is_tried_at_once(clock: FakeClock, state: SiteState) -> None:
    """After a restart one lane may open now; the destination is shown as it was until that lane has delivered."""
    health = restarted(clock, state)
    before = (health.lane_may_open(clock.now(), 0), health.lane_may_go_on, health.record.state, health.record.reason)
    health.delivered("lane", clock.now(), health.epoch, others_served=0)

    assert before == (True, False, state, "as it was")
    assert (health.record.state, health.record.reason) == (SiteState.ALIVE, "")


def test_a_pause_is_still_a_pause_after_a_restart(clock: FakeClock) -> None:
    """What fails in it costs nothing."""
    health = restarted(clock, SiteState.PAUSED)

    assert health.instance_failed(C000, 1, "1.2.1", clock.now())


def test_what_was_alive_is_alive(clock: FakeClock) -> None:
    """After a restart an alive destination begins with all its lanes."""
    health = restarted(clock, SiteState.ALIVE)

    assert (health.state, health.reason, health.allowed_lanes, health.last_success) == (SiteState.ALIVE, "", 4, 3.0)


def test_a_reboot_makes_everything_due(health: DestinationHealth, clock: FakeClock) -> None:
    """A due time of another boot is due now, whatever the clocks say."""
    refused(health, UNKNOWN_TITLE, clock)
    clock.reboot()

    assert health.lane_may_open(clock.now(), 0)


def test_a_clock_that_jumps_moves_nothing(health: DestinationHealth, clock: FakeClock) -> None:
    """The wall clock ten years on or back to 1970: due times hold."""
    health.site_failed(A700, clock.now(), health.epoch)
    clock.jump_wall(10 * 365 * 86400.0)
    ahead = health.wait_s(clock.now())
    clock.jump_wall(-clock.now().wall)

    assert (ahead, health.wait_s(clock.now())) == (30.0, 30.0)
