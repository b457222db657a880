"""Studies: finding one, how far it is with each destination, its pictures, and what can be done to it.

Promises: nobody without the right is shown, or can search by, what is of a patient: they see days, modalities, counts and the end of a UID.
Pictures are shown and objects exported only to those who may, and both are in the journal: an export each time, pictures once a session
and study. What moves anything is asked about first, with counts, and written down with its reason.
Failures: those of the daemons; 404 for a study, a series or a destination that is none.
Limits: fifty studies a page; a picture is one frame, small.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from appliance.accounts.roles import Permission
from appliance.runtime.page_requests import (
    PreviewReply,
    PreviewRequest,
    ResendRequest,
    SeriesLine,
    StudyLine,
    StudyReply,
    StudySearchRequest,
)
from appliance.runtime.requests import OrderReply, OrderRequest
from webui import exporting
from webui.access import person, requires, signed_in
from webui.forms.studies import ExportForm, OrderForm, ReasonedOrderForm, ResendForm, SearchForm
from webui.held_words import meaning_of
from webui.journey import headline, progress, progress_of, sentence, steps
from webui.services import services
from webui.study_orders import ORDERS, orders_for
from webui.viewings import Viewings

blueprint = Blueprint("studies", __name__, url_prefix="/studies")

_PAGE_ROWS = 50
_UID = re.compile(r"[0-9.]{1,64}")
_SMALL_EDGE, _LARGE_EDGE = 192, 512
_MOST_FRAMES = 1_000_000
_VIEWINGS = "viewings"


@blueprint.record_once
def _remember_viewings(state: object) -> None:
    state.app.extensions[_VIEWINGS] = Viewings()  # type: ignore[attr-defined]


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> ResponseReturnValue:
    """Show the studies that match, the newest first."""
    may_see_patients = person().may(Permission.SEE_PATIENTS)
    if request.args.get("words", "").strip() and not may_see_patients:
        services().accounts.refused(person(), f"GET {request.endpoint} by words", Permission.SEE_PATIENTS)
        abort(403)
    form = SearchForm(request.args)
    form.offer(destination.name for destination in services().site().destinations)
    if not may_see_patients:
        del form.words
    rows: tuple[StudyLine, ...] = ()
    if form.validate():
        wanted = StudySearchRequest(
            words=(form.words.data or "").strip() if may_see_patients else "",
            modality=form.modality.data or None,
            since=form.since.data.isoformat() if form.since.data else None,
            until=form.until.data.isoformat() if form.until.data else None,
            destination=form.destination.data or None,
            state="owed" if form.undelivered.data else None,
            limit=_PAGE_ROWS,
            after=_uid(request.args["after"]) if request.args.get("after") else None,
        )
        rows = services().control.search_studies(wanted).rows
    asked = {name: value for name, value in request.args.items() if value and name != "after"}
    return render_template(
        "studies/index.html",
        form=form,
        rows=[(row, [progress(name, counts) for name, counts in row.destinations.items()]) for row in rows],
        asked=asked,
        next_after=rows[-1].study_instance_uid if len(rows) == _PAGE_ROWS else "",
        is_first="after" not in request.args,
    )


@blueprint.get("/<uid>")
@requires(Permission.SEE)
def study(uid: str) -> ResponseReturnValue:
    """Show one study."""
    return render_template("studies/study.html", **_shown(_study(uid)))


@blueprint.get("/<uid>/state")
@requires(Permission.SEE)
def state(uid: str) -> ResponseReturnValue:
    """Show how far a study is: what renews itself."""
    return render_template("studies/_state.html", **_shown(_study(uid)))


@blueprint.get("/<uid>/series/<series_uid>")
@requires(Permission.SEE_IMAGES)
def picture(uid: str, series_uid: str) -> ResponseReturnValue:
    """Show a frame of a series, as large as pictures are."""
    found = _study(uid)
    series = _series(found, series_uid)
    frame = min(max(1, request.args.get("frame", 1, type=int)), _MOST_FRAMES)
    reply = _preview(found, series, frame, _LARGE_EDGE)
    return render_template("studies/picture.html", study=found, series=series, picture=reply, frame=min(frame, max(1, reply.frames)))


@blueprint.get("/<uid>/series/<series_uid>/thumbnail")
@requires(Permission.SEE_IMAGES)
def thumbnail(uid: str, series_uid: str) -> ResponseReturnValue:
    """Return a small picture of a series; where there is none, one that says so."""
    found = _study(uid)
    reply = _preview(found, _series(found, series_uid), 1, _SMALL_EDGE)
    if reply.problem:
        return Response(render_template("studies/no_picture.svg", text=_("No picture")), mimetype="image/svg+xml")
    return Response(base64.b64decode(reply.png), mimetype="image/png")


@blueprint.route("/<uid>/orders/<verb>", methods=["GET", "POST"])
@requires(Permission.OPERATE)
def order(uid: str, verb: str) -> ResponseReturnValue:
    """Ask whether to do it, with counts, and do it."""
    wanted = ORDERS.get(verb) or abort(404)
    found = _study(uid)
    form = (ReasonedOrderForm if wanted.needs_reason else OrderForm)(destination=request.args.get("destination", ""))
    delivery = next((one for one in found.deliveries if one.destination == form.destination.data), None) or abort(404)
    part = progress_of(delivery)
    if not form.validate_on_submit():
        return render_template(
            "studies/order.html",
            study=found,
            verb=verb,
            title=wanted.label,
            question=wanted.question(wanted.count(delivery.counts), part.destination),
            part=part,
            sentence=sentence(part),
            form=form,
        )
    reason = (form.reason.data or "").strip()
    done = services().control.order(
        OrderRequest(verb, who=person().name, reason=reason, study_instance_uid=uid, destination=part.destination)
    )
    before = ", ".join(f"{count} {state}" for state, count in sorted(delivery.counts.items()) if count)
    services().accounts.changed(
        person(), wanted.action, uid, before=f"{part.destination}: {before}", after=f"{part.destination}: {done.moved} moved", reason=reason
    )
    for text, kind in _told(done):
        flash(text, kind)
    return redirect(url_for("studies.study", uid=uid), 303)


@blueprint.route("/<uid>/resend", methods=["GET", "POST"])
@requires(Permission.OPERATE)
def resend(uid: str) -> ResponseReturnValue:
    """Ask where to, and send a study again."""
    found = _study(uid)
    form = ResendForm()
    form.offer(destination.name for destination in services().site().destinations)
    if not form.validate_on_submit():
        return render_template("studies/resend.html", study=found, form=form)
    chosen, reason = tuple(form.destinations.data or ()), (form.reason.data or "").strip()
    done = services().control.resend(ResendRequest(chosen, who=person().name, reason=reason, study_instance_uid=uid))
    services().accounts.changed(person(), "study.resent", uid, after=f"{', '.join(chosen)}: {done.made} made", reason=reason)
    if done.made:
        text = ngettext(
            "%(num)s image is on its way again.",
            "%(num)s images are on their way again, counted once for each destination.",
            done.made,
        )
        flash(text, "success")
    if done.unchanged:
        flash(ngettext("%(num)s image was on its way already.", "%(num)s images were on their way already.", done.unchanged), "info")
    return redirect(url_for("studies.study", uid=uid), 303)


@blueprint.route("/<uid>/export", methods=["GET", "POST"])
@requires(Permission.SEE_IMAGES)
def export(uid: str) -> ResponseReturnValue:
    """Ask why, and give a study, or a series of it, as an archive of plain files."""
    found = _study(uid)
    series = _series(found, request.args["series"]) if request.args.get("series") else None
    form = ExportForm()
    rows = exporting.newest(services().control.objects(uid, series.series_instance_uid if series else None).rows)
    if not rows or not form.validate_on_submit():
        return render_template("studies/export.html", study=found, series=series, count=len(rows), form=form)
    who, accounts, reason = person(), services().accounts, (form.reason.data or "").strip()

    def failed(problem: str) -> None:
        accounts.changed(who, "study.export_broken_off", uid, after=problem)

    what = f"series {series.series_instance_uid}: {len(rows)} images" if series else f"{len(rows)} images"
    made_at = datetime.fromtimestamp(services().clock.now().wall, ZoneInfo(services().site().box.timezone))
    pieces = exporting.archive(rows, services().control.read, made_at, failed=failed)
    accounts.changed(who, "study.exported", uid, after=what, reason=reason)
    name = f"{services().site().box.name}-{made_at:%Y%m%d-%H%M%S}.zip"
    return Response(pieces, mimetype="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'})


@blueprint.app_template_filter("person_name")
def person_name(text: str) -> str:
    """Return a patient's name as DICOM writes it as people do: "NGUYEN, Van A" (PS3.5 6.2: of several spellings the first)."""
    family, *given = (part.strip() for part in text.split("=", maxsplit=1)[0].split("^"))
    rest = " ".join(filter(None, given))
    return f"{family}, {rest}" if family and rest else family or rest


