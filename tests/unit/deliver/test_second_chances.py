"""What a change sets free among the held."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.deliver.own_faults import judge_foreign_key
from appliance.deliver.second_chances import Release, SecondChances
from appliance.deliver.verdict import judge_context, judge_store
from appliance.dimse.learned import Learned
from appliance.ledger.vocabulary import HoldClass

CT, MR, SYNTAX, JPEG = Uid("1.2.3.2"), Uid("1.2.3.4"), Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.70")
OF_CT = Release(frozenset({HoldClass.CONFIGURATION}), CT)


def test_ordinary_successes_set_nothing_free() -> None:
    """Without a refusal before it a delivered instance means nothing to the held."""
    chances = SecondChances()
    chances.refused((MR, SYNTAX), judge_context(3, MR, SYNTAX))

    assert chances.accepted((CT, SYNTAX)) is None


@pytest.mark.parametrize("verdict", [judge_context(3, CT, SYNTAX), judge_store(0x0122), judge_store(0xA800)])
@pytest.mark.parametrize("syntax", [SYNTAX, JPEG])
def test_a_class_that_is_taken_again_sets_its_held_free_once(verdict: object, syntax: Uid) -> None:
    """After a refusal of the class, the first success in any transfer syntax does it, and the next one does not."""
    chances = SecondChances()
    chances.refused((CT, SYNTAX), verdict)  # type: ignore[arg-type]

    assert [chances.accepted((CT, syntax)), chances.accepted((CT, syntax))] == [OF_CT, None]


@pytest.mark.parametrize("verdict", [judge_context(4, CT, JPEG), judge_context(1, CT, JPEG), judge_store(0xC122)])
def test_a_syntax_that_was_refused_must_be_taken_itself(verdict: object) -> None:
    """Successes of the class in other syntaxes, which it always had, set nothing free."""
    chances = SecondChances()
    chances.refused((CT, JPEG), verdict)  # type: ignore[arg-type]

    assert [chances.accepted((CT, syntax)) for syntax in (SYNTAX, JPEG, JPEG)] == [None, OF_CT, None]


def test_other_failures_are_no_refusals() -> None:
    """Verdicts on instances, and what the box cannot do itself, are nothing that a success takes back."""
    chances = SecondChances()
    for verdict in (judge_store(0xC000), judge_store(0x0110), judge_foreign_key(), judge_store(0)):
        chances.refused((CT, SYNTAX), verdict)

    assert chances.accepted((CT, SYNTAX)) is None


def test_refusals_of_earlier_runs_count() -> None:
    """What the ledger keeps as refused is known after a restart."""
    chances = SecondChances(Learned(refused=frozenset({(CT, JPEG)}), refused_classes=frozenset({MR})))

    released = [chances.accepted((CT, SYNTAX)), chances.accepted((CT, JPEG)), chances.accepted((MR, SYNTAX))]

    assert released == [None, OF_CT, Release(frozenset({HoldClass.CONFIGURATION}), MR)]


def test_a_pause_sets_free_what_led_to_it_once() -> None:
    """Only what was refused as an instance, only those instances, and each only after one pause."""
    chances = SecondChances()

    released = [chances.pause_ended(numbers) for numbers in ([], [1, 2], [2, 3], [1])]

    assert released == [
        None,
        Release(frozenset({HoldClass.VERDICT}), instances=frozenset({1, 2})),
        Release(frozenset({HoldClass.VERDICT}), instances=frozenset({3})),
        None,
    ]


def test_memory_is_bounded() -> None:
    """The oldest of very many refusals and pardons are forgotten."""
    chances = SecondChances()
    for number in range(1500):
        chances.refused((Uid(f"1.2.{number}"), SYNTAX), judge_store(0x0122))
    chances.pause_ended(range(1500))

    assert (chances.accepted((Uid("1.2.499"), SYNTAX)), chances.accepted((Uid("1.2.500"), SYNTAX)) is not None) == (None, True)
    assert len(chances._pardoned) == 1000
