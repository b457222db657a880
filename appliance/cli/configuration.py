"""The verbs about the configuration: config check, show, apply, history, rollback."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.cli.output import print_json, print_json_rows, print_table
from appliance.cli.state import State, everywhere
from appliance.config.check import check
from appliance.config.generations import Applied, Generations
from appliance.config.load import ConfigInvalidError, load_active, read_text, site_path, to_json, to_toml
from appliance.config.problem import Problem
from appliance.manage.configuration import apply_text, roll_back

_REASON = click.option("--reason", default="", help="Why, for the history.")


@click.group()
def config() -> None:
    """Look at the configuration, and change it."""


@config.command("check")
@everywhere
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def config_check(state: State, file: Path | None) -> None:
    """Check FILE (default: site.toml in the data directory) and say where, what and how to mend. Exit code 1 when it cannot be used."""
    path = file or site_path(state.data)
    usable, problems = _checked(path)
    if state.as_json:
        print_json({"ok": usable, "problems": [asdict(problem) for problem in problems]})
    elif problems:
        _print_problems(problems)
    else:
        click.echo(f"{path}: good")
    if not usable:
        sys.exit(1)


def _checked(path: Path) -> tuple[bool, tuple[Problem, ...]]:
    try:
        checked = check(read_text(path), where=path.name)
    except ConfigInvalidError as error:
        return False, error.problems
    return checked.site is not None, checked.problems


@config.command("show")
@everywhere
@click.pass_obj
def config_show(state: State) -> None:
    """Show the configuration in force, with every default filled in."""
    site = load_active(state.data)
    click.echo(to_json(site) if state.as_json else to_toml(site), nl=False)


@config.command("apply")
@everywhere
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_REASON
@click.pass_obj
def config_apply(state: State, file: Path | None, reason: str) -> None:
    """Put FILE (default: site.toml in the data directory) in force as the next generation; a running box takes it at once."""
    path = file or site_path(state.data)
    try:
        applied = apply_text(state.data, read_text(path), by=getpass.getuser(), reason=reason, where=path.name)
    except ConfigInvalidError as error:
        if state.as_json:
            print_json({"ok": False, "problems": [asdict(problem) for problem in error.problems]})
        raise
    _say(state, applied)


@config.command("history")
@everywhere
@click.pass_obj
def config_history(state: State) -> None:
    """List the generations, newest first."""
    rows = Generations(state.data).history()
    if state.as_json:
        print_json_rows(rows)
        return
    print_table(
        ("generation", "state", "activated", "by", "reason"),
        ((row.number, row.state, _when(row.activated_at), row.by, row.reason) for row in rows),
        empty="No configuration was put in force yet.",
    )


@config.command("rollback")
@everywhere
@click.argument("number", type=click.IntRange(1))
@_REASON
@click.pass_obj
def config_rollback(state: State, number: int, reason: str) -> None:
    """Put generation NUMBER in force again, as a new generation."""
    _say(state, roll_back(state.data, number, by=getpass.getuser(), reason=reason or f"back to {number}"))


def _say(state: State, applied: Applied) -> None:
    if state.as_json:
        print_json(
            {
                "ok": True,
                "generation": applied.number,
                "is_new": applied.is_new,
                "changed": [asdict(change) for change in applied.changed],
                "needs_restart": list(applied.needs_restart),
                "removed_destinations": list(applied.removed_destinations),
                "problems": [asdict(problem) for problem in applied.problems],
            }
        )
        return
    if not applied.is_new:
        click.echo(f"Nothing changed: generation {applied.number} stays in force.")
        return
    click.echo(f"Generation {applied.number} is in force.")
    for change in applied.changed:
        click.echo(f"  {change}")
    for destination in applied.removed_destinations:
        click.echo(f"What is owed to {destination} is held until it comes back or somebody cancels it.")
    if applied.needs_restart:
        click.echo("Needs a restart of the box: " + ", ".join(applied.needs_restart))
    if applied.problems:
        _print_problems(applied.problems)


def _print_problems(problems: tuple[Problem, ...]) -> None:
    print_table(
        ("", "where", "problem", "advice"),
        ((problem.severity, problem.where, problem.problem, problem.advice) for problem in problems),
        empty="",
    )


def _when(wall: float | None) -> str:
    return "" if wall is None else datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
