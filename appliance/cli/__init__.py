"""The command line: one file a group of verbs, every verb with `--json`, exit codes 0 done, 1 failed, 2 wrong usage, 3 not running.

Promises: what goes wrong is one line on standard error, with what to do next; results go to standard output. A verb's
module is imported when it is used, so that asking is quick and a daemon holds only its own code.
Failures: none escape; an `ApplianceError` becomes its line and its exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from appliance import __version__
from appliance.cli.state import State
from appliance.core.errors import ApplianceError

DATA_VARIABLE = "DICOM_EDGE_DATA"

# Verb: the module under appliance.cli that has it under the same name.
VERBS = {
    "config": "configuration",
    "destinations": "ask",
    "keys": "keys",
    "ledger": "ledger",
    "queue": "queue",
    "route": "route",
    "run": "run",
    "send": "send",
    "sources": "ask",
    "serve": "run",
    "spool": "spool",
    "status": "ask",
    "studies": "ask",
    "tls": "tls",
    "users": "users",
}
# These only ask the running box, in whose log it stands: what writes a log takes longer to load than the answer takes to come.
ASKING = frozenset({"destinations", "queue", "sources", "status", "studies", "users"})


class _Verbs(click.Group):
    """The verbs, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, for help and completion."""
        return sorted([*VERBS, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb of a name."""
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(f"appliance.cli.{VERBS[cmd_name]}"), cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that is about to run, and see that what it logs here stands on standard error."""
        resolved = super().resolve_command(ctx, args)
        if resolved[0] not in ASKING:
            from appliance.runtime import logging

            # `run` and `serve` set their own level.
            logging.configure("cli", level="warning")
        return resolved


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--data", type=click.Path(path_type=Path), help=f"The data directory (default: ${DATA_VARIABLE}, then ./var).")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.version_option(__version__, prog_name="dicom-edge")
@click.pass_context
def dicom_edge(context: click.Context, data: Path | None, *, as_json: bool) -> None:
    """A DICOM store-and-forward box: durable and encrypted before it says Success, owed until delivered."""
    context.obj = State(data or Path(os.environ.get(DATA_VARIABLE) or "var"), as_json=as_json)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        code = dicom_edge.main(prog_name="dicom-edge", standalone_mode=False)
    except ApplianceError as error:
        from appliance.cli.output import complain

        complain(error)
        code = error.exit_code
    except click.exceptions.Abort:
        code = 1
    except click.ClickException as error:
        error.show()
        code = 2
    except BrokenPipeError:
        # The reader of a pipe went away (`dicom-edge studies | head`): no error, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
