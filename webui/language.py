"""Languages: English, Vietnamese and French; whose choice counts, and how times and sizes are written.

Promises: a person's own choice, then that of the cookie, then the browser's, then English; times are the box's time zone.
Failures: none; an unknown language is English.
Limits: what peers and daemons say is shown as they said it, in English.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, request
from flask_babel import Babel, format_datetime, get_locale, gettext, ngettext

from webui.access import signed_in
from webui.services import services

LANGUAGES = {"en": "English", "vi": "Tiếng Việt", "fr": "Français"}
COOKIE = "language"

# Day before month is read one way only when the month is a word, and a hospital's day has 24 hours.
_MOMENT = "d MMM y, HH:mm"
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
# Two of a unit: "90 minutes" says more than "1 hour".
_SWITCH = 2


def speak(app: Flask) -> None:
    """Let the application speak every language, and give templates the filters of this module."""
    Babel(app, locale_selector=_locale, timezone_selector=lambda: services().site().box.timezone)
    app.jinja_env.filters.update(moment=moment, span=span, size=size)
    app.jinja_env.globals.update(languages=LANGUAGES, language=lambda: str(get_locale()))


def _locale() -> str:
    who = signed_in()
    for choice in (who.person.language if who else "", request.cookies.get(COOKIE, "")):
        if choice in LANGUAGES:
            return choice
    return request.accept_languages.best_match(LANGUAGES) or "en"


def moment(value: str | float | None) -> str:
    """Return a moment (ISO 8601, or seconds since 1970) in the box's time zone and the reader's language, "" for None."""
    if value is None or value == "":
        return ""
    when = datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else datetime.fromisoformat(value)
    return str(format_datetime(when, _MOMENT))


def span(seconds: float | None) -> str:
    """Return a length of time in words: "40 s", "12 min", "3 h", "9 days"."""
    if seconds is None:
        return ""
    if seconds < _SWITCH * _MINUTE_S:
        return gettext("%(n)s s", n=round(seconds))
    if seconds < _SWITCH * _HOUR_S:
        return gettext("%(n)s min", n=round(seconds / _MINUTE_S))
    if seconds < _SWITCH * _DAY_S:
        return gettext("%(n)s h", n=round(seconds / _HOUR_S))
    days = round(seconds / _DAY_S)
    return ngettext("%(num)s day", "%(num)s days", days)


def size(count: float | None) -> str:
    """Return a number of bytes for people: "512 KiB", "3.4 GiB"."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":  # noqa: PLR2004 (the binary step)
            return f"{amount:.0f} {unit}" if amount >= 100 or unit == "B" else f"{amount:.1f} {unit}"  # noqa: PLR2004 (two digits tell)
        amount /= 1024
    return ""
