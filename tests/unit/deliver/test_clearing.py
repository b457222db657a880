"""Asking an archive which instances it has: only what it lists as an instance, completely, is cleared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from appliance.core.identity import AETitle
from appliance.deliver.clearing import Cleared, SeriesGroup, ask_by
from appliance.dimse.association import AssociationRejectedError, Broken, PeerUnreachableError, TransferBrokenError, Unreachable
from appliance.dimse.query import Match, QueryRefusedError, QueryTooLargeError
from appliance.dimse.service import ServiceNotTakenError, ServicePeer

PEER = ServicePeer(
    host="10.1.0.5",
    port=104,
    calling=AETitle("EDGE"),
    called=AETitle("PACS1"),
    connect_s=1.0,
    associate_s=1.0,
    progress_s=1.0,
    response_s=1.0,
)
BROKEN = TransferBrokenError(Broken.CLOSED, "the peer closed the connection", after_first_pdv=True)

Answer = list[Match] | Exception


def group(number: int = 1, instances: int = 2) -> SeriesGroup:
    """Return the series 1.2.<number> of the study 1.1 with so many instances."""
    return SeriesGroup("1.1", f"1.2.{number}", tuple(f"1.3.{number}.{instance}" for instance in range(instances)))


def listed(asked: SeriesGroup, *, level: str = "IMAGE", study: str = "1.1") -> list[Match]:
    """Return the matches of an archive that has the whole series."""
    return [Match(level, study, asked.series_instance_uid, uid) for uid in asked.sop_instance_uids]


@dataclass
class FakeArchive:
    """Answers the questions in turn, and counts its associations."""

    answers: list[Answer]
    refusals: list[Exception] = field(default_factory=list)
    opened: int = 0
    released: int = 0
    asked: list[str] = field(default_factory=list)
    known_series: frozenset[str] = frozenset()

    def open(self) -> FakeArchive:
        """Associate, or refuse to."""
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened += 1
        return self

    def images(self, _study: str, series: str) -> list[Match]:
        """Answer."""
        self.asked.append(series)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_series(self, _study: str, series: str) -> bool:
        """Say whether it lists the series as one."""
        return series in self.known_series

    def release(self) -> None:
        """End."""
        self.released += 1


def ask(archive: FakeArchive, *groups: SeriesGroup, is_wanted: Callable[[], bool] = lambda: True) -> Cleared:
    """Ask the archive for these series."""
    return ask_by(archive.open, groups, destination="PACS1", is_wanted=is_wanted)


def test_what_is_listed_is_present_and_the_rest_absent() -> None:
    """One association for all series, one question a series; what the archive has besides does not matter."""
    archive = FakeArchive([listed(group(1, 5)), listed(group(2, 1)), []])

    cleared = ask(archive, group(1), group(2), group(3, 1))

    assert cleared == Cleared(frozenset({"1.3.1.0", "1.3.1.1", "1.3.2.0"}), frozenset({"1.3.2.1", "1.3.3.0"}), frozenset())
    assert (archive.opened, archive.released, archive.asked) == (1, 1, ["1.2.1", "1.2.2", "1.2.3"])


@pytest.mark.parametrize(
    "matches",
    [
        pytest.param([Match("SERIES", "1.1", "1.2.1", "")], id="a series"),
        pytest.param([Match("STUDY", "1.1", "", "")], id="a study"),
        pytest.param([Match("IMAGE", "1.1", "1.2.1", "")], id="without the one UID that counts"),
        pytest.param([Match("SERIES", "1.1", "1.2.1", "1.3.1.0")], id="a series with an instance's UID"),
        pytest.param([*listed(group(1)), Match("SERIES", "1.1", "1.2.1", "")], id="instances and a series"),
        pytest.param([Match("", "", "", "")], id="nothing readable"),
    ],
)
def test_an_archive_that_does_not_list_instances_clears_nothing(matches: list[Match]) -> None:
    """Answers at another level say nothing about instances: everything is unknown and stays held."""
    cleared = ask(FakeArchive([matches]), group(1))

    assert cleared == Cleared(
        frozenset(),
        frozenset(),
        frozenset(group(1).sop_instance_uids),
        "the archive does not list single instances, only series or studies",
    )


def test_an_answer_without_level_is_taken_as_asked() -> None:
    """An archive that leaves out the level or the study but names instances has them."""
    matches = [Match("", "", "", "1.3.1.0")]

    assert ask(FakeArchive([matches]), group(1)).present == {"1.3.1.0"}


def test_an_instance_of_another_study_is_another_one() -> None:
    """An archive that ignores the study key does not clear by accident."""
    assert ask(FakeArchive([listed(group(1), study="1.9")]), group(1)).present == frozenset()


def test_a_refused_question_is_unknown_and_the_next_is_asked() -> None:
    """One failure status costs one series; its status is told."""
    archive = FakeArchive([QueryRefusedError(0xA900), listed(group(2))])

    cleared = ask(archive, group(1), group(2))

    assert (cleared.present, cleared.unknown) == (frozenset(group(2).sop_instance_uids), frozenset(group(1).sop_instance_uids))
    assert cleared.reason == "the peer answers the query with A900; it may not know the IMAGE level"


def test_an_archive_that_fails_again_and_again_is_left_alone() -> None:
    """After three failures in a row nothing more is asked; everything that was not answered is unknown."""
    archive = FakeArchive([QueryRefusedError(0xC000)] * 9)

    cleared = ask(archive, *(group(number) for number in range(9)))

    assert len(archive.asked) == 3
    assert len(cleared.unknown) == 18
    assert archive.released == 1


def test_a_broken_association_is_opened_once_more() -> None:
    """An archive that ends associations between two questions is asked again, over a new one."""
    archive = FakeArchive([listed(group(1)), BROKEN, listed(group(2))])

    cleared = ask(archive, group(1), group(2))

    assert cleared.present == frozenset({*group(1).sop_instance_uids, *group(2).sop_instance_uids})
    assert (archive.opened, archive.released) == (2, 1)


def test_a_question_that_breaks_twice_is_unknown() -> None:
    """The association is not opened for ever, and a list that is too long to be true clears nothing."""
    cleared = ask(FakeArchive([BROKEN, QueryTooLargeError("the peer lists more than 9 instances of one series")]), group(1))

    assert cleared.unknown == frozenset(group(1).sop_instance_uids)
    assert cleared.reason == "the peer lists more than 9 instances of one series"


@pytest.mark.parametrize(
    "refusal",
    [
        PeerUnreachableError("10.1.0.5:104 does not answer", phase="connect", kind=Unreachable.TIMEOUT),
        AssociationRejectedError(1, 1, 3),
        ServiceNotTakenError(PEER, "queries (Study Root C-FIND)", 3),
    ],
)
def test_an_archive_that_cannot_be_asked_clears_nothing(refusal: Exception) -> None:
    """One try is enough for all series, and the reason is told."""
    archive = FakeArchive([], [refusal])

    cleared = ask(archive, group(1), group(2))

    assert (len(cleared.unknown), cleared.reason, archive.opened) == (4, str(refusal), 0)


def test_a_series_without_usable_uids_is_not_asked_for() -> None:
    """What a scanner left out or wrote wrongly is unknown, and the others are asked for."""
    archive = FakeArchive([listed(group(1))])

    cleared = ask(archive, SeriesGroup("1.1", "", ("1.5",)), SeriesGroup("1.1*", "1.2", ("1.6",)), group(1))

    assert cleared.unknown == {"1.5", "1.6"}
    assert archive.asked == ["1.2.1"]


def test_a_stop_is_heeded_between_two_series() -> None:
    """What was answered is kept, what was not asked is unknown."""
    wanted = iter([True, False, False])
    archive = FakeArchive([listed(group(1))])

    cleared = ask(archive, group(1), group(2), group(3), is_wanted=lambda: next(wanted))

    assert cleared.present == frozenset(group(1).sop_instance_uids)
    assert (len(cleared.unknown), cleared.reason, len(archive.asked)) == (4, "the box was told to stop", 1)


def test_nothing_asked_opens_nothing() -> None:
    """No series, no association."""
    archive = FakeArchive([])

    assert ask(archive) == Cleared(frozenset(), frozenset(), frozenset())
    assert archive.opened == 0


def test_a_series_without_instances_proves_nothing() -> None:
    """An archive that lists a series and no instance of it does not list instances: nothing is absent, and the reason says so."""
    archive = FakeArchive([[], []], known_series=frozenset({"1.2.1"}))

    cleared = ask(archive, group(1), group(2))

    assert (cleared.unknown, cleared.absent) == (frozenset(group(1).sop_instance_uids), frozenset(group(2).sop_instance_uids))
    assert cleared.reason == "the archive does not list single instances, only series or studies"
