"""The façade of accounts over a real database: sessions, people, tokens, the journal and the first start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts.faults import (
    AccountInvalidError,
    LastAdministratorError,
    LogInRefusedError,
    NameTakenError,
    PasswordWeakError,
    PersonMissingError,
    SetupDoneError,
)
from appliance.accounts.person import Console, Person
from appliance.accounts.roles import Permission, Role
from appliance.manage.accounts import Accounts, prepare
from tests.fakes.clock import FakeClock
from tests.support.accounts import KEY, PASSWORD, TABLET, accounts_in, somebody

_DAY_S = 86400.0


def _actions(accounts: Accounts) -> list[tuple[str, str, str]]:
    return [(row.who, row.action, row.outcome) for row in accounts.journal()]


# The first start


def test_the_first_start_ends_with_an_administrator(tmp_path: Path, clock: FakeClock) -> None:
    """Each start of a box without an administrator has a code of its own; the last of them makes one, and none is good afterwards."""
    old = prepare(tmp_path, KEY, clock)
    code = prepare(tmp_path, KEY, clock)
    accounts = accounts_in(tmp_path, clock)
    assert old is not None
    assert code is not None

    assert not accounts.check_setup_code(old)
    assert accounts.check_setup_code(code.lower().replace("-", " "))
    person = accounts.create_first(code, "Kim", "Kim Nguyen", PASSWORD)

    assert (person.name, person.role) == ("kim", Role.ADMINISTRATOR)
    assert not accounts.needs_setup()
    assert not accounts.check_setup_code(code)
    with pytest.raises(SetupDoneError):
        accounts.create_first(code, "lan", "Lan Tran", PASSWORD)
    accounts.close()
    assert prepare(tmp_path, KEY, clock) is None


def test_a_wrong_code_makes_nobody(tmp_path: Path, clock: FakeClock) -> None:
    """Without the code, or with a weak password or a name that is none, there is no first administrator."""
    accounts = accounts_in(tmp_path, clock)
    code = accounts.setup_code()

    with pytest.raises(LogInRefusedError):
        accounts.create_first("AAAA-AAAA", "kim", "Kim", PASSWORD)
    with pytest.raises(PasswordWeakError):
        accounts.create_first(code, "kim", "Kim", "password123")
    with pytest.raises(AccountInvalidError):
        accounts.create_first(code, "kim nguyen", "Kim", PASSWORD)

    assert accounts.needs_setup()
    accounts.close()


def test_the_questions_of_the_first_start_are_remembered(tmp_path: Path, clock: FakeClock) -> None:
    """What was answered is there after a restart, a step at a time."""
    accounts = accounts_in(tmp_path, clock)
    accounts.remember_wizard("box", {"name": "vinh-ct"})
    accounts.remember_wizard("time", {})
    accounts.close()

    again = accounts_in(tmp_path, clock)

    assert again.wizard() == {"box": {"name": "vinh-ct"}, "time": {}}
    again.close()


def test_a_tablet_in_mid_installation_is_spared(accounts: Accounts, clock: FakeClock) -> None:
    """While the first start is under way a session may rest for hours; when it is finished, half an hour."""
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)
    accounts.remember_wizard("box", {})
    clock.advance(3 * 3600)
    assert accounts.session(secret) is not None

    accounts.remember_wizard("finished", {})
    clock.advance(1801)

    assert accounts.session(secret) is None


def test_a_first_start_that_was_left_lying_spares_nobody(accounts: Accounts, clock: FakeClock) -> None:
    """Questions that nobody answers any more do not make sessions last."""
    accounts.remember_wizard("box", {})
    clock.advance(_DAY_S)
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)

    clock.advance(1801)

    assert accounts.session(secret) is None


# Sessions


def test_a_session_is_new_at_each_log_in(accounts: Accounts) -> None:
    """Two log-ins are two sessions with secrets of their own, and only hashes of them are kept."""
    first, one = accounts.log_in("KIM ", PASSWORD, TABLET, "Firefox")
    second, other = accounts.log_in("kim", PASSWORD, "10.0.0.6")

    assert first != second
    assert one.session_id != other.session_id
    assert accounts.session(first) == one
    assert [(row.address, row.agent) for row in accounts.sessions()] == [("10.0.0.6", ""), (TABLET, "Firefox")]


@pytest.mark.parametrize("secret", ["", "x", "x" * 1_000_000, "é\ud800", "' OR 1=1 --"])
def test_what_is_no_secret_is_nobodys(accounts: Accounts, secret: str) -> None:
    """Whatever stands in a cookie or a header, it opens nothing."""
    accounts.log_in("kim", PASSWORD, TABLET)

    assert accounts.session(secret) is None
    assert accounts.token(secret) is None


def test_idle_sessions_end_by_themselves(accounts: Accounts, clock: FakeClock) -> None:
    """After 30 minutes without an action a session is gone, whatever pages renewed themselves meanwhile; an action keeps it."""
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)
    clock.advance(1700)
    assert accounts.session(secret) is not None
    clock.advance(1700)
    assert accounts.session(secret, quiet=True) is not None

    clock.advance(101)

    assert accounts.session(secret, quiet=True) is None
    assert accounts.sessions() == []
    assert _actions(accounts)[0] == ("kim", "session.expired", "done")


def test_a_session_outlives_a_clock_that_is_set(accounts: Accounts, clock: FakeClock) -> None:
    """Setting the box's clock a year on logs nobody off."""
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)

    clock.jump_wall(365 * _DAY_S)

    assert accounts.session(secret) is not None


