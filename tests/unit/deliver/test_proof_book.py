"""What the ledger makes of an archive's word: requests, reports, and the moves that follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.config.model import Delivery
from appliance.deliver.proof import SAMPLE, Meaning
from appliance.deliver.proof_book import NOT_PROVABLE, WITHHELD, ProofBook
from appliance.deliver.recorder import Recorder
from appliance.dimse.commitment import CommitmentReport
from appliance.ledger.deliveries import DeliveryRow
from appliance.ledger.proofs import Proofs
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench

SETTINGS = Delivery()


class ProofBench(Bench):
    """A ledger with a book of proofs."""

    def __init__(self, data: Path) -> None:
        """Make it, or open it again."""
        super().__init__(data)
        self.recorder = Recorder(self.ledger)
        self.recorder.start()
        self.book = ProofBook(self.ledger, self.recorder, self.clock, lambda: SETTINGS)

    def delivered(self, *, study: str = "1.2.3", uid: str | None = None, cause: Cause = Cause.ROUTE) -> int:
        """Deliver one more instance; return the delivery's number."""
        number = self.owe(self.receive(study=study, uid=uid, version=1), cause=cause)
        self.deliver(number)
        return number

    def deliver(self, number: int) -> None:
        """Deliver what is queued, as the outbox does."""
        claim = self.claim()
        assert claim is not None
        assert claim.delivery_id == number
        self.settle(number, DeliveryState.DELIVERED)
        with self.ledger.write():
            Proofs(self.ledger).expect(number, "archive", claim.instance_id, self.clock.now().after(SETTINGS.proof_after))

    def due(self) -> list[int]:
        """Return the deliveries that are to be asked for."""
        return [one.delivery_id for one in self.book.due("archive")]

    def uid_of(self, number: int) -> str:
        """Return the instance of a delivery."""
        rows = None
        with self.ledger.read():
            rows = self.ledger.rows(
                "SELECT i.sop_instance_uid FROM delivery d JOIN instance i ON i.id = d.instance_id WHERE d.id = ?", (number,)
            )
        return str(rows[0][0])

    def report(self, transaction: str, committed: list[int], failed: dict[int, int] | None = None) -> None:
        """Let the archive report, and deal with it."""
        named = tuple(self.uid_of(number) for number in committed)
        reasons = tuple((self.uid_of(number), reason) for number, reason in (failed or {}).items())
        self.book.keep(CommitmentReport(transaction, named, reasons), "ARCHIVE")
        self.book.take_reports()

    def found(self, number: int) -> DeliveryRow:
        """Return a delivery."""
        return self.row(number)

    def lose(self, numbers: list[int]) -> int:
        """Let a query show none of these three times, and return how many are queued again."""
        for _ in range(3):
            self.book.said(dict.fromkeys(numbers, Meaning.MISSING), "query")
        return sum(self.found(number).state is DeliveryState.QUEUED for number in numbers)

    def send_again(self, numbers: list[int]) -> int:
        """Deliver what is queued of these; return how many that were."""
        queued = [number for number in numbers if self.found(number).state is DeliveryState.QUEUED]
        while (claim := self.claim()) is not None:
            self.settle(claim.delivery_id, DeliveryState.DELIVERED)
            with self.ledger.write():
                due = self.clock.now().after(SETTINGS.proof_after)
                Proofs(self.ledger).expect(claim.delivery_id, "archive", claim.instance_id, due)
        return len(queued)

    def waiting(self) -> int:
        """Return how many wait for proof."""
        with self.ledger.read():
            return Proofs(self.ledger).waiting("archive")

    def end(self) -> None:
        """Close everything."""
        self.recorder.close()
        self.ledger.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProofBench]:
    """Make an empty ledger."""
    made = ProofBench(tmp_path / "data")
    yield made
    made.end()


def test_a_study_is_asked_for_when_it_has_been_quiet(bench: ProofBench) -> None:
    """Nothing of a study is asked for before the last of it was delivered five minutes ago, whatever another study does."""
    first = bench.delivered()
    bench.clock.advance(200)
    second = bench.delivered()
    other = bench.delivered(study="1.2.4")
    bench.clock.advance(200)

    assert bench.due() == []
    bench.clock.advance(101)
    assert [first, second, other] == bench.due()


