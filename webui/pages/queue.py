"""Queue: what waits for each destination and for how long yet, and what is held, why, and what can be done about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import change_table
from appliance.runtime.page_requests import BacklogReply
from appliance.runtime.questions import DeliveryReply
from appliance.runtime.requests import OrderReply, OrderRequest
from webui.access import person, requires
from webui.forms.queue import DecisionForm
from webui.held_groups import VERBS, Key, group_of, order_group, rows_of
from webui.held_words import meaning_of
from webui.pages.charts import chart_of
from webui.services import services
from webui.vocabulary import class_word

blueprint = Blueprint("queue", __name__, url_prefix="/queue")

_ROWS = 50
# What one order may be about beside a group: one delivery, its study at that destination, or all of its kind there.
_REACHES = ("one", "study", "class")
_HIGHEST_NUMBER = 2**63 - 1


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show what waits, what is held, and how much came and went."""
    return render_template("queue/index.html", **_state(), **chart_of(request.args.get("by", "hour")), here="queue.index")


@blueprint.get("/now")
@requires(Permission.SEE)
def now() -> str:
    """Show the part that renews itself."""
    return render_template("queue/_now.html", **_state())


@blueprint.get("/group")
@requires(Permission.SEE)
def group() -> str | Response:
    """Show the deliveries of a group, page by page."""
    key = _key(request.args)
    found = None if key.is_everything else group_of(services().control.backlog(), key)
    if found is None:
        flash(_("Nothing of this is held any more."), "info")
        return redirect(url_for("queue.index"), 303)
    rows = list(islice(rows_of(services().control, key, after=_number(request.args.get("after", "0"))), _ROWS + 1))
    after = rows[_ROWS - 1].id if len(rows) > _ROWS else None
    return render_template(
        "queue/group.html",
        group=found,
        key=key,
        rows=rows[:_ROWS],
        after=after,
        meaning=meaning_of(found.code),
        is_configured=any(one.name == found.destination for one in services().site().destinations),
    )


@blueprint.get("/delivery/<int:number>")
@requires(Permission.SEE)
def delivery(number: int) -> str:
    """Show one delivery: why it is where it is, and what was tried."""
    found = services().control.delivery(_bounded(number))
    return render_template(
        "queue/delivery.html",
        one=found,
        meaning=meaning_of(found.code),
        kind=class_word(found.sop_class_uid),
        in_study=_held_of_study(found),
    )


@blueprint.get("/decide")
@requires(Permission.OPERATE)
def decide() -> str | Response:
    """Ask before everything of a group is cancelled: how many, where, and why."""
    key = _key(request.args)
    found = group_of(services().control.backlog(), key)
    if found is None:
        flash(_("Nothing of this is held any more."), "info")
        return redirect(url_for("queue.index"), 303)
    return render_template("queue/decide.html", group=found, key=key, form=DecisionForm(), meaning=meaning_of(found.code))


@blueprint.post("/order")
@requires(Permission.OPERATE)
def order() -> Response:
    """Retry, release or cancel everything of a group."""
    verb, reason = _verb(), _reason()
    key, backlog = _key(request.form), services().control.backlog()
    found = group_of(backlog, key)
    if found is None:
        flash(_("Nothing of this is held any more."), "info")
        return redirect(url_for("queue.index"), 303)
    done = order_group(services().control, backlog, key, verb, person().name, reason)
    _note(verb, " ".join(filter(None, (key.destination, key.code or key.hold_class))), found.count, done, reason)
    return redirect(url_for("queue.index"), 303)


@blueprint.post("/delivery/<int:number>/order")
@requires(Permission.OPERATE)
def order_delivery(number: int) -> Response:
    """Retry, release or cancel one delivery, what is held of its study there, or what is held of its kind there."""
    verb, reason, reach = _verb(), _reason(), request.form.get("reach", "one")
    if reach not in _REACHES:
        raise BadRequest
    found = services().control.delivery(_bounded(number))
    wanted, before = OrderRequest(verb, person().name, reason, ids=(found.id,)), 1
    thing = f"{found.destination} {found.id}"
    if reach == "study":
        wanted = replace(wanted, ids=None, study_instance_uid=found.study_instance_uid, destination=found.destination, state="held")
        before, thing = _held_of_study(found), f"{found.destination} {found.study_instance_uid}"
    elif reach == "class":
        wanted = replace(wanted, ids=None, sop_class_uid=found.sop_class_uid, destination=found.destination, state="held")
        before, thing = _held_at(services().control.backlog(), found.destination), f"{found.destination} {found.sop_class_uid}"
    _note(verb, thing, before, services().control.order(wanted), reason)
    return redirect(url_for("queue.index"), 303)