def test_what_was_logged_out_opens_nothing(accounts: Accounts) -> None:
    """A log-out ends its own session and no other, and is written down."""
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)
    other, _ = accounts.log_in("kim", PASSWORD, TABLET)

    accounts.log_out(secret)

    assert accounts.session(secret) is None
    assert accounts.session(other) is not None
    assert _actions(accounts)[0] == ("kim", "session.end", "done")


def test_another_password_ends_the_other_sessions(accounts: Accounts) -> None:
    """Whoever changes their password stays where they are, and whoever else had it is out."""
    secret, here = accounts.log_in("kim", PASSWORD, TABLET)
    elsewhere, _ = accounts.log_in("kim", PASSWORD, "10.0.0.9")

    accounts.set_password(here, PASSWORD, "quite another sentence")

    assert accounts.session(secret) is not None
    assert accounts.session(elsewhere) is None
    with pytest.raises(LogInRefusedError):
        accounts.log_in("kim", PASSWORD, TABLET)
    accounts.log_in("kim", "quite another sentence", TABLET)


def test_a_password_is_changed_by_who_knows_it(accounts: Accounts) -> None:
    """A tablet left open is not enough to take an account over, and a weak password is not taken."""
    _, here = accounts.log_in("kim", PASSWORD, TABLET)

    with pytest.raises(LogInRefusedError):
        accounts.set_password(here, "not the password", "quite another sentence")
    with pytest.raises(PasswordWeakError):
        accounts.set_password(here, PASSWORD, "kim1234567")

    accounts.log_in("kim", PASSWORD, TABLET)


def test_nobody_ends_anothers_session(accounts: Accounts) -> None:
    """A number that belongs to somebody else's session is none of one's own, and nothing happens to it."""
    lan = somebody(accounts, "lan")
    secret, kims = accounts.log_in("kim", PASSWORD, TABLET)

    with pytest.raises(PersonMissingError):
        accounts.end_session(lan, kims.session_id, of=lan)

    assert accounts.session(secret) is not None
    accounts.end_session(lan, kims.session_id)
    assert accounts.session(secret) is None


# People


def test_an_account_begins_with_a_password_that_must_be_changed(accounts: Accounts, clock: FakeClock) -> None:
    """Who adds an account hands over a password for once, good for a week; nobody but its owner knows the next."""
    _, one_time = accounts.add_person(accounts.named("kim"), Person(0, "Lan.Tran", "Lan Trần", Role.TECHNICIAN))

    secret, lan = accounts.log_in("lan.tran", one_time, TABLET)
    assert lan.must_change
    accounts.set_password(lan, one_time, PASSWORD)

    again = accounts.session(secret)
    assert again is not None
    assert not again.must_change
    hoa, late = accounts.add_person(accounts.named("kim"), Person(0, "hoa", "Hoa", Role.VIEWER))
    clock.advance(8 * _DAY_S)
    with pytest.raises(LogInRefusedError):
        accounts.log_in(hoa.name, late, TABLET)


def test_a_reset_password_ends_what_was_open(accounts: Accounts) -> None:
    """An administrator's reset puts everybody out who had the old password."""
    lan = somebody(accounts, "lan")
    secret, _ = accounts.log_in("lan", PASSWORD, TABLET)

    one_time = accounts.reset_password(Console("root"), lan.id)

    assert accounts.session(secret) is None
    with pytest.raises(LogInRefusedError):
        accounts.log_in("lan", PASSWORD, TABLET)
    assert accounts.log_in("lan", one_time, TABLET)[1].must_change


