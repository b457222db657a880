"""STOW-RS: what goes over the wire, what each answer is taken for, and a real Orthanc at the other end."""

from __future__ import annotations

import base64
import datetime as dt
import io
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from appliance.core.identity import Uid
from appliance.deliver.site_state import SiteState
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, BatchChannel, Outcome
from appliance.deliver.transports import stow, stow_body
from appliance.deliver.transports.http_credentials import CredentialsUnusableError, basic, bearer
from appliance.deliver.transports.http_line import Proxy
from appliance.deliver.verdict import Whose
from tests.integration.transports import contract
from tests.integration.transports.contract import Bench, OpenObject, digest_of
from tests.support import dcmtk, part10, reserved_port, samples
from tests.support.box import Box
from tests.support.certificates import DAY, Authority
from tests.support.eventually import eventually
from tests.support.orthanc import Orthanc
from tests.support.site import a_site
from tests.support.stow_way import PATIENT_S, WANTED, SealedTasks, serving, trusting
from tests.support.strict_stow import Reply, StowRequest, StrictStow, report, report_xml

CONTENT = bytes(range(256)) * 2000
# More than the kernels on both sides keep between them.
LARGE = bytes(24 << 20)
SHORT_S = 0.5


@pytest.fixture
def sealed(tmp_path: Path) -> SealedTasks:
    """An empty spool."""
    return SealedTasks(tmp_path / "box")


@pytest.fixture
def hospital(tmp_path: Path) -> Authority:
    """An authority of the hospital's own."""
    return Authority(tmp_path / "hospital")


def flags(outcomes: list[Outcome]) -> list[str]:
    """Return what each is called."""
    return [outcome.verdict.flag for outcome in outcomes]


def failure_of(way: stow.StowTransport) -> tuple[str, SiteState | None]:
    """Return what a channel that does not come about is called, and the state it leads to."""
    with pytest.raises(AssociationFailedError) as caught:
        way.open(WANTED)
    return caught.value.verdict.flag, caught.value.verdict.site_state


# --- what is sent -------------------------------------------------------------------------------------------------------------------------


def test_an_instance_arrives_as_it_was_received(sealed: SealedTasks) -> None:
    """The server gets one DICOM file with the data set bit for bit, and its header says nothing of how it came to the box."""
    task = sealed.add(CONTENT)
    with StrictStow() as server:
        outcomes = sealed.send(server.url, task)

    file = server.requests[0].files[0]
    meta, content = part10.split(file)
    assert (flags(outcomes), outcomes[0].status, server.faults) == (["success"], 0, [])
    assert content == CONTENT
    assert (meta[part10.SOP_INSTANCE], meta[part10.TRANSFER_SYNTAX]) == (task.claim.sop_instance_uid, task.claim.transfer_syntax_uid)
    assert meta[part10.SOURCE_TITLE] == "CT1"
    assert b"10.0.0.7" not in file


def test_several_instances_go_in_one_request(sealed: SealedTasks) -> None:
    """Up to as many instances as one request may hold go together, each a part, in their order; the rest follow on the same connection."""
    tasks = [sealed.add(CONTENT + bytes([number])) for number in range(5)]
    with StrictStow() as server:
        outcomes = sealed.send(server.url, *tasks, instances=3)

    uids = [task.claim.sop_instance_uid for task in tasks]
    assert flags(outcomes) == ["success"] * 5
    assert ([request.uids for request in server.requests], server.connections, server.faults) == ([uids[:3], uids[3:]], 1, [])


def test_a_channel_says_how_much_it_takes(sealed: SealedTasks) -> None:
    """A lane can see that several deliveries may go in one request, and how many."""
    with StrictStow() as server:
        channel = sealed.open(server.url, instances=7)
        batch = channel.batch
        channel.release()

    assert isinstance(channel, BatchChannel)
    assert (batch.instances, batch.bytes) == (7, stow.BATCH_BYTES)


