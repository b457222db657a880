"""How the box is, in honest sentences: the worst first, and the first one is what Home says.

Promises: nothing is said that the box did not answer; where it did not answer, that is said. Every sentence has a code that can be read
over the telephone. Without I/O: what was answered, and the moment, are arguments.
Failures: none.
Limits: findings of the box itself stand beside these sentences, not in them. Images are counted once for each destination that waits for
them, as the box counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flask_babel import format_decimal, gettext, ngettext

from appliance.runtime.requests import DestinationReply
from webui.known import Known
from webui.language import span

# A weekend: who is told on Friday evening can wait until Monday.
_FEW_DAYS = 3
_YEAR_DAYS = 365
# Longer than a large study takes on a slow line: somebody should look although nothing has failed.
_LONG_WAIT_S = 3600
_RECEIVER, _ROUTER, _SENDER = "receiver", "router", "sender"


class Level(StrEnum):
    """How much it matters."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something that is so: its code for the telephone, how much it matters, and the words."""

    code: str
    level: Level
    text: str


def sentences(known: Known) -> list[Sentence]:
    """Return everything that is to be said, the worst first; never nothing."""
    said = [sentence for rule in _RULES for sentence in rule(known)]
    return said or [_all_well(known)]


def _no_reception(known: Known) -> Iterable[Sentence]:
    if _RECEIVER not in known.ready:
        yield Sentence(
            "NO-RECEPTION",
            Level.BAD,
            gettext("This box receives no images at the moment. It starts the part that does again by itself; if not, call support."),
        )


def _disk_full(known: Known) -> Iterable[Sentence]:
    if known.room == 0:
        yield Sentence("DISK-FULL", Level.BAD, gettext("The disk is full: this box takes no more images until there is room."))


def _silent(known: Known) -> Iterable[Sentence]:
    if known.status is not None:
        return
    receives = _RECEIVER in known.ready
    if known.is_rebuilding:
        text = gettext("The box rebuilds its index, which takes a while. How many images wait is known when that is done.")
        yield Sentence("REBUILDING", Level.WARN, _with(text, gettext("Images are still received.") if receives else ""))
        return
    text = gettext("A part of the box does not answer, so it is not known how many images wait.")
    yield Sentence("NO-ANSWER", Level.WARN, _with(text, gettext("Images are still received.") if receives else ""))


def _part_down(known: Known) -> Iterable[Sentence]:
    if _RECEIVER in known.ready and _ROUTER not in known.ready and not known.is_rebuilding:
        text = gettext("The part of the box that sorts images is not at work; images are received and kept until it is.")
        yield Sentence("NO-ROUTER", Level.BAD, text)
    if _RECEIVER in known.ready and _SENDER not in known.ready and not known.is_rebuilding:
        text = gettext("The part of the box that sends images is not at work; images are received and kept until it is.")
        yield Sentence("NO-SENDER", Level.BAD, text)


def _unreachable(known: Known) -> Iterable[Sentence]:
    for code, state in (("UNREACHABLE", "dead"), ("REFUSED", "refusing")):
        troubled = _in_state(known, state)
        with_work = [one for one in troubled if one.queued]
        if with_work:
            yield Sentence(code, Level.BAD, _with(_cut_off(state, with_work, known.now), space_left(known)))
        elif troubled:
            yield Sentence(code, Level.WARN, _idle(state, troubled))


def _cut_off(state: str, troubled: Sequence[DestinationReply], now: float) -> str:
    count = sum(one.queued for one in troubled)
    said = {"count": _number(count), "names": ", ".join(one.name for one in troubled)}
    since = _since(troubled[0], now) if len(troubled) == 1 else None
    if since is not None and state == "dead":
        return ngettext(
            "%(names)s has been out of reach for %(time)s. %(count)s image waits for it, safe here.",
            "%(names)s has been out of reach for %(time)s. %(count)s images wait for it, safe here.",
            count,
            time=span(since),
            **said,
        )
    if since is not None:
        return ngettext(
            "%(names)s has refused this box for %(time)s. %(count)s image waits for it, safe here.",
            "%(names)s has refused this box for %(time)s. %(count)s images wait for it, safe here.",
            count,
            time=span(since),
            **said,
        )
    if state == "dead":
        return ngettext(
            "Out of reach: %(names)s. %(count)s image waits, safe here.",
            "Out of reach: %(names)s. %(count)s images wait, safe here.",
            count,
            **said,
        )
    return ngettext(
        "This box is refused by %(names)s. %(count)s image waits, safe here.",
        "This box is refused by %(names)s. %(count)s images wait, safe here.",
        count,
        **said,
    )


def _idle(state: str, troubled: Sequence[DestinationReply]) -> str:
    names = ", ".join(one.name for one in troubled)
    if state == "dead":
        return gettext("Out of reach: %(names)s. Nothing waits because of that.", names=names)
    return gettext("This box is refused by %(names)s. Nothing waits because of that.", names=names)


def _little_space(known: Known) -> Iterable[Sentence]:
    if known.days is not None and known.room and known.days < _FEW_DAYS:
        yield Sentence("LITTLE-SPACE", Level.WARN, space_left(known))


def _held(known: Known) -> Iterable[Sentence]:
    if not known.held or known.status is None:
        return
    names = [one.name for one in known.status.destinations if one.held]
    if len(names) == 1 and known.status.destinations and sum(one.held for one in known.status.destinations) == known.held:
        text = ngettext(
            "%(count)s image for %(name)s is held: somebody must decide what becomes of it.",
            "%(count)s images for %(name)s are held: somebody must decide what becomes of them.",
            known.held,
            count=_number(known.held),
            name=names[0],
        )
    else:
        text = ngettext(
            "%(count)s image is held: somebody must decide what becomes of it.",
            "%(count)s images are held: somebody must decide what becomes of them.",
            known.held,
            count=_number(known.held),
        )
    yield Sentence("HELD", Level.WARN, text)