def test_a_disabled_account_is_shut_at_once(accounts: Accounts) -> None:
    """Disabling ends sessions at their next request; only who knows the password is told that the account has ended."""
    lan = somebody(accounts, "lan")
    secret, _ = accounts.log_in("lan", PASSWORD, TABLET)

    accounts.change_person(accounts.named("kim"), replace(lan, is_enabled=False), reason="left")

    assert accounts.session(secret) is None
    with pytest.raises(LogInRefusedError) as closed:
        accounts.log_in("lan", PASSWORD, TABLET)
    with pytest.raises(LogInRefusedError) as wrong:
        accounts.log_in("lan", "not the password", TABLET)
    assert (closed.value.is_closed, wrong.value.is_closed) == (True, False)
    changed = next(row for row in accounts.journal() if row.action == "person.changed")
    assert (changed.who, changed.thing, changed.reason) == ("kim", "lan", "left")
    assert changed.before.endswith("enabled")
    assert changed.after.endswith("disabled")


def test_an_account_ends_when_it_was_said(accounts: Accounts, clock: FakeClock) -> None:
    """An engineer's account stops working at its end, in the middle of a session too."""
    end = clock.now().wall + 1200
    somebody(accounts, "engineer", Role.VENDOR, end)
    secret, _ = accounts.log_in("engineer", PASSWORD, TABLET)
    clock.advance(1199)
    assert accounts.session(secret) is not None

    clock.advance(2)

    assert accounts.session(secret) is None
    with pytest.raises(LogInRefusedError):
        accounts.log_in("engineer", PASSWORD, TABLET)


@pytest.mark.parametrize("days", [None, -1, 0, 14.1, 1e9])
def test_a_vendors_account_has_an_end(accounts: Accounts, clock: FakeClock, days: float | None) -> None:
    """No engineer's account is without an end, or with one that is further than two weeks."""
    end = None if days is None else clock.now().wall + days * _DAY_S

    with pytest.raises(AccountInvalidError) as refused:
        accounts.add_person(accounts.named("kim"), Person(0, "engineer", "Engineer", Role.VENDOR, expires_at=end))

    assert refused.value.field == "expires_at"


@pytest.mark.parametrize(
    ("person", "field"),
    [
        (Person(0, "", "Lan", Role.VIEWER), "name"),
        (Person(0, "lan tran", "Lan", Role.VIEWER), "name"),
        (Person(0, "lan;--", "Lan", Role.VIEWER), "name"),
        (Person(0, "x" * 65, "Lan", Role.VIEWER), "name"),
        (Person(0, "trần", "Lan", Role.VIEWER), "name"),
        (Person(0, "lan", " ", Role.VIEWER), "full_name"),
        (Person(0, "lan", "x" * 81, Role.VIEWER), "full_name"),
        (Person(0, "lan", "Lan\nTran", Role.VIEWER), "full_name"),
        (Person(0, "lan", "Lan", Role.MONITOR), "role"),
        (Person(0, "lan", "Lan", Role.VIEWER, expires_at=2.0**63), "expires_at"),
        (Person(0, "lan", "Lan", Role.VIEWER, expires_at=-1.0), "expires_at"),
    ],
)
def test_what_cannot_be_an_account(accounts: Accounts, person: Person, field: str) -> None:
    """Names that are none, roles that nobody logs in as and ends that are none are refused, with the field."""
    with pytest.raises(AccountInvalidError) as refused:
        accounts.add_person(accounts.named("kim"), person)

    assert refused.value.field == field
    assert len(accounts.people()) == 1


def test_a_name_is_given_once(accounts: Accounts) -> None:
    """Capitals make no other name."""
    with pytest.raises(NameTakenError):
        accounts.add_person(accounts.named("kim"), Person(0, "KIM", "Kim Two", Role.VIEWER))


@pytest.mark.parametrize("what", ["remove", "demote", "disable", "let end"])
def test_the_last_administrator_stays(accounts: Accounts, clock: FakeClock, what: str) -> None:
    """Whatever is done, somebody can still administer the box tomorrow; with a second administrator, anything can be done to the first."""
    kim = accounts.named("kim")
    end = clock.now().wall + _DAY_S

    def act() -> None:
        match what:
            case "remove":
                accounts.remove_person(kim, kim.id)
            case "demote":
                accounts.change_person(kim, replace(kim, role=Role.TECHNICIAN))
            case "disable":
                accounts.change_person(kim, replace(kim, is_enabled=False))
            case _:
                accounts.change_person(kim, replace(kim, expires_at=end))

    somebody(accounts, "hoa", Role.ADMINISTRATOR, end)
    with pytest.raises(LastAdministratorError):
        act()
    assert accounts.named("kim") == kim

    somebody(accounts, "lan", Role.ADMINISTRATOR)
    act()