def test_large_ones_do_not_go_together(sealed: SealedTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances that are together larger than a request should be go one after the other; a large one goes whole."""
    monkeypatch.setattr(stow, "BATCH_BYTES", 3 * len(CONTENT))
    tasks = [sealed.add(CONTENT * times) for times in (1, 1, 2, 4, 1)]
    with StrictStow() as server:
        sealed.send(server.url, *tasks)

    assert [len(request.files) for request in server.requests] == [2, 1, 1, 1]


def test_what_failed_before_goes_alone(sealed: SealedTasks) -> None:
    """An instance that was tried before, and one that is in the request already, go in requests of their own."""
    fresh, again = sealed.add(CONTENT), sealed.add(CONTENT + b"\0")
    twin = sealed.add(CONTENT + b"\1", uid=fresh.claim.sop_instance_uid)
    tried = Task(again.claim, ("http_in_company",))
    with StrictStow() as server:
        outcomes = sealed.send(server.url, fresh, twin, tried, fresh)

    assert flags(outcomes) == ["success"] * 4
    assert [len(request.files) for request in server.requests] == [1, 1, 1, 1]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_the_web_does_not_take_is_converted(sealed: SealedTasks, tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """Implicit and big endian, which PS3.18 8.7.3 forbids, go as explicit little endian with every element, the length known before."""
    sent, content = _in_syntax(samples.ct(64).write(tmp_path)[0], syntax)
    task = sealed.add(content, uid=sent.SOPInstanceUID, syntax=Uid(syntax))
    with StrictStow() as server:
        outcomes = sealed.send(server.url, task, sealed.add(CONTENT))

    kept = pydicom.dcmread(io.BytesIO(server.requests[0].files[0]))
    assert (flags(outcomes), server.faults) == (["success", "success"], [])
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert kept.PixelData == sent.PixelData
    assert kept.PatientName == sent.PatientName


def test_what_cannot_be_converted_goes_as_it_is(sealed: SealedTasks) -> None:
    """A data set that is not what its transfer syntax announces is the server's to judge, byte for byte."""
    task = sealed.add(b"no data set", syntax=Uid(ImplicitVRLittleEndian))
    with StrictStow() as server:
        outcomes = sealed.send(server.url, task)

    meta, content = part10.split(server.requests[0].files[0])
    assert flags(outcomes) == ["success"]
    assert (content, meta[part10.TRANSFER_SYNTAX]) == (b"no data set", ImplicitVRLittleEndian)


def test_a_damaged_object_is_never_completed(sealed: SealedTasks) -> None:
    """An object that turns out damaged at its end breaks the request off: the server never has it whole, and the others go again."""
    before, damaged, after = sealed.add(CONTENT), sealed.add(CONTENT * 2), sealed.add(CONTENT)
    sealed.damage(damaged)
    with StrictStow() as server:
        outcomes = sealed.send(server.url, before, damaged, after)

    assert flags(outcomes) == ["broken_off_for_another", "damaged_in_spool", "broken_off_for_another"]
    assert server.requests == []


def test_a_missing_object_hinders_no_other(sealed: SealedTasks) -> None:
    """An object that cannot be opened is left out of the request, and the others go."""
    missing, there = sealed.add(CONTENT), sealed.add(CONTENT + b"\0")
    sealed.lose(missing)
    with StrictStow() as server:
        outcomes = sealed.send(server.url, missing, there)

    assert flags(outcomes) == ["missing_in_spool", "success"]
    assert [request.uids for request in server.requests] == [[there.claim.sop_instance_uid]]


# --- what is answered ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 409])
def test_each_instance_gets_its_own_result(sealed: SealedTasks, status: int) -> None:
    """Stored, stored with a warning, failed and not named are told apart, whatever the status above them."""
    tasks = [sealed.add(CONTENT + bytes([number])) for number in range(4)]
    first, second, third, _ = (task.claim.sop_instance_uid for task in tasks)
    answer = report(stored={first: 0, second: 0xB006}, failed={third: 0xA900})
    with StrictStow([Reply(status, answer)]) as server:
        outcomes = sealed.send(server.url, *tasks)

    not_named = "http_in_company" if status == 409 else "not_named"
    assert flags(outcomes) == ["success", "elements_discarded", "data_set_mismatch", not_named]
    assert [outcome.status for outcome in outcomes] == [0, 0xB006, 0xA900, None]


def test_a_report_in_xml(sealed: SealedTasks) -> None:
    """A server that answers in XML although JSON was asked for is understood."""
    good, bad = sealed.add(CONTENT), sealed.add(CONTENT + b"\0")
    answer = report_xml(stored={good.claim.sop_instance_uid: 0}, failed={bad.claim.sop_instance_uid: 0x0110})
    with StrictStow([Reply(202, answer, "application/dicom+xml")]) as server:
        outcomes = sealed.send(server.url, good, bad)

    assert flags(outcomes) == ["success", "processing_failure"]


@pytest.mark.parametrize(
    ("status", "flag"),
    [
        (301, "http_elsewhere"),
        (400, "http_bad_request"),
        (401, "http_unauthorised"),
        (403, "http_forbidden"),
        (404, "http_not_found"),
        (413, "http_too_large"),
        (415, "http_unsupported_type"),
        (429, "http_too_many_requests"),
        (500, "http_server_error"),
        (503, "http_unavailable"),
        (504, "http_gateway_timeout"),
        (507, "http_insufficient_storage"),
    ],
)
def test_a_status_means_what_its_row_says(sealed: SealedTasks, status: int, flag: str) -> None:
    """A status comes over the wire as its row in the table, keeps the server's words, and leaves the connection usable."""
    with StrictStow([Reply(status, b"because", "text/plain", (("Location", "/elsewhere"),)), Reply()]) as server:
        channel = sealed.open(server.url)
        refused, stored = channel.send(sealed.add(CONTENT)), channel.send(sealed.add(CONTENT))
        channel.release()

    assert (refused.verdict.flag, refused.comment, stored.verdict.flag) == (flag, "because", "success")
    assert ([request.target for request in server.requests], server.connections) == (["/dicom-web/studies"] * 2, 1)


def test_a_yes_without_a_report_delivers_nothing(sealed: SealedTasks) -> None:
    """A login page with status 200 is no success: the destination is shown as refusing."""
    with StrictStow([Reply(200, b"<html>Welcome</html>", "text/html")]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT))

    assert (outcome.verdict.flag, outcome.verdict.site_state) == ("http_unlisted", SiteState.REFUSING)


