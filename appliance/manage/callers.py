"""Who knocked: what the calls of callers that are not let in mean, and what would let each of them in. Pure.

Promises: each caller is judged by the configuration in force, not by the one that it met; whom that lets in is not among the knocks. What
is offered changes nothing for a device that still calls as it is listed. Everything a peer said comes out as it was kept.
Failures: none.
Limits: sees what receivers remember (`runtime.callers`): the last call of each title and address since the box was started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.config.addresses import network_text
from appliance.config.model import DicomDestination, Site, Source
from appliance.config.reporters import find_reporter
from appliance.config.sources import find_source, read_address
from appliance.core.identity import AETitle, AETitleInvalidError
from appliance.runtime.callers import LastCall

COMMITMENT = "1.2.840.10008.1.20.1"
"""What an archive proposes that wants to report what it keeps (PS3.4 J)."""

# The modality of what most scanners send; whoever proposes images of one kind only is of that modality.
_MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.2": "MG",
    "1.2.840.10008.5.1.4.1.1.1.2.1": "MG",
    "1.2.840.10008.5.1.4.1.1.13.1.3": "MG",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.3.1": "US",
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.2": "RF",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.77.1.1": "ES",
}


class Verdict(StrEnum):
    """What a caller most likely is."""

    NEW = "new"
    """A device that nobody has listed."""
    ARCHIVE = "archive"
    """A destination that calls, to report or to test."""
    MOVED = "moved"
    """A listed source under its title, from another address."""
    RENAMED = "renamed"
    """A listed source's address, with the title spelled differently."""
    TWIN = "twin"
    """Another device beside a listed one, which shares its title or its address and still calls as it is listed."""
    WRONG_CALLED = "wrong-called"
    """A listed source that calls the box by a title which the box does not answer to."""
    UNUSABLE = "unusable"
    """A caller with a title that is none."""
    LET_IN = "let-in"
    """Nobody has listed it, and the configuration lets everybody in."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What would let a caller in: the values of one table, and a title that the box would answer to besides ("" for none).

    `kind` is the kind of table, "" where only the title is missing; `name` the table that is changed, "" where one is added.
    """

    kind: str = ""
    name: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    answer_to: str = ""


@dataclass(frozen=True, slots=True)
class Knock:
    """A caller that is not let in, or is not listed: its last call, and what it most likely is.

    `about` is the source or destination that it looks like, `listed` how that one is listed (its address or title), `acceptance` what would
    let it in: None where nothing on this side would. `is_called_ours`: it calls the box by a title that the box answers to.
    """

    call: LastCall
    verdict: Verdict
    about: str = ""
    listed: str = ""
    acceptance: Acceptance | None = None
    is_called_ours: bool = True


def knocks(calls: Sequence[LastCall], site: Site) -> list[Knock]:
    """Return who is not let in or not listed, the latest first; `calls` are the last calls of everybody."""
    found: dict[tuple[str, str], Knock] = {}
    for call in sorted(calls, key=lambda one: one.at, reverse=True):
        knock = None if (call.calling, call.address) in found else _judge(call, calls, site)
        if knock is not None:
            found[call.calling, call.address] = knock
    return list(found.values())


def free_name(wanted: str, site: Site) -> str:
    """Return `wanted`, or the first of "wanted 2", "wanted 3" and so on that no source has."""
    taken = {source.name for source in site.sources}
    return next(name for name in (wanted, *(f"{wanted} {number}" for number in range(2, len(taken) + 3))) if name not in taken)


def modality_of(wanted: Iterable[str]) -> str:
    """Return the one modality whose images a caller proposes, "" where there are several or none."""
    found = {_MODALITIES[uid] for uid in wanted if uid in _MODALITIES}
    return found.pop() if len(found) == 1 else ""


def _judge(call: LastCall, calls: Sequence[LastCall], site: Site) -> Knock | None:
    """Return what a call means, None for one that would be let in today, or that something else than its name keeps out."""
    title = read_title(call.calling)
    if title is None:
        return Knock(call, Verdict.UNUSABLE) if call.answer else None
    is_ours, answer_to = _called(call, site)
    source = find_source(site, title.text, call.address)
    if source is not None:
        if is_ours:
            return None
        return Knock(call, Verdict.WRONG_CALLED, source.name, acceptance=_answering(answer_to), is_called_ours=False)
    reporter = find_reporter(site, title, call.address)
    if reporter is not None and (not call.answer or COMMITMENT in call.wanted):
        return None if is_ours else Knock(call, Verdict.WRONG_CALLED, reporter.name, acceptance=_answering(answer_to), is_called_ours=False)
    return (
        _archive(call, title, site, is_called_ours=is_ours)
        or _listed_otherwise(call, title, calls, site, (is_ours, answer_to))
        or Knock(
            call,
            Verdict.LET_IN if site.admission.unknown_sources == "accept" and is_ours else Verdict.NEW,
            acceptance=_added(call, title, site, answer_to),
            is_called_ours=is_ours,
        )
    )


