"""The verbs about sealed objects: spool verify, spool export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from appliance.cli.output import print_json, print_json_rows, print_table, progress
from appliance.cli.state import State, everywhere
from appliance.manage.control import Control
from appliance.runtime.requests import ExportItem, ExportRow, VerifyReply, VerifyRequest, VerifyRow

# Objects an export request carries: few enough that a request is answered in seconds and a bar moves.
_BATCH = 20


@click.group()
def spool() -> None:
    """Look after the sealed objects."""


@spool.command("verify")
@everywhere
@click.option("--subset", default="1/1", show_default=True, help="Only part n of t, for example 3/7; n = 1 to t covers everything.")
@click.option("--quarantine", is_flag=True, help="Set damaged objects apart.")
@click.pass_obj
def spool_verify(state: State, subset: str, *, quarantine: bool) -> None:
    """Authenticate every sealed object and name what is damaged. Exit code 1 when something is."""
    control = Control(state.run_dir)
    checked = 0
    bad: list[VerifyRow] = []
    with progress("verifying") as bar:
        for page in _pages(control, subset, quarantine=quarantine):
            checked += page.checked
            bad += page.rows
            bar(checked, page.objects)
    if state.as_json:
        print_json({"checked": checked, "ok": not bad, "problems": [asdict(row) for row in bad]})
    else:
        rows = ((row.where, row.condition, row.problem, "quarantined" if row.quarantined else "") for row in bad)
        print_table(("object", "condition", "problem", ""), rows, empty=f"{checked} objects, all sound.")
    if bad:
        sys.exit(1)


def _pages(control: Control, subset: str, *, quarantine: bool) -> Iterator[VerifyReply]:
    after = ""
    while True:
        page = control.verify(VerifyRequest(subset, after, quarantine=quarantine))
        yield page
        if not page.next:
            return
        after = page.next


@spool.command("export")
@everywhere
@click.argument("uid")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder (default: this one).")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.pass_obj
def spool_export(state: State, uid: str, folder: Path, *, overwrite: bool) -> None:
    """Write the SOP instance or study UID as plain DICOM files. They are not encrypted and name the patient."""
    from appliance.opener.jobs import NothingToExportError, Wanted, export_files
    from appliance.spool.names import SpoolName

    control = Control(state.run_dir)
    found = {row.spool_name: row for row in control.objects(uid).rows}
    named = [(row, SpoolName.parse(row.spool_name)) for row in found.values()]
    files = export_files([Wanted(row.sop_instance_uid, row.version, name) for row, name in named if name is not None])  # type: ignore[arg-type]
    if not files:
        raise NothingToExportError("nothing that the box still has carries this UID")
    folder.mkdir(parents=True, exist_ok=True)
    items = [ExportItem(found[str(file.wanted.name)], file.file) for file in files]
    rows: list[ExportRow] = []
    with progress("exporting") as bar:
        for start in range(0, len(items), _BATCH):
            rows += control.export(tuple(items[start : start + _BATCH]), folder, overwrite=overwrite).rows
            bar(len(rows), len(items))
    if state.as_json:
        print_json_rows(rows)
    else:
        print_table(("file", "outcome", "problem"), ((row.file, row.outcome, row.problem) for row in rows), empty="")
    if any(row.problem for row in rows):
        sys.exit(1)