@pytest.mark.parametrize(("status", "flag"), [(200, "http_encoded"), (409, "http_encoded"), (401, "http_unauthorised")])
def test_a_compressed_answer_is_not_understood(sealed: SealedTasks, status: int, flag: str) -> None:
    """Answers are asked for as they are; where one is encoded all the same, no word of it counts, and the reason says so."""
    coded = Reply(status, b"\x1f\x8b\x08", "text/plain", (("Content-Encoding", "gzip"),))
    with StrictStow([coded]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT))

    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert (outcome.verdict.flag, outcome.verdict.site_state, outcome.comment) == (flag, SiteState.REFUSING, "")


def test_an_answer_that_says_it_is_not_encoded_counts(sealed: SealedTasks) -> None:
    """Content-Encoding: identity is no encoding."""
    with StrictStow([Reply(headers=(("Content-Encoding", "Identity"),))]) as server:
        outcomes = sealed.send(server.url, sealed.add(CONTENT))

    assert flags(outcomes) == ["success"]


@pytest.mark.parametrize("words", ["bad token S3/cret.token", '{"got": "Bearer S3\\/cret.token"}', "S3%2Fcret.token?", "no\nS3/cret.token"])
def test_a_server_that_repeats_our_token_is_not_quoted(sealed: SealedTasks, words: str) -> None:
    """What a server says is not kept where it holds the token that it was shown, however it is written."""
    with StrictStow([Reply(401, b"." * 150 + words.encode(), "text/plain")]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT), authorization=lambda: bearer("S3/cret.token"))

    assert (outcome.verdict.flag, outcome.comment) == ("http_unauthorised", "")


@pytest.mark.parametrize(("words", "comment"), [("wrong: geheim", ""), ("ZWRnZTpnZWhlaW0=", ""), ("wrong password", "wrong password")])
def test_a_server_that_repeats_our_password_is_not_quoted(sealed: SealedTasks, words: str, comment: str) -> None:
    """Neither the password nor the header in which it went is kept; other words are."""
    with StrictStow([Reply(401, words.encode(), "text/plain")]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT), authorization=lambda: basic("edge", "geheim"))

    assert outcome.comment == comment


@pytest.mark.parametrize("more", [1, -1])
def test_an_object_of_another_length_is_our_own_fault(sealed: SealedTasks, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """A request that would not be what it announced is cut off, and charged to the box; the server never has it whole."""
    original = stow_body.prepare

    def wrong(*arguments: Any) -> Any:
        part = original(*arguments)
        return replace(part, length=part.length + more)

    monkeypatch.setattr(stow, "prepare", wrong)
    with StrictStow() as server:
        channel = sealed.open(server.url)
        outcome = channel.send(sealed.add(CONTENT))

    assert (outcome.verdict.flag, outcome.verdict.is_ours) == ("length_differs", True)
    assert not channel.is_open
    assert server.requests == []


def test_retry_after_reaches_the_throttle(sealed: SealedTasks) -> None:
    """The wait that a busy server asks for, with a status or with a report, is in the verdict."""
    task = sealed.add(CONTENT)
    full = report(failed={task.claim.sop_instance_uid: 0xA700})
    later = (("Retry-After", "70"),)
    with StrictStow([Reply(503, b"", "", later), Reply(409, full, headers=later)]) as server:
        channel = sealed.open(server.url)
        verdicts = [channel.send(task).verdict for _ in range(2)]
        channel.release()

    assert [verdict.site_state for verdict in verdicts] == [SiteState.THROTTLED] * 2
    assert [verdict.wait_s for verdict in verdicts] == [70.0, 70.0]


def test_a_bad_instance_is_found_by_going_alone(sealed: SealedTasks) -> None:
    """A server that refuses a whole request for one bad instance charges nobody; alone, each gets its own answer."""
    good, bad = sealed.add(CONTENT), sealed.add(CONTENT + b"\0")

    def answer(request: StowRequest) -> bytes:
        return report(stored={uid: 0 for uid in request.uids if uid == good.claim.sop_instance_uid})

    with StrictStow([Reply(400, b"", ""), Reply(200, answer), Reply(400, b"", "")]) as server:
        together = sealed.send(server.url, good, bad)
        alone = sealed.send(server.url, *(Task(task.claim, ("http_in_company",)) for task in (good, bad)))

    assert flags(together) == ["http_in_company", "http_in_company"]
    assert flags(alone) == ["success", "http_bad_request"]


# --- what breaks --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "flag"),
    [
        (Reply(cuts=True), "connection_lost"),
        (Reply(closes=True), "connection_lost"),
        (Reply(stalls=True), "no_response"),
        (Reply(cut_at=9, keeps_open=False), "connection_lost"),
        (Reply(cut_at=150, keeps_open=False), "connection_lost"),
        (Reply(cut_at=150), "no_response"),
        (Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "protocol_broken"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), "protocol_broken"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), "protocol_broken"),
        (Reply(raw=b"HTTP/1.1 102 Processing\r\n\r\n" * 1000), "protocol_broken"),
        (Reply(drips_s=SHORT_S / 10), "no_response"),
    ],
)
def test_an_answer_that_is_lost_is_an_unknown_outcome(sealed: SealedTasks, reply: Reply, flag: str) -> None:
    """Once the request is out, whatever ends the connection without a whole answer leaves it open whether the server has the instance."""
    with StrictStow([reply]) as server:
        channel = sealed.open(server.url, response_s=SHORT_S)
        outcome = channel.send(sealed.add(CONTENT))

    assert (outcome.verdict.whose, outcome.verdict.flag) == (Whose.UNKNOWN, flag)
    assert not channel.is_open