def _archive(call: LastCall, title: AETitle, site: Site, *, is_called_ours: bool) -> Knock | None:
    """Return the knock of a destination, known by its title or by the address that it is called at."""
    for destination in site.destinations:
        if not isinstance(destination, DicomDestination):
            continue
        address = read_address(destination.host)
        is_there = address is not None and address == read_address(call.address)
        if title != destination.ae_title and not is_there:
            continue
        acceptance = None
        if COMMITMENT in call.wanted:
            others = [_as_values(other.ae_title, other.address) for other in destination.also_calls_from]
            reporting = [*others, {"ae_title": title.text, "address": call.address}]
            acceptance = Acceptance("destination", destination.name, {"also_calls_from": reporting})
        return Knock(call, Verdict.ARCHIVE, destination.name, destination.address, acceptance, is_called_ours)
    return None


def _listed_otherwise(call: LastCall, title: AETitle, calls: Sequence[LastCall], site: Site, called: tuple[bool, str]) -> Knock | None:
    """Return the knock of a device that is listed under this title elsewhere, or under another title at this address."""
    is_ours, answer_to = called
    address = read_address(call.address)
    same_title = [source for source in site.sources if source.ae_title == title and source.address is not None]
    neighbours = [source for source in site.sources if source.ae_title is not None and _is_alone(source)]
    same_place = [source for source in neighbours if source.address is not None and address in source.address]
    if len(same_title) == 1 and _is_alone(same_title[0]):
        source, listed, change = same_title[0], _place(same_title[0]), {"address": call.address}
        verdict = Verdict.MOVED
    elif not same_title and len(same_place) == 1:
        source, listed, change = same_place[0], str(same_place[0].ae_title), {"ae_title": title.text}
        verdict = Verdict.RENAMED
    elif same_title:
        source, listed, change, verdict = same_title[0], _place(same_title[0]), {}, Verdict.TWIN
    else:
        return None
    if verdict is Verdict.TWIN or any(other.source == source.name and other.at > call.at for other in calls):
        # What works must go on working: the new one gets an entry of its own.
        return Knock(call, Verdict.TWIN, source.name, listed, _added(call, title, site, answer_to), is_ours)
    return Knock(call, verdict, source.name, listed, Acceptance("source", source.name, change, answer_to), is_ours)


def _answering(title: str) -> Acceptance | None:
    return Acceptance(answer_to=title) if title else None


def _added(call: LastCall, title: AETitle, site: Site, answer_to: str) -> Acceptance:
    values: dict[str, object] = {"name": free_name(title.text, site), "ae_title": title.text, "address": call.address}
    modality = modality_of(call.wanted)
    return Acceptance("source", "", values | ({"modality": modality} if modality else {}), answer_to)


def _called(call: LastCall, site: Site) -> tuple[bool, str]:
    """Say whether the box answers to the title that was called, and which title it would have to answer to if not ("" for none)."""
    if not call.called:
        return site.admission.blank_called, ""
    title = read_title(call.called)
    if title is None:
        return False, ""
    is_ours = title in site.local_titles
    return is_ours, "" if is_ours else title.text


def read_title(shown: str) -> AETitle | None:
    """Return the title that was shown, or None where it was blank or held what no title may hold."""
    try:
        # What had to be escaped to be shown has a backslash now, which no title may hold.
        return AETitle.parse(shown)
    except AETitleInvalidError:
        return None


def _is_alone(source: Source) -> bool:
    return source.address is not None and source.address.num_addresses == 1


def _place(source: Source) -> str:
    return network_text(source.address) if source.address is not None else ""


def _as_values(title: AETitle, address: object) -> dict[str, str]:
    return {"ae_title": title.text} | ({} if address is None else {"address": network_text(address)})  # type: ignore[arg-type]