def test_what_the_archive_has_is_proved(bench: ProofBench) -> None:
    """A report of success proves what was asked for, and nothing waits any more."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])

    bench.report("2.25.1", [number])

    assert (DeliveryState.PROVED, "commitment 2.25.1") == (bench.found(number).state, bench.found(number).proof)
    assert bench.waiting() == 0


def test_what_was_asked_is_not_asked_again_before_a_day(bench: ProofBench) -> None:
    """Silence is broken after a day, by another request; restarting the machine asks at once."""
    number = bench.delivered()
    bench.clock.advance(301)
    assert [number] == bench.due()
    bench.book.ask("2.25.1", "archive", [number])

    assert bench.due() == []
    bench.clock.advance(86_401)
    assert [number] == bench.due()
    bench.book.ask("2.25.2", "archive", [number])
    assert bench.due() == []
    bench.clock.reboot()
    assert [number] == bench.due()


def test_a_lost_image_is_sent_again_twice_then_held(bench: ProofBench) -> None:
    """0112 three times sends the same delivery again; the third such loss holds it, and says why."""
    number, transaction = bench.delivered(), 0
    for loss in (1, 2, 3):
        for wait in (301, 601, 3601):
            bench.clock.advance(wait)
            assert [number] == bench.due(), (loss, wait)
            transaction += 1
            bench.book.ask(f"2.25.{transaction}", "archive", [number])
            bench.report(f"2.25.{transaction}", [], {number: 0x0112})
        if loss < 3:
            assert DeliveryState.QUEUED == bench.found(number).state
            bench.deliver(number)

    held = bench.found(number)
    assert (DeliveryState.HELD, HoldClass.VERDICT) == (held.state, held.hold_class)
    assert "loses images" in held.reason
    assert bench.due() == []


def test_what_a_report_leaves_out_is_missing(bench: ProofBench) -> None:
    """An instance that was asked for and is not named is asked for again after ten minutes, as with 0112."""
    named, left_out = bench.delivered(), bench.delivered()
    bench.book.ask("2.25.1", "archive", [named, left_out])

    bench.report("2.25.1", [named])

    assert [DeliveryState.PROVED, DeliveryState.DELIVERED] == [bench.found(number).state for number in (named, left_out)]
    bench.clock.advance(599)
    assert bench.due() == []
    bench.clock.advance(2)
    assert [left_out] == bench.due()


@pytest.mark.parametrize(("reason", "wait_s"), [(0x0110, 30), (0x0213, 30), (0x0131, 30), (0xA700, 30), (0x0112, 600)])
def test_passing_failures_are_asked_again(bench: ProofBench, reason: int, wait_s: int) -> None:
    """What passes leaves the delivery delivered, and is asked again after its wait."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])

    bench.report("2.25.1", [], {number: reason})

    assert DeliveryState.DELIVERED == bench.found(number).state
    bench.clock.advance(wait_s - 1)
    assert bench.due() == []
    bench.clock.advance(2)
    assert [number] == bench.due()


def test_a_conflict_is_held(bench: ProofBench) -> None:
    """0119 holds the delivery, to be looked at and tried daily."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])

    bench.report("2.25.1", [], {number: 0x0119})

    held = bench.found(number)
    assert (DeliveryState.HELD, HoldClass.VERDICT) == (held.state, held.hold_class)
    assert "0119" in held.reason
    assert held.due is not None


def test_what_cannot_be_proved_falls_back_and_says_so(bench: ProofBench) -> None:
    """0122 leaves the delivery delivered, with its reason, and asks for it no more."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])

    bench.report("2.25.1", [], {number: 0x0122})

    found = bench.found(number)
    assert DeliveryState.DELIVERED == found.state
    assert found.proof.startswith(NOT_PROVABLE)
    assert bench.waiting() == 0


def test_a_report_on_an_unknown_transaction_moves_nothing(bench: ProofBench) -> None:
    """A report that answers nothing that was asked is forgotten, and the next one is dealt with."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])

    bench.report("2.25.666", [], {number: 0x0119})
    before = bench.found(number).state
    bench.report("2.25.1", [number])

    assert [DeliveryState.DELIVERED, DeliveryState.PROVED] == [before, bench.found(number).state]


def test_a_late_report_counts_for_what_is_there_only(bench: ProofBench) -> None:
    """When a request was asked anew, the old one's success is still true, and its failures mean nothing any more."""
    there, failed = bench.delivered(), bench.delivered()
    bench.book.ask("2.25.1", "archive", [there, failed])
    bench.book.ask("2.25.2", "archive", [there, failed])

    bench.report("2.25.1", [there], {failed: 0x0119})

    assert [DeliveryState.PROVED, DeliveryState.DELIVERED] == [bench.found(number).state for number in (there, failed)]


def test_a_report_about_what_was_sent_again_since_moves_nothing(bench: ProofBench) -> None:
    """After a loss, an old report does not prove what was only just sent again."""
    number = bench.delivered()
    for transaction in ("2.25.1", "2.25.2", "2.25.3"):
        bench.book.ask(transaction, "archive", [number])
        bench.report(transaction, [], {number: 0x0112})
    bench.deliver(number)

    bench.report("2.25.1", [number])

    assert DeliveryState.DELIVERED == bench.found(number).state


