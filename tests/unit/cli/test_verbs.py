"""Every verb is documented, has a man page, and takes the options that all of them take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from appliance.cli import VERBS, dicom_edge

ROOT = Path(__file__).parents[3]


def _leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    own = [(path, command)] if command.invoke_without_command else []
    return own + [leaf for name, child in command.commands.items() for leaf in _leaves(child, (*path, name))]


def _verbs() -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(dicom_edge)
    found = []
    for name in VERBS:
        command = dicom_edge.get_command(context, name)
        assert command is not None
        found += _leaves(command, (name,))
    return found


@pytest.mark.parametrize(("path", "command"), _verbs(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_verb_is_documented_and_takes_data_and_json(path: tuple[str, ...], command: click.Command) -> None:
    """docs/commands.md names it, its help says what it does, and `--data` and `--json` may follow it."""
    documented = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").replace("queue retry \\| hold \\| release \\| cancel", "")
    order = path[0] == "queue" and path[-1] in {"retry", "hold", "release", "cancel"}
    options = {option for parameter in command.params for option in parameter.opts}

    assert order or f"`{' '.join(path)}" in documented
    assert command.help
    assert {"--data", "--json"} <= options


def test_the_man_pages_cover_every_verb(tmp_path: Path) -> None:
    """`make man` writes one for each."""
    subprocess.run([sys.executable, "docs/man.py", str(tmp_path)], cwd=ROOT, check=True)

    pages = {page.stem for page in tmp_path.iterdir()}

    assert {"-".join(("dicom-edge", *path)) for path, _ in _verbs()} <= pages
