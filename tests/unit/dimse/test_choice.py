"""Choosing contexts by what the destinations are known to take: choose, strict and all (house.md section 8)."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.dimse.contexts import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    VERIFICATION,
    Acceptance,
    Policy,
    ProposedContext,
    choose,
    named,
)

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
ENHANCED_CT = Uid("1.2.840.10008.5.1.4.1.1.2.1")
J2K = Uid("1.2.840.10008.1.2.4.90")
JPEG_LS = Uid("1.2.840.10008.1.2.4.80")
EXPLICIT, IMPLICIT, BIG = EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN

POLICIES: tuple[Policy, ...] = ("choose", "strict", "all")


def taking(*syntaxes: Uid) -> Acceptance:
    """Return the knowledge that CT is taken in these transfer syntaxes."""
    return Acceptance({CT: frozenset(syntaxes)})


def refusing(*syntaxes: Uid) -> Acceptance:
    """Return the knowledge that CT is refused in these transfer syntaxes, and nothing else."""
    return Acceptance(refused_syntaxes={CT: frozenset(syntaxes)})


def outcome(known: Acceptance, policy: Policy, *offered: Uid) -> Uid | int:
    """Return the transfer syntax in which a context for CT is accepted, or the result with which it is refused."""
    [result] = choose([ProposedContext(1, CT, offered)], policy, known)
    return result.transfer_syntax if result.result == 0 else result.result


@pytest.mark.parametrize(
    ("known", "offered", "chosen", "strictly"),
    [
        pytest.param(Acceptance(), (J2K, EXPLICIT), J2K, J2K, id="nothing known is everything"),
        pytest.param(taking(J2K, EXPLICIT), (EXPLICIT, J2K), EXPLICIT, EXPLICIT, id="the requestor's order, not ours"),
        pytest.param(taking(J2K), (EXPLICIT, J2K), J2K, J2K, id="what is taken goes before what is not"),
        pytest.param(taking(IMPLICIT), (EXPLICIT, IMPLICIT), EXPLICIT, EXPLICIT, id="convertible is as good as taken"),
        pytest.param(taking(IMPLICIT), (J2K, BIG), BIG, BIG, id="big endian can be converted"),
        pytest.param(taking(BIG), (J2K, EXPLICIT), EXPLICIT, 4, id="into big endian nothing can"),
        pytest.param(taking(JPEG_LS), (J2K, EXPLICIT), EXPLICIT, 4, id="no overlap: uncompressed"),
        pytest.param(taking(JPEG_LS), (J2K,), J2K, 4, id="no overlap, nothing uncompressed: the first"),
        pytest.param(refusing(J2K), (J2K, JPEG_LS, EXPLICIT), EXPLICIT, EXPLICIT, id="only refusals known: uncompressed"),
        pytest.param(refusing(J2K), (J2K, JPEG_LS), JPEG_LS, JPEG_LS, id="only refusals known: what is not among them"),
        pytest.param(refusing(J2K), (J2K,), J2K, 4, id="only what is refused is offered"),
        pytest.param(refusing(EXPLICIT), (JPEG_LS, EXPLICIT), EXPLICIT, EXPLICIT, id="refused, but what it converts to is not"),
        pytest.param(refusing(EXPLICIT, IMPLICIT), (EXPLICIT, JPEG_LS), JPEG_LS, JPEG_LS, id="refused with all it converts to"),
    ],
)
def test_the_syntax_of_one_context(known: Acceptance, offered: tuple[Uid, ...], chosen: Uid, strictly: Uid | int) -> None:
    """One row of the table: what is offered and known, what "choose" takes, what "strict" does; "all" takes the first."""
    assert [outcome(known, policy, *offered) for policy in POLICIES] == [chosen, strictly, offered[0]]


@pytest.mark.parametrize("policy", POLICIES)
def test_verification_is_always_taken(policy: Policy) -> None:
    """C-ECHO is answered whatever the destinations take, so that nobody takes the box for dead."""
    known = Acceptance(refused=frozenset({VERIFICATION}))

    [result] = choose([ProposedContext(1, VERIFICATION, (IMPLICIT,))], policy, known)

    assert (result.result, result.transfer_syntax) == (0, IMPLICIT)


def results(policy: Policy, known: Acceptance, *ct_syntaxes: Uid) -> list[int]:
    """Return the results of an association that offers Enhanced CT, refused by the archive, and CT in these syntaxes."""
    enhanced = ProposedContext(1, ENHANCED_CT, (J2K, EXPLICIT))
    return [result.result for result in choose([enhanced, ProposedContext(3, CT, ct_syntaxes)], policy, known)]


def test_a_refused_class_is_refused_where_the_source_has_another_way() -> None:
    """A scanner that offers Enhanced CT and CT is led to the one that the archive takes, also after a conversion."""
    known = Acceptance({CT: frozenset({IMPLICIT})}, frozenset({ENHANCED_CT}))

    assert results("choose", known, IMPLICIT) == [3, 0]
    assert results("choose", known, EXPLICIT) == [3, 0]
    assert results("strict", known, EXPLICIT) == [3, 0]
    assert results("all", known, IMPLICIT) == [0, 0]


def test_a_refused_class_is_accepted_where_nothing_goes_on() -> None:
    """Without any overlap in the association nothing is refused: what is kept here can be sent once the archive is set up."""
    known = Acceptance({CT: frozenset({IMPLICIT})}, frozenset({ENHANCED_CT}))

    assert results("choose", known, J2K) == [0, 0]
    assert results("strict", known, J2K) == [3, 4]
    assert results("choose", Acceptance(refused=frozenset({ENHANCED_CT})), J2K) == [0, 0]


def test_a_refused_class_that_is_accepted_is_taken_uncompressed() -> None:
    """What is kept for better times is kept in the form that most archives take."""
    known = Acceptance(refused=frozenset({CT}))

    assert outcome(known, "choose", J2K, EXPLICIT) == EXPLICIT
    assert outcome(known, "choose", J2K) == J2K
    assert outcome(known, "strict", J2K, EXPLICIT) == 3


def test_uids_have_names_for_people() -> None:
    """A registered UID is shown by its name, any other as it is."""
    assert named(CT) == "CT Image Storage"
    assert named(EXPLICIT) == "Explicit VR Little Endian"
    assert named("1.2.3") == "1.2.3"
