"""Accounts from the command line's side: the desk that answers, over real accounts, and the verbs that ask it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.accounts.faults import AccountInvalidError, LastAdministratorError, LogInRefusedError, PersonMissingError
from appliance.cli import dicom_edge
from appliance.manage.account_desk import AccountDesk
from appliance.manage.accounts import Accounts
from appliance.manage.control import Control
from appliance.runtime.account_requests import AddPersonRequest, ChangePersonRequest, PeopleRequest, ResetPasswordRequest
from tests.fakes.clock import FakeClock
from tests.support.accounts import PASSWORD, TABLET, accounts_in, an_administrator

Verb = Callable[..., Any]


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    """Return accounts with one administrator, kim."""
    made = accounts_in(tmp_path, FakeClock())
    an_administrator(made)
    yield made
    made.close()


@pytest.fixture
def verb(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Return what runs a verb whose questions go straight to the desk."""
    handlers = AccountDesk(accounts, FakeClock()).handlers()
    monkeypatch.setattr(Control, "_ask", lambda _self, daemon, request, _reply, **_named: _answered(handlers, daemon, request))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(dicom_edge, ["users", *arguments], catch_exceptions=False)

    return run


def _answered(handlers: Any, daemon: str, request: Any) -> Any:
    assert daemon == "keeper"
    return handlers[type(request)](request)


def test_somebody_who_forgot_their_password_gets_in_again(accounts: Accounts, verb: Verb) -> None:
    """`users reset` prints a password for once, which opens the box; the one before does not."""
    answer = verb("reset", "KIM", "--json")

    one_time = json.loads(answer.output)
    assert one_time["name"] == "kim"
    with pytest.raises(LogInRefusedError):
        accounts.log_in("kim", PASSWORD, TABLET)
    assert accounts.log_in("kim", one_time["password"], TABLET)[1].must_change
    assert verb("reset", "kim").output.startswith("kim logs in with ")


def test_people_are_added_listed_and_changed(verb: Verb) -> None:
    """An account is added with its role and end, shut, opened and promoted, and listed as it is."""
    verb("add", "engineer", "--full-name", "An Engineer", "--role", "vendor", "--days", "7")
    verb("disable", "engineer")

    rows = {row["name"]: row for row in json.loads(verb("list", "--json").output)}

    assert (rows["engineer"]["role"], rows["engineer"]["enabled"], rows["engineer"]["one_time"]) == ("vendor", False, True)
    assert rows["engineer"]["expires"] == "2024-03-07T12:00:00+00:00"
    assert verb("role", "engineer", "technician").output == "engineer is technician, until 2024-03-07T12:00:00+00:00, disabled\n"
    assert verb("enable", "engineer").output.endswith("enabled\n")
    assert "An Engineer" in verb("list").output


def test_what_is_done_at_the_box_is_written_down(accounts: Accounts) -> None:
    """The machine's user stands in the journal, at the console."""
    AccountDesk(accounts, FakeClock()).reset(ResetPasswordRequest("kim", "root"))

    newest = accounts.journal(limit=1)[0]

    assert (newest.who, newest.address, newest.action, newest.thing) == ("root", "console", "password.reset", "kim")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ResetPasswordRequest("nobody", "root"), PersonMissingError),
        (ChangePersonRequest("nobody", "root", enabled=False), PersonMissingError),
        (ChangePersonRequest("kim", "root", enabled=False), LastAdministratorError),
        (ChangePersonRequest("kim", "root", role="viewer"), LastAdministratorError),
        (ChangePersonRequest("kim", "root", role="god"), AccountInvalidError),
        (AddPersonRequest("lan", "Lan", "vendor", "root"), AccountInvalidError),
        (AddPersonRequest("lan", "Lan", "vendor", "root", 15), AccountInvalidError),
        (AddPersonRequest("lan", "Lan", "monitor", "root"), AccountInvalidError),
    ],
)
def test_what_is_refused_says_why(accounts: Accounts, request_: Any, error: type[Exception]) -> None:
    """The rules of the pages hold at the console too, and nothing is changed by what is refused."""
    desk = AccountDesk(accounts, FakeClock())
    before = desk.people(PeopleRequest())

    with pytest.raises(error):
        desk.handlers()[type(request_)](request_)

    assert desk.people(PeopleRequest()) == before
