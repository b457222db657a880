"""Every reason for which something is held has a code, advice, and a line in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from appliance.deliver import file_verdicts, own_faults, stow_verdicts, verdict
from appliance.deliver.held_codes import ADVICE, advice_on, code_of
from appliance.deliver.verdict import Verdict
from appliance.ledger.completions import AWAITS_STUDY
from appliance.ledger.holding import CAME_FROM_IT, DESTINATION_REMOVED, NEVER_SENT, PASSED_TOO_MANY_BOXES
from appliance.ledger.vocabulary import DeliveryState, HoldClass

PAGE = Path(__file__).parents[3] / "docs" / "held.md"
HELD, DEFERRED, CANCELLED = DeliveryState.HELD, DeliveryState.DEFERRED, DeliveryState.CANCELLED


def verdicts() -> Iterator[Verdict]:
    """Yield every verdict that the tables hold, and those that functions make."""
    for module in (verdict, own_faults, stow_verdicts, file_verdicts):
        for value in vars(module).values():
            found = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
            yield from (one for one in found if isinstance(one, Verdict))
    yield from (last for _, _, last in verdict.STATUS_RANGES)
    yield from (verdict.judge_context(result, "1.2", "1.3") for result in (None, 1, 2, 3, 4))
    yield from (verdict.judge_store(0x0111), verdict.judge_store(0xB006, hold_discarded=True), verdict.judge_store(0x1234))
    yield from (own_faults.judge_damaged(), own_faults.judge_missing(), own_faults.judge_foreign_key(), own_faults.judge_unconvertible("x"))


FLAGS = sorted({one.flag for one in verdicts() if one.hold is not None})


@pytest.mark.parametrize("flag", FLAGS)
def test_whatever_holds_has_advice(flag: str) -> None:
    """Nobody is left with a code alone."""
    assert advice_on(code_of(HELD, HoldClass.VERDICT, "whatever it said", flag))


@pytest.mark.parametrize(
    ("state", "hold_class", "reason", "outcome", "expected"),
    [
        (HELD, HoldClass.PERSON, "held by anna", "not_understood", "held_by_person"),
        (HELD, HoldClass.REBUILT, "", "", "rebuilt"),
        (HELD, HoldClass.CONFIGURATION, DESTINATION_REMOVED, "success", "destination_removed"),
        (HELD, HoldClass.CONFIGURATION, NEVER_SENT, "", "never_sent"),
        (HELD, HoldClass.VERDICT, "cannot understand", "not_understood", "not_understood"),
        (HELD, HoldClass.VERDICT, "no attempt is kept", "", "verdict"),
        (HELD, HoldClass.CONFIGURATION, "no attempt is kept", "", "configuration"),
        (DEFERRED, None, AWAITS_STUDY, "", "awaits_study"),
        (DEFERRED, None, "failed", "processing_failure", "processing_failure"),
        (CANCELLED, None, CAME_FROM_IT, "", "loop"),
        (CANCELLED, None, PASSED_TOO_MANY_BOXES, "", "ring"),
        (CANCELLED, None, NEVER_SENT, "", "never_sent"),
        (CANCELLED, None, "cancelled by anna", "not_understood", ""),
        (DeliveryState.QUEUED, None, AWAITS_STUDY, "not_understood", ""),
        (DeliveryState.DELIVERED, None, "", "success", ""),
    ],
)
def test_the_code_of_a_delivery(state: DeliveryState, hold_class: HoldClass | None, reason: str, outcome: str, expected: str) -> None:
    """The state and its reason decide before what the destination answered last."""
    assert code_of(state, hold_class, reason, outcome) == expected


def test_every_code_is_documented() -> None:
    """The page lists exactly the codes that there are, with the advice that the command gives."""
    page = PAGE.read_text(encoding="utf-8")

    rows = [line for line in page.splitlines() if line.startswith("| `")]

    assert rows == [f"| `{code}` | {advice} |" for code, advice in ADVICE.items()]


def test_what_needs_time_alone_needs_no_advice() -> None:
    """A passing failure has no line of its own."""
    assert advice_on("processing_failure") == ""
