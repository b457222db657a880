"""Due times survive clock jumps and restarts."""

from __future__ import annotations

from appliance.runtime.clock import Due, Instant, SystemClock

_NOW = Instant(wall=1000.0, boottime=50.0, boot_id="a")


def test_due_follows_boottime_not_the_wall() -> None:
    """A wall clock set to 1970 or to 2036 changes nothing."""
    due = _NOW.after(10)

    jumped_back = Instant(wall=0.0, boottime=59.0, boot_id="a")
    jumped_on = Instant(wall=9e9, boottime=59.0, boot_id="a")
    later = Instant(wall=0.0, boottime=60.0, boot_id="a")

    assert [due.is_due(moment) for moment in (_NOW, jumped_back, jumped_on, later)] == [False, False, False, True]
    assert due.remaining_s(jumped_back) == 1.0


def test_another_boot_means_due_now() -> None:
    """After a restart nothing waits for a clock that is gone."""
    due = Due(wall=2000.0, boottime=1e9, boot_id="a")

    assert due.is_due(Instant(wall=1000.0, boottime=1.0, boot_id="b"))
    assert due.remaining_s(Instant(wall=1000.0, boottime=1.0, boot_id="b")) == 0.0


def test_the_systems_clock_moves() -> None:
    """The real clock tells this boot's time."""
    clock = SystemClock()

    first = clock.now()
    clock.sleep(0)
    second = clock.now()

    assert second.boottime >= first.boottime
    assert first.boot_id == second.boot_id