def _paused(known: Known) -> Iterable[Sentence]:
    for one in _in_state(known, "paused"):
        text = ngettext(
            "%(name)s is paused by somebody; %(count)s image waits for it.",
            "%(name)s is paused by somebody; %(count)s images wait for it.",
            one.queued,
            count=_number(one.queued),
            name=one.name,
        )
        yield Sentence("PAUSED", Level.WARN, text)


def _slowed(known: Known) -> Iterable[Sentence]:
    for one in _in_state(known, "throttled"):
        text = ngettext(
            "%(name)s asked this box to send more slowly; %(count)s image is on its way to it.",
            "%(name)s asked this box to send more slowly; %(count)s images are on their way to it.",
            one.queued,
            count=_number(one.queued),
            name=one.name,
        )
        yield Sentence("SLOWED", Level.WARN, text)


def _set_aside(known: Known) -> Iterable[Sentence]:
    if known.status is None:
        return
    damaged = known.status.instances.get("quarantined", 0)
    if damaged:
        text = ngettext("%(count)s damaged image is set aside.", "%(count)s damaged images are set aside.", damaged, count=_number(damaged))
        yield Sentence("DAMAGED", Level.WARN, text)
    unrouted = known.status.instances.get("unrouted", 0)
    if unrouted:
        text = ngettext(
            "%(count)s image stays here: no route says where it goes.",
            "%(count)s images stay here: no route says where they go.",
            unrouted,
            count=_number(unrouted),
        )
        yield Sentence("NO-ROUTE", Level.WARN, text)


def _on_the_way(known: Known) -> Iterable[Sentence]:
    if known.status is None:
        return
    # Those of a destination in trouble have had their sentence.
    moving = [one for one in known.status.destinations if one.state == "alive" and one.queued]
    count = sum(one.queued for one in moving) + known.status.instances.get("incoming", 0)
    if not count:
        return
    oldest = max((one.oldest_s or 0.0 for one in moving), default=0.0)
    if oldest >= _LONG_WAIT_S:
        text = ngettext(
            "%(count)s image is on its way, for %(time)s already.",
            "%(count)s images are on their way, the first of them for %(time)s already.",
            count,
            count=_number(count),
            time=span(oldest),
        )
        yield Sentence("SLOW", Level.WARN, text)
        return
    yield Sentence(
        "OK", Level.GOOD, ngettext("%(count)s image is on its way.", "%(count)s images are on their way.", count, count=_number(count))
    )


def _all_well(known: Known) -> Sentence:
    """Return what is said when there is nothing else to say: nothing waits and nothing is held."""
    return Sentence("OK", Level.GOOD, _today(known))


def _today(known: Known) -> str:
    if known.today is None or known.status is None:
        return gettext("Nothing waits here. How much came today is not known at the moment.")
    today, names = known.today, [one.name for one in known.status.destinations]
    count = _number(today.received)
    if not today.received:
        return gettext("Nothing has come yet today, and nothing waits.")
    if today.settled < today.received:
        return ngettext(
            "%(count)s image came today, and %(settled)s are where they belong so far.",
            "%(count)s images came today, and %(settled)s of them are where they belong so far.",
            today.received,
            count=count,
            settled=_number(today.settled),
        )
    given_up = known.status.deliveries.get("cancelled", 0) + known.status.deliveries.get("expired", 0)
    if not names or given_up or known.keeps_some:
        # What somebody gave up, or what was to stay here, is nowhere else: then only this is true.
        return ngettext(
            "%(count)s image came today, and nothing waits.", "%(count)s images came today, and nothing waits.", today.received, count=count
        )
    if len(names) == 1:
        return ngettext(
            "The %(count)s image of today is at %(name)s.",
            "All %(count)s images of today are at %(name)s.",
            today.received,
            count=count,
            name=names[0],
        )
    return ngettext(
        "The %(count)s image of today is where it belongs.",
        "All %(count)s images of today are where they belong.",
        today.received,
        count=count,
    )


def space_left(known: Known) -> str:
    """Return for how long the room will do, as a sentence, "" where that is not known."""
    if known.days is None:
        return ""
    if known.days < 1:
        return gettext("There is space for less than a day.")
    if known.days > _YEAR_DAYS:
        return gettext("There is space for more than a year.")
    days = int(known.days)
    return ngettext("There is space for %(count)s day.", "There is space for %(count)s days.", days, count=_number(days))


def _in_state(known: Known, state: str) -> list[DestinationReply]:
    return [] if known.status is None else [one for one in known.status.destinations if one.state == state]


def _since(destination: DestinationReply, now: float) -> float | None:
    """Return for how long a destination has been as it is, in seconds, None where that is not known."""
    if destination.since is None:
        return None
    return max(0.0, now - datetime.fromisoformat(destination.since).timestamp())


def _number(count: int) -> str:
    return str(format_decimal(count))


def _with(sentence: str, another: str) -> str:
    return f"{sentence} {another}" if another else sentence


_RULES: tuple[Callable[[Known], Iterable[Sentence]], ...] = (
    _no_reception,
    _disk_full,
    _part_down,
    _unreachable,
    _silent,
    _little_space,
    _held,
    _paused,
    _slowed,
    _set_aside,
    _on_the_way,
)
