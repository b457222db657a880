"""The last phase of the connection doctor: every word that an archive can say of a test image, and its silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset

from appliance.config.addresses import ListenAddress
from appliance.config.model import Delivery, DicomDestination, Listeners, Site
from appliance.core.identity import AETitle
from appliance.deliver.diagnosis import Senses
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.proof_doctor import Post, proof_of
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.remedies import Remark
from appliance.deliver.synthetic import TestImage
from appliance.dimse.commitment import CommitmentReport
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN
from appliance.ledger.faults import LedgerLockedError
from appliance.runtime.callers import LastCall
from tests.support.commitment_archive import Asked, CommitmentArchive, Reasons, report, report_on

_LISTEN = Listeners(dicom=(ListenAddress("10.0.0.9", 104),), dicom_tls=(ListenAddress("10.0.0.9", 2762),))
_SETTINGS = Delivery(connect=2.0, associate=2.0, response=5.0)
_OWN = Senses(own_address=lambda _host, _port: "10.0.0.9", wall=lambda: 1000.0)


@pytest.fixture
def archive() -> Iterator[CommitmentArchive]:
    """An archive that reports on the same association."""
    with CommitmentArchive(way="same") as running:
        yield running


def ask(
    port: int,
    *,
    proof: str = "commitment",
    report_s: float = 20.0,
    calls: tuple[LastCall, ...] = (),
    keep: Callable[[CommitmentReport, str, float], None] = lambda *_: None,
) -> tuple[bool, Remark]:
    """Ask an archive of this machine for the proof of a test image."""
    to = DicomDestination(name="archive", ae_title=AETitle("ARCHIVE"), host="127.0.0.1", port=port, proof=proof)
    site = Site(destinations=(to,), delivery=_SETTINGS, listen=_LISTEN)
    proves = proof_of(to, site, OutgoingTls(), Post(ExpectedReports(), keep, lambda: calls), _OWN, report_s)
    assert proves is not None
    return proves(TestImage(EXPLICIT_LITTLE_ENDIAN, 0.0))


def call(calling: str, *, at: float, answer: str = "1/1/3") -> LastCall:
    """Return what a receiver wrote about a call."""
    return LastCall("", calling, "EDGE", "10.0.0.7", at, answer, "unknown calling title")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (0x0110, "the archive says that it cannot say now whether it has the test image (0110)"),
        (0x0119, "the archive says that it has another object under the test image's UID (0119)"),
        (0x0122, "the archive says that it commits itself to no image of the test image's class (0122)"),
        (None, "its report says nothing of the test image"),
    ],
)
def test_what_is_no_good_news_is_said_with_its_reason(archive: CommitmentArchive, reason: int | None, said: str) -> None:
    """Each failure reason, and a report that leaves the image out, has its words and something to try."""
    archive.answer = lambda asked: {} if reason is None else dict.fromkeys(asked.uids, reason)

    ok, remark = ask(archive.port)

    assert not ok
    assert said in remark.detail
    assert remark.advice


def test_silence_says_what_the_archive_must_know(archive: CommitmentArchive) -> None:
    """Where nothing comes, the box's title, address and ports are named; who was let in, or was refused before, is not."""
    archive.way = "never"
    calls = (call("CT1", at=math.inf, answer=""), call("MR1", at=999.0))

    ok, remark = ask(archive.port, report_s=0.3, calls=calls)

    assert not ok
    assert "the archive took the request for storage commitment, and no report came within 0.3 s" == remark.detail
    assert "it must know EDGE with the address 10.0.0.9 and its port 104 or 2762 (TLS)" in remark.advice


def test_silence_names_who_was_refused_meanwhile(archive: CommitmentArchive) -> None:
    """A caller that was refused after the request is named with the reason, and where to enter it."""
    archive.way = "never"

    _, remark = ask(archive.port, report_s=0.3, calls=(call("PACS1SC", at=1001.0),))

    assert remark.detail.endswith("meanwhile this box refused PACS1SC from 10.0.0.7 (unknown calling title)")
    assert "as the destination's also_calls_from says" in remark.advice


@pytest.mark.parametrize(
    ("status", "is_well", "said"),
    [(0x0122, True, "does not do storage commitment (0122): what it takes counts as"), (0x0213, False, "answered with 0213 instead of")],
)
def test_a_request_that_is_refused(archive: CommitmentArchive, status: int, is_well: bool, said: str) -> None:  # noqa: FBT001
    """An answer to the request that is no success is said at once, and no report is waited for; not to do it at all is no fault."""
    archive.action_status = status

    ok, remark = ask(archive.port)

    assert ok is is_well
    assert said in remark.detail


def test_an_archive_without_commitment() -> None:
    """An archive that takes no such requests is told apart, and the advice names what else can be configured."""
    with CommitmentArchive(takes_commitment=False) as plain:
        ok, remark = ask(plain.port)

    assert ok
    assert "the archive does not take requests for storage commitment from EDGE: what it takes counts" in remark.detail
    assert '"query"' in remark.advice


def test_an_archive_that_went_away() -> None:
    """An archive that cannot be called any more is said in the doctor's usual words."""
    ok, remark = ask(CommitmentArchive().port)

    assert not ok
    assert "storage commitment cannot be asked for: nobody listens at 127.0.0.1" in remark.detail


def test_an_archive_that_answers_no_query(archive: CommitmentArchive) -> None:
    """Where nothing can be asked by a query, that is said, and not that the image is missing."""
    ok, remark = ask(archive.port, proof="query")

    assert not ok
    assert remark.detail.startswith("the archive does not say by a query whether it has the test image: ")


def test_an_answer_that_is_proof_enough_is_not_asked_for() -> None:
    """A destination whose proof is its answer has no such phase."""
    to = DicomDestination(name="archive", ae_title=AETitle("ARCHIVE"), host="127.0.0.1", port=104, proof="delivered")

    assert proof_of(to, Site(destinations=(to,)), OutgoingTls(), Post(ExpectedReports(), lambda *_: None, tuple)) is None


class _Mixing(CommitmentArchive):
    """An archive that reports first on a request of before."""

    def _report(self, same: object, asked: Asked, results: Reasons) -> None:
        other: Dataset = report("2.25.4711", {"1.2.3": None, "1.2.4": 0x0112})
        self.reported.append(report_on(same, other))  # type: ignore[arg-type]
        if self.reported[-1] is not None:
            super()._report(same, asked, results)  # type: ignore[arg-type]


def test_a_report_on_another_request_is_kept() -> None:
    """A report on what was delivered that comes meanwhile is handed on, with who said it and when, before it is answered."""
    kept: list[tuple[CommitmentReport, str, float]] = []

    with _Mixing(way="same", answer=lambda asked: dict.fromkeys(asked.uids)) as archive:
        ok, _ = ask(archive.port, keep=lambda *one: kept.append(one))

    assert ok
    assert [(CommitmentReport("2.25.4711", ("1.2.3",), (("1.2.4", 0x0112),)), "ARCHIVE", 1000.0)] == kept
    assert [0, 0] == archive.reported


def test_a_report_that_cannot_be_kept_is_not_answered() -> None:
    """Where such a report cannot be made durable, the archive gets no answer to it, and the examination ends with the ledger's fault."""

    def fail(*_: object) -> None:
        raise LedgerLockedError("the ledger is busy")

    with _Mixing(way="same", answer=lambda asked: dict.fromkeys(asked.uids)) as archive, pytest.raises(LedgerLockedError):
        ask(archive.port, keep=fail)

    assert [None] == archive.reported
