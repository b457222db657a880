"""The first start: its steps, how far it is, and what each writes into the configuration.

Promises: how far it is outlives the browser and a restart of the box; a step that is done again changes what it wrote instead of writing
it twice; everything it writes goes through `SiteChanges` and is written down under the person's name.
Failures: `ConfigInvalidError` for the forms to show; `SiteStaleError` where somebody else changed the configuration meanwhile.
Limits: one scanner and one archive; more of them have pages of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import render_template
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from appliance.config.destinations import DicomDestination
from appliance.config.edits import Edit, add_table, change_table, remove_table, set_values, together
from appliance.config.model import Site
from webui.access import person
from webui.forms.wizard import ArchiveForm
from webui.services import services

# Written into the history of the configuration, where administrators of every language read it.
_REASON = "first start"
# What the archive is called in the box; whoever has two names them on their page.
_ARCHIVE = "archive"


@dataclass(frozen=True)
class Step:
    """One page of the first start; `key` is its name in the address."""

    key: str
    label: LazyString


STEPS = (
    Step("code", _("Set-up code")),
    Step("administrator", _("Administrator")),
    Step("box", _("This box")),
    Step("time", _("Time")),
    Step("archive", _("Archive")),
    Step("scanner", _("First scanner")),
    Step("image", _("Test image")),
    Step("done", _("Ready")),
)
FINISHED = "finished"
"""What is remembered when the first start is over, however far it came."""
# What is done before anybody has an account, and never again.
BEFORE_ACCOUNTS = ("code", "administrator")


class Progress:
    """How far the first start is, as the accounts remember it."""

    def __init__(self) -> None:
        """Read what is remembered."""
        self._kept: Mapping[str, Mapping[str, str]] = services().accounts.wizard()

    def values(self, step: str) -> Mapping[str, str]:
        """Return what was entered in a step; empty for one that is not done."""
        return self._kept.get(step, {})

    def is_done(self, step: str) -> bool:
        """Say whether a step has been done."""
        return step in BEFORE_ACCOUNTS or step in self._kept

    @property
    def is_under_way(self) -> bool:
        """Say whether a first start was begun here and not finished."""
        return bool(self._kept) and FINISHED not in self._kept

    def next_step(self) -> str:
        """Return the first step that is not done."""
        return next((step.key for step in STEPS if not self.is_done(step.key)), "done")

    def remember(self, step: str, **values: str) -> None:
        """Note that a step is done, and what was entered."""
        services().accounts.remember_wizard(step, values)
        self._kept = {**self._kept, step: values}

    def archive(self) -> DicomDestination | None:
        """Return the archive as it is configured: the one this first start wrote, else the first there is."""
        found = [entry for entry in services().changes.current().site.destinations if isinstance(entry, DicomDestination)]
        wanted = self.values("archive").get("name")
        return next((entry for entry in found if entry.name == wanted), found[0] if found else None)


def sentences(site: Site, archive: DicomDestination | None) -> tuple[list[str], list[str]]:
    """Return what is set up, and what is not yet, as sentences."""
    titles = " / ".join(str(title) for title in site.local_titles)
    has = [gettext("This box is called %(name)s and answers to the title %(titles)s.", name=site.box.name, titles=titles)]
    lacks = []
    if archive is not None:
        where = f"{archive.host}:{archive.port}"
        has.append(gettext("Images go to the archive %(title)s at %(where)s.", title=archive.ae_title, where=where))
    elif site.destinations:
        has.append(gettext("Images go to %(names)s.", names=", ".join(entry.name for entry in site.destinations)))
    else:
        lacks.append(gettext("There is no archive yet: images are received and kept here."))
    if site.destinations and not site.routes:
        lacks.append(gettext("No route leads to the archive yet."))
    if site.sources:
        names = ", ".join(source.name for source in site.sources)
        count = len(site.sources)
        has.append(ngettext("%(num)s scanner may send: %(names)s.", "%(num)s scanners may send: %(names)s.", count, names=names))
    else:
        lacks.append(gettext("No scanner is listed yet: whoever calls is refused, and shown under Scanners."))
    return has, lacks


def step_page(step: str, **values: object) -> str:
    """Return the page of a step."""
    progress = None if step in BEFORE_ACCOUNTS else Progress()
    return render_template(f"wizard/{step}.html", steps=STEPS, here=step, progress=progress, **values)


def write(edit: Edit, action: str, thing: str, *, after: str = "") -> None:
    """Put an edit in force, and write down who did it."""
    changes = services().changes
    changes.apply(edit, expected=changes.current().generation, by=person().name, reason=_REASON)
    services().accounts.changed(person(), action, thing, after=after, reason=_REASON)


def box_edit(site: Site, *, name: str, ae_title: str, timezone: str, drop_in: str, drop_in_before: str) -> Edit:
    """Return the edit that says who the box is; `drop_in` is the archive's title that it answers to besides, "" for none."""
    edits = [set_values("box", {"name": name, "ae_title": ae_title, "timezone": timezone})]
    known = {local.ae_title.key for local in site.local_ae}
    wanted, before = drop_in.strip(), drop_in_before.strip()
    if before and before.upper() != wanted.upper() and _key(before) in known:
        edits.append(remove_table("local_ae", before))
    if wanted and _key(wanted) not in known and wanted.upper() != ae_title.strip().upper():
        edits.append(add_table("local_ae", {"ae_title": wanted}))
    return together(*edits)


def archive_fields(there: DicomDestination | None, progress: Progress) -> dict[str, object]:
    """Return what the form about the archive shows: what is configured, else the title that the box answers to in its place."""
    if there is None:
        return {"ae_title": progress.values("box").get("drop_in", ""), "calling_ae": "source", "proof": "commitment"}
    return {
        "ae_title": str(there.ae_title),
        "host": there.host,
        "port": there.port,
        "calling_ae": str(there.calling_ae),
        "proof": there.proof,
    }


def archive_values(form: ArchiveForm, there: DicomDestination | None) -> dict[str, object]:
    """Return what the form about the archive says, under the keys of the file."""
    return {
        "name": there.name if there is not None else _ARCHIVE,
        "ae_title": (form.ae_title.data or "").strip(),
        "host": (form.host.data or "").strip(),
        "port": form.port.data,
        "calling_ae": form.calling_ae.data,
        "proof": form.proof.data,
    }


def archive_edit(site: Site, values: Mapping[str, object], *, is_there: bool) -> Edit:
    """Return the edit that writes the archive, and a route of everything to it where there is no route yet."""
    name = str(values["name"])
    if is_there:
        return change_table("destination", name, values)
    edits = [add_table("destination", values)]
    if not site.routes:
        edits.append(add_table("route", {"name": f"everything to the {name}", "to": [name]}))
    return together(*edits)


def scanner_edit(values: Mapping[str, object], *, answer_to: str = "") -> Edit:
    """Return the edit that writes a scanner, and the title that it calls the box by where that is another (`answer_to`)."""
    edits = [add_table("source", {key: value for key, value in values.items() if value})]
    if answer_to:
        edits.append(add_table("local_ae", {"ae_title": answer_to}))
    return together(*edits)


def _key(title: str) -> str:
    return title.strip().upper()
