"""Who did what: the journal of what people changed, with what was before and after; to search, and to take away as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext as _

from appliance.accounts.person import JournalRow
from appliance.accounts.roles import Permission
from webui.access import requires
from webui.actions import action_word
from webui.days import bounds_of
from webui.forms.audit import SearchForm
from webui.services import services

blueprint = Blueprint("audit", __name__, url_prefix="/who-did-what")
blueprint.add_app_template_global(action_word)

_ROWS = 100
# A table of a million rows opens in no spreadsheet; a search makes it smaller.
_MOST_EXPORTED = 100_000
_EXPORT_PAGE = 5000
_HIGHEST = 2**63 - 1
_COLUMNS = ("number", "time", "who", "address", "action", "thing", "before", "after", "reason", "outcome")
# What makes a spreadsheet take a cell for a formula, or the next cell (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@blueprint.get("/")
@requires(Permission.AUDIT)
def index() -> str:
    """Show what was done, newest first."""
    form = SearchForm(request.args)
    form.validate()
    after = request.args.get("after", type=int)
    rows = _search(form, after if after is not None and 0 < after < _HIGHEST else None, _ROWS + 1)
    older = {**_given(form), "after": rows[_ROWS - 1].id} if len(rows) > _ROWS else None
    people = [account.person for account in services().accounts.people()]
    return render_template("audit/index.html", form=form, rows=rows[:_ROWS], older=older, people=people, given=_given(form))


@blueprint.get("/export.csv")
@requires(Permission.AUDIT)
def export() -> Response:
    """Give what a search finds as a table, times in UTC."""
    form = SearchForm(request.args)
    form.validate()
    name = f"{services().site().box.name}-who-did-what.csv"
    return Response(
        _table(form),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def plain_cell(text: str) -> str:
    """Return a cell that a spreadsheet takes for text and nothing else."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _table(form: SearchForm) -> str:
    written = io.StringIO()
    table = csv.writer(written, quoting=csv.QUOTE_ALL)
    table.writerow(_COLUMNS)
    for row in _everything(form):
        at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds")
        texts = (row.who, row.address, row.action, row.thing, row.before, row.after, row.reason, row.outcome)
        table.writerow((row.id, at, *(plain_cell(text) for text in texts)))
    # Spreadsheets take a file without it for another alphabet.
    return "\ufeff" + written.getvalue()


def _everything(form: SearchForm) -> Iterator[JournalRow]:
    after: int | None = None
    for _page in range(_MOST_EXPORTED // _EXPORT_PAGE):
        rows = _search(form, after, _EXPORT_PAGE)
        yield from rows
        if len(rows) < _EXPORT_PAGE:
            return
        after = rows[-1].id


def _search(form: SearchForm, after: int | None, limit: int) -> list[JournalRow]:
    since, until = bounds_of(form.day.data) if form.day.data else (None, None)
    who = (form.who.data or "").strip().lower()
    return services().accounts.journal(form.words.data or "", after=after, limit=limit, who=who, since=since, until=until)


def _given(form: SearchForm) -> dict[str, Any]:
    day = form.day.data.isoformat() if form.day.data else ""
    return {key: value for key, value in {"words": form.words.data, "who": form.who.data, "day": day}.items() if value}


def outcome_word(outcome: str) -> str:
    """Return the word for how it ended."""
    return {"done": _("done"), "refused": _("refused")}.get(outcome, outcome)


blueprint.add_app_template_global(outcome_word)
