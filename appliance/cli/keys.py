"""The verbs about keys: keys show, keys rotate, keys recipient. Only public halves are ever shown."""

from __future__ import annotations

import click

from appliance.cli.output import print_json
from appliance.cli.state import State, everywhere
from appliance.keys.generations import active_recipients, recovery, set_recovery
from appliance.keys.recipient import encode_recipient
from appliance.manage.control import Control


@click.group()
def keys() -> None:
    """Look at the keys with which the box seals what it receives."""


@keys.command("show")
@everywhere
@click.pass_obj
def keys_show(state: State) -> None:
    """Show the public key that objects are sealed to, its generation, and the hospital's recovery key."""
    active = active_recipients(state.data)
    recipient = encode_recipient(active.box)
    escrow = recovery(state.data)
    if state.as_json:
        print_json({"generation": active.generation, "recipient": recipient, "recovery": escrow})
        return
    click.echo(f"generation  {active.generation}")
    click.echo(f"recipient   {recipient}")
    click.echo(f"recovery    {escrow or 'not set: if this box dies, its key dies with it; set one with `dicom-edge keys recipient`'}")


@keys.command("rotate")
@everywhere
@click.pass_obj
def keys_rotate(state: State) -> None:
    """Make a new key pair; what is received from now on is sealed to it. What was sealed before still opens."""
    done = Control(state.run_dir).rotate_keys()
    if state.as_json:
        print_json(done)
    else:
        click.echo(f"generation {done.generation} (before: {done.before})  {done.recipient}")


@keys.command("recipient")
@everywhere
@click.argument("recipient")
@click.pass_obj
def keys_recipient(state: State, recipient: str) -> None:
    """Seal everything from now on to the hospital's recovery key RECIPIENT (age1…) too; `age-keygen` makes such a key."""
    set_recovery(state.data, recipient)
    if state.as_json:
        print_json({"recovery": recipient})
    else:
        click.echo("Objects received from now on can also be opened with the recovery key.")
