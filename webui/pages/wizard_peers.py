"""The steps of the first start that are about others: the archive, the first scanner, and the first image between them.

Promises: what was found out by calling the archive is shown before it is saved, and nothing is saved that was not asked for.
Failures: what is wrong with an entry stands at its field.
Limits: one archive and one scanner; `webui.pages.wizard` says under which addresses these are.
"""

from __future__ import annotations

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import field_problems
from appliance.config.load import ConfigInvalidError
from appliance.runtime.asking import RequestRefusedError
from webui import first_start
from webui.access import requires
from webui.destination_edits import proposal_of, values_in
from webui.first_image import FirstImage, callers_to_accept, dicom_port, first_image
from webui.first_start import Progress, step_page
from webui.forms.wizard import ArchiveForm, ScannerForm, place_problems
from webui.pages.doctor import begin_test, how_far
from webui.services import services


@requires(Permission.SET_UP)
def archive() -> str | Response:
    """Ask where the archive is, go there as an image would, and save it."""
    progress, site = Progress(), services().changes.current().site
    there = progress.archive()
    if request.form.get("action") == "later":
        progress.remember("archive")
        return redirect(url_for("wizard.scanner"), 303)
    ticket = request.args.get("ticket", "")
    tested = how_far(ticket)
    form = ArchiveForm(data=first_start.archive_fields(there, progress) | (values_in(tested.proposal) if tested else {}))
    elsewhere: list[str] = []
    if form.validate_on_submit():
        values = first_start.archive_values(form, there)
        edit = first_start.archive_edit(site, values, is_there=there is not None)
        where = f"{values['ae_title']} {values['host']}:{values['port']}"
        try:
            if request.form.get("action") == "test":
                services().changes.propose(edit)
                ticket = begin_test(str(values["name"]), proposal=proposal_of(values))
                return redirect(url_for("wizard.archive", ticket=ticket), 303)
            first_start.write(edit, "destination.changed" if there else "destination.added", str(values["name"]), after=where)
        except ConfigInvalidError as error:
            elsewhere = place_problems(form, field_problems(error, "destination", str(values["name"])))
        except RequestRefusedError as error:
            elsewhere = [f"{str(error)[:1].upper()}{str(error)[1:]}. {error.advice}"]
        else:
            progress.remember("archive", name=str(values["name"]))
            return redirect(url_for("wizard.scanner"), 303)
    return step_page("archive", form=form, elsewhere=elsewhere, there=there, tested=tested, ticket=ticket)


@requires(Permission.SET_UP)
def scanner() -> str | Response:
    """Ask three questions about the first scanner; one that has called already is offered."""
    progress, site = Progress(), services().changes.current().site
    form = ScannerForm()
    elsewhere: list[str] = []
    if request.form.get("action") == "later":
        progress.remember("scanner")
        return redirect(url_for("wizard.image"), 303)
    if form.validate_on_submit():
        title = (form.ae_title.data or "").strip()
        values = {"name": title, "ae_title": title, "address": (form.address.data or "").strip(), "modality": form.modality.data}
        try:
            first_start.write(first_start.scanner_edit(values), "source.added", title, after=values["address"] or "")
        except ConfigInvalidError as error:
            elsewhere = place_problems(form, field_problems(error, "source", title), {"name": "ae_title"})
        else:
            progress.remember("scanner", name=title)
            return redirect(url_for("wizard.image"), 303)
    return step_page("scanner", form=form, elsewhere=elsewhere, site=site, callers=callers_to_accept(site), port=dicom_port(site))


@requires(Permission.SET_UP)
def callers() -> str:
    """Show who called meanwhile."""
    return render_template("wizard/_callers.html", callers=callers_to_accept(services().changes.current().site))


@requires(Permission.SET_UP)
def accept() -> Response:
    """Take a device that called, as it called, for the first scanner."""
    site = services().changes.current().site
    wanted = (request.form.get("calling", ""), request.form.get("address", ""))
    for knock in callers_to_accept(site):
        if (knock.call.calling, knock.call.address) == wanted and knock.acceptance is not None:
            name = str(knock.acceptance.values["name"])
            edit = first_start.scanner_edit(knock.acceptance.values, answer_to=knock.acceptance.answer_to)
            first_start.write(edit, "source.added", name, after=knock.call.address)
            Progress().remember("scanner", name=name)
            return redirect(url_for("wizard.image"), 303)
    flash(_("This device is not waiting any more."), "info")
    return redirect(url_for("wizard.scanner"), 303)


@requires(Permission.SET_UP)
def image() -> str | Response:
    """Wait for the first image, and send a test image where somebody wants that."""
    progress = Progress()
    archive = progress.archive()
    if request.form.get("action") == "send" and archive is not None:
        return redirect(url_for("wizard.image", ticket=begin_test(archive.name, send=True)), 303)
    if request.method == "POST":
        progress.remember("image")
        return redirect(url_for("wizard.done"), 303)
    ticket = request.args.get("ticket", "")
    return step_page(
        "image",
        archive=archive,
        seen=_seen(progress),
        scanner=progress.values("scanner").get("name", ""),
        tested=how_far(ticket),
        ticket=ticket,
    )


@requires(Permission.SET_UP)
def image_live() -> Response:
    """Say how far the first image is."""
    progress = Progress()
    seen = _seen(progress)
    text = render_template("wizard/_image.html", seen=seen, scanner=progress.values("scanner").get("name", ""))
    answer = current_app.make_response(text)
    if seen is not None and seen.is_there:
        answer.headers["X-Done"] = "1"
    return answer


def _seen(progress: Progress) -> FirstImage | None:
    """Return how far the scanner's first image is, None before it came."""
    site = services().changes.current().site
    wanted = progress.values("scanner").get("name", "")
    source = next((entry for entry in site.sources if entry.name == wanted), site.sources[-1] if site.sources else None)
    return first_image(source) if source is not None else None
