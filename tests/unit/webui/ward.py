"""The pages over a real configuration in a directory: what is saved is in force, with its history."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

from werkzeug.test import TestResponse

from appliance.accounts.person import Person
from appliance.accounts.roles import Role
from appliance.config.generations import Generations
from appliance.config.load import load_active
from appliance.config.model import Site
from appliance.manage.site_changes import SiteChanges
from tests.fakes.clock import FakeClock
from tests.support.pages import Pages, Said, pages_of

TEXT = """\
[box]
name = "vinh-ct"

# room 3
[[source]]
name = "CT1"
ae_title = "CT1"
address = "10.0.0.7"

[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"

[[route]]
name = "all"
to = ["archive"]
"""

_EXTENSION = "dicom-edge"


@dataclass
class Ward:
    """A box with one scanner and one archive, its pages, and who is signed in to them."""

    data: Path
    pages: Pages
    changes: SiteChanges
    clock: FakeClock
    journal: list[tuple[str, str, dict[str, str]]]

    @property
    def site(self) -> Site:
        """What is in force."""
        return load_active(self.data)

    @property
    def generation(self) -> int:
        """Its number."""
        return self.changes.current().generation

    def get(self, path: str) -> str:
        """Return a page that must be there."""
        return self.pages.get(path)

    def post(self, path: str, **fields: Any) -> TestResponse:
        """Send a form about the generation in force (or `generation`); keys with a dot or a hyphen come in `more`."""
        more = cast("dict[str, Any]", fields.pop("more", {}))
        data = {"generation": str(self.generation), "reason": "a test", **fields, **more}
        return self.pages.client.post(path, data=data, content_type="multipart/form-data")


def a_ward(data: Path, *, role: Role = Role.ADMINISTRATOR, control: Said | None = None, text: str = TEXT) -> Ward:
    """Return a ward whose first configuration is `text`."""
    clock = FakeClock()
    Generations(data, clock=clock).apply(text, "anna", "first start")
    changes = SiteChanges(data, clock)
    pages = pages_of(data, role=role, site=text, control=control, clock=clock)
    journal: list[tuple[str, str, dict[str, str]]] = []

    def changed(_: Person, action: str, thing: str, **more: str) -> None:
        journal.append((action, thing, more))

    pages.accounts.changed = changed  # type: ignore[method-assign]
    services = cast("Any", pages.app.extensions[_EXTENSION])
    pages.app.extensions[_EXTENSION] = replace(services, changes=changes, site=lambda: load_active(data))
    return Ward(data, pages, changes, clock, journal)


def fields_of(page: str) -> dict[str, str]:
    """Return what a browser would send of the forms of a page if nobody touched them."""
    reader = _Fields()
    reader.feed(page)
    return reader.fields


class _Fields(HTMLParser):
    """Collects fields; of a list the chosen entry, else the first."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a field."""
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "select":
            self._select = name
        elif tag == "option" and (self._select not in self.fields or "selected" in given):
            self.fields[self._select] = given.get("value") or ""
        elif tag == "textarea" and name:
            self.fields[name] = ""
        elif tag == "input" and name and (given.get("type") not in {"checkbox", "radio", "file"} or "checked" in given):
            self.fields[name] = given.get("value") or ""


def text_of(page: str) -> str:
    """Return the words of a page without its tags, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).strip()
