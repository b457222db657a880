"""How long sessions last and wrong passwords make one wait: the numbers, and the clock that counts."""

from __future__ import annotations

import pytest

from appliance.accounts.lifetimes import IDLE_S, LONGEST_WAIT_S, SETUP_IDLE_S, VENDOR_S, elapsed_s, is_over, wait_s
from appliance.accounts.roles import Role
from tests.fakes.clock import FakeClock


def test_setting_the_clock_ends_no_session() -> None:
    """What passes between two moments is counted on the clock that nobody sets."""
    clock = FakeClock()
    then = clock.now()
    clock.jump_wall(365 * 86400)

    now = clock.advance(5)

    assert elapsed_s(then, now) == 5


def test_after_a_restart_the_wall_clock_counts() -> None:
    """After a restart the time that it took counts too, and a clock that was set back makes nothing negative."""
    clock = FakeClock()
    then = clock.now()
    rebooted = clock.reboot(60)
    set_back = clock.jump_wall(-86400)

    assert (elapsed_s(then, rebooted), elapsed_s(then, set_back)) == (60, 0)


@pytest.mark.parametrize(
    ("role", "idle", "age", "setting_up", "over"),
    [
        (Role.TECHNICIAN, IDLE_S, 0, False, False),
        (Role.TECHNICIAN, IDLE_S + 1, 0, False, True),
        (Role.TECHNICIAN, 1, 20 * 3600, False, False),
        (Role.ADMINISTRATOR, IDLE_S + 1, 0, True, False),
        (Role.ADMINISTRATOR, SETUP_IDLE_S + 1, 0, True, True),
        (Role.VENDOR, 1, VENDOR_S - 2, False, False),
        (Role.VENDOR, 1, VENDOR_S, False, True),
        (Role.VENDOR, 1, VENDOR_S, True, True),
    ],
)
def test_when_a_session_is_over(*, role: Role, idle: float, age: float, over: bool, setting_up: bool) -> None:
    """A session ends 30 minutes after the last thing somebody did, a vendor's 8 hours after its beginning; the first start is spared."""
    clock = FakeClock()
    created = clock.now()
    seen = clock.advance(age)
    now = clock.advance(idle)

    assert is_over(role, created, seen, now, setting_up=setting_up) is over


def test_waits_grow_and_end_at_half_a_minute() -> None:
    """Who mistypes is not slowed down, who guesses waits twice as long each time, and nobody longer than 30 s."""
    waits = [wait_s(failures, free=3) for failures in range(12)]

    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert wait_s(10**9, free=20, step=10) == LONGEST_WAIT_S
