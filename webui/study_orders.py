"""What can be ordered for a study at one destination: when it makes sense, how it is asked about, how it is written down. A table.

Promises: an order is offered only where it would change something.
Failures: none.
Limits: what is being sent at that moment is left to itself, and counted (`deliver.order_book`, where each takes what).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel import ngettext
from flask_babel.speaklater import LazyString


@dataclass(frozen=True, slots=True)
class Order:
    """One order: `action` in the journal, the states that it can change, and whether it needs a reason."""

    verb: str
    label: LazyString
    action: str
    states: frozenset[str]
    question: Callable[[int, str], str]
    needs_reason: bool = False

    def count(self, counts: Mapping[str, int]) -> int:
        """Return how many images it is about."""
        return sum(counts.get(state, 0) for state in self.states)


def _retry(count: int, name: str) -> str:
    return ngettext(
        "Try %(num)s image for %(name)s again now? An image that somebody holds stays held.",
        "Try the %(num)s images for %(name)s again now? What somebody holds stays held.",
        count,
        name=name,
    )


def _release(count: int, name: str) -> str:
    return ngettext(
        "Release %(num)s held image, and send it to %(name)s now?",
        "Release the %(num)s held images, and send them to %(name)s now?",
        count,
        name=name,
    )


def _hold(count: int, name: str) -> str:
    return ngettext(
        "Hold %(num)s image for %(name)s? It stays in this box, and is not sent, until somebody releases it.",
        "Hold the %(num)s images for %(name)s? They stay in this box, and are not sent, until somebody releases them.",
        count,
        name=name,
    )


def _cancel(count: int, name: str) -> str:
    return ngettext(
        "Give up sending %(num)s image to %(name)s? It will not be sent there unless somebody sends it again.",
        "Give up sending the %(num)s images to %(name)s? They will not be sent there unless somebody sends them again.",
        count,
        name=name,
    )


_WAITING = frozenset({"queued", "deferred"})
_HELD = frozenset({"held"})

ORDERS: Mapping[str, Order] = {
    one.verb: one
    for one in (
        Order("retry", _("Try again now"), "study.retried", frozenset({"deferred", "held"}), _retry),
        Order("release", _("Release"), "study.released", _HELD, _release),
        Order("hold", _("Hold"), "study.held", _WAITING, _hold, needs_reason=True),
        Order("cancel", _("Give up"), "study.cancelled", _WAITING | _HELD, _cancel, needs_reason=True),
    )
}
"""Every order by its verb, as the box calls it."""


def orders_for(counts: Mapping[str, int]) -> list[tuple[str, LazyString]]:
    """Return verb and label of the orders that would change something."""
    return [(one.verb, one.label) for one in ORDERS.values() if one.count(counts)]
