"""The change that waits to be confirmed, as every page shows it: in words, and with the seconds that are left.

Promises: costs a page one look at a file that is not there while nothing waits; never keeps a page from being shown.
Failures: none.
Limits: what could go wrong is told by rule, not proved.
"""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from appliance.config.unconfirmed import LockOut
from appliance.core.errors import ApplianceError
from appliance.manage.site_changes import Pending
from webui.access import signed_in
from webui.services import services

# One sentence for each rule of `manage.lock_outs`; what `about` is, stands there.
_WORDS: dict[str, Callable[[str], str]] = {
    "web moved": lambda about: _("These pages move to %(address)s when the box is started again.", address=about),
    "listener gone": lambda about: _("Scanners that call %(address)s get no answer once the box is started again.", address=about),
    "name changed": lambda about: _("These pages no longer answer to the name %(name)s.", name=about),
    "title gone": lambda about: _("Scanners that call %(title)s are refused.", title=about),
    "certificates required": lambda about: _("Scanners that call %(address)s over TLS need a certificate.", address=about),
    "caller refused": lambda about: _("%(source)s called within the last day and would be refused now.", source=about),
}


def pending_change() -> Pending | None:
    """Return the change that waits, for who is signed in; None where none does."""
    if signed_in() is None:
        return None
    try:
        return services().changes.pending()
    except (ApplianceError, OSError):
        return None


def lock_out_words(lock_out: LockOut) -> str:
    """Return what the change could do to somebody, in a sentence."""
    words = _WORDS.get(lock_out.rule)
    return words(lock_out.about) if words is not None else f"{lock_out.rule}: {lock_out.about}"
