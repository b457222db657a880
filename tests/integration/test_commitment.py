"""The whole loop of storage commitment: a scanner, the box, and archives that report in every way there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.manage.control import Control
from appliance.runtime.requests import QueueRow
from tests.support import samples, senders
from tests.support.box import Box, BoxMaker
from tests.support.commitment_archive import CommitmentArchive, Way, report, report_to
from tests.support.eventually import eventually
from tests.support.orthanc import Orthanc
from tests.support.site import Table, a_route, a_site, a_source, an_archive

QUICK_PROOF: Table = {"proof_after": 0.3, "proof_again": [0.5, 0.6], "proof_silence": 3600}
_WITHIN_S = 60.0
_ALSO: Table = {"ae_title": "PACS1SC", "address": "127.0.0.0/8"}


def _send(box: Box, folder: Path, count: int = 1, *, calling: str = "CT1") -> list[str]:
    files = samples.ct(16).write(folder, count)
    assert set(senders.send_once(box.port, files, calling=calling).values()) == {0}
    return [path.stem for path in files]


def _rows(box: Box, state: str) -> dict[str, QueueRow]:
    # As the command does, without starting one for each look: the box needs the processor.
    rows = Control(box.data / "run").queue(state=state, limit=1000).rows
    return {row.sop_instance_uid: row for row in rows}


def _proved(box: Box) -> int:
    return Control(box.data / "run").status().deliveries["proved"]


def _reason(box: Box, state: str, uid: str) -> str:
    row = _rows(box, state).get(uid)
    return "" if row is None else row.reason


def _wait_for(box: Box, state: str, uids: list[str]) -> None:
    eventually(lambda: set(uids) <= _rows(box, state).keys(), within=_WITHIN_S, message=f"{len(uids)} {state}")


@dataclass
class Loop:
    """A box that knows scanners and archives, of which none is a source, and the archive that commits itself."""

    box: Box
    archive: CommitmentArchive
    folder: Path

    def unproved(self, destination: str = "archive") -> int:
        """Return how many images wait for proof."""
        return next(int(row["unproved"]) for row in self.box.cli("destinations") if row["name"] == destination)

    def send(self, count: int = 1, *, calling: str = "CT1") -> list[str]:
        """Send images and return their UIDs."""
        return _send(self.box, self.folder, count, calling=calling)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, CommitmentArchive]]:
    """Run one box for all tests of an archive's words: starting it takes longer than any of them."""
    with CommitmentArchive() as archive, CommitmentArchive(takes_commitment=False) as plain:
        site = a_site(
            sources=[a_source("CT1"), a_source("CT2")],
            destinations=[
                an_archive(archive.port, also_calls_from=[_ALSO]),
                an_archive(plain.port, name="plain", ae_title="PLAIN"),
            ],
            routes=[
                a_route("archive", when={"source": ["CT1"]}),
                a_route("plain", name="some to the plain one", when={"source": ["CT2"]}),
            ],
            delivery=QUICK_PROOF,
        )
        with Box(tmp_path_factory.mktemp("commitment"), site) as box:
            yield box, archive


@pytest.fixture
def loop(running: tuple[Box, CommitmentArchive], tmp_path: Path) -> Loop:
    """Give the archive back its usual manners."""
    box, archive = running
    archive.forget()
    archive.box_port = box.port
    return Loop(box, archive, tmp_path / "scanner")


@pytest.mark.parametrize("way", ["new", "new without roles", "same"])
def test_a_report_proves_however_it_comes(loop: Loop, way: Way) -> None:
    """A report on the same association, or on a new one with roles or without, is answered 0000 and proves the images."""
    loop.archive.way = way

    uids = loop.send(3)
    _wait_for(loop.box, "proved", uids)

    assert {0} == set(loop.archive.reported)
    assert {("EDGE", "ARCHIVE")} == {(asked.calling, asked.called) for asked in loop.archive.asked}
    assert set(uids) == {uid for asked in loop.archive.asked for uid in asked.uids}
    assert 0 == loop.unproved()
    assert all(row["delivered"] == row["proved"] for row in loop.box.cli("studies"))


def test_a_report_may_come_under_another_title(loop: Loop) -> None:
    """An archive that reports under a title of `also_calls_from` is heard, and may do nothing else."""
    loop.archive.reports_as = "PACS1SC"

    _wait_for(loop.box, "proved", loop.send())

    assert {0} == set(loop.archive.reported)
    with pytest.raises(AssertionError, match="the association was refused"):
        loop.send(calling="PACS1SC")


def test_an_unknown_caller_looks_like_an_archive(loop: Loop) -> None:
    """A stranger that wants to report is refused, and the log says what it looks like."""
    loop.archive.reports_as = "WHOISIT"

    uids = loop.send()
    eventually(lambda: loop.archive.reported, within=_WITHIN_S)

    assert {"refused"} == set(loop.archive.reported)
    eventually(lambda: "looks like your archive" in loop.box.output(), within=_WITHIN_S)
    assert set(uids) <= _rows(loop.box, "delivered").keys()


