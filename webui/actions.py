"""The words for what people do, as the journal names it: a table.

Promises: what the pages write down has words here (a test insists); what a later or earlier version wrote is shown as it is.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

ACTIONS: dict[str, LazyString] = {
    "access": _("asked for"),
    "box.named": _("box named"),
    "certificate.installed": _("certificate installed"),
    "certificate.made": _("certificate made"),
    "certificate.requested": _("certificate requested"),
    "configuration.activated": _("configuration activated"),
    "configuration.confirmed": _("configuration confirmed"),
    "configuration.loaded": _("configuration loaded"),
    "configuration.rolled_back": _("configuration rolled back"),
    "configuration.taken_back": _("configuration taken back"),
    "destination.added": _("destination added"),
    "destination.changed": _("destination changed"),
    "destination.paused": _("destination paused"),
    "destination.removed": _("destination removed"),
    "destination.resumed": _("destination resumed"),
    "destination.tested": _("destination tested"),
    "images.viewed": _("pictures looked at"),
    "keys.recovery_set": _("recovery key set"),
    "keys.rotated": _("new key made"),
    "password.changed": _("password changed"),
    "password.reset": _("one-time password given"),
    "person.added": _("account added"),
    "person.changed": _("account changed"),
    "person.removed": _("account removed"),
    "queue.cancel": _("images cancelled"),
    "queue.hold": _("images held"),
    "queue.release": _("images released"),
    "queue.retry": _("images tried again"),
    "route.added": _("route added"),
    "route.changed": _("route changed"),
    "route.moved": _("route moved"),
    "route.removed": _("route removed"),
    "route.switched": _("route switched on or off"),
    "session.begin": _("logged in"),
    "session.end": _("session ended"),
    "session.expired": _("logged off after a pause"),
    "settings.changed": _("settings changed"),
    "source.added": _("scanner added"),
    "source.changed": _("scanner changed"),
    "source.removed": _("scanner removed"),
    "study.cancelled": _("study cancelled"),
    "study.export_broken_off": _("export broken off"),
    "study.exported": _("study exported"),
    "study.held": _("study held"),
    "study.released": _("study released"),
    "study.resent": _("study sent again"),
    "study.retried": _("study tried again"),
    "title.added": _("title added"),
    "token.added": _("token made"),
    "token.ended": _("token ended"),
}


def action_word(action: str) -> str:
    """Return the words for an action."""
    return str(ACTIONS.get(action, action))
