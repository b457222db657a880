"""The verbs about people who use the pages: users list, add, reset, disable, enable, role."""

from __future__ import annotations

import getpass

import click

from appliance.accounts.roles import Role
from appliance.cli.output import print_json, print_json_rows, print_table
from appliance.cli.state import State, everywhere
from appliance.manage.control import Control
from appliance.runtime.account_requests import (
    AddPersonRequest,
    ChangePersonRequest,
    OneTimeReply,
    PersonRow,
    ResetPasswordRequest,
)

# Nobody logs in as a monitor: that is a token's.
_ROLE = click.Choice([role.value for role in Role if role is not Role.MONITOR])
_DAYS = click.IntRange(1, 36500)


@click.group()
def users() -> None:
    """Look after the people who use the pages."""


@users.command("list")
@everywhere
@click.pass_obj
def users_list(state: State) -> None:
    """List everybody who may use the pages, and as what."""
    rows = Control(state.run_dir).people().rows
    if state.as_json:
        print_json_rows(rows)
        return
    print_table(
        ("name", "full name", "role", "enabled", "until", "last logged in", "password"),
        (
            (
                row.name,
                row.full_name,
                row.role,
                "yes" if row.enabled else "no",
                row.expires or "",
                row.last_log_in or "never",
                "one-time" if row.one_time else "own",
            )
            for row in rows
        ),
        empty="Nobody yet: the box prints a setup code when it starts.",
    )


@users.command("add")
@everywhere
@click.argument("name")
@click.option("--full-name", help="What others see (default: NAME).")
@click.option("--role", type=_ROLE, default=Role.TECHNICIAN.value, show_default=True, help="What they may do.")
@click.option("--days", type=_DAYS, help="The account ends after so many days (vendor: at most 14).")
@click.pass_obj
def users_add(state: State, name: str, full_name: str | None, role: str, days: int | None) -> None:
    """Add account NAME and print its one-time password."""
    _one_time(state, Control(state.run_dir).add_person(AddPersonRequest(name, full_name or name, role, getpass.getuser(), days)))


@users.command("reset")
@everywhere
@click.argument("name")
@click.pass_obj
def users_reset(state: State, name: str) -> None:
    """Print a one-time password for account NAME; the old one is good for nothing then, and open sessions end."""
    _one_time(state, Control(state.run_dir).reset_password(ResetPasswordRequest(name, getpass.getuser())))


@users.command("disable")
@everywhere
@click.argument("name")
@click.pass_obj
def users_disable(state: State, name: str) -> None:
    """Let account NAME log in no more; open sessions end."""
    _change(state, ChangePersonRequest(name, getpass.getuser(), enabled=False))


@users.command("enable")
@everywhere
@click.argument("name")
@click.option("--days", type=_DAYS, help="The account ends after so many days (vendor: at most 14).")
@click.pass_obj
def users_enable(state: State, name: str, days: int | None) -> None:
    """Let account NAME log in again."""
    _change(state, ChangePersonRequest(name, getpass.getuser(), enabled=True, days=days))


@users.command("role")
@everywhere
@click.argument("name")
@click.argument("role", type=_ROLE)
@click.option("--days", type=_DAYS, help="The account ends after so many days (vendor: at most 14).")
@click.pass_obj
def users_role(state: State, name: str, role: str, days: int | None) -> None:
    """Let account NAME be a viewer, technician, administrator or vendor."""
    _change(state, ChangePersonRequest(name, getpass.getuser(), role=role, days=days))


def _one_time(state: State, reply: OneTimeReply) -> None:
    if state.as_json:
        print_json(reply)
    else:
        click.echo(f"{reply.name} logs in with {reply.password}, within seven days, and chooses another password.")


def _change(state: State, request: ChangePersonRequest) -> None:
    row: PersonRow = Control(state.run_dir).change_person(request).row
    if state.as_json:
        print_json(row)
    else:
        until = f", until {row.expires}" if row.expires else ""
        click.echo(f"{row.name} is {row.role}{until}, {'enabled' if row.enabled else 'disabled'}")
