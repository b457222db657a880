"""Charts: pictures of what came and went, each at an address of its own."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from appliance.accounts.roles import Permission
from appliance.core.errors import ApplianceError
from webui.access import requires
from webui.charts import BUCKETS, CSP, destinations_of, label_of, throughput_chart
from webui.services import services

blueprint = Blueprint("charts", __name__, url_prefix="/charts")


@blueprint.get("/throughput-<bucket>.svg")
@requires(Permission.SEE)
def throughput(bucket: str) -> Response:
    """Show what was received and delivered in each hour, day or month."""
    if bucket not in BUCKETS:
        abort(404)
    rows = services().control.throughput(bucket).rows
    answer = current_app.make_response(throughput_chart(rows, bucket, services().site().box.timezone))
    answer.mimetype = "image/svg+xml"
    answer.headers["Content-Security-Policy"] = CSP
    return answer


def chart_of(bucket: str) -> dict[str, object]:
    """Return what a template needs to show the chart with a table of the same numbers; `rows` is None where nobody answers."""
    bucket = bucket if bucket in BUCKETS else BUCKETS[0]
    words = {"hour": _("by the hour, two days"), "day": _("by the day, two months"), "month": _("by the month, two years")}
    try:
        rows = services().control.throughput(bucket).rows
    except ApplianceError:
        return {"chart": None, "bucket": bucket, "buckets": words}
    received, delivered = sum(row.received for row in rows), sum(count for row in rows for count in row.delivered.values())
    told = (
        ngettext("%(num)s image received", "%(num)s images received", received),
        ngettext("%(num)s delivered", "%(num)s delivered", delivered),
    )
    timezone = services().site().box.timezone
    chart = {
        "alt": _("Images %(period)s: %(received)s, %(delivered)s.", period=words[bucket], received=told[0], delivered=told[1]),
        "names": destinations_of(rows),
        # What nothing came in says nothing: the table has the rest.
        "rows": [(label_of(row.start, bucket, timezone), row) for row in reversed(rows) if row.received or any(row.delivered.values())],
    }
    return {"chart": chart, "bucket": bucket, "buckets": words}
