"""Consistency: what no section can judge alone. Pure.

Promises: a route names destinations and sources that exist; names and ids are used once; the box's titles and a source's (title, address)
differ; nothing is delivered to the box itself; what is allowed but seldom meant comes as a notice.
Failures: none are raised.
Limits: whether a peer is there, and answers, is for `destinations test`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from appliance.config.addresses import ListenAddress, network_text
from appliance.config.model import AnyDestination, DicomDestination, Site
from appliance.config.problem import Problem, nearest, printable, quoted
from appliance.config.tls_consistency import tls_inconsistencies

_LOOPBACK_NAMES = ("127.0.0.1", "::1", "localhost")
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)


def inconsistencies(site: Site) -> tuple[Problem, ...]:
    """Return everything that does not fit together, errors and notices, in the order of the sections."""
    return (
        *_titles(site),
        *_references("local_ae", "routes", [local.routes or () for local in site.local_ae], [route.name for route in site.routes], "route"),
        *_empty_restrictions(site),
        *_listeners(site),
        *_unknown_sources(site),
        *_sources(site),
        *_destinations(site),
        *_routes(site),
        *_senders_at_destinations(site),
        *tls_inconsistencies(site),
    )


def _titles(site: Site) -> Iterator[Problem]:
    """Find titles that the box would answer to twice."""
    seen = {site.box.ae_title: ("box.ae_title", site.box.ae_title.text)}
    for index, local in enumerate(site.local_ae):
        where = f"local_ae[{index}].ae_title"
        if local.ae_title not in seen:
            seen[local.ae_title] = (where, local.ae_title.text)
            continue
        other, spelling = seen[local.ae_title]
        difference = "is the same title as" if spelling == local.ae_title.text else "differs only in capital letters from"
        yield Problem(where, f"{quoted(local.ae_title.text)} {difference} {other}", "The box cannot tell the two apart: remove one.")


def _references(section: str, key: str, words: list[tuple[str, ...]], known: list[str], noun: str) -> Iterator[Problem]:
    """Find names in lists that are the name of nothing in the file."""
    for index, names in enumerate(words):
        for position, name in enumerate(names):
            if name not in known:
                yield Problem(
                    f"{section}[{index}].{key}[{position}]", f"no {noun} is named {quoted(name)}", _advice_on_name(name, known, noun)
                )


def _advice_on_name(name: str, known: Iterable[str], noun: str) -> str:
    """Return the name that was meant, or how to make one."""
    meant = nearest(name, known)
    if meant is not None:
        return f"Did you mean {quoted(meant)}?"
    return f"Use the name of a [[{noun}]] in this file, or add one."


def _empty_restrictions(site: Site) -> Iterator[Problem]:
    """Find titles without any route: they would swallow what is sent to them."""
    for index, local in enumerate(site.local_ae):
        if local.routes == ():
            yield Problem(f"local_ae[{index}].routes", "names no route", "Remove routes to let every route apply, or name at least one.")


def _listeners(site: Site) -> Iterator[Problem]:
    """Find addresses taken twice."""
    places: list[tuple[str, ListenAddress]] = [(f"listen.dicom[{index}]", address) for index, address in enumerate(site.listen.dicom)]
    places += [(f"listen.dicom_tls[{index}]", address) for index, address in enumerate(site.listen.dicom_tls)]
    if isinstance(site.listen.web, ListenAddress):
        places.append(("listen.web", site.listen.web))
    for index, (where, address) in enumerate(places):
        for other, taken in places[:index]:
            if address.collides(taken):
                yield Problem(where, f"{address} is taken by {other}", "Use another port, or remove one of the two.")


def _unknown_sources(site: Site) -> Iterator[Problem]:
    """Say when the door is open to everybody, and when it opens to nobody."""
    if site.admission.unknown_sources == "accept":
        yield Problem(
            "admission.unknown_sources",
            "lets any machine on the network send images",
            "Use it for demonstrations only; list sources instead.",
            "notice",
        )
    elif not site.sources:
        yield Problem("source", "no source is listed, so every scanner is refused", "Add a [[source]] for each scanner.", "notice")


def _sources(site: Site) -> Iterator[Problem]:
    """Find sources that cannot be told apart: by name, or by title and address."""
    yield from _repeated("source", "name", [source.name for source in site.sources])
    spellings: dict[str, tuple[int, str]] = {}
    pairs: dict[tuple[str, str], int] = {}
    for index, source in enumerate(site.sources):
        title = "*" if source.ae_title is None else source.ae_title.key
        address = "" if source.address is None else network_text(source.address)
        first = pairs.setdefault((title, address), index)
        if first != index:
            other = f"source[{first}] ({printable(site.sources[first].name)})"
            yield Problem(
                f"source[{index}].ae_title",
                f"has the same title and address as {other}",
                "The box cannot tell the two apart: give each its own address, or remove one.",
            )
            continue
        text = "*" if source.ae_title is None else source.ae_title.text
        position, spelling = spellings.setdefault(title, (index, text))
        if spelling != text:
            yield Problem(
                f"source[{index}].ae_title",
                f"{quoted(text)} differs only in capital letters from {quoted(spelling)} of source[{position}]",
                "Titles are compared without regard to capitals: spell both the same.",
            )


def _repeated(section: str, key: str, names: list[str]) -> Iterator[Problem]:
    """Find names that are there twice, however they are capitalised: people read them aloud."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        position = first.setdefault(name.casefold(), index)
        if position != index:
            difference = "is" if names[position] == name else "differs only in capital letters from"
            yield Problem(
                f"{section}[{index}].{key}", f"{quoted(name)} {difference} the {key} of {section}[{position}]", f"Give each its own {key}."
            )