@blueprint.app_template_filter("short_uid")
def short_uid(uid: str) -> str:
    """Return the end of a UID, which is where UIDs differ."""
    shown = 12
    return uid if len(uid) <= shown else f"…{uid[-shown:]}"


@blueprint.app_template_filter("dicom_day")
def dicom_day(text: str) -> str:
    """Return a day as DICOM writes it (YYYYMMDD) as everybody reads it, and whatever else it is as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"\d{8}", text) else text


def _shown(found: StudyReply) -> dict[str, object]:
    parts = [progress_of(delivery) for delivery in found.deliveries]
    return {
        "study": found,
        "headline": headline(parts),
        "steps": steps(found, services().clock.now().wall),
        "deliveries": [(delivery, part, sentence(part)) for delivery, part in zip(found.deliveries, parts, strict=True)],
        "orders": orders_for,
        "meaning_of": meaning_of,
        "explains": "routes.ask" in current_app.view_functions,
    }


def _uid(text: str) -> str:
    if _UID.fullmatch(text) is None:
        abort(404)
    return text


def _study(uid: str) -> StudyReply:
    return services().control.study(_uid(uid))


def _series(found: StudyReply, uid: str) -> SeriesLine:
    series = next((one for one in found.series if one.series_instance_uid == uid), None)
    if series is None:
        abort(404)
    return series


def _preview(found: StudyReply, series: SeriesLine, frame: int, edge: int) -> PreviewReply:
    """Return a picture, after it was written down that somebody looks."""
    who, uid = signed_in(), found.study.study_instance_uid
    viewings = cast("Viewings", current_app.extensions[_VIEWINGS])
    if who is not None and viewings.is_new(who.session_id, uid):
        services().accounts.changed(who.person, "images.viewed", uid)
    return services().control.preview(PreviewRequest(series.sample, frame, edge))


def _told(done: OrderReply) -> Iterable[tuple[str, str]]:
    """Yield what became of an order, and how it is to look."""
    if done.moved:
        yield ngettext("Done for %(num)s image.", "Done for %(num)s images.", done.moved), "success"
    if done.busy:
        text = ngettext(
            "%(num)s image is being sent at this moment: try again in a minute.",
            "%(num)s images are being sent at this moment: try again in a minute.",
            done.busy,
        )
        yield text, "warning"
    if not done.moved and not done.busy:
        yield _("There was nothing to do: the images have moved on meanwhile."), "info"