def test_an_early_word_on_the_way_is_no_answer(sealed: SealedTasks) -> None:
    """A 100 or 102 before the answer is passed over."""
    task = sealed.add(CONTENT)
    content = report(stored={task.claim.sop_instance_uid: 0})
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"
    with StrictStow([Reply(raw=answer + b"Connection: close\r\n\r\n" + content, keeps_open=False)]) as server:
        outcomes = sealed.send(server.url, task)

    assert flags(outcomes) == ["success"]


@pytest.mark.parametrize(
    ("reply", "flag"),
    [
        (Reply(after=1000, cuts=True), "connection_lost"),
        (Reply(after=1000, closes=True), "connection_lost"),
        (Reply(after=1000, stalls=True), "no_progress"),
    ],
)
def test_a_request_that_breaks_in_the_middle(sealed: SealedTasks, reply: Reply, flag: str) -> None:
    """A server that leaves, or takes no more, in the middle of a request is noticed by the standstill, and costs an unknown outcome."""
    with StrictStow([reply]) as server:
        channel = sealed.open(server.url, progress_s=SHORT_S)
        outcome = channel.send(sealed.add(LARGE))

    assert (outcome.verdict.whose, outcome.verdict.flag) == (Whose.UNKNOWN, flag)
    assert not channel.is_open


@pytest.mark.parametrize(("status", "flag"), [(413, "http_too_large"), (401, "http_unauthorised"), (503, "http_unavailable")])
def test_a_refusal_in_the_middle_ends_the_sending(sealed: SealedTasks, status: int, flag: str) -> None:
    """A server that has seen enough is heard before everything is sent, and what it says is what counts."""
    with StrictStow([Reply(status, b"enough", "text/plain", after=1000)]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(LARGE))

    assert (outcome.verdict.flag, outcome.comment) == (flag, "enough")
    assert server.received == 1000


def test_a_refusal_by_a_server_that_takes_no_more(sealed: SealedTasks) -> None:
    """A server that refuses and then reads nothing more, while the kernels are full, is heard when nothing moves any more."""
    with StrictStow([Reply(413, b"enough", "text/plain", after=1000, delay_s=2 * SHORT_S, is_deaf=True)]) as server:
        (outcome,) = sealed.send(server.url, sealed.add(LARGE), progress_s=4 * SHORT_S)

    assert (outcome.verdict.flag, outcome.comment) == ("http_too_large", "enough")


def test_a_refusal_in_the_middle_that_is_cut(sealed: SealedTasks) -> None:
    """Of a refusal that breaks off in its own words the status still counts."""
    with StrictStow([Reply(413, b"enough " * 100, "text/plain", after=1000, cut_at=200)]) as server:
        outcomes = sealed.send(server.url, sealed.add(LARGE))

    assert flags(outcomes) == ["http_too_large"]


def test_a_flood_of_words_on_the_way_does_not_hold_up_the_sending(sealed: SealedTasks) -> None:
    """A server that says for ever that it is at work, while the request is still going out, breaks the protocol."""
    with StrictStow([Reply(raw=b"HTTP/1.1 102 Processing\r\n\r\n" * 100_000, after=1000)]) as server:
        outcomes = sealed.send(server.url, sealed.add(LARGE))

    assert flags(outcomes) == ["protocol_broken"]