@blueprint.route("/never", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def never() -> str | Response:
    """Never send a kind of image to a destination again; asks first."""
    current, sop_class = services().changes.current(), request.args.get("sop_class", "")
    destination = next((one for one in current.site.destinations if one.name == request.args.get("destination", "")), None)
    if destination is None:
        flash(_("This destination is no longer in the settings."), "warning")
        return redirect(url_for("queue.index"), 303)
    kind = class_word(sop_class)
    if request.method == "GET":
        return render_template(
            "queue/never.html", destination=destination.name, sop_class=sop_class, kind=kind, expected=current.generation
        )
    if sop_class not in destination.never:
        classes = [*destination.never, sop_class]
        services().changes.apply(
            change_table("destination", destination.name, {"never": classes}),
            expected=_number(request.form.get("expected", "")),
            by=person().name,
            reason="never send this class there",
        )
        before, after = " ".join(destination.never), " ".join(classes)
        services().accounts.changed(person(), "destination.changed", destination.name, before=before, after=after, reason="never")
    flash(
        _(
            "From now on never sent to %(name)s: %(kind)s. What is held of them can be cancelled.",
            kind=kind,
            name=destination.name,
        ),
        "success",
    )
    return redirect(url_for("queue.index"), 303)


def _state() -> dict[str, object]:
    backlog = services().control.backlog()
    held = [(group, Key.of(group), meaning_of(group.code)) for group in sorted(backlog.held, key=lambda one: -one.count)]
    groups = Counter(group.destination for group in backlog.held)
    return {
        "everything": {name: Key(name, "", "", "") for name, count in groups.items() if count > 1},
        "backlog": backlog,
        "held": held,
        "held_count": sum(group.count for group in backlog.held),
        "class_word": class_word,
    }


def _held_of_study(found: DeliveryReply) -> int:
    """Return how many of the delivery's study are held at its destination."""
    study = services().control.study(found.study_instance_uid)
    return sum(one.counts.get("held", 0) for one in study.deliveries if one.destination == found.destination)


def _held_at(backlog: BacklogReply, destination: str) -> int:
    return sum(one.count for one in backlog.held if one.destination == destination)


def _note(verb: str, thing: str, before: int, done: OrderReply, reason: str) -> None:
    """Write an order down, and say what became of it."""
    services().accounts.changed(
        person(), f"queue.{verb}", thing, before=f"{before} held", after=f"{done.moved} moved, {done.busy} busy", reason=reason
    )
    said = {
        "retry": ngettext("%(num)s image is tried again.", "%(num)s images are tried again.", done.moved),
        "release": ngettext("%(num)s image is released.", "%(num)s images are released.", done.moved),
        "cancel": ngettext("%(num)s image is cancelled.", "%(num)s images are cancelled.", done.moved),
    }
    flash(said[verb], "success" if done.moved else "warning")
    if done.busy:
        flash(
            ngettext(
                "%(num)s is being sent at this moment: look again when that is done.",
                "%(num)s are being sent at this moment: look again when that is done.",
                done.busy,
            ),
            "info",
        )


def _key(fields: MultiDict[str, str]) -> Key:
    return Key(*(fields.get(name, "") for name in ("destination", "hold_class", "code", "mark")))


def _verb() -> str:
    verb = request.form.get("verb", "")
    if verb not in VERBS:
        raise BadRequest
    return verb


def _reason() -> str:
    form = DecisionForm()
    if not form.validate():
        raise BadRequest
    return (form.reason.data or "").strip()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_HIGHEST_NUMBER)):
        raise BadRequest
    return _bounded(int(text))


def _bounded(number: int) -> int:
    """Return a number that the ledger can have; there is no delivery of any other."""
    if number > _HIGHEST_NUMBER:
        raise BadRequest
    return number
