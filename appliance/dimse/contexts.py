"""Presentation contexts: what the box takes from a scanner, and what a peer takes from the box. Pure.

Promises: `choose` gives every proposed context exactly one result; what is accepted was proposed; the requestor's order decides among
equals. What no table knows (private and new SOP classes, private transfer syntaxes) is taken: the box passes bytes on, it need not
understand them.
Failures: `PduInvalidError` (peer) from `read_grants`.
Limits: JPIP and SMPTE ST 2110 are never accepted, because the pixels would not be in the object.
Standard: PS3.8 9.3.3.2 (results), PS3.4 B.3, PS3.6 annex A; house.md section 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from pydicom._uid_dict import UID_dictionary

from appliance.core.identity import Uid, uid_fault
from appliance.dimse.conversion import convertible
from appliance.dimse.pdu import PduInvalidError

VERIFICATION = Uid("1.2.840.10008.1.1")
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

IMPLICIT_LITTLE_ENDIAN = Uid("1.2.840.10008.1.2")
EXPLICIT_LITTLE_ENDIAN = Uid("1.2.840.10008.1.2.1")
DEFLATED_LITTLE_ENDIAN = Uid("1.2.840.10008.1.2.1.99")
EXPLICIT_BIG_ENDIAN = Uid("1.2.840.10008.1.2.2")

# PS3.5 A.6, A.7 and A.13, A.14: references to a server, or to a stream outside the object.
NEVER_ACCEPTED: frozenset[Uid] = frozenset(
    Uid(uid)
    for uid in (
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
    )
)

UNCOMPRESSED: frozenset[Uid] = frozenset({IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN})

# PS3.8 table 9-18.
ACCEPTANCE: Final = 0
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4

Policy = Literal["choose", "strict", "all"]


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One context of an A-ASSOCIATE-RQ; `transfer_syntaxes` in the requestor's order."""

    context_id: int
    abstract_syntax: Uid
    transfer_syntaxes: tuple[Uid, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one proposed context; `transfer_syntax` is the chosen one, or empty where the context is not accepted."""

    context_id: int
    abstract_syntax: Uid
    result: Literal[0, 3, 4]
    transfer_syntax: Uid


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the destinations that an association can lead to are known to take.

    `taken`: by SOP class, the transfer syntaxes that at least one of them takes. `refused`: the SOP classes that none of them takes, in
    whatever syntax; `refused_syntaxes`: by SOP class, the transfer syntaxes that none of them takes.
    """

    taken: Mapping[Uid, frozenset[Uid]] = field(default_factory=lambda: MappingProxyType({}))
    refused: frozenset[Uid] = frozenset()
    refused_syntaxes: Mapping[Uid, frozenset[Uid]] = field(default_factory=lambda: MappingProxyType({}))


NOTHING_KNOWN = Acceptance()


def _non_storage() -> frozenset[str]:
    """Return every registered class that is known to be something else than a storage class.

    Storage classes say so in their names (PS3.6 table A-1), with two that only sound like it. Classes whose name was withdrawn are unknown.
    """
    kinds = {"SOP Class", "Meta SOP Class", "Service Class"}
    sound_like_it = {"1.2.840.10008.1.3.10", "1.2.840.10008.4.2"}
    return frozenset(
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind in kinds and name and ("Storage" not in name or "Storage Commitment" in name or uid in sound_like_it)
    )


NON_STORAGE: frozenset[str] = _non_storage()


def is_storage(abstract_syntax: str) -> bool:
    """Say whether a context for `abstract_syntax` is for C-STORE: every well-formed UID that is not known to be something else."""
    return uid_fault(abstract_syntax) is None and abstract_syntax not in NON_STORAGE


def named(uid: str) -> str:
    """Return the registered name of a UID (PS3.6 annex A), or the UID itself where it has none."""
    entry = UID_dictionary.get(uid)
    return entry[0] if entry is not None and entry[0] else uid


def choose(proposed: Sequence[ProposedContext], policy: Policy = "choose", known: Acceptance = NOTHING_KNOWN) -> list[ContextResult]:
    """Return the results in the order of the proposal.

    "choose" takes everything, but for a SOP class that no destination takes while the same association offers one that can be passed on;
    "strict" refuses what cannot be passed on; "all" looks at no destination.
    """
    another_goes_on = any(_going_on(_possible(context), known.taken.get(context.abstract_syntax, frozenset())) for context in proposed)
    return [_judge(context, policy, known, another_goes_on=another_goes_on) for context in proposed]


def _judge(context: ProposedContext, policy: Policy, known: Acceptance, *, another_goes_on: bool) -> ContextResult:
    sop_class = context.abstract_syntax
    if sop_class != VERIFICATION and not is_storage(sop_class):
        return _refuse(context, ABSTRACT_SYNTAX_NOT_SUPPORTED)
    possible = _possible(context)
    if not possible:
        return _refuse(context, TRANSFER_SYNTAXES_NOT_SUPPORTED)
    if policy == "all" or sop_class == VERIFICATION:
        return _accept(context, possible[0])
    # An image kept here is better than one nowhere: "choose" refuses a class only to a source that has another one to send instead.
    if sop_class in known.refused and (policy == "strict" or another_goes_on):
        return _refuse(context, ABSTRACT_SYNTAX_NOT_SUPPORTED)
    taken, refused = known.taken.get(sop_class, frozenset()), known.refused_syntaxes.get(sop_class, frozenset())
    if not taken and not refused and sop_class not in known.refused:
        return _accept(context, possible[0])
    going_on = _going_on(possible, taken)
    if going_on:
        return _accept(context, going_on[0])
    hopeful = [syntax for syntax in possible if not _is_hopeless(syntax, refused)]
    if policy == "strict" and (taken or not hopeful):
        return _refuse(context, TRANSFER_SYNTAXES_NOT_SUPPORTED)
    uncompressed = [syntax for syntax in hopeful or possible if syntax in UNCOMPRESSED]
    return _accept(context, (uncompressed or hopeful or possible)[0])


def _possible(context: ProposedContext) -> list[Uid]:
    """Return the transfer syntaxes whose pixels would be in the object, in the requestor's order."""
    return [syntax for syntax in context.transfer_syntaxes if syntax not in NEVER_ACCEPTED and uid_fault(syntax) is None]


def _going_on(syntaxes: Sequence[Uid], taken: frozenset[Uid]) -> list[Uid]:
    """Return those that are taken as they are, or after a conversion that the sender does by itself."""
    return [syntax for syntax in syntaxes if syntax in taken or any(convertible(syntax, target) for target in taken)]


def _is_hopeless(syntax: Uid, refused: frozenset[Uid]) -> bool:
    """Say whether a syntax is refused, and everything that the sender could make of it."""
    return syntax in refused and all(target in refused for target in UNCOMPRESSED if convertible(syntax, target))


def _accept(context: ProposedContext, syntax: Uid) -> ContextResult:
    return ContextResult(context.context_id, context.abstract_syntax, ACCEPTANCE, syntax)


def _refuse(context: ProposedContext, result: Literal[3, 4]) -> ContextResult:
    return ContextResult(context.context_id, context.abstract_syntax, result, Uid(""))


@dataclass(frozen=True, slots=True)
class Granted:
    """What the peer agreed to, by (abstract syntax, transfer syntax)."""

    accepted: Mapping[tuple[Uid, Uid], int]
    rejected: Mapping[tuple[Uid, Uid], int]


def read_grants(proposed: Sequence[tuple[Uid, Sequence[Uid]]], answered: Mapping[int, tuple[int, Uid]]) -> Granted:
    """Return what an answer grants of what we proposed under the ids 1, 3, 5 …; `answered` maps ids to result and transfer syntax.

    Raises `PduInvalidError` for an answer to something else.
    """
    contexts = {2 * number + 1: context for number, context in enumerate(proposed)}
    if not answered.keys() <= contexts.keys():
        raise PduInvalidError("the peer answers a context that was not proposed")
    accepted: dict[tuple[Uid, Uid], int] = {}
    rejected: dict[tuple[Uid, Uid], int] = {}
    for context_id, (abstract_syntax, transfer_syntaxes) in contexts.items():
        # A context that the answer leaves out counts as refused by the user (PS3.8 table 9-18, 1).
        result, chosen = answered.get(context_id, (1, Uid("")))
        if result != ACCEPTANCE:
            rejected.update({(abstract_syntax, syntax): result for syntax in transfer_syntaxes})
        elif chosen in transfer_syntaxes:
            accepted.setdefault((abstract_syntax, chosen), context_id)
        else:
            raise PduInvalidError("the peer accepts a transfer syntax that was not proposed")
    still_rejected = {pair: result for pair, result in rejected.items() if pair not in accepted}
    return Granted(MappingProxyType(accepted), MappingProxyType(still_rejected))
