"""How answers look: JSON for programs, tables for people, one line for what went wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from appliance.core.errors import ApplianceError

# Between columns.
_GAP = "  "
# A terminal may be too small for all columns; a column never gets narrower than this, and lines are then longer than the terminal.
_LEAST_WIDTH = 6

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
    """Print rows under their columns, or `empty` where there are none. On a terminal, cells that do not fit are folded."""
    table = [[_shown(cell) for cell in row] for row in rows]
    if not table:
        click.echo(empty)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *table, strict=True)]
    if sys.stdout.isatty():
        _narrow(widths, shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1))
    _print_row(columns, widths, bold=True)
    for row in table:
        _print_row(row, widths)


def _shown(cell: object) -> str:
    """Return a cell's text on one line; what would command a terminal is shown as a question mark."""
    text = "" if cell is None else str(cell)
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.splitlines()))


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest column until all fit into `room`."""
    while sum(widths) > room and max(widths) > _LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1


def _print_row(cells: Sequence[str], widths: Sequence[int], *, bold: bool = False) -> None:
    folded = [
        [cell[at : at + width] for at in range(0, max(len(cell), 1), max(width, 1))] for cell, width in zip(cells, widths, strict=True)
    ]
    for number in range(max(map(len, folded))):
        parts = (lines[number] if number < len(lines) else "" for lines in folded)
        line = _GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if bold else line)


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


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal; say how far it is by calling what is given: done, total."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    # Only long work has a bar, and rich takes a short command's time to load.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=max(done, total))
