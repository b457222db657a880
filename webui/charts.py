"""Charts as SVG: what came and went, hour by hour, day by day, month by month.

Promises: a chart has no script, no font and no address of elsewhere in it, and can be read on light and on dark. The same rows give the
same bytes.
Failures: none.
Limits: shown as a picture; the page that shows it has the same numbers as a table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import format_date, format_datetime, gettext

from appliance.runtime.page_requests import ThroughputRow

BUCKETS = ("hour", "day", "month")
"""What one bar can stand for."""

CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""What a chart may load: nothing. Its colours are a style sheet inside of it."""

# Told apart by people who see no red or no green (Okabe and Ito), and dark enough on white, light enough on black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_ID = "throughput"
_DARK = f"""
@media (prefers-color-scheme: dark) {{
  #chart-{_ID} .title, #chart-{_ID} .axis text, #chart-{_ID} .axis text.major, #chart-{_ID} .legends .legend text,
  #chart-{_ID} text.no_data {{ fill: #dee2e6; }}
  #chart-{_ID} .axis .line, #chart-{_ID} .axis .major.line, #chart-{_ID} .axis .guide.line {{ stroke: #6c757d; }}
}}
"""
_WIDTH, _HEIGHT = 960, 320
# More labels than this run into each other at 800 pixels.
_LABELS = 12


def throughput_chart(rows: Sequence[ThroughputRow], bucket: str, timezone: str) -> bytes:
    """Return the chart of what was received and, for each destination, delivered."""
    pygal = _library()
    style = pygal.style.Style(
        background="transparent",
        plot_background="transparent",
        foreground="#212529",
        foreground_strong="#212529",
        foreground_subtle="#868e96",
        guide_stroke_color="#868e96",
        major_guide_stroke_color="#868e96",
        font_family="sans-serif",
        colors=_COLOURS,
        opacity=".9",
        transition="0s",
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=14,
        no_data_font_size=24,
    )
    labels = [label_of(row.start, bucket, timezone) for row in rows]
    chart = pygal.Bar(
        style=style,
        css=("file://style.css", "file://graph.css", f"inline:{_DARK}"),
        js=(),
        disable_xml_declaration=True,
        width=_WIDTH,
        height=_HEIGHT,
        show_minor_x_labels=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        include_x_axis=True,
        min_scale=2,
        no_data_text=gettext("Nothing yet"),
        margin=10,
        margin_bottom=30,
        truncate_label=-1,
        truncate_legend=34,
        value_formatter=lambda value: f"{value:.0f}",
    )
    # Otherwise a new one each time, and the same rows would be another picture.
    chart.uuid = _ID
    chart.x_labels = labels
    every = -(-len(labels) // _LABELS) or 1
    chart.x_labels_major_every = every
    chart.add(gettext("received"), [row.received for row in rows])
    for name in destinations_of(rows):
        chart.add(gettext("delivered to %(name)s", name=name), [row.delivered.get(name, 0) for row in rows])
    chart.add_xml_filter(_plain)
    return str(chart.render(is_unicode=True)).encode()


def destinations_of(rows: Sequence[ThroughputRow]) -> list[str]:
    """Return the names of the destinations in the rows, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row.delivered))


def label_of(start: str, bucket: str, timezone: str) -> str:
    """Return what a bar is called, in the box's time zone and the reader's language."""
    when = datetime.fromisoformat(start)
    if bucket == "hour":
        return str(format_datetime(when, "E HH:mm"))
    local = when.astimezone(ZoneInfo(timezone))
    return str(format_date(local, "d MMM" if bucket == "day" else "MMM y"))


def _library() -> Any:
    """Return what draws, loaded when the first chart is asked for: it takes half a second, for pages that few look at."""
    import pygal
    import pygal.style

    # It leaves a finder of a kind that Python no longer knows in every import of the process, for maps that nobody draws here.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def _plain(root: Any) -> Any:
    """Return a chart without what a picture does not need: scripts, remarks with the day it was made, and boxes that follow a mouse."""
    for parent in list(root.iter()):
        for child in list(parent):
            # A remark has a function where an element has its name.
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    return root
