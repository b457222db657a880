"""The verbs that ask the running box: status, studies, destinations, sources."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime

import click

from appliance.cli.output import age, print_json, print_json_rows, print_table, size
from appliance.cli.state import State, everywhere, limited
from appliance.manage.control import Control
from appliance.runtime.questions import DestinationTestReply, SourceTestReply
from appliance.runtime.requests import DestinationReply, PauseRequest, StudiesRequest


@click.command()
@everywhere
@click.pass_obj
def status(state: State) -> None:
    """Show how the box is: what it owes, what it holds, and how each destination is."""
    reply = Control(state.run_dir).status()
    if state.as_json:
        print_json(reply)
        return
    counts = reply.deliveries
    click.echo(f"{reply.box}  dicom-edge {reply.version}  configuration {reply.generation}  {'ready' if reply.ready else 'NOT READY'}")
    owed = counts["queued"] + counts["sending"] + counts["deferred"]
    oldest = f", oldest {age(reply.oldest_undelivered_s)}" if reply.oldest_undelivered_s is not None else ""
    click.echo(f"owed {owed}{oldest}   held {counts['held']}   delivered {counts['delivered'] + counts['proved']}")
    click.echo("instances  " + "  ".join(f"{name} {count}" for name, count in reply.instances.items()))
    click.echo(f"spool {size(reply.spool.bytes)}, free {size(reply.spool.free_bytes)}")
    for finding in reply.findings:
        click.echo(f"{finding.severity}: {finding.text} {finding.advice}")
    _print_destinations(reply.destinations)


@click.command()
@everywhere
@limited
@click.option("--after", help="Rows after this Study Instance UID.")
@click.option("--accession", help="Only this accession number.")
@click.option("--modality", help="Only studies with this modality.")
@click.option("--since", help="Only from this day on, as 2026-01-31.")
@click.option("--until", help="Only up to this day, itself included.")
@click.pass_obj
def studies(state: State, /, limit: int, after: str | None, **wanted: str | None) -> None:
    """List studies, newest first, with how far each is."""
    request = StudiesRequest(limit, after, wanted["accession"], wanted["modality"], wanted["since"], wanted["until"])
    rows = Control(state.run_dir).studies(request).rows
    if state.as_json:
        print_json_rows(rows)
        return
    print_table(
        ("received", "study", "accession", "modality", "instances", "complete", "delivered", "destinations"),
        (
            (
                row.received,
                row.study_instance_uid,
                row.accession_number,
                row.modality,
                row.instances,
                "yes" if row.complete else "not yet",
                row.delivered,
                ", ".join(f"{name}: {_counts(counts)}" for name, counts in row.destinations.items()),
            )
            for row in rows
        ),
        empty="No study yet.",
    )


def _counts(counts: dict[str, int]) -> str:
    return " ".join(f"{count} {state}" for state, count in counts.items())


@click.group(invoke_without_command=True)
@everywhere
@click.pass_obj
def destinations(state: State) -> None:
    """List the destinations and how each is."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    rows = Control(state.run_dir).destinations().destinations
    if state.as_json:
        print_json_rows(rows)
        return
    _print_destinations(rows)


def _print_destinations(rows: tuple[DestinationReply, ...]) -> None:
    print_table(
        ("destination", "address", "state", "waiting", "oldest", "held", "unproved", "last success", "reason"),
        (
            (
                row.name,
                row.address,
                row.state,
                row.queued,
                age(row.oldest_s),
                row.held,
                row.unproved,
                row.last_success or "never",
                row.reason,
            )
            for row in rows
        ),
        empty="No destination is configured.",
    )


@destinations.command("test")
@everywhere
@click.argument("name")
@click.option("--send", is_flag=True, help="Send a test image of no patient too, and see whether it is proved (DICOM and STOW-RS only).")
@click.pass_obj
def destinations_test(state: State, name: str, *, send: bool) -> None:
    """Call destination NAME step by step and say where it fails and what to try. Exit code 1 when it does."""
    _show(state, Control(state.run_dir).test_destination(name, send=send))


@destinations.command("pause")
@everywhere
@click.argument("name")
@click.option("--until", type=click.DateTime(), help="Up to this moment (UTC), as 2026-01-31T08:00:00; default: until it is resumed.")
@click.option("--reason", default="", help="Why, for the record.")
@click.pass_obj
def destinations_pause(state: State, name: str, until: datetime | None, reason: str) -> None:
    """Send nothing more to destination NAME. What is being sent is finished; everything else waits."""
    end = None if until is None else until.replace(tzinfo=UTC).timestamp()
    _pause(state, PauseRequest(name, getpass.getuser(), reason, end), f"{name} is paused")


@destinations.command("resume")
@everywhere
@click.argument("name")
@click.pass_obj
def destinations_resume(state: State, name: str) -> None:
    """Send to destination NAME again."""
    _pause(state, PauseRequest(name, getpass.getuser(), resume=True), f"{name} is resumed")


def _pause(state: State, request: PauseRequest, done: str) -> None:
    reply = Control(state.run_dir).pause(request)
    if state.as_json:
        print_json(reply)
    else:
        click.echo(done if reply.changed else f"{request.destination} was not paused")


@click.group()
def sources() -> None:
    """Ask about those who send to the box."""


@sources.command("test")
@everywhere
@click.argument("name")
@click.pass_obj
def sources_test(state: State, name: str) -> None:
    """Say when source NAME called last, what it was answered and why, and whether it can be called back. Exit code 1 where it is unwell."""
    _show(state, Control(state.run_dir).test_source(name))


def _show(state: State, reply: DestinationTestReply | SourceTestReply) -> None:
    """Show what a doctor found, and exit with 1 where something is wrong."""
    if state.as_json:
        print_json(reply)
    else:
        for step in reply.steps:
            click.echo(f"{'ok    ' if step.ok else 'FAILED'}  {step.phase:12} {step.detail}{f'  ({step.ms:.0f} ms)' if step.ok else ''}")
            if step.advice:
                click.echo(f"        {step.advice}")
    if not reply.ok:
        sys.exit(1)