def test_an_endless_answer_is_none(sealed: SealedTasks) -> None:
    """Of an answer far longer than any report only the status counts, and memory does not follow it."""
    with StrictStow([Reply(200, bytes(8 << 20))]) as server:
        channel = sealed.open(server.url)
        outcome = channel.send(sealed.add(CONTENT))

    assert (outcome.verdict.flag, channel.is_open) == ("http_unlisted", False)


def test_a_success_in_the_middle_is_none(sealed: SealedTasks) -> None:
    """Who says that everything is stored before everything was sent is not believed."""
    task = sealed.add(LARGE)
    with StrictStow([Reply(200, report(stored={task.claim.sop_instance_uid: 0}), after=1000)]) as server:
        outcomes = sealed.send(server.url, task)

    assert flags(outcomes) == ["protocol_broken"]


def test_a_slow_answer_is_waited_for(sealed: SealedTasks) -> None:
    """A server may take longer for its answer than the network may stand still."""
    with StrictStow([Reply(delay_s=4 * SHORT_S)]) as server:
        outcomes = sealed.send(server.url, sealed.add(CONTENT), progress_s=SHORT_S)

    assert flags(outcomes) == ["success"]


def test_a_server_that_hangs_up_between_two_requests(sealed: SealedTasks) -> None:
    """A connection that the server closed after an answer is seen to be closed, and what is sent on it all the same is charged nothing."""
    with StrictStow([Reply(keeps_open=False)]) as server:
        channel = sealed.open(server.url, instances=1)
        first, second = channel.send_together([sealed.add(CONTENT), sealed.add(CONTENT)])

    assert (first.verdict.flag, second.verdict.flag, second.verdict.whose) == ("success", "association_ended", Whose.SITE)
    assert not channel.is_open


def test_a_server_that_leaves_without_a_word(sealed: SealedTasks) -> None:
    """A connection that the server closed while nothing was asked, though it said that it would not, is noticed before it is used."""
    with StrictStow([Reply(leaves=True)]) as server:
        channel = sealed.open(server.url)
        outcome = channel.send(sealed.add(CONTENT))

        eventually(lambda: not channel.is_open, within=PATIENT_S, message="the channel to notice")

    assert outcome.verdict.flag == "success"


# --- who we are, and who they are ---------------------------------------------------------------------------------------------------------


def test_a_token_is_asked_for_each_request(sealed: SealedTasks) -> None:
    """A token that was renewed counts for the next request on the same connection."""
    tokens = iter(["first", "second"])
    with StrictStow() as server:
        channel = sealed.open(server.url, authorization=lambda: bearer(next(tokens) + "\n"))
        channel.send(sealed.add(CONTENT))
        channel.send(sealed.add(CONTENT))
        channel.release()

    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


def test_a_user_and_password(sealed: SealedTasks) -> None:
    """User and password go as RFC 7617 says, in UTF-8."""
    with StrictStow() as server:
        sealed.send(server.url, sealed.add(CONTENT), authorization=lambda: basic("edge", "geheim:ü"))

    kind, _, encoded = server.requests[0].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(encoded).decode()) == ("Basic", "edge:geheim:ü")


@pytest.mark.parametrize("error", [FileNotFoundError(), CredentialsUnusableError("none")])
def test_credentials_that_cannot_be_had_are_a_setting(sealed: SealedTasks, error: Exception) -> None:
    """Without its token the box sends nothing, and the destination is shown as refusing."""

    def fails() -> str:
        raise error

    with StrictStow() as server:
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT), authorization=fails)

    assert (outcome.verdict.flag, outcome.verdict.site_state) == ("own_credentials", SiteState.REFUSING)
    assert (server.requests, server.received) == ([], 0)


@pytest.mark.parametrize("secret", ["", "two words", "ümlaut", "line\nend"])
def test_what_is_no_token_is_refused(secret: str) -> None:
    """A secret that cannot stand in a header is refused in words that do not repeat it."""
    with pytest.raises(CredentialsUnusableError) as caught:
        bearer(secret)

    assert not secret or secret not in str(caught.value)


def test_a_private_authority(sealed: SealedTasks, hospital: Authority) -> None:
    """Over TLS everything goes as in clear, to a server that the hospital's own authority vouches for."""
    with StrictStow(secure=serving(hospital.issue("archive"))) as server:
        way = sealed.way(server.url, tls=trusting(hospital))
        way.hello()
        way.echo()
        outcomes = sealed.send(server.url, sealed.add(CONTENT), sealed.add(LARGE), tls=trusting(hospital))

    assert (flags(outcomes), server.faults) == (["success", "success"], [])


