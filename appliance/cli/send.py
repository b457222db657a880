"""The verb that sends files to the box, as a scanner would."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.output import print_json_rows
from appliance.cli.state import State, everywhere
from appliance.manage.send import send_files


@click.command()
@everywhere
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--calling", default="DICOM-EDGE", show_default=True, help="Call as this AE title; the box must know it as a source.")
@click.option("--called", help="The title to call (default: the box's own).")
@click.pass_obj
def send(state: State, files: tuple[Path, ...], calling: str, called: str | None) -> None:
    """Send FILES (DICOM) to the running box as a scanner would, and say what it answered for each."""
    sent = send_files(state.data, files, calling=calling, called=called)
    if state.as_json:
        print_json_rows(sent)
    else:
        for one in sent:
            click.echo(f"{one.file}: {'stored' if one.ok else 'NOT stored'}{': ' + one.detail if one.detail else ''}")
    if not all(one.ok for one in sent):
        sys.exit(1)
