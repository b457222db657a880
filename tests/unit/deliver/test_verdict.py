"""The verdict tables: a row for every line of semantics.md 1.1, 1.2 and 1.3."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.deliver import own_faults
from appliance.deliver import verdict as verdicts
from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.verdict import Break, Pace, Verdict, Whose
from appliance.ledger.destinations import DestinationCondition
from appliance.ledger.vocabulary import HoldClass

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
JPEG = Uid("1.2.840.10008.1.2.4.50")
DELIVERED, SITE, INSTANCE, UNKNOWN = Whose.DELIVERED, Whose.SITE, Whose.INSTANCE, Whose.UNKNOWN


def facts(verdict: Verdict) -> tuple[Whose, SiteState | None, HoldClass | None, int | None]:
    """Return what the table of section 1 says of a verdict."""
    return verdict.whose, verdict.site_state, verdict.hold, verdict.tries_before_hold


VERDICT, CONFIGURATION = HoldClass.VERDICT, HoldClass.CONFIGURATION
DELIVERED_ROW = (DELIVERED, None, None, None)
THROTTLED_ROW = (SITE, SiteState.THROTTLED, None, None)
REFUSING_ROW = (SITE, SiteState.REFUSING, None, None)
DEAD_ROW = (SITE, SiteState.DEAD, None, None)
UNKNOWN_ROW = (UNKNOWN, None, None, None)
SOFT_ROW = (INSTANCE, None, None, None)


def held_row(hold: HoldClass, tries: int) -> tuple[Whose, None, HoldClass, int]:
    """Return the row of an instance that is held after so many tries."""
    return INSTANCE, None, hold, tries


STORE_ROWS = [
    (0x0000, DELIVERED_ROW, "success"),
    (0xB000, DELIVERED_ROW, "coerced"),
    (0xB006, DELIVERED_ROW, "elements_discarded"),
    (0xB007, DELIVERED_ROW, "class_mismatch_warning"),
    (0xA700, THROTTLED_ROW, "out_of_resources"),
    (0xA701, THROTTLED_ROW, "out_of_resources"),
    (0xA7FF, THROTTLED_ROW, "out_of_resources"),
    (0xA800, held_row(CONFIGURATION, 1), "class_not_supported"),
    (0x0122, held_row(CONFIGURATION, 1), "class_not_supported"),
    (0x0112, held_row(CONFIGURATION, 1), "class_not_supported"),
    (0xA900, held_row(VERDICT, 3), "data_set_mismatch"),
    (0xA9FF, held_row(VERDICT, 3), "data_set_mismatch"),
    (0xC000, held_row(VERDICT, 3), "not_understood"),
    (0xC001, held_row(VERDICT, 3), "not_understood"),
    (0xCFFF, held_row(VERDICT, 3), "not_understood"),
    (0xC122, held_row(CONFIGURATION, 1), "syntax_not_supported"),
    (0x0110, SOFT_ROW, "processing_failure"),
    (0x0111, held_row(VERDICT, 1), "duplicate_instance"),
    (0x0117, held_row(VERDICT, 1), "invalid_instance"),
    (0x0118, held_row(VERDICT, 1), "no_such_class"),
    (0x0119, held_row(VERDICT, 1), "class_instance_conflict"),
    (0x0124, REFUSING_ROW, "not_authorised"),
    (0x0214, REFUSING_ROW, "not_authorised"),
    (0x0210, UNKNOWN_ROW, "duplicate_invocation"),
    (0x0211, held_row(VERDICT, 1), "unrecognised_operation"),
    (0x0212, held_row(VERDICT, 1), "mistyped_argument"),
    (0x0213, THROTTLED_ROW, "out_of_resources"),
    (0xFE00, UNKNOWN_ROW, "cancel_answer"),
    (0xFF00, UNKNOWN_ROW, "pending_answer"),
    (None, UNKNOWN_ROW, "no_status"),
    (0x1234, held_row(VERDICT, 3), "unknown_status"),
    (0x0001, held_row(VERDICT, 3), "unknown_status"),
    (0xB001, held_row(VERDICT, 3), "unknown_status"),
    (0xA6FF, held_row(VERDICT, 3), "unknown_status"),
    (0xFFFF, held_row(VERDICT, 3), "unknown_status"),
]


@pytest.mark.parametrize(("status", "row", "flag"), STORE_ROWS, ids=lambda value: f"{value:04X}" if isinstance(value, int) else None)
def test_every_store_status(status: int | None, row: tuple[object, ...], flag: str) -> None:
    """A C-STORE status has the verdict of its line in semantics.md 1.1."""
    verdict = verdicts.judge_store(status)

    assert facts(verdict) == row
    assert verdict.flag == flag
    assert verdict.text


def test_nothing_else_is_ever_delivered() -> None:
    """Of all 65,536 statuses exactly 0000, B000, B006 and B007 are judged delivered."""
    delivered = [status for status in range(0x10000) if verdicts.judge_store(status).whose is DELIVERED]

    assert delivered == [0x0000, 0xB000, 0xB006, 0xB007]


def test_a_duplicate_of_our_own_is_delivered() -> None:
    """0111 for bytes that went there before means that the destination has them."""
    verdict = verdicts.judge_store(0x0111, sent_before=True)

    assert facts(verdict) == DELIVERED_ROW
    assert verdict.flag == "duplicate_of_ours"


def test_discarded_elements_can_be_held() -> None:
    """B006 is held where the site wants it held."""
    assert facts(verdicts.judge_store(0xB006, hold_discarded=True)) == held_row(VERDICT, 1)


@pytest.mark.parametrize("status", [0xA900, 0xC000])
def test_misunderstandings_are_spread_over_an_hour(status: int) -> None:
    """A9xx and Cxxx are tried three times over an hour, then held."""
    verdict = verdicts.judge_store(status)

    assert verdict.pace is Pace.SPREAD
    assert [verdict.holds_after(tries) for tries in (1, 2, 3, 4)] == [False, False, True, True]


def test_processing_failure_is_never_held() -> None:
    """0110 backs off for ever."""
    assert not verdicts.judge_store(0x0110).holds_after(1_000_000)


def test_an_unknown_status_shows_its_raw_value() -> None:
    """The text of an unknown status holds the value in four hexadecimal digits."""
    assert "1234" in verdicts.judge_store(0x1234).text


@pytest.mark.parametrize("status", [None, 0xFE00, 0xFF00, 0x0210])
def test_answers_that_say_nothing_end_the_association(status: int | None) -> None:
    """Where nobody knows what became of the instance the association is never used again."""
    assert verdicts.judge_store(status).ends_association


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xA800, 0xA900, 0xC000, 0x0110, 0x1234])
def test_answers_that_say_something_keep_the_association(status: int) -> None:
    """An answer for the right message leaves the association usable."""
    assert not verdicts.judge_store(status).ends_association


def test_resource_trouble_leaves_one_lane() -> None:
    """A7xx and 0213 leave the destination one lane."""
    assert {verdicts.judge_store(status).lanes for status in (0xA700, 0x0213)} == {Lanes.ONE}


def test_a_response_for_another_message_is_an_unknown_outcome() -> None:
    """A response with another message id or UID says nothing about ours and ends the association."""
    verdict = verdicts.judge_response_mismatch()

    assert facts(verdict) == UNKNOWN_ROW
    assert verdict.ends_association


REJECT_ROWS = [
    ((1, 1, 1), REFUSING_ROW, Lanes.AS_THEY_ARE, "gives no reason"),
    ((1, 1, 2), REFUSING_ROW, Lanes.AS_THEY_ARE, "not DICOM, or the wrong port?"),
    ((1, 1, 3), REFUSING_ROW, Lanes.AS_THEY_ARE, "does not know this box"),
    ((1, 1, 7), REFUSING_ROW, Lanes.AS_THEY_ARE, "does not answer to the AE title"),
    ((1, 2, 1), REFUSING_ROW, Lanes.AS_THEY_ARE, "association control"),
    ((1, 2, 2), REFUSING_ROW, Lanes.AS_THEY_ARE, "protocol version"),
    ((2, 2, 1), THROTTLED_ROW, Lanes.ONE, "for now"),
    ((2, 3, 1), THROTTLED_ROW, Lanes.ONE, "congested"),
    ((2, 3, 2), THROTTLED_ROW, Lanes.HALVE, "limit of associations"),
    ((1, 3, 9), REFUSING_ROW, Lanes.AS_THEY_ARE, "1/3/9"),
    ((2, 1, 4), THROTTLED_ROW, Lanes.ONE, "2/1/4"),
    ((0, 0, 0), THROTTLED_ROW, Lanes.ONE, "0/0/0"),
]


@pytest.mark.parametrize(
    ("reject", "row", "lanes", "words"), REJECT_ROWS, ids=lambda value: str(value) if isinstance(value, tuple) else None
)
def test_every_reject(reject: tuple[int, int, int], row: tuple[object, ...], lanes: Lanes, words: str) -> None:
    """An A-ASSOCIATE-RJ has the verdict of its line in semantics.md 1.2, and never costs an instance anything."""
    verdict = verdicts.judge_reject(*reject)

    assert facts(verdict) == row
    assert verdict.lanes is lanes
    assert words in verdict.text


def test_an_unknown_calling_title_is_named() -> None:
    """1/1/3 says as whom the destination does not know this box."""
    assert verdicts.judge_reject(1, 1, 3, calling="CT1", called="PACS1").text == "the destination does not know this box as CT1"


def test_an_unknown_called_title_is_named() -> None:
    """1/1/7 says which title the destination does not answer to."""
    assert verdicts.judge_reject(1, 1, 7, calling="CT1", called="PACS1").text == "the destination does not answer to the AE title PACS1"


@pytest.mark.parametrize(
    ("result", "flag", "tries"),
    [
        (1, "context_rejected", 3),
        (2, "context_rejected", 3),
        (3, "class_rejected", 1),
        (4, "syntax_rejected", 1),
        (None, "context_unanswered", 3),
        (9, "context_unanswered", 3),
    ],
)
def test_every_context_result(result: int | None, flag: str, tries: int) -> None:
    """A context that was not accepted is held as configuration: at once for class and syntax, after three tries otherwise."""
    verdict = verdicts.judge_context(result, CT, JPEG)

    assert facts(verdict) == held_row(CONFIGURATION, tries)
    assert verdict.flag == flag
    assert CT in verdict.text
    assert (JPEG in verdict.text) == (result != 3)


def test_abort_by_user_isolates_then_holds() -> None:
    """A-ABORT source 0 is an unknown outcome: after three it goes alone and last, and is held when that one fails too."""
    verdict = verdicts.judge_break(Break.ABORT_USER, after_first_pdv=True, association_proved=True)

    assert facts(verdict) == (UNKNOWN, None, VERDICT, 4)
    assert verdict.isolate_after == 3
    assert [verdict.holds_after(tries) for tries in (1, 2, 3, 4)] == [False, False, False, True]
    assert verdict.ends_association


def test_abort_by_provider_is_tried_once_more_with_a_smaller_pdu() -> None:
    """A-ABORT source 2 is tried once more with a smaller PDU, then held."""
    verdict = verdicts.judge_break(Break.ABORT_PROVIDER, after_first_pdv=True, association_proved=True)

    assert facts(verdict) == (UNKNOWN, None, VERDICT, 2)
    assert verdict.smaller_pdu
    assert verdict.ends_association


@pytest.mark.parametrize("kind", [Break.CLOSED, Break.TIMEOUT, Break.PROGRESS, Break.PROTOCOL])
def test_what_breaks_a_transfer_is_an_unknown_outcome(kind: Break) -> None:
    """Reset, silence and stalls after the first PDV are unknown outcomes, re-sent for ever on a new association."""
    verdict = verdicts.judge_break(kind, after_first_pdv=True, association_proved=False)

    assert facts(verdict) == UNKNOWN_ROW
    assert verdict.ends_association


@pytest.mark.parametrize("kind", list(Break))
def test_an_association_that_ends_between_instances_costs_nothing(kind: Break) -> None:
    """Before the first PDV of an association that served before, nothing is charged to anyone."""
    verdict = verdicts.judge_break(kind, after_first_pdv=False, association_proved=True)

    assert facts(verdict) == (SITE, None, None, None)
    assert verdict.ends_association


@pytest.mark.parametrize("kind", list(Break))
def test_an_association_that_never_serves_throttles(kind: Break) -> None:
    """Before the first PDV of a new association the destination waits, so that nobody loops."""
    verdict = verdicts.judge_break(kind, after_first_pdv=False, association_proved=False)

    assert facts(verdict) == THROTTLED_ROW
    assert verdict.ends_association


def test_every_way_of_not_being_there_has_its_own_words() -> None:
    """Refused, no route, no name, no answer: the site is dead, each with its own text."""
    ways = [
        ("name", "name"),
        ("connect", "refused"),
        ("connect", "timeout"),
        ("connect", "unreachable"),
        ("connect", "closed"),
        ("tls", "timeout"),
        ("associate", "timeout"),
        ("associate", "closed"),
        ("associate", "other"),
    ]

    judged = [verdicts.judge_unreachable(*way) for way in ways]

    assert {facts(verdict) for verdict in judged} == {DEAD_ROW}
    assert len({verdict.text for verdict in judged}) == len(ways)
    assert len({verdict.flag for verdict in judged}) == len(ways)


def test_an_abort_in_answer_to_the_request_throttles() -> None:
    """A destination that aborts instead of accepting is in trouble, and costs no instance anything."""
    assert facts(verdicts.judge_association_abort(0)) == THROTTLED_ROW


def test_a_damaged_object_is_held_and_never_finished() -> None:
    """An object that does not authenticate ends the association and is held with its reason."""
    verdict = own_faults.judge_damaged()

    assert facts(verdict) == held_row(VERDICT, 1)
    assert (verdict.text, verdict.ends_association) == ("damaged in the spool", True)


def test_our_own_trouble_is_told_apart() -> None:
    """Missing, foreign, unreadable and broken inside: each has its own hold, and none is evidence against a destination."""
    judged = [own_faults.judge_missing(), own_faults.judge_foreign_key(), own_faults.judge_unreadable(), own_faults.judge_internal()]

    assert [facts(verdict) for verdict in judged] == [held_row(VERDICT, 1), held_row(CONFIGURATION, 1), SOFT_ROW, SOFT_ROW]
    assert [verdict.is_site_rule_evidence for verdict in [*judged, own_faults.judge_damaged()]] == [False] * 5


def test_what_cannot_be_converted_is_held_and_says_nothing_of_the_destination() -> None:
    """An object that no conversion can read ends the association, is held with the reason, and is no evidence against the destination."""
    verdict = own_faults.judge_unconvertible("element (0010,0010) cannot be converted: the data set ends too early")

    assert facts(verdict) == held_row(VERDICT, 1)
    assert (verdict.ends_association, verdict.is_site_rule_evidence) == (True, False)
    assert verdict.text.endswith("element (0010,0010) cannot be converted: the data set ends too early")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (verdicts.judge_store(0xC000), True),
        (verdicts.judge_store(0x0110), True),
        (verdicts.judge_store(0x0117), True),
        (verdicts.judge_store(0xA800), False),
        (verdicts.judge_context(4, CT, JPEG), False),
        (verdicts.judge_store(0xA700), False),
        (verdicts.judge_store(0x0000), False),
        (verdicts.judge_store(None), True),
        (verdicts.judge_response_mismatch(), True),
        *((verdict, True) for verdict in verdicts.BREAKS.values()),
    ],
)
def test_what_counts_for_the_same_failure_rule(verdict: Verdict, expected: bool) -> None:  # noqa: FBT001
    """Instance failures that no setting explains, and unknown outcomes, are evidence of a site's trouble; nothing else is."""
    assert verdict.is_site_rule_evidence is expected


