"""Which contexts the box takes, and in which transfer syntax."""

from __future__ import annotations

import pytest
from pynetdicom import sop_class

from appliance.core.identity import Uid
from appliance.dimse.contexts import (
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    NEVER_ACCEPTED,
    VERIFICATION,
    Acceptance,
    ContextResult,
    Policy,
    ProposedContext,
    choose,
    is_storage,
    read_grants,
)
from appliance.dimse.pdu import PduInvalidError

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
MR = Uid("1.2.840.10008.5.1.4.1.1.4")
JPEG = Uid("1.2.840.10008.1.2.4.50")
J2K = Uid("1.2.840.10008.1.2.4.90")
JPIP = Uid("1.2.840.10008.1.2.4.94")
BIG = Uid("1.2.840.10008.1.2.2")


def proposed(abstract: str, *syntaxes: Uid, number: int = 1) -> ProposedContext:
    """Return one proposed context."""
    return ProposedContext(number, Uid(abstract), syntaxes)


def chosen(context: ProposedContext, policy: Policy = "choose", known: Acceptance | None = None) -> tuple[int, str]:
    """Return result and transfer syntax of a single context."""
    [result] = choose([context], policy, known or Acceptance())
    return result.result, result.transfer_syntax


@pytest.mark.parametrize("uid", sorted(sop_class._STORAGE_CLASSES.values()))
def test_every_storage_class_of_pynetdicom_is_storage(uid: str) -> None:
    """Every class that an independent table calls a storage class is one here too."""
    assert is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.113619.4.30",
        "1.3.12.2.1107.5.9.1",
        "2.25.1",
        "1.2.840.10008.5.1.4.1.1.999",
        "1.2.840.10008.5.1.4.1.1.88.1",
        "1.2.840.10008.5.1.4.1.1.12.77",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.1.29",
    ],
)
def test_private_unknown_new_and_retired_classes_are_storage(uid: str) -> None:
    """What no table knows as something else is taken as a storage class (hostile-inputs.md row 56)."""
    assert is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        VERIFICATION,
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.1.20.2",
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.5.1.4.31",
        "1.2.840.10008.5.1.4.1.2.2.1",
        "1.2.840.10008.5.1.4.1.2.2.2",
        "1.2.840.10008.5.1.4.1.1.201.2",
        "1.2.840.10008.5.1.1.9",
        "1.2.840.10008.4.2",
        "",
        "1.2.x",
        "1" * 65,
    ],
)
def test_other_services_and_malformed_uids_are_not_storage(uid: str) -> None:
    """Known other services, and what is no UID, are not taken for storage."""
    assert not is_storage(uid)


def test_the_requestors_order_decides() -> None:
    """With nothing known of the destinations the first syntax of the proposal is chosen, compressed or not."""
    assert chosen(proposed(CT, J2K, EXPLICIT_LITTLE_ENDIAN)) == (0, J2K)
    assert chosen(proposed(CT, EXPLICIT_LITTLE_ENDIAN, J2K)) == (0, EXPLICIT_LITTLE_ENDIAN)


@pytest.mark.parametrize("syntax", [BIG, Uid("1.2.840.10008.1.2.1.99"), Uid("1.2.840.113619.5.2"), Uid("1.2.840.10008.1.2.4.201"), JPEG])
def test_every_syntax_that_carries_its_pixels_is_taken(syntax: Uid) -> None:
    """Big endian, deflated, private, new and lossy syntaxes are all passed on."""
    assert chosen(proposed(CT, syntax)) == (0, syntax)


@pytest.mark.parametrize("syntax", sorted(NEVER_ACCEPTED))
def test_references_to_servers_are_refused_with_result_4(syntax: Uid) -> None:
    """JPIP and SMPTE ST 2110 are never accepted, not even under "all", and passed over where something else is offered."""
    assert chosen(proposed(CT, syntax), "all") == (4, "")
    assert chosen(proposed(CT, syntax, JPEG), "all") == (0, JPEG)


def test_no_syntax_at_all_is_result_4() -> None:
    """A context that offers no transfer syntax cannot be accepted."""
    assert chosen(proposed(CT)) == (4, "")


def test_other_services_are_refused_with_result_3() -> None:
    """What the box does not serve is refused by abstract syntax, and the answers keep the order of the questions."""
    contexts = [proposed("1.2.840.10008.5.1.4.31", IMPLICIT_LITTLE_ENDIAN), proposed(VERIFICATION, IMPLICIT_LITTLE_ENDIAN, number=3)]

    assert choose(contexts) == [
        ContextResult(1, Uid("1.2.840.10008.5.1.4.31"), 3, Uid("")),
        ContextResult(3, VERIFICATION, 0, IMPLICIT_LITTLE_ENDIAN),
    ]


def test_the_first_syntax_that_a_destination_takes_is_chosen() -> None:
    """What is known of the destinations decides, in the requestor's order; without overlap uncompressed comes before the first."""
    known = Acceptance({CT: frozenset({JPEG, IMPLICIT_LITTLE_ENDIAN})})

    assert chosen(proposed(CT, J2K, IMPLICIT_LITTLE_ENDIAN, JPEG), known=known) == (0, IMPLICIT_LITTLE_ENDIAN)
    assert chosen(proposed(CT, J2K, EXPLICIT_LITTLE_ENDIAN), known=known) == (0, EXPLICIT_LITTLE_ENDIAN)
    assert chosen(proposed(CT, J2K), known=known) == (0, J2K)
    assert chosen(proposed(MR, J2K), known=known) == (0, J2K)


def test_strict_refuses_what_no_destination_takes() -> None:
    """Under "strict" a syntax without a taker is result 4 and a refused class result 3; "all" takes both."""
    known = Acceptance({CT: frozenset({JPEG})}, frozenset({MR}))

    assert chosen(proposed(CT, J2K), "strict", known) == (4, "")
    assert chosen(proposed(MR, J2K), "strict", known) == (3, "")
    assert chosen(proposed(CT, J2K), "all", known) == (0, J2K)
    assert chosen(proposed(MR, J2K), "all", known) == (0, J2K)


def test_a_refused_class_is_refused_only_beside_one_that_is_taken() -> None:
    """Under "choose" an image is rather kept here than nowhere (house.md section 8)."""
    known = Acceptance({CT: frozenset({JPEG})}, frozenset({MR}))
    alone = choose([proposed(MR, JPEG)], "choose", known)
    beside = choose([proposed(MR, JPEG), proposed(CT, JPEG, number=3)], "choose", known)

    assert [result.result for result in alone] == [0]
    assert [result.result for result in beside] == [3, 0]


def test_grants_are_read_by_what_was_proposed() -> None:
    """Accepted and refused pairs are told apart; a context left out is refused, a pair accepted elsewhere is not."""
    granted = read_grants(
        [(CT, (JPEG, J2K)), (CT, (J2K,)), (MR, (JPEG,)), (MR, (J2K,))],
        {1: (4, Uid("")), 3: (0, J2K), 5: (3, Uid(""))},
    )

    assert dict(granted.accepted) == {(CT, J2K): 3}
    assert dict(granted.rejected) == {(CT, JPEG): 4, (MR, JPEG): 3, (MR, J2K): 1}


@pytest.mark.parametrize("answered", [{3: (0, JPEG)}, {1: (0, J2K)}, {1: (0, Uid(""))}])
def test_grants_of_what_was_not_proposed_are_refused(answered: dict[int, tuple[int, Uid]]) -> None:
    """A context or a syntax that was not proposed breaks the protocol."""
    with pytest.raises(PduInvalidError):
        read_grants([(CT, (JPEG,))], answered)
