"""How long sessions last, how long wrong passwords make one wait, and what an account may be: rules and their numbers. Pure.

Promises: spans are counted on the clock that nobody can set, as long as the machine was not restarted; a wait is never longer than 30 s.
Failures: none.
Limits: after a restart the wall clock counts; one that was set back by then makes a span zero, never negative.
Standard: NIST SP 800-63B 2.2 (inactivity of 30 minutes); MDS2 ALOF (automatic log-off).
"""

from __future__ import annotations

from appliance.accounts.roles import Role
from appliance.runtime.clock import Instant

IDLE_S = 30 * 60.0
# Whoever sets the box up goes to the scanner and comes back; the tablet is in the same hands all the time.
SETUP_IDLE_S = 4 * 3600.0
# Between two of its questions; what was left lying longer is no reason to spare a session.
SETUP_LONGEST_S = 12 * 3600.0
# An engineer's visit.
VENDOR_S = 8 * 3600.0
VENDOR_LONGEST_S = 14 * 86400.0
TOKEN_LONGEST_S = 2 * 366 * 86400.0
# From Friday's call to Monday's shift, and some more.
ONE_TIME_S = 7 * 86400.0
# Wrong passwords are forgotten after this long without another.
FORGET_FAILURES_S = 15 * 60.0
# A tablet that somebody used within this time is known.
FAMILIAR_S = 90 * 86400.0
# Short enough for somebody who stands at the scanner, long enough to make guessing hopeless: three million guesses in three years.
LONGEST_WAIT_S = 30.0
# Somebody who mistypes is not punished for it.
FREE_FOR_ONE = 3
# A whole shift that mistypes at the same time is not an attack.
FREE_FOR_ALL = 20
# Everybody's wait doubles with this many failures, one account's with each.
STEP_FOR_ALL = 10


def elapsed_s(then: Instant, now: Instant) -> float:
    """Return the seconds between two moments, whatever was done to the wall clock in between."""
    if then.boot_id == now.boot_id:
        return max(0.0, now.boottime - then.boottime)
    return max(0.0, now.wall - then.wall)


def is_over(role: Role, created: Instant, seen: Instant, now: Instant, *, setting_up: bool) -> bool:
    """Say whether a session has ended by itself; `setting_up`: the first start is not finished."""
    if role is Role.VENDOR and elapsed_s(created, now) > VENDOR_S:
        return True
    return elapsed_s(seen, now) > (SETUP_IDLE_S if setting_up else IDLE_S)


def wait_s(failures: int, *, free: int, step: int = 1) -> float:
    """Return how long after the last of so many failures in a row the next try is not listened to."""
    over = failures - free
    if over < 0:
        return 0.0
    # Beyond this the doubling is over the limit anyway.
    return min(LONGEST_WAIT_S, 2.0 ** min(over // step, 10))