def _destinations(site: Site) -> Iterator[Problem]:
    """Find destinations that share a name or an id, are the box itself, or are reached by no route."""
    yield from _repeated("destination", "name", [destination.name for destination in site.destinations])
    own_ids = [destination.id if destination.id != destination.name else "" for destination in site.destinations]
    first: dict[str, int] = {}
    for index, destination in enumerate(site.destinations):
        position = first.setdefault(destination.id, index)
        same_names = site.destinations[position].name.casefold() == destination.name.casefold()
        if position != index and not (same_names and not own_ids[index] and not own_ids[position]):
            blamed = index if own_ids[index] or not own_ids[position] else position
            other = position if blamed == index else index
            yield Problem(
                f"destination[{blamed}].id", f"{quoted(destination.id)} is the id of destination[{other}] too", "Give each its own id."
            )
        if _is_the_box(destination, site):
            yield Problem(
                f"destination[{index}].host", "is the box itself, which would send images round for ever", "Use the address of the archive."
            )
        yield from _likely_copies(site.destinations[:index], index, destination)
    if site.destinations:
        reached = {name for route in site.routes if route.enabled for name in route.to}
        for index, destination in enumerate(site.destinations):
            if destination.name not in reached:
                yield Problem(f"destination[{index}].name", "no route leads here", "Name it in the to = [ ] of a [[route]].", "notice")


def _is_the_box(destination: AnyDestination, site: Site) -> bool:
    """Say whether a destination is one of the box's own listeners, as far as the file can tell."""
    if not isinstance(destination, DicomDestination):
        return False
    for listener in (*site.listen.dicom, *site.listen.dicom_tls):
        if listener.port == destination.port and (
            destination.host == listener.host
            or (destination.host in _LOOPBACK_NAMES and listener.host in (*_EVERY_ADDRESS, *_LOOPBACK_NAMES))
        ):
            return True
    return False


def _likely_copies(earlier: tuple[AnyDestination, ...], index: int, destination: AnyDestination) -> Iterator[Problem]:
    """Point at destinations that are one peer, and at titles that differ only in capitals."""
    for position, other in enumerate(earlier):
        if (other.kind, other.address.casefold()) == (destination.kind, destination.address.casefold()):
            yield Problem(
                f"destination[{index}]",
                f"is the same peer as destination[{position}]",
                "Routes to both send every image there twice.",
                "notice",
            )
        elif not isinstance(other, DicomDestination) or not isinstance(destination, DicomDestination):
            continue
        elif other.ae_title == destination.ae_title and other.ae_title.text != destination.ae_title.text:
            yield Problem(
                f"destination[{index}].ae_title",
                f"differs only in capital letters from the title of destination[{position}]",
                "Check the spelling: some archives distinguish capitals.",
                "notice",
            )


def _routes(site: Site) -> Iterator[Problem]:
    """Find routes that lead nowhere, or that nothing can ever meet."""
    names = [route.name for route in site.routes]
    yield from _repeated("route", "name", names)
    yield from _references(
        "route", "to", [route.to for route in site.routes], [destination.name for destination in site.destinations], "destination"
    )
    if site.admission.unknown_sources == "refuse":
        sources = [source.name for source in site.sources]
        yield from _references("route", "when.source", [route.when.source for route in site.routes], sources, "source")
    titles = site.local_titles
    for index, route in enumerate(site.routes):
        for position, title in enumerate(route.when.called):
            if title not in titles:
                yield Problem(
                    f"route[{index}].when.called[{position}]",
                    f"the box does not answer to {quoted(title.text)}",
                    "Use box.ae_title, or add the title as a [[local_ae]].",
                )
    if site.routes and not any(route.enabled for route in site.routes):
        yield Problem("route", "every route is switched off, so images are kept and sent nowhere", "Set enabled = true in one.", "notice")
    if not site.routes:
        yield Problem(
            "route", "there is no route, so images are kept and sent nowhere", "Add a [[route]] that names a destination.", "notice"
        )


def _senders_at_destinations(site: Site) -> Iterator[Problem]:
    """Point at sources that may be a destination under a title that nobody would know again: it would be sent what it sent."""
    for index, source in enumerate(site.sources):
        if source.address is None or source.ae_title is None:
            continue
        for position, destination in enumerate(site.destinations):
            if not isinstance(destination, DicomDestination) or str(destination.host) in _LOOPBACK_NAMES:
                continue
            titles = (destination.ae_title, *(other.ae_title for other in destination.also_calls_from))
            if network_text(source.address) == str(destination.host) and source.ae_title not in titles:
                yield Problem(
                    f"source[{index}].address",
                    f"is the address of destination[{position}], under another title",
                    "If the two are one archive, add this title to its also_calls_from: else what it sends is sent back to it.",
                    "notice",
                )
