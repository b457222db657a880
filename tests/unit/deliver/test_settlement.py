"""What becomes of a delivery after a try, verdict by verdict."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.settlement import Waits, give_back, settle, step_aside
from appliance.deliver.task import Task, in_a_row
from appliance.deliver.transport import Outcome
from appliance.deliver.verdict import Break, judge_break, judge_context, judge_store
from appliance.ledger.claims import Claim
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
WAITS = Waits(soft=(5.0, 600.0), held=86400.0)


def a_task(*outcomes: str, unknown: int = 0, sent_before: bool = False) -> Task:
    """Return a CT instance that was tried with these outcomes."""
    claim = Claim(
        delivery_id=1,
        instance_id=2,
        destination_id="archive",
        owner="run",
        sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance_uid=Uid("1.2.3.4"),
        transfer_syntax_uid=Uid("1.2.840.10008.1.2.1"),
        study_instance_uid="1.2.3",
        calling_title="CT1",
        called_title="EDGE",
        spool_name="",
        length=100,
        version=1,
        priority=Priority.ROUTINE,
        cause=Cause.ROUTE,
        attempts=len(outcomes),
        soft_attempts=0,
        unknown_outcomes=unknown,
    )
    return Task(claim, outcomes, sent_before=sent_before)


def test_a_success_is_delivered_without_a_word() -> None:
    """0000: delivered, one attempt, no reason."""
    moved = settle(a_task(), Outcome(judge_store(0), 0), WAITS, NOW, 0.0)

    assert (moved.state, moved.reason, moved.due, moved.hold_class) == (DeliveryState.DELIVERED, "", None, None)
    assert moved.attempt is not None
    assert (moved.attempt.outcome, moved.attempt.status, moved.attempt.at) == ("success", 0, NOW.wall)


def test_a_warning_is_delivered_and_kept() -> None:
    """B006: delivered, and the reason says what the destination did."""
    moved = settle(a_task(), Outcome(judge_store(0xB006), 0xB006), WAITS, NOW, 0.0)

    assert moved.state is DeliveryState.DELIVERED
    assert moved.reason == "stored; the destination discarded elements (the archive is not Level 2) (B006)"


def test_a_sites_failure_costs_no_attempt() -> None:
    """A700: queued again, no attempt."""
    moved = settle(a_task(), Outcome(judge_store(0xA700), 0xA700), WAITS, NOW, 0.0)

    assert (moved.state, moved.attempt, moved.due) == (DeliveryState.QUEUED, None, None)


def test_a_soft_failure_backs_off_for_ever() -> None:
    """0110: deferred, doubled with every try up to 10 min."""
    outcome = Outcome(judge_store(0x0110), 0x0110)

    waits = []
    for tries in (0, 1, 2, 1000):
        moved = settle(a_task(*["processing_failure"] * tries), outcome, WAITS, NOW, 0.0)
        assert moved.due is not None
        waits.append(moved.due.remaining_s(NOW))

    assert waits == pytest.approx([5.0, 10.0, 20.0, 600.0])


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ((), DeliveryState.DEFERRED),
        (("not_understood",), DeliveryState.DEFERRED),
        (("not_understood", "not_understood"), DeliveryState.HELD),
        (("not_understood", "not_understood", "processing_failure"), DeliveryState.DEFERRED),
        (("not_understood", "connection_lost", "not_understood", "no_progress"), DeliveryState.HELD),
        (("not_understood",) * 3, DeliveryState.HELD),
    ],
)
def test_three_tries_of_the_same_failure_hold(outcomes: tuple[str, ...], state: DeliveryState) -> None:
    """C000 is held at the third in a row; a broken line in between neither counts nor starts anew; after the daily retry one is enough."""
    moved = settle(a_task(*outcomes), Outcome(judge_store(0xC000), 0xC000), WAITS, NOW, 0.0)

    assert moved.state is state


def test_tries_are_spread_over_an_hour() -> None:
    """C000 waits half an hour."""
    moved = settle(a_task(), Outcome(judge_store(0xC000), 0xC000), WAITS, NOW, 0.0)

    assert moved.due is not None
    assert moved.due.remaining_s(NOW) == pytest.approx(1800.0)


def test_what_is_held_is_due_a_day_later() -> None:
    """0117: held as verdict, due after a day, the status in the reason."""
    moved = settle(a_task(), Outcome(judge_store(0x0117), 0x0117), WAITS, NOW, 0.0)

    assert (moved.state, moved.hold_class) == (DeliveryState.HELD, HoldClass.VERDICT)
    assert moved.due is not None
    assert moved.due.remaining_s(NOW) == pytest.approx(86400.0)
    assert moved.reason == "the destination calls the SOP Instance UID invalid (0117)"


def test_a_setting_that_must_change_holds_as_configuration() -> None:
    """A refused class: held as configuration, no status in the reason."""
    moved = settle(a_task(), Outcome(judge_context(3, "1.2.3", "1.2.4")), WAITS, NOW, 0.0)

    assert (moved.state, moved.hold_class, moved.reason) == (
        DeliveryState.HELD,
        HoldClass.CONFIGURATION,
        "the destination does not take SOP class 1.2.3",
    )


def test_an_unknown_outcome_is_counted_apart() -> None:
    """A lost connection: deferred, one unknown outcome more."""
    verdict = judge_break(Break.CLOSED, after_first_pdv=True, association_proved=True)

    moved = settle(a_task(unknown=2), Outcome(verdict), WAITS, NOW, 0.0)

    assert (moved.state, moved.unknown_outcomes) == (DeliveryState.DEFERRED, 3)


def test_the_peers_words_are_kept_and_not_shown() -> None:
    """The error comment goes into the attempt, and neither into the reason nor into a repr."""
    outcome = Outcome(judge_store(0xC000), 0xC000, "no such patient DOE^JANE")

    moved = settle(a_task(), outcome, WAITS, NOW, 0.0)

    assert moved.attempt is not None
    assert moved.attempt.comment == "no such patient DOE^JANE"
    assert "DOE" not in f"{moved!r} {outcome!r}"


def test_giving_back_and_stepping_aside_cost_nothing() -> None:
    """Both record no attempt; one is queued, the other deferred."""
    assert (give_back("trouble").state, give_back("trouble").attempt) == (DeliveryState.QUEUED, None)
    assert (step_aside("later", 5.0, NOW).state, step_aside("later", 5.0, NOW).attempt) == (DeliveryState.DEFERRED, None)


def test_three_aborts_send_it_alone() -> None:
    """After three aborts in a row a delivery goes alone; after two it does not."""
    assert [a_task(*["aborted"] * count).goes_alone for count in (0, 2, 3, 4)] == [False, False, True, True]


def test_an_abort_by_the_provider_asks_for_small_pdus() -> None:
    """After an A-ABORT source 2 the next try is made with small PDUs."""
    assert [a_task(*outcomes).wants_small_pdus for outcomes in ((), ("aborted_by_provider",), ("aborted_by_provider", "success"))] == [
        False,
        True,
        False,
    ]


def test_in_a_row_of_nothing() -> None:
    """No outcomes, no row."""
    assert in_a_row((), "aborted") == 0


def test_acceptance_remembers_the_last_answer() -> None:
    """The last answer counts, and only news is news."""
    acceptance = Acceptance()

    news = [
        acceptance.note([("1.2", "1.3")], taken=True),
        acceptance.note([("1.2", "1.3")], taken=True),
        acceptance.note([("1.2", "1.3")], taken=False),
    ]

    assert news == [True, False, True]
    assert acceptance.as_json() == '{"accepted": [], "refused": [["1.2", "1.3"]]}'
    assert Acceptance(acceptance.as_json()).as_json() == acceptance.as_json()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"accepted": 5}', '{"accepted": [["1.2"]]}'])
def test_unreadable_acceptance_is_none(text: str) -> None:
    """Text that is not ours is no knowledge, and no failure."""
    assert Acceptance(text).as_json() == '{"accepted": [], "refused": []}'


def test_acceptance_is_bounded() -> None:
    """The oldest of very many pairs are forgotten."""
    acceptance = Acceptance()
    acceptance.note([(str(number), "1.3") for number in range(1500)], taken=True)

    assert '"499"' not in acceptance.as_json()
    assert '"500"' in acceptance.as_json()
