"""The verbs that start things: run (the whole box in one terminal) and serve (one daemon).

Limits: a daemon imports only what it needs, so what `run` needs is imported by `run` alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.state import State, everywhere
from appliance.daemons import DAEMONS, serve_daemon

_LEVEL = click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)


@click.command()
@everywhere
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Use this configuration instead of site.toml in the data directory."
)
@click.option("--demo", is_flag=True, help="Add a demo archive, and accept what this machine sends.")
@_LEVEL
@click.pass_obj
def run(state: State, config_file: Path | None, log_level: str, *, demo: bool) -> None:
    """Run the box in this terminal until Ctrl-C or SIGTERM. Prints a line beginning READY when everything listens."""
    from appliance.box import run_box

    sys.exit(run_box(state.data, config_file=config_file, demo=demo, log_level=log_level))


@click.command()
@everywhere
@click.argument("name", type=click.Choice(sorted(DAEMONS)))
@click.option("--instance", type=click.IntRange(0, 63), default=0, help="Which worker, where there are several.")
@_LEVEL
@click.pass_obj
def serve(state: State, name: str, instance: int, log_level: str) -> None:
    """Run one daemon of the box; `run` and the installed units start them this way."""
    sys.exit(serve_daemon(name, state.data, instance=instance, log_level=log_level))
