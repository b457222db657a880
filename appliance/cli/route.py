"""The verbs about routes: route explain, route replay."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.cli.output import print_json, print_table
from appliance.cli.state import State, everywhere
from appliance.manage.control import Control
from appliance.runtime.requests import ReplayRequest


@click.group()
def route() -> None:
    """Ask what routes do."""


@route.command("explain")
@everywhere
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--calling", required=True, help="The AE title the scanner would call as.")
@click.option("--called", help="The title it would call (default: the box's own).")
@click.option("--address", default="127.0.0.1", show_default=True, help="The address it would call from.")
@click.pass_obj
def route_explain(state: State, file: Path, calling: str, called: str | None, address: str) -> None:
    """Say what would become of FILE: who would be asked, which routes apply and why, where it would go. Nothing is sent."""
    from appliance.config.load import load_active
    from appliance.core.identity import AETitle
    from appliance.manage.explain import Caller, explain_file, known_acceptance, why

    site = load_active(state.data)
    caller = Caller(AETitle.parse(calling), AETitle.parse(called) if called else site.box.ae_title, address)
    explanation = explain_file(file, caller, site, known_acceptance(state.run_dir))
    if state.as_json:
        print_json(asdict(explanation) | {"is_unrouted": explanation.is_unrouted})
    else:
        click.echo(f"{explanation.sop_class}, {explanation.transfer_syntax}, modality {explanation.modality or 'not said'}")
        click.echo(f"from {explanation.source or 'a caller that is not listed'} to {explanation.local_title or explanation.called_title}")
        if explanation.refusal:
            click.echo(f"It would be refused: {explanation.refusal}.")
        print_table(
            ("route", "applies", "because"),
            ((one.name, "yes" if one.applies else "no", why(one)) for one in explanation.routes),
            empty="There are no routes.",
        )
        print_table(
            ("destination", "priority", "by", "calling as", "takes it", "sent"),
            (
                (
                    *(one.destination, one.priority, ", ".join(one.routes), one.calling_title, one.takes),
                    "when the study is complete" if one.awaits_study else "at once",
                )
                for one in explanation.deliveries
            ),
            empty="It would be delivered nowhere.",
        )
        for one in explanation.withheld:
            click.echo(f"It would not be sent to {one.destination}: {one.reason}.")
    if explanation.refusal:
        sys.exit(1)


@route.command("replay")
@everywhere
@click.option("--since", required=True, type=click.DateTime(), help="From this moment on (UTC), as 2026-01-31T08:00:00.")
@click.option("--until", type=click.DateTime(), help="Up to this moment (UTC; default: now).")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.pass_obj
def route_replay(state: State, since: datetime, until: datetime | None, *, dry_run: bool) -> None:
    """Ask the routes of today about instances that were received before, and owe what is missing."""
    end = datetime.now(UTC) if until is None else until.replace(tzinfo=UTC)
    reply = Control(state.run_dir).replay(ReplayRequest(since.replace(tzinfo=UTC).timestamp(), end.timestamp(), dry_run))
    if state.as_json:
        print_json(reply)
    else:
        click.echo(f"{reply.instances} instances, {reply.deliveries} deliveries {'would be ' if dry_run else ''}added")