def test_a_certificate_of_the_box(sealed: SealedTasks, hospital: Authority) -> None:
    """A server that demands a certificate gets the box's."""
    with StrictStow(secure=serving(hospital.issue("archive"), asks=hospital)) as server:
        outcomes = sealed.send(server.url, sealed.add(CONTENT), tls=trusting(hospital, hospital.issue("edge")))

    assert flags(outcomes) == ["success"]


def test_a_missing_certificate_of_the_box_is_said(sealed: SealedTasks, hospital: Authority) -> None:
    """A server that demands a certificate and gets none says so after the handshake; knock, request and try name it."""
    with StrictStow(secure=serving(hospital.issue("archive"), asks=hospital)) as server:
        with pytest.raises(AssociationFailedError) as knock:
            sealed.way(server.url, tls=trusting(hospital)).hello()
        (outcome,) = sealed.send(server.url, sealed.add(CONTENT), tls=trusting(hospital))

    assert knock.value.verdict.flag == outcome.verdict.flag == "tls_client_certificate"
    assert outcome.verdict.site_state is SiteState.REFUSING


@pytest.mark.parametrize(
    ("name", "ends", "signer", "flag"),
    [
        ("elsewhere.example", DAY, "trusted", "tls_wrong_name"),
        ("127.0.0.1", -DAY, "trusted", "tls_expired"),
        ("127.0.0.1", DAY, "other", "tls_untrusted"),
    ],
)
def test_a_server_that_cannot_be_trusted_gets_nothing(
    sealed: SealedTasks, tmp_path: Path, name: str, ends: dt.timedelta, signer: str, flag: str
) -> None:
    """A wrong name, an expired certificate and an unknown authority end the handshake, each by its name."""
    authorities = {name: Authority(tmp_path / name, name) for name in ("trusted", "other")}
    identity = authorities[signer].issue("archive", names=(name,), begins=-3 * DAY, ends=ends)
    with StrictStow(secure=serving(identity)) as server:
        failure = failure_of(sealed.way(server.url, tls=trusting(authorities["trusted"])))

    assert (failure, server.requests) == ((flag, SiteState.REFUSING), [])


# --- through a proxy ----------------------------------------------------------------------------------------------------------------------


def test_through_a_proxy_in_clear(sealed: SealedTasks) -> None:
    """A request in clear asks the proxy for the whole address."""
    with StrictStow() as server:
        proxy = Proxy("127.0.0.1", server.port)
        outcomes = sealed.send("http://archive.example:8042/dicom-web", sealed.add(CONTENT), proxy=proxy)

    request = server.requests[0]
    assert (flags(outcomes), server.faults) == (["success"], [])
    assert (request.target, request.headers["host"]) == ("http://archive.example:8042/dicom-web/studies", "archive.example:8042")


def test_through_a_proxy_over_tls(sealed: SealedTasks, hospital: Authority) -> None:
    """Over TLS the proxy is asked for a tunnel, and sees neither the request nor the destination's credentials."""
    identity = hospital.issue("archive", names=("archive.example",))
    with StrictStow(secure=serving(identity)) as server:
        proxy = Proxy("127.0.0.1", server.port)
        url, tls = "https://archive.example/dicom-web", trusting(hospital, name="archive.example")
        outcomes = sealed.send(url, sealed.add(CONTENT), proxy=proxy, tls=tls, authorization=lambda: bearer("t"))

    assert (flags(outcomes), server.faults) == (["success"], [])
    assert [(tunnel.method, tunnel.target, tunnel.headers.get("authorization")) for tunnel in server.tunnels] == [
        ("CONNECT", "archive.example:443", None)
    ]
    assert server.requests[0].target == "/dicom-web/studies"


@pytest.mark.parametrize(
    ("status", "flag", "state"),
    [(407, "proxy_unauthorised", SiteState.REFUSING), (403, "proxy_forbidden", SiteState.REFUSING), (502, "proxy_no_way", SiteState.DEAD)],
)
def test_a_proxy_that_does_not_lead_on(sealed: SealedTasks, hospital: Authority, status: int, flag: str, state: SiteState) -> None:
    """A proxy that refuses the tunnel is told from a destination that refuses."""
    with StrictStow(secure=serving(hospital.issue("archive")), proxy_status=status) as server:
        proxy = Proxy("127.0.0.1", server.port)
        failure = failure_of(sealed.way("https://archive.example/dicom-web", proxy=proxy, tls=trusting(hospital)))

    assert failure == (flag, state)


def test_a_proxy_that_is_not_there(sealed: SealedTasks) -> None:
    """A proxy that refuses the connection is dead, and said to be the proxy."""
    with reserved_port.reserve() as holder:
        way = sealed.way("http://archive.example/dicom-web", proxy=Proxy("127.0.0.1", reserved_port.port_of(holder)))
        failure = failure_of(way)

    assert failure == ("proxy_refused", SiteState.DEAD)


