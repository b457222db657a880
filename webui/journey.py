"""How far a study is, in words: a sentence for each destination, and what happened when. Pure.

Promises: what is said to be somewhere was accepted there, and "proved" is what the destination proved; what is held or waits is never left
out of a sentence for what went well.
Failures: none.
Limits: when something was acquired is what the scanner's clock said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask_babel import gettext as _
from flask_babel import ngettext

from appliance.runtime.page_requests import StudyDelivery, StudyReply
from webui.language import span
from webui.sentences import Level

# What a scanner's clock may be off before somebody should be told: less is the moment between two images.
_CLOCK_S = 60.0
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How many images of a study are how far with one destination; what was given up (cancelled, expired) is not owed any more."""

    destination: str
    there: int
    proved: int
    waiting: int
    held: int
    given_up: int
    needs_proof: bool = False

    @property
    def owed(self) -> int:
        """How many are to be there."""
        return self.there + self.waiting + self.held

    @property
    def is_done(self) -> bool:
        """Whether the destination has everything that it is to have, proved where it must be."""
        return self.owed > 0 and self.there == self.owed and (self.proved == self.owed or not self.needs_proof)

    @property
    def state(self) -> str:
        """The state that says most about all of them: a word of `vocabulary.STATES`."""
        if self.held:
            return "held"
        if self.waiting:
            return "queued"
        if not self.owed:
            return "cancelled"
        return "proved" if self.proved == self.owed else "delivered"

    @property
    def level(self) -> Level:
        """How much somebody should care."""
        if self.held:
            return Level.BAD
        return Level.GOOD if self.is_done else Level.WARN


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, and how much it matters."""

    text: str
    level: Level


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a study: from when to when (ISO 8601, None where it has not), and what is to be said about it."""

    title: str
    first: str | None
    last: str | None
    note: str


def progress(destination: str, counts: Mapping[str, int], *, proof: str = "delivered") -> Progress:
    """Return how far a study is with a destination that has these counts by state."""
    proved = counts.get("proved", 0)
    return Progress(
        destination=destination,
        there=counts.get("delivered", 0) + proved,
        proved=proved,
        waiting=counts.get("queued", 0) + counts.get("sending", 0) + counts.get("deferred", 0),
        held=counts.get("held", 0),
        given_up=counts.get("cancelled", 0) + counts.get("expired", 0),
        needs_proof=proof != "delivered",
    )


def progress_of(delivery: StudyDelivery) -> Progress:
    """Return how far a study is with one of its destinations."""
    return progress(delivery.destination, delivery.counts, proof=delivery.proof)


def headline(parts: Sequence[Progress]) -> Said:
    """Return the one sentence about a study: about all of its destinations where they have everything, else about the worst of them."""
    owing = [part for part in parts if part.owed]
    if not parts:
        return Said(_("No route sends this study anywhere: it is kept in this box."), Level.WARN)
    if not owing:
        return Said(_("Nothing of this study is to be sent any more: it was given up."), Level.WARN)
    if len(owing) > 1 and all(part.is_done for part in owing):
        names = ", ".join(part.destination for part in owing)
        if all(part.proved == part.owed for part in owing):
            return Said(_("All images are where they belong, proved: %(names)s.", names=names), Level.GOOD)
        return Said(_("All images are where they belong: %(names)s.", names=names), Level.GOOD)
    worst = max(owing, key=lambda part: (list(Level).index(part.level), part.held, part.waiting))
    return Said(sentence(worst), worst.level)


def sentence(part: Progress) -> str:
    """Return how far a study is with a destination."""
    name, owed = part.destination, part.owed
    if not owed:
        return _("Nothing is to be sent to %(name)s any more.", name=name)
    if part.held:
        return ngettext(
            "%(num)s image for %(name)s is held: somebody must decide. %(there)s of %(owed)s are there.",
            "%(num)s images for %(name)s are held: somebody must decide. %(there)s of %(owed)s are there.",
            part.held,
            name=name,
            there=part.there,
            owed=owed,
        )
    if part.waiting and not part.there:
        return ngettext("%(num)s image waits for %(name)s.", "All %(num)s images wait for %(name)s.", owed, name=name)
    if part.waiting:
        return ngettext(
            "%(there)s of %(owed)s images are at %(name)s, %(num)s waits.",
            "%(there)s of %(owed)s images are at %(name)s, %(num)s wait.",
            part.waiting,
            name=name,
            there=part.there,
            owed=owed,
        )
    if part.proved == owed:
        return ngettext("%(num)s image is at %(name)s, proved.", "All %(num)s images are at %(name)s, proved.", owed, name=name)
    if part.needs_proof:
        return ngettext(
            "%(num)s image is at %(name)s. That it keeps it is proved for %(proved)s so far.",
            "All %(num)s images are at %(name)s. That it keeps them is proved for %(proved)s so far.",
            owed,
            name=name,
            proved=part.proved,
        )
    return ngettext("%(num)s image is at %(name)s.", "All %(num)s images are at %(name)s.", owed, name=name)


def steps(study: StudyReply, now: float) -> list[Step]:
    """Return what happened to a study, from the scanner to each destination; `now` in seconds since 1970."""
    return [_acquired(study), _received(study), *(_delivered(study, delivery, now) for delivery in study.deliveries)]


def _acquired(study: StudyReply) -> Step:
    first, last = study.acquired_first, study.acquired_last
    if first is None:
        return Step(_("Acquired"), None, None, _("The images do not say when they were acquired."))
    between = _between(first, last)
    note = _("The examination took %(time)s, by the scanner's clock.", time=span(between)) if between else _("By the scanner's clock.")
    return Step(_("Acquired"), first, last, note)


def _received(study: StudyReply) -> Step:
    lag = _between(study.acquired_last, study.received_last)
    if lag is None:
        note = ""
    elif lag < -_CLOCK_S:
        note = _("By its own clock the scanner acquired the last image %(time)s later: its clock is wrong, or the box's.", time=span(-lag))
    else:
        note = _("The last image came %(time)s after it was acquired.", time=span(max(0.0, lag)))
    return Step(_("Received"), study.received_first, study.received_last, note)


def _delivered(study: StudyReply, delivery: StudyDelivery, now: float) -> Step:
    part = progress_of(delivery)
    title = _("At %(name)s", name=delivery.destination)
    if part.waiting or part.held:
        waited = span(max(0.0, now - _moment(study.received_first)))
        return Step(title, delivery.first_delivered, None, _("It has waited for %(time)s since the first image came.", time=waited))
    lag = _between(study.received_last, delivery.last_delivered)
    notes = []
    if lag is not None and lag <= _DAY_S:
        notes.append(_("The last image arrived there %(time)s after it came here.", time=span(max(0.0, lag))))
    elif lag is not None:
        notes.append(_("Sent again later, or after a long wait: %(time)s after it came here.", time=span(lag)))
    if part.owed and part.proved == part.owed:
        notes.append(_("Proved."))
    elif part.needs_proof and part.owed:
        notes.append(_("Waits for its proof."))
    return Step(title, delivery.first_delivered, delivery.last_delivered, " ".join(notes))


def _between(first: str | None, last: str | None) -> float | None:
    return None if first is None or last is None else _moment(last) - _moment(first)


def _moment(text: str) -> float:
    """Return seconds since 1970 of a moment as daemons write it."""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