def test_requests_and_reports_outlive_a_restart(bench: ProofBench) -> None:
    """A request that was asked and a report that was kept before the end are known to the next run."""
    number = bench.delivered()
    bench.book.ask("2.25.1", "archive", [number])
    bench.book.keep(CommitmentReport("2.25.1", (bench.uid_of(number),), ()), "ARCHIVE")
    bench.end()

    again = ProofBench(bench.data)
    assert again.due() == []
    again.book.take_reports()

    assert DeliveryState.PROVED == again.found(number).state
    again.end()


def test_a_long_report_is_dealt_with_to_its_end(bench: ProofBench) -> None:
    """A report on 120 instances, of which some are left out, moves each of them once."""
    numbers = [bench.delivered() for _ in range(120)]
    bench.book.ask("2.25.1", "archive", numbers)

    bench.report("2.25.1", numbers[:80])

    states = [bench.found(number).state for number in numbers]
    assert [DeliveryState.PROVED] * 80 + [DeliveryState.DELIVERED] * 40 == states
    assert bench.waiting() == 40


def test_a_query_proves_and_finds_losses(bench: ProofBench) -> None:
    """What was said of deliveries directly moves them by the same table."""
    there, missing = bench.delivered(), bench.delivered()

    bench.book.said({there: Meaning.THERE, missing: Meaning.MISSING}, "query")

    assert (DeliveryState.PROVED, "query") == (bench.found(there).state, bench.found(there).proof)
    bench.clock.advance(601)
    assert [missing] == bench.due()


def test_a_liar_is_sent_a_sample_and_no_more(bench: ProofBench) -> None:
    """An archive that keeps nothing of 60 images is sent five of them again, twice: ten sends more in all, and the others say why."""
    numbers = [bench.delivered() for _ in range(60)]
    again = 0
    for _ in range(5):
        bench.lose([number for number in numbers if bench.found(number).state is DeliveryState.DELIVERED])
        again += bench.send_again(numbers)

    states = [bench.found(number).state for number in numbers]
    assert 2 * SAMPLE == again
    assert (SAMPLE, 60 - SAMPLE) == (states.count(DeliveryState.HELD), states.count(DeliveryState.DELIVERED))
    assert {WITHHELD} == {bench.found(number).reason for number in numbers if bench.found(number).state is DeliveryState.DELIVERED}
    with bench.ledger.read():
        assert 60 - SAMPLE == Proofs(bench.ledger).withheld("archive")


def test_one_lost_of_many_is_sent_again(bench: ProofBench) -> None:
    """An archive that loses one of 100 and proves the others gets that one again, and nothing else."""
    numbers = [bench.delivered() for _ in range(100)]
    bench.book.said(dict.fromkeys(numbers[1:], Meaning.THERE), "query")

    again = bench.lose(numbers)
    bench.send_again(numbers)
    bench.book.said({numbers[0]: Meaning.THERE}, "query")

    assert 1 == again
    assert {DeliveryState.PROVED} == {bench.found(number).state for number in numbers}


def test_what_a_sample_proves_lets_more_go(bench: ProofBench) -> None:
    """When the archive keeps what it was sent again, the others it lost are sent again too."""
    numbers = [bench.delivered() for _ in range(20)]
    first = bench.lose(numbers)
    bench.send_again(numbers)
    sample = [number for number in numbers if bench.found(number).reason != WITHHELD]
    bench.book.said(dict.fromkeys(sample, Meaning.THERE), "query")

    second = bench.lose([number for number in numbers if number not in sample])

    assert (SAMPLE, SAMPLE, 20 - SAMPLE) == (first, len(sample), second)


def test_why_nothing_was_said_stands_at_the_delivery(bench: ProofBench) -> None:
    """A delivery that an archive says nothing of stays delivered and unproved, says why, and is asked for again."""
    number = bench.delivered()

    bench.book.said({number: Meaning.BUSY}, "query", "not proved: it lists only studies")

    assert (DeliveryState.DELIVERED, "not proved: it lists only studies") == (bench.found(number).state, bench.found(number).reason)
    assert bench.waiting() == 1


def test_who_waits_hears_what_a_report_says(bench: ProofBench) -> None:
    """A report on a request of no delivery, which the receiver took, reaches who waits for it and nobody else, and is no unknown one."""
    with bench.ledger.write():
        Proofs(bench.ledger).keep("2.25.7", "PACS1SC", 5.0, [("1.2.3", None), ("1.2.4", 0x0112)], "a" * 32)

    with bench.book.expected.expect("2.25.7") as awaited, bench.book.expected.expect("2.25.8") as other, capture_logs() as logs:
        bench.book.take_reports()

    assert awaited.come.is_set()
    assert ("PACS1SC", {"1.2.3": None, "1.2.4": 0x0112}) == (awaited.caller, awaited.results)
    assert not other.come.is_set()
    assert "proof.transaction_unknown" not in [entry["event"] for entry in logs]
    assert bench.book.expected.is_empty
