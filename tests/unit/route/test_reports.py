"""Commitment reports on their way from `incoming/` into the ledger."""

from __future__ import annotations

from pathlib import Path

from appliance.core.identity import Uid
from appliance.dimse.commitment import COMMITMENT_INSTANCE, COMMITMENT_PUSH_MODEL, Reference, encode_request
from appliance.ledger.proofs import Proofs, Report
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_site

EXPLICIT = Uid("1.2.840.10008.1.2.1")
# A request names its instances where a report names those that are committed.
REPORT = encode_request("2.25.7", [Reference("1.2.840.10008.5.1.4.1.1.2", "2.25.1")], EXPLICIT)


def _seal(bench: Bench, content: bytes, sop_class: Uid = COMMITMENT_PUSH_MODEL) -> SpoolName:
    header = ObjectHeader(
        sop_class_uid=sop_class,
        sop_instance_uid=COMMITMENT_INSTANCE,
        transfer_syntax_uid=EXPLICIT,
        calling_title="ARCHIVE",
        called_title="EDGE",
        peer_address="10.0.0.9",
        reception_id="",
        received_at=1_709_208_000.0,
        kind="message",
        command=b"x",
    )
    with bench.receiver.admit(header) as admitted:
        admitted.write(content)
        return admitted.commit()


def _kept(bench: Bench) -> Report | None:
    with bench.ledger.read():
        return Proofs(bench.ledger).next_report()


def test_a_report_is_recorded_and_removed(tmp_path: Path) -> None:
    """A sealed report is in the ledger, with who sent it, and gone from the spool; the sender is woken."""
    bench = Bench(tmp_path / "data", a_site())
    _seal(bench, REPORT)

    bench.router.step()

    kept = _kept(bench)
    assert kept is not None
    assert ("2.25.7", "ARCHIVE", (("2.25.1", None),)) == (kept.transaction_uid, kept.caller, kept.results)
    assert bench.spool.incoming() == []
    assert bench.woken == 1


def test_a_report_that_was_recorded_before_a_crash_is_recorded_once(tmp_path: Path) -> None:
    """A report whose object outlived its record is not dealt with twice."""
    bench = Bench(tmp_path / "data", a_site())
    name = _seal(bench, REPORT)
    with bench.ledger.write():
        Proofs(bench.ledger).keep("2.25.7", "ARCHIVE", 1.0, [("2.25.1", None)], name.object_id)

    bench.router.step()

    with bench.ledger.read():
        assert [(1,)] == bench.ledger.rows("SELECT count(*) FROM commitment_report")
    assert bench.spool.incoming() == []


def test_other_messages_are_left_alone(tmp_path: Path) -> None:
    """A message of another kind waits for whoever it is for, and a report that cannot be read stands apart."""
    bench = Bench(tmp_path / "data", a_site())
    other = _seal(bench, REPORT, Uid("2.25.99"))
    _seal(bench, b"no report at all")

    bench.router.step()

    assert [other] == bench.spool.incoming()
    assert _kept(bench) is None
    assert 1 == len(list((tmp_path / "data" / "spool" / "quarantine").iterdir()))
