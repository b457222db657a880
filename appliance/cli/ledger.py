"""The verb about the ledger: ledger rebuild."""

from __future__ import annotations

import click

from appliance.cli.output import print_json
from appliance.cli.state import State, everywhere
from appliance.manage.rebuilding import request_ledger_rebuild


@click.group()
def ledger() -> None:
    """Look after the ledger, the index of the spool."""


@ledger.command("rebuild")
@everywhere
@click.pass_obj
def ledger_rebuild(state: State) -> None:
    """Make the ledger anew from its newest good snapshot and the spool; reception goes on meanwhile.

    Without a snapshot everything in the store is held, class rebuilt, until somebody releases it. A box that does not run
    does it at its next start.
    """
    running = request_ledger_rebuild(state.data)
    if state.as_json:
        print_json({"requested": True, "running": running})
    elif running:
        click.echo("The ledger is being rebuilt; `dicom-edge status` answers when it is done.")
    else:
        click.echo("The ledger will be rebuilt when the box starts.")