def test_ways_of_not_answering_are_the_same_failure() -> None:
    """Aborted, closed, silent or senseless are one failure for the rule; statuses are as many as they are."""
    unanswered = {verdict.likeness for verdict in (*verdicts.BREAKS.values(), verdicts.judge_store(None), verdicts.judge_store(0xFF00))}
    answered = [verdicts.judge_store(status).likeness for status in (0xC000, 0x0110, 0x0117)]

    assert unanswered == {"unknown"}
    assert answered == ["not_understood", "processing_failure", "invalid_instance"]


def test_a_refusal_of_the_class_is_told_from_one_of_the_syntax() -> None:
    """A800, 0122, 0112 and context result 3 refuse the whole class; C122, result 4 and what may pass do not."""
    class_refusals = [*(verdicts.judge_store(status) for status in (0xA800, 0x0122, 0x0112)), verdicts.judge_context(3, CT, JPEG)]
    others = [verdicts.judge_store(0xC122), *(verdicts.judge_context(result, CT, JPEG) for result in (1, 2, 4, None))]

    assert [verdict.refuses_class for verdict in class_refusals] == [True] * 4
    assert [verdict.refuses_class for verdict in others] == [False] * 5


def test_an_answered_echo_disproves_an_empty_line_only() -> None:
    """Who leaves association requests unanswered may answer C-ECHO all the same; who listens is not the one who did not."""
    assert [verdicts.judge_unreachable("associate", kind).outlives_echo for kind in ("timeout", "closed")] == [True, True]
    assert not verdicts.judge_unreachable("connect", "refused").outlives_echo


def test_site_states_are_the_ledgers_words() -> None:
    """The ledger keeps the same words for a destination's state."""
    assert [state.value for state in SiteState] == [condition.value for condition in DestinationCondition]
