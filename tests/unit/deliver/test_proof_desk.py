"""Who is asked for proof: each destination by itself, and none too often."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.model import Delivery, DicomDestination, Site
from appliance.core.identity import AETitle
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.proof_desk import ProofDesk, wants_proof
from appliance.ledger.proofs import Proofs
from appliance.ledger.vocabulary import DeliveryState
from tests.support import reserved_port
from tests.support.commitment_archive import CommitmentArchive
from tests.support.eventually import eventually
from tests.unit.deliver.test_proof_book import ProofBench

SETTINGS = Delivery(connect=2.0, associate=60.0, response=5.0, throttled=(30.0, 900.0))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProofBench]:
    """Make an empty ledger."""
    made = ProofBench(tmp_path / "data")
    yield made
    made.end()


@pytest.fixture
def hole() -> Iterator[socket.socket]:
    """Listen, and never say anything."""
    holder = reserved_port.reserve()
    holder.listen(8)
    yield holder
    holder.close()


def _at(port: int, name: str, proof: str = "commitment") -> DicomDestination:
    return DicomDestination(name=name, ae_title=AETitle("ARCHIVE"), host="127.0.0.1", port=port, proof=proof)


def _desk(bench: ProofBench) -> ProofDesk:
    return ProofDesk(bench.book, OutgoingTls(), bench.clock, look_s=0.001)


def _also_there(bench: ProofBench, number: int, destination: str) -> int:
    """Deliver the instance of a delivery to another destination too."""
    instance = bench.row(number).instance_id
    other = bench.owe(instance, destination)
    bench.settle(other, DeliveryState.DELIVERED)
    with bench.ledger.write():
        Proofs(bench.ledger).expect(other, destination, instance, bench.clock.now().after(300.0))
    return other


def test_a_silent_archive_keeps_nobody_waiting(bench: ProofBench, hole: socket.socket) -> None:
    """While one destination does not answer, another is asked, reports, and proves; the silent one is asked for nothing twice."""
    number = bench.delivered()
    silent = _also_there(bench, number, "hole")
    bench.clock.advance(301)

    with CommitmentArchive(way="same") as archive:
        archive.kept.add(bench.uid_of(number))
        site = Site(destinations=(_at(reserved_port.port_of(hole), "hole"), _at(archive.port, "archive")), delivery=SETTINGS)
        desk = _desk(bench)

        def is_proved() -> bool:
            bench.clock.advance(0.01)
            desk.look(site)
            return bench.found(number).state is DeliveryState.PROVED

        eventually(is_proved, within=30)
        # It hears of the end as a lost connection, not after a minute.
        hole.close()
        desk.stop()

    assert DeliveryState.DELIVERED == bench.found(silent).state


def test_an_archive_that_is_away_is_asked_again_later(bench: ProofBench) -> None:
    """A destination that cannot be reached is left alone for its back-off, then asked; its images stay delivered meanwhile."""
    number = bench.delivered()
    bench.clock.advance(301)
    archive = CommitmentArchive(way="same")
    archive.kept.add(bench.uid_of(number))
    site, desk = Site(destinations=(_at(archive.port, "archive"),), delivery=SETTINGS), _desk(bench)

    desk.look(site)
    eventually(lambda: desk._rounds["archive"].failures == 1, within=30)
    with archive:
        bench.clock.advance(1)
        desk.look(site)
        before = list(archive.asked)
        bench.clock.advance(30)

        def is_proved() -> bool:
            bench.clock.advance(0.01)
            desk.look(site)
            return bench.found(number).state is DeliveryState.PROVED

        eventually(is_proved, within=30)
        desk.stop()

    assert before == []
    assert 1 == len(archive.asked)


def test_only_archives_that_prove_are_asked() -> None:
    """A destination whose proof is its answer is never asked."""
    assert [True, True, False] == [wants_proof(_at(104, "archive", proof)) for proof in ("commitment", "query", "delivered")]
