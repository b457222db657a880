"""The journal in the browser: searched, paged, and taken away as a table that no spreadsheet runs."""

from __future__ import annotations

import ast
import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.person import JournalRow
from tests.support.pages import pages_of
from webui.actions import ACTIONS
from webui.pages.audit import plain_cell

_ACTION = re.compile(r"(box|certificate|configuration|destination|images|keys|queue|route|settings|source|study|title)\.[a-z_]+")
_WEBUI = Path(__file__).resolve().parents[3] / "webui"


def a_row(number: int, **values: str) -> JournalRow:
    """Return a row of the journal."""
    texts = {"who": "kim", "address": "10.0.0.5", "action": "source.added", "thing": "CT1", "before": "", "after": "10.0.0.7",
             "reason": "", "outcome": "done", **values}  # fmt: skip
    return JournalRow(number, 1_709_208_000.0 + number, **texts)


class Journal:
    """Rows by number, given as the accounts would."""

    def __init__(self, count: int, **values: str) -> None:
        """Have `count` rows."""
        self.rows = [a_row(number, **values) for number in range(count, 0, -1)]
        self.asked: list[dict[str, Any]] = []

    def __call__(self, words: str = "", after: int | None = None, limit: int = 100, **conditions: Any) -> list[JournalRow]:
        """Return a page."""
        self.asked.append({"words": words, "after": after, **conditions})
        return [row for row in self.rows if after is None or row.id < after][:limit]


def test_the_newest_come_first_a_page_at_a_time(tmp_path: Path) -> None:
    """A page has a hundred rows and leads to those before."""
    pages = pages_of(tmp_path, accounts={"journal": Journal(150), "people": []})

    first = pages.get("/who-did-what/")
    older = pages.get("/who-did-what/?after=51")

    assert first.count("scanner added") == 100
    assert "after=51" in first
    assert older.count("scanner added") == 50
    assert ">Older<" in first
    assert ">Older<" not in older


def test_a_search_is_by_words_person_and_day(tmp_path: Path) -> None:
    """What is looked for is passed on as it is, a day as the box's; what is none is no error."""
    journal = Journal(0)
    pages = pages_of(tmp_path, site='[box]\ntimezone = "Asia/Ho_Chi_Minh"', accounts={"journal": journal, "people": []})

    found = pages.get("/who-did-what/?words=CT1+%25&who=Kim&day=2024-02-29")
    pages.get("/who-did-what/?day=never&after=9999999999999999999999")

    assert "Nothing was found." in found
    assert journal.asked[0] == {"words": "CT1 %", "after": None, "who": "kim", "since": 1_709_139_600.0, "until": 1_709_226_000.0}
    assert journal.asked[1] == {"words": "", "after": None, "who": "", "since": None, "until": None}


def test_what_peers_said_is_shown_as_text(tmp_path: Path) -> None:
    """Whatever stands in the journal, it is text on the page."""
    canary = '"><script>alert(1)</script>'
    pages = pages_of(tmp_path, accounts={"journal": Journal(1, thing=canary, before=canary, after=canary, reason=canary), "people": []})

    page = pages.get("/who-did-what/")

    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") == 4


def test_the_whole_search_is_taken_away(tmp_path: Path) -> None:
    """The table has every row that a search finds, with times in UTC, and is a download."""
    pages = pages_of(tmp_path, accounts={"journal": Journal(12_000)})

    answer = pages.client.get("/who-did-what/export.csv?words=ct1")

    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(rows) == 12_001
    assert rows[-1][:3] == ["1", "2024-02-29T12:00:01+00:00", "kim"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("https://evil.example")']
)
def test_no_cell_is_a_formula(text: str) -> None:
    """What a spreadsheet would run is text to it."""
    assert plain_cell(text) == f"'{text}"


def test_honest_cells_stay_as_they_are() -> None:
    """Names, addresses and reasons are not changed."""
    assert [plain_cell(text) for text in ("CT1", "10.0.0.7", "", "a = b", "x@y")] == ["CT1", "10.0.0.7", "", "a = b", "x@y"]


def test_the_export_is_escaped(tmp_path: Path) -> None:
    """Every text column goes through the escape."""
    values = dict.fromkeys(("who", "address", "action", "thing", "before", "after", "reason", "outcome"), "=1")
    pages = pages_of(tmp_path, accounts={"journal": Journal(1, **values)})

    rows = list(csv.reader(io.StringIO(pages.client.get("/who-did-what/export.csv").text)))

    assert rows[1][2:] == ["'=1"] * 8


def test_everything_that_is_written_down_has_words(tmp_path: Path) -> None:
    """Each constant name of an action in the pages has words; names of places are no actions."""
    places = set(pages_of(tmp_path).app.view_functions)
    written = {
        node.value
        for file in _WEBUI.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ACTION.fullmatch(node.value)
    }

    assert "source.added" in written
    assert written - places - set(ACTIONS) == set()