def test_an_image_that_the_archive_loses_is_sent_again(loop: Loop) -> None:
    """A liar that answers 0000 and keeps nothing is asked three times, then gets the same image once more and proves it."""
    files = samples.ct(16).write(loop.folder, 5)
    lost = files[2].stem
    loop.archive.loses = {lost}

    senders.send_once(loop.box.port, files, calling="CT1")
    _wait_for(loop.box, "proved", [path.stem for path in files])

    assert {path.stem for path in files} <= loop.archive.kept
    assert [lost] == [uid for uid in set(loop.archive.stored) if loop.archive.stored.count(uid) > 1]
    assert 4 == len([asked for asked in loop.archive.asked if lost in asked.uids])
    assert "delivery.lost" in loop.box.output()


def test_an_early_0112_sends_nothing_again(loop: Loop) -> None:
    """An archive that says 0112 for everything at first, because it is in its inbox, gets nothing twice."""
    seen: set[str] = set()

    def late(uids: tuple[str, ...]) -> dict[str, int | None]:
        answer = {uid: None if uid in seen else 0x0112 for uid in uids}
        seen.update(uids)
        return answer

    loop.archive.answer = lambda asked: late(asked.uids)

    uids = loop.send(4)
    _wait_for(loop.box, "proved", uids)

    assert sorted(uids) == sorted(loop.archive.stored)


@pytest.mark.parametrize(
    ("reason", "state", "said"),
    [(0x0119, "held", "another object under this UID (0119)"), (0x0122, "delivered", "no object of this class (0122)")],
)
def test_what_cannot_be_proved_says_why(loop: Loop, reason: int, state: str, said: str) -> None:
    """0119 holds the image and 0122 leaves it delivered; the queue says which and why."""
    loop.archive.answer = lambda asked: dict.fromkeys(asked.uids, reason)

    (uid,) = loop.send()

    eventually(lambda: said in _reason(loop.box, state, uid), within=_WITHIN_S)


@pytest.mark.parametrize("reason", [0x0110, 0x0131, 0x0213])
def test_passing_failures_are_asked_again(loop: Loop, reason: int) -> None:
    """What passes is asked again, under a new Transaction UID, until it is proved; nothing is sent again."""
    loop.archive.answer = lambda asked: dict.fromkeys(asked.uids, None if len(loop.archive.asked) > 2 else reason)

    uids = loop.send()
    _wait_for(loop.box, "proved", uids)

    assert uids == loop.archive.stored
    assert len(loop.archive.asked) == len({asked.transaction for asked in loop.archive.asked})


def test_a_request_that_is_refused_is_asked_again(loop: Loop) -> None:
    """An archive that answers the request itself with a failure is asked again later."""
    loop.archive.action_status = 0x0213

    uids = loop.send()
    eventually(lambda: loop.archive.asked, within=_WITHIN_S)
    loop.archive.action_status = 0

    _wait_for(loop.box, "proved", uids)


def test_an_archive_without_commitment_counts_as_delivered(loop: Loop) -> None:
    """The images of an archive that does not know storage commitment are delivered, and say that they cannot be proved."""
    (uid,) = loop.send(calling="CT2")

    said = "does not take requests for storage commitment"
    eventually(lambda: said in _reason(loop.box, "delivered", uid), within=_WITHIN_S)
    assert 0 == loop.unproved("plain")


def test_a_report_outlives_a_restart(loop: Loop) -> None:
    """A report on a request of before the restart proves the image; one on a request that nobody made moves nothing."""
    loop.archive.way = "never"
    uids = loop.send()
    asked = eventually(lambda: next((one for one in loop.archive.asked if set(uids) <= set(one.uids)), None), within=_WITHIN_S)
    _wait_for(loop.box, "delivered", uids)

    port = loop.box.restart().port
    stranger = report_to(port, "ARCHIVE", report("2.25.4711", dict.fromkeys(asked.uids, 0x0119)))
    answer = report_to(port, "ARCHIVE", report(asked.transaction, dict.fromkeys(asked.uids, None)))
    _wait_for(loop.box, "proved", uids)

    assert (stranger, answer) == (0, 0)
    assert [asked] == [one for one in loop.archive.asked if set(uids) & set(one.uids)]
    assert "proof.transaction_unknown" in loop.box.output()


def test_orthanc_proves_what_it_has(make_box: BoxMaker, tmp_path: Path) -> None:
    """Orthanc proves every image by storage commitment, reported on an association of its own, by C-FIND, and over the web by QIDO-RS."""
    # It is started once, when the port of the box that it is to know is known.
    archive = Orthanc(tmp_path / "archive", dicomweb=True)
    destinations: list[Table] = [
        an_archive(archive.port),
        an_archive(archive.port, name="asked", ae_title="ASKED", proof="query"),
        {"name": "web", "kind": "stow", "url": archive.url, "proof": "query"},
    ]
    site = a_site(
        sources=[a_source("CT1")],
        destinations=destinations,
        routes=[a_route("archive", "asked", "web")],
        delivery={**QUICK_PROOF, "throttled": [1, 2]},
    )
    box = make_box(site).start()
    archive.know({"edge": ("EDGE", box.port)})
    with archive:
        uids = _send(box, tmp_path / "scanner", 7)
        eventually(lambda: _proved(box) == 3 * len(uids), within=_WITHIN_S, message="all to be proved three times")

        assert set(uids) == archive.instances().keys()
        assert [0, 0, 0] == [row["unproved"] for row in box.cli("destinations")]
