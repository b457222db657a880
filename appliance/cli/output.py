"""How answers look: JSON for programs, tables for people, one line for what went wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence

import click
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from appliance.core.errors import ApplianceError

# Wide enough that a Study Instance UID of 64 characters and its columns are not cut where output goes to a pipe.
_PIPE_WIDTH = 200

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def print_json(value: object) -> None:
    """Print a reply (a dataclass, or what JSON knows) as one indented document."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    click.echo(json.dumps(plain, indent=2, default=str))


def print_json_rows(rows: Iterable[object]) -> None:
    """Print dataclasses as one JSON list."""
    print_json([dataclasses.asdict(row) for row in rows])  # type: ignore[call-overload]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns, or `empty` where there are none. Cell text is shown as it is, never as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    if not table.row_count:
        click.echo(empty)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    console.print(table)


def complain(error: ApplianceError) -> None:
    """Say on standard error, in one line, what went wrong and what to do next."""
    advice = f" {error.advice}" if error.advice else ""
    message = str(error).rstrip(".")
    click.echo(f"dicom-edge: {message}.{advice}", err=True)


def size(count: float) -> str:
    """Return a count of bytes as a person reads it."""
    for unit in _SIZES:
        if count < _STEP or unit == _SIZES[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    raise AssertionError


def age(seconds: float | None) -> str:
    """Return a duration as a person reads it; empty where there is none."""
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        return f"{seconds / _HOUR_S:.1f} h"
    return f"{seconds / _DAY_S:.1f} days"


class Bar:
    """How far long work is, shown on a terminal and quiet in a pipe."""

    def __init__(self, shown: Progress | None, what: str) -> None:
        """Show `what` in `shown`, or nothing."""
        self._shown = shown
        self._task = shown.add_task(what, total=None) if shown is not None else TaskID(0)

    def at(self, done: int, total: int) -> None:
        """Say how far it is."""
        if self._shown is not None:
            self._shown.update(self._task, completed=done, total=max(done, total))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Bar]:
    """Show a bar on standard error while the block runs, if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar(None, what)
        return
    with Progress(console=console, transient=True) as shown:
        yield Bar(shown, what)
