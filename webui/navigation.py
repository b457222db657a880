"""Where one can go: the four places of a technician, and the rest one click behind. A table.

Promises: what is listed exists (a place whose page is not there yet is not shown), and is shown only to those who may go there.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app, request
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from webui.access import access_of, signed_in


@dataclass(frozen=True)
class Place:
    """A page that has a place in the navigation."""

    endpoint: str
    label: LazyString
    icon: str

    @property
    def is_here(self) -> bool:
        """Say whether the page that is shown belongs to this place."""
        return (request.endpoint or "").partition(".")[0] == self.endpoint.partition(".")[0]


_FIRST = (
    Place("home.index", _("Home"), "house"),
    Place("scanners.index", _("Scanners"), "camera"),
    Place("studies.index", _("Studies"), "collection"),
    Place("guide.index", _("Help"), "question-circle"),
)
_MORE = (
    Place("destinations.index", _("Destinations"), "hdd-network"),
    Place("routes.index", _("Routes"), "signpost-split"),
    Place("queue.index", _("Queue"), "hourglass-split"),
    Place("health.index", _("Health"), "heart-pulse"),
    Place("audit.index", _("Who did what"), "journal-text"),
    Place("people.index", _("People"), "people"),
    Place("system.index", _("System"), "gear"),
)


def first_places() -> list[Place]:
    """Return what everybody sees first."""
    return list(_open(_FIRST))


def more_places() -> list[Place]:
    """Return what is one click behind."""
    return list(_open(_MORE))


def _open(places: Iterable[Place]) -> Iterable[Place]:
    who = signed_in()
    for place in places:
        view = current_app.view_functions.get(place.endpoint)
        if view is None or who is None:
            continue
        rule = access_of(view)
        if rule == "open" or (rule is not None and who.person.may(rule)):  # type: ignore[arg-type]
            yield place