# --- knocking -----------------------------------------------------------------------------------------------------------------------------


def test_nobody_there(sealed: SealedTasks) -> None:
    """A port where nobody listens is dead for a knock, a request and a channel."""
    with reserved_port.reserve() as holder:
        way = sealed.way(f"http://127.0.0.1:{reserved_port.port_of(holder)}/dicom-web")
        failures = []
        for knock in (way.hello, way.echo, lambda: way.open(WANTED)):
            with pytest.raises(AssociationFailedError) as caught:
                knock()
            failures.append(caught.value.verdict.flag)

    assert failures == ["unreachable_connect_refused"] * 3


@pytest.mark.parametrize(
    ("status", "flag"),
    [(200, None), (400, None), (409, None), (500, None), (401, "http_unauthorised"), (404, "http_not_found"), (503, "http_unavailable")],
)
def test_whether_the_box_may_store_is_found_by_storing_nothing(sealed: SealedTasks, status: int, flag: str | None) -> None:
    """A request without instances tells whether credentials and address are right, whatever the server makes of its emptiness."""
    with StrictStow([Reply(status, b"", "")]) as server:
        way = sealed.way(server.url)
        found = None
        try:
            way.admitted()
        except AssociationFailedError as error:
            found = error.verdict.flag

    assert (found, [request.files for request in server.requests], server.faults) == (flag, [()], [])


def test_who_does_not_speak_http_is_not_back(sealed: SealedTasks, hospital: Authority) -> None:
    """A TLS server called in clear answers a knock, and not a request: it is not back."""
    with StrictStow(secure=serving(hospital.issue("archive"))) as server:
        way = sealed.way(server.url.replace("https:", "http:"))
        way.hello()
        with pytest.raises(AssociationFailedError) as caught:
            way.echo()

    assert caught.value.verdict.flag in {"http_protocol", "http_closed"}
    assert caught.value.verdict.site_state is SiteState.DEAD


# --- Orthanc ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that speaks DICOMweb."""
    with Orthanc(tmp_path_factory.mktemp("orthanc") / "archive", dicomweb=True) as running:
        yield running


def test_orthanc_keeps_what_it_is_sent(archive: Orthanc, sealed: SealedTasks, tmp_path: Path) -> None:
    """A study in several requests of several instances, a mammogram and one image of each compressed syntax are there, pixel for pixel."""
    files = [*samples.ct(64).write(tmp_path, 12), samples.mammogram().write(tmp_path)[0]]
    files += [path for template in samples.compressed() for path in template.write(tmp_path)]
    way = sealed.way(archive.url, instances=5)
    way.hello()
    way.echo()
    channel = way.open(WANTED)

    outcomes = channel.send_together([sealed.add_file(path) for path in files])
    channel.release()

    known = archive.instances()
    assert flags(outcomes) == ["success"] * len(files)
    for path in files:
        kept, sent = archive.data_set(known[path.stem]), pydicom.dcmread(path)
        assert kept.PixelData == sent.PixelData
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert kept.PatientName == sent.PatientName


def test_orthanc_lets_the_box_in_and_has_other_addresses(archive: Orthanc, sealed: SealedTasks) -> None:
    """Where Orthanc's service is, the box may store; beside it there is nothing."""
    sealed.way(archive.url).admitted()

    with pytest.raises(AssociationFailedError) as caught:
        sealed.way(archive.url + "x").admitted()

    assert caught.value.verdict.flag == "http_not_found"


def test_orthanc_takes_what_was_converted(archive: Orthanc, sealed: SealedTasks, tmp_path: Path) -> None:
    """An implicit image arrives in explicit little endian with all its elements."""
    sent, content = _in_syntax(samples.ct(64).write(tmp_path)[0], ImplicitVRLittleEndian)

    outcomes = sealed.send(archive.url, sealed.add(content, uid=sent.SOPInstanceUID, syntax=Uid(ImplicitVRLittleEndian)))

    kept = archive.data_set(archive.instances()[sent.SOPInstanceUID])
    assert flags(outcomes) == ["success"]
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (kept.PixelData, kept.AccessionNumber) == (sent.PixelData, sent.AccessionNumber)


def test_orthanc_says_which_one_it_cannot_read(archive: Orthanc, sealed: SealedTasks, tmp_path: Path) -> None:
    """Of a good and a bad instance in one request, Orthanc stores the good one; the bad one is refused when it comes alone."""
    good, bad = sealed.add_file(samples.ct(64).write(tmp_path)[0]), sealed.add(b"garbage")

    together = sealed.send(archive.url, good, bad)
    alone = sealed.send(archive.url, Task(bad.claim, ("http_in_company",)))

    assert flags(together) == ["success", "http_in_company"]
    assert flags(alone) == ["http_bad_request"]
    assert good.claim.sop_instance_uid in archive.instances()


