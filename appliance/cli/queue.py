"""The verbs about what is owed: queue list, show, retry, hold, release, cancel, resend."""

from __future__ import annotations

import getpass
from collections.abc import Callable

import click

from appliance.cli.output import print_json, print_json_rows, print_table
from appliance.cli.state import State, everywhere, limited
from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.vocabulary import UNFINISHED, DeliveryState, HoldClass
from appliance.manage.control import Control
from appliance.runtime.page_requests import ResendRequest
from appliance.runtime.requests import OrderRequest


class NothingOwedError(ApplianceError):
    """Of the study, or of the deliveries, that were named nothing is owed."""

    fault = Fault.OPERATOR
    advice = "Give the whole Study Instance UID, or numbers from `dicom-edge queue list`."


@click.group()
def queue() -> None:
    """Look at what is owed."""


@queue.command("list")
@everywhere
@click.option("--destination", help="Only this destination.")
@click.option("--state", "only", type=click.Choice([state.value for state in DeliveryState]), help="Only this state.")
@limited
@click.option("--after", type=click.IntRange(0), default=0, help="Rows after this id.")
@click.pass_obj
def queue_list(state: State, destination: str | None, only: str | None, limit: int, after: int) -> None:
    """List deliveries in id order, delivered ones left out unless asked for with --state."""
    rows = Control(state.run_dir).queue(destination=destination, state=only, limit=limit, after=after).rows
    if state.as_json:
        print_json_rows(rows)
        return
    print_table(
        ("id", "destination", "state", "code", "priority", "tries", "SOP instance", "due", "reason"),
        (
            (
                row.id,
                row.destination,
                f"{row.state} ({row.hold_class})" if row.hold_class else row.state,
                row.code,
                row.priority,
                row.attempts,
                row.sop_instance_uid,
                row.due,
                row.reason,
            )
            for row in rows
        ),
        empty="Nothing waits.",
    )


@queue.command("show")
@everywhere
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.pass_obj
def queue_show(state: State, number: int) -> None:
    """Show one delivery: why it is where it is, since when, what was tried and answered, and what to do."""
    found = Control(state.run_dir).delivery(number)
    if state.as_json:
        print_json(found)
        return
    kept = f" ({found.hold_class}, since {found.held_since or 'not known'})" if found.hold_class else ""
    click.echo(f"{found.id} to {found.destination}: {found.state}{kept}" + (f"  [{found.code}]" if found.code else ""))
    for line in (found.reason, found.advice, f"Tried again at {found.due}." if found.due else ""):
        if line:
            click.echo(f"  {line}")
    if found.waits_for is not None:
        click.echo(f"  It goes after delivery {found.waits_for}, an earlier version of the same instance.")
    click.echo(f"instance {found.sop_instance_uid}, version {found.version}, of study {found.study_instance_uid}")
    click.echo(f"  {found.sop_class}, {found.transfer_syntax}, {found.bytes} bytes, received {found.received} as {found.source}")
    print_table(
        ("at", "outcome", "status", "what the destination said"),
        ((one.at, one.outcome, one.status, one.comment) for one in found.tries),
        empty="Not tried yet." if not found.attempts else f"Tried {found.attempts} times, longer ago than is kept.",
    )


def _selection(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take which deliveries: ids, or conditions that hold together."""
    for option in (
        click.argument("ids", nargs=-1, type=click.IntRange(1)),
        click.option("--study", help="Only of this Study Instance UID."),
        click.option("--destination", help="Only to this destination."),
        click.option("--class", "hold_class", type=click.Choice([one.value for one in HoldClass]), help="Only what is held for this."),
        click.option("--sop-class", help="Only instances of this SOP class (UID)."),
        click.option("--state", "only", type=click.Choice(sorted(state.value for state in UNFINISHED)), help="Only in this state."),
        click.option("--reason", default="", help="Why, for the record."),
    ):
        verb = option(verb)
    return click.pass_obj(everywhere(verb))


def _order(state: State, verb: str, ids: tuple[int, ...], options: dict[str, str | None]) -> None:
    reply = Control(state.run_dir).order(
        OrderRequest(
            verb,
            getpass.getuser(),
            options["reason"] or "",
            ids or None,
            options["study"],
            options["destination"],
            options["hold_class"],
            options["only"],
            options["sop_class"],
        )
    )
    if (ids or options["study"]) and not reply.moved + reply.busy + reply.unchanged:
        # A condition may well be met by nothing; a study or a number that was typed is meant.
        raise NothingOwedError("nothing that is owed meets this")
    if state.as_json:
        print_json(reply)
        return
    click.echo(f"{reply.moved} moved" + (f", {reply.unchanged} were so already or cannot" if reply.unchanged else ""))
    if reply.busy:
        click.echo(f"{reply.busy} are being sent at this moment: ask again when they are done.")


@queue.command("retry")
@_selection
def queue_retry(state: State, ids: tuple[int, ...], **options: str | None) -> None:
    """Try deliveries now that wait for a time or for a change of settings."""
    _order(state, "retry", ids, options)


@queue.command("hold")
@_selection
def queue_hold(state: State, ids: tuple[int, ...], **options: str | None) -> None:
    """Keep deliveries from being sent until somebody releases them."""
    _order(state, "hold", ids, options)


@queue.command("release")
@_selection
def queue_release(state: State, ids: tuple[int, ...], **options: str | None) -> None:
    """Let held deliveries go on, whatever holds them."""
    _order(state, "release", ids, options)


@queue.command("cancel")
@_selection
@click.option("--yes", is_flag=True, help="Do not ask.")
def queue_cancel(state: State, ids: tuple[int, ...], *, yes: bool, **options: str | None) -> None:
    """Owe deliveries no longer. The images stay in the box; nothing brings a cancelled delivery back but a new one."""
    if not yes and not state.as_json:
        click.confirm("The destination will not get these from this box. Cancel them?", abort=True)
    _order(state, "cancel", ids, options)


@queue.command("resend")
@everywhere
@click.argument("study")
@click.option("--to", "destinations", multiple=True, required=True, help="To this destination; may be given several times.")
@click.option("--reason", required=True, help="Why, for the record.")
@click.pass_obj
def queue_resend(state: State, study: str, destinations: tuple[str, ...], reason: str) -> None:
    """Owe STUDY (a Study Instance UID) to destinations again, whatever became of it there before."""
    reply = Control(state.run_dir).resend(ResendRequest(destinations, getpass.getuser(), reason, study))
    if state.as_json:
        print_json(reply)
    else:
        click.echo(f"{reply.made} to be sent again" + (f", {reply.unchanged} are owed there already" if reply.unchanged else ""))
