"""Charts: pictures without scripts, and the same numbers as a table."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from appliance.runtime.asking import NotRunningError
from appliance.runtime.page_requests import BacklogReply, ThroughputReply, ThroughputRow
from tests.support.pages import Pages, Said, pages_of
from tests.support.site import a_site

CANARY = "<script>alert(1)</script>"
ROWS = (
    ThroughputRow("2026-11-24T01:00:00+00:00", 90, 5 << 20, {"archive": 80, CANARY: 1}),
    ThroughputRow("2026-11-24T02:00:00+00:00", 0, 0, {}),
    ThroughputRow("2026-11-24T03:00:00+00:00", 1, 1 << 20, {"archive": 11}),
)


def charts(tmp_path: Path, rows: tuple[ThroughputRow, ...] = ROWS) -> Pages:
    """Return the pages of a box where this came and went."""
    control = Said(throughput=ThroughputReply(rows), backlog=BacklogReply((), ()))
    return pages_of(tmp_path, control=control, site=a_site(box={"timezone": "Asia/Ho_Chi_Minh"}))


def test_a_chart_is_a_picture_and_nothing_else(tmp_path: Path) -> None:
    """It is SVG that may load nothing, has no script and no address in it, and shows peers' names as text."""
    answer = charts(tmp_path).client.get("/charts/throughput-hour.svg")

    assert (200, "image/svg+xml") == (answer.status_code, answer.mimetype)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    elements = list(ET.fromstring(answer.text).iter())  # noqa: S314 (our own picture)
    tags = {element.tag.rpartition("}")[2] for element in elements}
    attributes = {name.rpartition("}")[2] for element in elements for name in element.attrib}
    assert not tags & {"script", "image", "use", "a", "foreignObject"}
    assert not [name for name in attributes if name.startswith("on") or name == "href"]
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert any("alert(1)" in (element.text or "") for element in elements)


def test_the_same_numbers_are_the_same_picture(tmp_path: Path) -> None:
    """Nothing in a chart depends on when it was made; its hours are those of the box."""
    pages = charts(tmp_path)

    first, second = (pages.client.get("/charts/throughput-hour.svg").text for _ in range(2))

    assert first == second
    assert "Tue 08:00" in first


@pytest.mark.parametrize("bucket", ["day", "month"])
def test_other_buckets_have_their_names(bucket: str, tmp_path: Path) -> None:
    """Days and months are called as people call them."""
    text = charts(tmp_path).get(f"/charts/throughput-{bucket}.svg")

    assert {"day": "24 Nov", "month": "Nov 2026"}[bucket] in text


def test_an_empty_chart_says_so(tmp_path: Path) -> None:
    """A box in which nothing came has a chart that says that."""
    assert 200 == charts(tmp_path, ()).client.get("/charts/throughput-hour.svg").status_code


def test_what_no_bar_stands_for_is_not_there(tmp_path: Path) -> None:
    """An unknown bucket is no page, and a page that is asked for one shows the usual."""
    pages = charts(tmp_path)

    assert 404 == pages.client.get("/charts/throughput-week.svg").status_code
    assert "throughput-hour.svg" in pages.get("/queue/?by=week")


def test_the_page_tells_what_the_picture_shows(tmp_path: Path) -> None:
    """Who cannot see the picture gets its sum as text and its numbers as a table, the newest first, without the empty hours."""
    page = charts(tmp_path).get("/queue/?by=hour")

    assert 'alt="Images by the hour, two days: 91 images received, 92 delivered."' in page
    table = page.partition("<details")[2]
    assert table.index("Tue 10:00") < table.index("Tue 08:00")
    assert "Tue 09:00" not in table
    assert CANARY not in page


def test_a_silent_box_has_no_chart(tmp_path: Path) -> None:
    """Where nobody answers the rest of the page is there, and the chart is said to be unknown."""
    control = Said(throughput=NotRunningError("no"), backlog=BacklogReply((), ()))

    page = pages_of(tmp_path, control=control).get("/queue/")

    assert "Not known at the moment." in page
    assert "<img" not in page