def test_whoever_was_removed_stays_in_the_journal(accounts: Accounts) -> None:
    """Removing an account ends its sessions and leaves what it did; its number is not given again."""
    lan = somebody(accounts, "lan")
    secret, _ = accounts.log_in("lan", PASSWORD, TABLET)
    accounts.changed(lan, "source.added", "CT1")

    accounts.remove_person(accounts.named("kim"), lan.id)

    assert accounts.session(secret) is None
    assert ("lan", "source.added", "done") in _actions(accounts)
    assert somebody(accounts, "lan").id != lan.id


# Machines


def test_a_token_is_good_for_its_scopes_until_it_ends(accounts: Accounts, clock: FakeClock) -> None:
    """A token opens what it was made for, from where it is used, until its end; it is listed without its secret."""
    kim = accounts.named("kim")
    secret = accounts.add_token(kim, "monitoring", frozenset({Permission.SEE}), clock.now().wall + 10 * _DAY_S)

    machine = accounts.token(secret, "10.0.0.8")

    assert machine is not None
    assert (machine.name, machine.address) == ("monitoring", "10.0.0.8")
    assert (machine.may(Permission.SEE), machine.may(Permission.SEE_PATIENTS)) == (True, False)
    (row,) = accounts.tokens()
    assert (row.made_by, row.used_at) == ("kim", clock.now().wall)
    assert secret not in str(row)
    clock.advance(10 * _DAY_S)
    assert accounts.token(secret) is None


def test_a_token_that_was_ended_opens_nothing(accounts: Accounts, clock: FakeClock) -> None:
    """Ending a token counts at its next use."""
    secret = accounts.add_token(accounts.named("kim"), "monitoring", frozenset({Permission.SEE}), clock.now().wall + _DAY_S)
    assert accounts.token(secret) is not None

    accounts.end_token(accounts.named("kim"), accounts.tokens()[0].id)

    assert accounts.token(secret) is None
    with pytest.raises(PersonMissingError):
        accounts.end_token(accounts.named("kim"), 2**63 - 1)


@pytest.mark.parametrize(
    ("name", "permissions", "days", "field"),
    [
        ("", {Permission.SEE}, 1, "name"),
        ("monitoring", set[Permission](), 1, "scopes"),
        ("monitoring", {Permission.ADMINISTER}, 1, "scopes"),
        ("monitoring", {Permission.SEE, Permission.SEE_IMAGES}, 1, "scopes"),
        ("monitoring", {Permission.SEE}, 0, "expires_at"),
        ("monitoring", {Permission.SEE}, 800, "expires_at"),
    ],
)
def test_what_cannot_be_a_token(
    accounts: Accounts, clock: FakeClock, name: str, permissions: set[Permission], days: float, field: str
) -> None:
    """A token has a name, an end, and never what only people may do."""
    with pytest.raises(AccountInvalidError) as refused:
        accounts.add_token(accounts.named("kim"), name, frozenset(permissions), clock.now().wall + days * _DAY_S)

    assert refused.value.field == field


# The journal


def test_the_journal_is_searched_by_words_person_and_day(accounts: Accounts, clock: FakeClock) -> None:
    """Words are words, not patterns; rows come newest first, a page at a time."""
    kim = replace(accounts.named("kim"), address=TABLET)
    morning = clock.now().wall
    accounts.changed(kim, "source.added", "CT1", after="10.0.0.7")
    clock.advance(_DAY_S)
    accounts.changed(Console("root"), "source.changed", "CT1", before="10.0.0.7", after="10.0.0.9", reason="100% moved")

    assert [row.action for row in accounts.journal("ct1 10.0.0.7")] == ["source.changed", "source.added"]
    assert [row.who for row in accounts.journal("100%")] == ["root"]
    assert accounts.journal("%") == accounts.journal("100%")
    assert accounts.journal("ct_") == []
    assert accounts.journal(who="kim", since=morning, until=morning + 1)[0].action == "source.added"
    newest = accounts.journal(limit=1)[0]
    assert accounts.journal(after=newest.id, limit=1)[0].id == newest.id - 1


def test_a_refusal_is_written_once_a_minute(accounts: Accounts, clock: FakeClock) -> None:
    """Who asks a hundred times for what they may not do stands in the journal once a minute, not a hundred times."""
    lan = somebody(accounts, "lan")
    for _ in range(100):
        accounts.refused(lan, "GET people.index", Permission.ADMINISTER)
    clock.advance(61)
    accounts.refused(lan, "GET people.index", Permission.ADMINISTER)

    assert [row.reason for row in accounts.journal() if row.outcome == "refused"] == ["administer", "administer"]
