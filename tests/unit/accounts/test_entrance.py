"""Row 89 of hostile-inputs.md: who guesses passwords, from one place or many, and what that does to the only technician."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from appliance.accounts.faults import LogInRefusedError
from appliance.accounts.lifetimes import LONGEST_WAIT_S
from appliance.accounts.passwords import Passwords
from appliance.manage.accounts import Accounts
from tests.fakes.clock import FakeClock
from tests.support.accounts import PASSWORD, TABLET, accounts_in

_WRONG = "a wrong password"


def _wait(accounts: Accounts, name: str, password: str = _WRONG, address: str = "10.9.9.9") -> float:
    with pytest.raises(LogInRefusedError) as refused:
        accounts.log_in(name, password, address)
    return refused.value.wait_s


def test_row_89_wrong_passwords_make_one_wait(accounts: Accounts, clock: FakeClock) -> None:
    """Each wrong password after the third doubles the wait; while it lasts, the right one is not even tried; then it opens."""
    assert [_wait(accounts, "kim") for _ in range(3)] == [0, 0, 1]
    waits = []
    for _ in range(6):
        clock.advance(LONGEST_WAIT_S)
        waits.append(_wait(accounts, "kim"))
    assert waits == [2, 4, 8, 16, 30, 30]

    assert _wait(accounts, "kim", PASSWORD) == 30
    clock.advance(LONGEST_WAIT_S)

    accounts.log_in("kim", PASSWORD, "10.9.9.9")
    assert _wait(accounts, "kim") == 0


def test_row_89_a_name_that_is_none_is_answered_alike(accounts: Accounts) -> None:
    """What is said, and how long one waits, is the same for names that exist and names that do not."""
    known = [_wait(accounts, "kim") for _ in range(4)]
    unknown = [_wait(accounts, "nobody", address="10.8.8.8") for _ in range(4)]

    assert known == unknown
    with pytest.raises(LogInRefusedError) as one:
        accounts.log_in("kim", "wrong", TABLET)
    with pytest.raises(LogInRefusedError) as other:
        accounts.log_in("nobody", "wrong", TABLET)
    assert (str(one.value), one.value.advice) == (str(other.value), other.value.advice)


def test_row_89_a_name_that_is_none_costs_the_same_work(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash is tried whether or not there is an account: the time tells nothing."""
    tried: list[bool] = []
    real = Passwords.fits

    def counting(self: Passwords, kept: str | None, password: str) -> bool:
        tried.append(kept is not None)
        return real(self, kept, password)

    monkeypatch.setattr(Passwords, "fits", counting)

    _wait(accounts, "kim")
    _wait(accounts, "nobody")

    assert tried == [True, False]


def test_row_89_many_sources_are_slowed_down_together(accounts: Accounts, clock: FakeClock) -> None:
    """Other names from other addresses at each try: all together wait, never longer than half a minute."""
    waits = [_wait(accounts, f"guess{number}", address=f"10.9.0.{number}") for number in range(20)]
    assert waits == [0] * 19 + [1]
    longest = 0.0
    for number in range(100):
        clock.advance(LONGEST_WAIT_S)
        longest = max(longest, _wait(accounts, f"other{number}", address=f"10.9.1.{number}"))

    assert longest == LONGEST_WAIT_S


def test_row_89_the_only_technician_gets_in_during_a_flood(accounts: Accounts, clock: FakeClock) -> None:
    """Where somebody logged in before, a flood against their own name from elsewhere does not keep them waiting."""
    accounts.log_in("kim", PASSWORD, TABLET)
    for number in range(200):
        clock.advance(0.1)
        _wait(accounts, "kim", address=f"10.9.0.{number}")

    accounts.log_in("kim", PASSWORD, TABLET)


def test_row_89_many_at_once_are_one_try_each(accounts: Accounts) -> None:
    """Tries at the same moment are counted before they are judged: no more passwords are tried than the patience allows."""
    tried: list[float] = []

    def guess() -> None:
        try:
            accounts.log_in("kim", "a wrong password", "10.9.9.9")
        except LogInRefusedError as refused:
            tried.append(refused.wait_s)

    guesses = [threading.Thread(target=guess) for _ in range(20)]
    for thread in guesses:
        thread.start()
    for thread in guesses:
        thread.join()

    refused = [row for row in accounts.journal() if row.outcome == "refused"]
    assert len(tried) == 20
    assert len(refused) == 3


def test_row_89_waits_outlive_a_restart_of_the_pages(accounts: Accounts, tmp_path: Path, clock: FakeClock) -> None:
    """How often somebody failed is in the database, not in a process."""
    for _ in range(3):
        _wait(accounts, "kim")
    accounts.close()

    again = accounts_in(tmp_path, clock)

    assert _wait(again, "kim", PASSWORD) == 1
    again.close()


def test_row_89_what_was_typed_for_a_name_is_not_written_down(accounts: Accounts) -> None:
    """Somebody who types their password into the field for the name does not find it in the journal."""
    _wait(accounts, "my secret sentence")
    _wait(accounts, "kim")

    rows = accounts.journal()

    assert [(row.who, row.action, row.outcome, row.address) for row in rows[:2]] == [
        ("kim", "session.begin", "refused", "10.9.9.9"),
        ("nobody known", "session.begin", "refused", "10.9.9.9"),
    ]
    assert "secret" not in str(rows)


def test_row_89_the_setup_code_cannot_be_guessed(tmp_path: Path, clock: FakeClock) -> None:
    """Wrong setup codes are slowed down like passwords; an empty one is no try."""
    accounts = accounts_in(tmp_path, clock)
    code = accounts.setup_code()
    assert [accounts.check_setup_code("") for _ in range(10)] == [False] * 10
    assert [accounts.check_setup_code("AAAA-AAAA") for _ in range(3)] == [False] * 3

    with pytest.raises(LogInRefusedError) as refused:
        accounts.check_setup_code(code)
    clock.advance(refused.value.wait_s)

    assert refused.value.wait_s == 1
    assert accounts.check_setup_code(code)
    accounts.close()