def test_orthanc_gets_it_again(archive: Orthanc, sealed: SealedTasks, tmp_path: Path) -> None:
    """Sending again what Orthanc has is a success, and it still has one."""
    task = sealed.add_file(samples.ct(64).write(tmp_path)[0])

    outcomes = [outcome for _ in range(2) for outcome in sealed.send(archive.url, task)]

    assert flags(outcomes) == ["success", "success"]
    assert list(archive.instances()).count(task.claim.sop_instance_uid) == 1


class OrthancBench:
    """Orthanc's DICOMweb, for the contract."""

    def __init__(self, archive: Orthanc) -> None:
        """Serve."""
        self._archive = archive

    def way(self, open_object: OpenObject) -> stow.StowTransport:
        """Return the way to it."""
        return stow.StowTransport(stow.StowPeer(self._archive.url, 5.0, 10.0, 30.0, 5.0), open_object)

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the digests of its copies."""
        identifier = self._archive.instances().get(sop_instance_uid)
        return [] if identifier is None else [digest_of(part10.split(self._archive.file(identifier))[1])]

    def cut(self) -> None:
        """Kill it."""
        self._archive.kill()

    def mend(self) -> None:
        """Start it again."""
        self._archive.start()


@pytest.mark.parametrize("check", contract.CHECKS)
def test_orthanc_is_served_as_the_contract_says(check: Callable[[Bench, Path], None], tmp_path: Path) -> None:
    """Orthanc's DICOMweb is served as every way out of the box must serve."""
    with Orthanc(tmp_path / "orthanc", dicomweb=True) as archive:
        check(OrthancBench(archive), tmp_path)


def test_a_box_delivers_to_orthanc_over_the_web(tmp_path: Path) -> None:
    """A whole box sends a study by STOW-RS, through an outage of the archive, each image once; the doctor finds the way well."""
    files = samples.ct(64).write(tmp_path / "scanner", 20)
    archive = Orthanc(tmp_path / "orthanc", dicomweb=True)
    site = a_site(destinations=[{"name": "archive", "kind": "stow", "url": archive.url}])
    with archive, Box(tmp_path / "box", site) as box:
        dcmtk.dcmsend(box.port, files[:10])
        box.wait_until_delivered(60.0)
        archive.kill()
        dcmtk.dcmsend(box.port, files[10:])
        archive.start()
        box.wait_until_delivered(60.0)
        diagnosis = box.cli("destinations", "test", "archive")

        assert archive.instances().keys() == {path.stem for path in files}
        assert (box.count("delivered"), box.count("held")) == (len(files), 0)
        assert [(step["phase"], step["ok"]) for step in diagnosis["steps"]] == [
            ("name", True),
            ("tcp", True),
            ("http", True),
            ("login", True),
        ]


def test_a_sender_that_is_killed_loses_none_of_a_request(tmp_path: Path) -> None:
    """What was in a request when the sender was killed is sent again, once the same bytes; nothing else is, and nothing is lost."""
    files = samples.ct(64).write(tmp_path / "scanner", 12)
    # The second request is answered when the sender that asked has long been killed.
    with StrictStow([Reply(delay_s=1.0), Reply(stalls=True), Reply()]) as server:
        destination = {"name": "archive", "kind": "stow", "url": server.url, "instances_per_request": 6, "lanes": 1}
        with Box(tmp_path / "box", a_site(destinations=[destination])) as box:
            dcmtk.dcmsend(box.port, files)
            eventually(lambda: len(server.requests) == 2, within=60.0, message="the second request")
            cut_off = server.requests[1].uids
            os.kill(next(pid for pid, name in box.daemons().items() if name == "sender"), signal.SIGKILL)
            box.wait_until_delivered(60.0)

    sent = Counter(uid for request in server.requests for uid in request.uids)
    assert sent == {path.stem: 2 if path.stem in cut_off else 1 for path in files}
    assert len(cut_off) == 6


def _in_syntax(path: Path, syntax: pydicom.uid.UID) -> tuple[FileDataset, bytes]:
    """Return a file and its data set in another uncompressed transfer syntax."""
    sent = pydicom.dcmread(path)
    buffer = io.BytesIO()
    other = pydicom.dcmread(path)
    other.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        other.PixelData = _swapped(other.PixelData)
    pydicom.dcmwrite(
        buffer,
        other,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        force_encoding=True,
    )
    return sent, part10.split(buffer.getvalue())[1]


def _swapped(pixels: bytes) -> bytes:
    swapped = bytearray(pixels)
    swapped[::2], swapped[1::2] = pixels[1::2], pixels[::2]
    return bytes(swapped)
