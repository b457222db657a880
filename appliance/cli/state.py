"""What every verb knows: the data directory and whether to answer in JSON, taken before or after the verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Verb = TypeVar("Verb", bound=Callable[..., Any])


limited = click.option("--limit", type=click.IntRange(1, 10000), default=100, show_default=True, help="Rows at most.")
"""Lets a list take `--limit`."""


@dataclass(slots=True)
class State:
    """The options that hold for the whole command."""

    data: Path
    as_json: bool

    @property
    def run_dir(self) -> Path:
        """Where the daemons' sockets are."""
        return self.data / "run"


def _keep_data(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().obj.data = value


def _keep_json(context: click.Context, _parameter: click.Parameter, value: object) -> None:
    if value:
        context.find_root().obj.as_json = True


def everywhere(verb: Verb) -> Verb:
    """Let a verb take `--data` and `--json` after its name too, where people type them."""
    verb = click.option(
        "--data",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_keep_data,
        help="The data directory (default: $DICOM_EDGE_DATA, then ./var).",
    )(verb)
    return click.option("--json", is_flag=True, expose_value=False, callback=_keep_json, help="Answer in JSON.")(verb)
