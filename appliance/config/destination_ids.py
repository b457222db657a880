"""Destination ids: a destination stays the one it was when it is renamed or moves, and no other ever takes its id. Pure.

The ledger keeps deliveries under the id. A destination that got another's id would be sent what that one is owed: images of patients, to
a place where nobody expects them. So an id is kept where it is clear that the destination is the same, and refused where it may not be.

Promises: a destination without `id` keeps the id of the one in force with its name; else, when another name of the one at its address is
gone, the id of that one (a rename, said in a notice); else the id of the one that last had its name; else its name is its id. Whoever takes
over an id shares the name or the address with the last that had it. No id is there twice.
Failures: none are raised; what is refused is a `Problem`.
Limits: a destination that changes name, title and address at once is a new one; who means the same changes one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.config.model import Destination, Site
from appliance.config.problem import Problem, quoted

# What of a destination says where it is, whatever its kind.
_PEER_KEYS = ("kind", "ae_title", "host", "port", "url", "user", "path")
_WITHOUT_CAPITALS = frozenset({"ae_title", "host"})

Peer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownDestination:
    """A destination of some generation, as far as ids go."""

    id: str
    name: str
    peer: Peer

    @property
    def called(self) -> str:
        """The name as it is compared."""
        return self.name.casefold()


@dataclass(frozen=True, slots=True)
class Identified:
    """The proposal with its ids; not to be used when one of the problems is an error."""

    site: Site
    problems: tuple[Problem, ...]


def known_destinations(values: Mapping[str, object]) -> tuple[KnownDestination, ...]:
    """Return the destinations in the plain values of a configuration, also of one that another version wrote."""
    entries = values.get("destination")
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and "name" in entry:
            name = str(entry["name"])
            peer = _peer(str(entry.get(key, "")) for key in _PEER_KEYS)
            found.append(KnownDestination(str(entry.get("id", name)), name, peer))
    return tuple(found)


def last_holders(generations: Iterable[Sequence[KnownDestination]]) -> tuple[KnownDestination, ...]:
    """Return who last had each id; `generations` begin with the newest."""
    holders: dict[str, KnownDestination] = {}
    for destinations in generations:
        for destination in destinations:
            holders.setdefault(destination.id, destination)
    return tuple(holders.values())


def identify(proposal: Site, in_force: Sequence[KnownDestination], earlier: Sequence[KnownDestination]) -> Identified:
    """Return the proposal with an id for each destination; `in_force` are today's, `earlier` the last holders of every id, newest first."""
    naming = _Naming(proposal, in_force, earlier)
    ids = [naming.id_of(index, destination) for index, destination in enumerate(proposal.destinations)]
    naming.refuse_repeated(ids)
    return Identified(with_ids(proposal, ids), tuple(naming.problems))


def with_ids(site: Site, ids: Sequence[str]) -> Site:
    """Return the site with these ids, one for each destination."""
    pairs = zip(site.destinations, ids, strict=True)
    return site.model_copy(update={"destinations": tuple(destination.model_copy(update={"id": known}) for destination, known in pairs)})


class _Naming:
    """One run of the rules over one proposal."""

    def __init__(self, proposal: Site, in_force: Sequence[KnownDestination], earlier: Sequence[KnownDestination]) -> None:
        self.problems: list[Problem] = []
        self._proposal = proposal
        self._today = {known.called: known for known in in_force}
        present = {known.id for known in in_force}
        self._gone = [known for known in earlier if known.id not in present]
        self._holders = {known.id: known for known in (*self._gone, *in_force)}
        named = {destination.name.casefold() for destination in proposal.destinations}
        claimed = {destination.id for destination in proposal.destinations if _says_id(destination)}
        # Those in force that the proposal names no longer, in either way: what is new at their address is one of them.
        self._renamed = [known for known in in_force if known.called not in named and known.id not in claimed]

    def id_of(self, index: int, destination: Destination) -> str:
        """Return the id of a destination, having noted what is wrong with it."""
        same = self._today.get(destination.name.casefold())
        if _says_id(destination):
            if same is not None and same.id != destination.id:
                self._refuse(
                    index,
                    f"the id of {quoted(destination.name)} is {quoted(same.id)} and never changes",
                    "Remove the line, or give a new destination a name of its own too.",
                )
                return destination.id
            return self._taken_over(index, destination, destination.id)
        if same is not None:
            return same.id
        renamed = self._take_renamed(destination)
        if renamed is not None:
            self._notice(
                index,
                f"{quoted(destination.name)} is taken for a new name of {quoted(renamed.name)}",
                "If it is another destination, give it an id of its own.",
            )
            return renamed.id
        back = next((known for known in self._gone if known.called == destination.name.casefold()), None)
        if back is not None:
            where = "" if back.peer == _peer_of(destination) else ", now at another address"
            self._notice(
                index,
                f"{quoted(destination.name)} was removed earlier and is back{where}",
                "What is still owed to it goes there; if it is another destination, give it an id of its own.",
            )
            return back.id
        return self._taken_over(index, destination, destination.name)

    def refuse_repeated(self, ids: Sequence[str]) -> None:
        """Note ids that two destinations would have, unless they were refused before."""
        first: dict[str, int] = {}
        refused = {problem.where for problem in self.problems if problem.severity == "error"}
        for index, known in enumerate(ids):
            other = first.setdefault(known, index)
            if other == index or not refused.isdisjoint({_where(index), _where(other)}):
                continue
            # The one that does not say it, and did not have it, is the one that has to choose.
            newer = index if self._proposal.destinations[index].name.casefold() not in self._today else other
            keeper = other if newer == index else index
            self._refuse(
                newer,
                f"{quoted(known)} is the id of {quoted(self._proposal.destinations[keeper].name)} (destination[{keeper}])",
                f"Give it an id of its own, for example id = {quoted(f'{known} 2')}.",
            )

    def _take_renamed(self, destination: Destination) -> KnownDestination | None:
        """Return the one in force that `destination` is a new name of, once. Two at one address are one peer: either will do."""
        peer = _peer_of(destination)
        found = next((known for known in self._renamed if known.peer == peer), None)
        if found is not None:
            self._renamed.remove(found)
        return found

    def _taken_over(self, index: int, destination: Destination, wanted: str) -> str:
        """Return `wanted`, having refused it if it belongs to a destination with which this one has nothing in common."""
        holder = self._holders.get(wanted)
        if holder is not None and holder.called != destination.name.casefold() and holder.peer != _peer_of(destination):
            is_today = self._today.get(holder.called) == holder
            self._refuse(
                index,
                f"{quoted(wanted)} {'is' if is_today else 'was'} the id of {quoted(holder.name)} at another address",
                "Give this destination an id that none ever had; to rename and move one, apply first the new name, then the new address.",
            )
        return wanted

    def _refuse(self, index: int, problem: str, advice: str) -> None:
        self.problems.append(Problem(_where(index), problem, advice))

    def _notice(self, index: int, problem: str, advice: str) -> None:
        self.problems.append(Problem(f"destination[{index}].name", problem, advice, "notice"))


def _where(index: int) -> str:
    return f"destination[{index}].id"


def _says_id(destination: Destination) -> bool:
    return "id" in destination.model_fields_set


def _peer_of(destination: Destination) -> Peer:
    return _peer(str(getattr(destination, key, "")) for key in _PEER_KEYS)


def _peer(values: Iterable[str]) -> Peer:
    """Return kind and address as they are compared: neither titles nor host names care about capitals."""
    return tuple(value.casefold() if key in _WITHOUT_CAPITALS else value for key, value in zip(_PEER_KEYS, values, strict=True))
