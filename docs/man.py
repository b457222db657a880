"""Write the man pages from the command line itself: `python docs/man.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click_man.core import write_man_pages

from appliance import __version__
from appliance.cli import dicom_edge


def main(folder: Path) -> None:
    """Write a page for the program and one for each of its verbs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    context = click.Context(dicom_edge)
    # Verbs are imported when they are used; the generator wants them all at once.
    for name in dicom_edge.list_commands(context):
        command = dicom_edge.get_command(context, name)
        if command is not None:
            dicom_edge.commands[name] = command
    write_man_pages("dicom-edge", dicom_edge, version=__version__, target_dir=str(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
