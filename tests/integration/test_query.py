"""Asking an archive which instances it has: dcmqrscp as the honest one, and peers that answer in other ways."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.core.identity import AETitle, Uid
from appliance.deliver.clearing import Cleared, SeriesGroup, ask_by
from appliance.dimse import acse, commands, pdu
from appliance.dimse.association import TransferBrokenError
from appliance.dimse.contexts import ContextResult
from appliance.dimse.query import (
    LEVEL,
    SERIES,
    SOP_INSTANCE,
    STUDY,
    ImageQueries,
    Match,
    QueryRefusedError,
    QueryTooLargeError,
    encode_identifier,
)
from appliance.dimse.service import ServiceNotTakenError, ServicePeer
from appliance.dimse.upper_layer import Connection, ConnectionLostError
from tests.support import samples
from tests.support.dcmtk import ArchiveMaker, storescu
from tests.support.query_archive import QueryArchive

IMPLICIT = Uid("1.2.840.10008.1.2")
STUDY_UID, SERIES_UID = "1.2.3", "1.2.3.4"


def a_peer(port: int, *, called: str = "ARCHIVE") -> ServicePeer:
    """Return whom to ask, with short times."""
    return ServicePeer(
        host="127.0.0.1",
        port=port,
        calling=AETitle("EDGE"),
        called=AETitle(called),
        connect_s=2.0,
        associate_s=2.0,
        progress_s=2.0,
        response_s=2.0,
    )


def asked(peer: ServicePeer, *groups: SeriesGroup) -> Cleared:
    """Ask a peer for series by C-FIND."""
    return ask_by(lambda: ImageQueries(peer), groups, destination="archive")


def a_series(directory: Path, instances: int) -> tuple[list[Path], SeriesGroup]:
    """Return the files of a series, and what to ask for."""
    files = samples.ct(16).write(directory, instances)
    first = dcmread(files[0])
    return files, SeriesGroup(str(first.StudyInstanceUID), str(first.SeriesInstanceUID), tuple(file.stem for file in files))


def test_an_archive_says_what_it_has(tmp_path: Path) -> None:
    """Of two series one is at the archive as a whole and one in part: exactly what is there is called present."""
    whole, whole_group = a_series(tmp_path / "whole", 40)
    part, part_group = a_series(tmp_path / "part", 5)
    with QueryArchive(tmp_path / "archive") as archive:
        storescu(archive.port, [*whole, *part[:2]], called="ARCHIVE")

        cleared = asked(a_peer(archive.port), whole_group, part_group, SeriesGroup("2.25.1", "2.25.2", ("2.25.3",)))

    present = frozenset({*whole_group.sop_instance_uids, *part_group.sop_instance_uids[:2]})
    assert cleared == Cleared(present, frozenset({*part_group.sop_instance_uids[2:], "2.25.3"}), frozenset())


def test_matches_come_as_the_archive_knows_them(tmp_path: Path) -> None:
    """Level and UIDs of each match are read, over one association for several questions."""
    files, group = a_series(tmp_path / "files", 2)
    with QueryArchive(tmp_path / "archive") as archive:
        storescu(archive.port, files, called="ARCHIVE")
        queries = ImageQueries(a_peer(archive.port))
        matches = [queries.images(group.study_instance_uid, group.series_instance_uid) for _ in range(2)]
        queries.release()

    expected = {Match("IMAGE", group.study_instance_uid, group.series_instance_uid, uid) for uid in group.sop_instance_uids}
    assert [set(found) for found in matches] == [expected, expected]


def test_an_archive_that_only_stores_cannot_be_asked(make_archive: ArchiveMaker) -> None:
    """Storescp refuses the context: nothing is cleared, and the reason says that it takes no queries."""
    archive = make_archive().start()

    with pytest.raises(ServiceNotTakenError):
        ImageQueries(a_peer(archive.port))
    cleared = asked(a_peer(archive.port), SeriesGroup(STUDY_UID, SERIES_UID, ("1.2.5",)))

    assert cleared.unknown == {"1.2.5"}
    assert "does not take queries" in cleared.reason


class Conversation:
    """What a scripted archive says to the one query it gets."""

    def __init__(self, connection: Connection) -> None:
        """Accept the association in implicit little endian and read the query."""
        self.connection = connection
        request = acse.decode_request(self._unit().body)
        [context] = request.contexts
        self.connection.write(acse.encode_accept(request, [ContextResult(context.context_id, context.abstract_syntax, 0, IMPLICIT)]))
        self.message_id = 0
        while True:
            fragments = list(pdu.fragments(self._unit().body))
            for piece in fragments:
                if piece.is_command:
                    self.message_id = commands.decode_command(bytes(piece.data)).number(commands.MESSAGE_ID) or 0
            if any(piece.is_last and not piece.is_command for piece in fragments):
                return

    def _unit(self) -> pdu.Pdu:
        return self.connection.read(limit=1 << 20, first_byte_s=10.0)

    def respond(self, status: int | None, identifier: bytes | None = None, *, message_id: int | None = None) -> bytes:
        """Return a response as one unit."""
        elements: dict[int, int | str] = {
            commands.COMMAND_FIELD: 0x8020,
            commands.MESSAGE_ID_RESPONDED_TO: self.message_id if message_id is None else message_id,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET if identifier is None else commands.WITH_DATA_SET,
        }
        if status is not None:
            elements[commands.STATUS] = status
        unit = pdu.data_pdu(1, commands.encode_command(elements), is_command=True, is_last=True)
        if identifier is None:
            return unit
        data = pdu.data_pdu(1, identifier, is_command=False, is_last=True)
        return unit[:2] + (len(unit) + len(data) - 2 * pdu.HEAD_BYTES).to_bytes(4, "big") + unit[pdu.HEAD_BYTES :] + data[pdu.HEAD_BYTES :]

    def until_the_end(self) -> None:
        """Answer a release, or wait until the line is cut."""
        with contextlib.suppress(ConnectionLostError):
            if self._unit().type is pdu.PduType.RELEASE_RQ:
                self.connection.last_word(pdu.RELEASE_RP)


Script = Callable[[Conversation], None]


@pytest.fixture
def ask() -> Iterator[Callable[[Script], ServicePeer]]:
    """Start archives that answer one association as a script says."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(script: Script) -> ServicePeer:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with contextlib.suppress(OSError, ConnectionLostError):
                sock, _ = listener.accept()
                connection = Connection(sock, progress_s=10.0)
                try:
                    script(Conversation(connection))
                finally:
                    connection.close()

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        listeners.append(listener)
        return a_peer(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(10.0)
        assert not thread.is_alive()


def identifier(level: str = "IMAGE", instance: str = "1.2.5") -> bytes:
    """Return a match."""
    return encode_identifier({LEVEL: level, STUDY: STUDY_UID, SERIES: SERIES_UID, SOP_INSTANCE: instance}, IMPLICIT)


def test_several_matches_in_one_unit_are_all_read(ask: Callable[[Script], ServicePeer]) -> None:
    """Archives put command and identifier into one unit, and warn about keys they do not know: every match counts."""

    def script(talk: Conversation) -> None:
        for number in range(50):
            talk.connection.write(talk.respond(0xFF00 + number % 2, identifier(instance=f"1.2.{number}")))
        talk.connection.write(talk.respond(0))
        talk.until_the_end()

    queries = ImageQueries(ask(script))
    matches = queries.images(STUDY_UID, SERIES_UID)
    queries.release()

    assert [match.sop_instance_uid for match in matches] == [f"1.2.{number}" for number in range(50)]


@pytest.mark.parametrize(("status", "shown"), [(0xA900, "A900"), (0xC001, "C001"), (0x0122, "0122"), (0xFE00, "FE00"), (None, "no status")])
def test_a_failure_is_told_with_its_status(ask: Callable[[Script], ServicePeer], status: int | None, shown: str) -> None:
    """A list that ends in a failure is no list, whatever came before; the association can still be released."""

    def script(talk: Conversation) -> None:
        talk.connection.write(talk.respond(0xFF00, identifier()))
        talk.connection.write(talk.respond(status))
        talk.until_the_end()

    queries = ImageQueries(ask(script))
    with pytest.raises(QueryRefusedError) as caught:
        queries.images(STUDY_UID, SERIES_UID)
    queries.release()

    assert (caught.value.status, shown in str(caught.value)) == (status, True)


def test_an_archive_that_answers_at_series_level_clears_nothing(ask: Callable[[Script], ServicePeer]) -> None:
    """A series where instances were asked for: unknown, and said why."""

    def script(talk: Conversation) -> None:
        talk.connection.write(talk.respond(0xFF00, identifier("SERIES", "")))
        talk.connection.write(talk.respond(0))
        talk.until_the_end()

    cleared = asked(ask(script), SeriesGroup(STUDY_UID, SERIES_UID, ("1.2.5",)))

    assert cleared.present == frozenset()
    assert cleared.unknown == {"1.2.5"}
    assert cleared.reason == "the archive does not list single instances, only series or studies"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda talk: talk.respond(0xFF00, identifier(), message_id=77), id="to another message"),
        pytest.param(lambda talk: talk.respond(0xFF00, bytes(100_000)), id="an identifier that is too long"),
        pytest.param(lambda _: pdu.data_pdu(1, b"ab", is_command=False, is_last=True), id="a data set without a response"),
        pytest.param(lambda _: pdu.data_pdu(1, b"garbage!", is_command=True, is_last=True), id="garbage"),
        pytest.param(lambda _: pdu.abort_pdu(pdu.AbortSource.USER), id="an abort"),
        pytest.param(lambda _: pdu.RELEASE_RQ, id="a release"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
def test_an_answer_that_is_none_ends_the_association(ask: Callable[[Script], ServicePeer], answer: Callable[[Conversation], bytes]) -> None:
    """What breaks the protocol, or does not come, is one error, soon, and nothing is believed."""

    def script(talk: Conversation) -> None:
        talk.connection.write(answer(talk))
        talk.until_the_end()

    queries = ImageQueries(replace(ask(script), response_s=0.5))
    with pytest.raises(TransferBrokenError):
        queries.images(STUDY_UID, SERIES_UID)
    queries.release()


def test_a_list_without_end_is_cut(ask: Callable[[Script], ServicePeer]) -> None:
    """More matches than anybody can have asked for are not collected."""

    def script(talk: Conversation) -> None:
        for number in range(12):
            talk.connection.write(talk.respond(0xFF00, identifier(instance=f"1.2.{number}")))
        talk.until_the_end()

    queries = ImageQueries(ask(script), most_matches=10)
    with pytest.raises(QueryTooLargeError):
        queries.images(STUDY_UID, SERIES_UID)
    queries.release()


def test_an_archive_that_drips_is_given_up(ask: Callable[[Script], ServicePeer]) -> None:
    """Matches that come one by one without end do not outlast the time of a query, though each comes in time."""
    cut = threading.Event()

    def script(talk: Conversation) -> None:
        while not cut.wait(0.05):
            talk.connection.write(talk.respond(0xFF00, identifier()))

    queries = ImageQueries(ask(script), query_s=0.5)
    with pytest.raises(TransferBrokenError):
        queries.images(STUDY_UID, SERIES_UID)
    cut.set()
    queries.release()


@pytest.mark.parametrize(("study", "series"), [("", SERIES_UID), (STUDY_UID, "1.2.*"), ("1.2\\1.3", SERIES_UID)])
def test_only_uids_are_asked_for(tmp_path: Path, study: str, series: str) -> None:
    """Neither an empty key nor a wildcard nor a list is ever sent for a UID."""
    with QueryArchive(tmp_path / "archive") as archive:
        queries = ImageQueries(a_peer(archive.port))
        with pytest.raises(ValueError, match="UIDs"):
            queries.images(study, series)
        queries.release()
