"""Hostile messages, rows 30 to 32 and 57 to 60 of hostile-inputs.md: commands that cannot be read, are not served, flood, or hit a fault.

What cannot be read ends the association with A-ABORT 2/6; what can is answered, and the association lives: a C-ECHO on it is answered.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.dimse.pace import BURST
from appliance.dimse.stream import AcceptedContext, Answer, Data, StoreCommand
from appliance.receive.admission import AssociationOrigin
from appliance.receive.store_scp import StoreSink
from appliance.runtime.clock import SystemClock
from tests.fakes import units
from tests.hostile.ward import Ward
from tests.support.door import Door
from tests.support.eventually import eventually
from tests.support.hostile_data import an_object
from tests.support.rogue import ABORTED_BY_PROVIDER, CT_STORAGE, IMPLICIT, Rogue
from tests.support.samples import new_uid

C_CANCEL_RQ = 0x0FFF
UNRECOGNISED, CANNOT_UNDERSTAND, PROCESSING_FAILURE = 0x0211, 0xC000, 0x0110
_ERROR_COMMENT = 0x0902
# A command set of this length is sent without its last fragment.
_UNFINISHED_BYTES = 66_000
# (0000,0002) UI and the like, in explicit VR: what a command set never is.
_EXPLICIT_COMMAND = struct.pack("<HH2sH", 0, 2, b"UI", 18) + b"1.2.840.10008.1.1\0" + struct.pack("<HH2sHH", 0, 0x0100, b"US", 2, 0x30)


def _without_group_length(command: bytes) -> bytes:
    return command[12:]


def _with_wrong_group_length(command: bytes) -> bytes:
    return command[:8] + struct.pack("<L", 7) + command[12:]


def _big_endian(command: bytes) -> bytes:
    return struct.pack(">HHLL", 0, 0, 4, len(command) - 12) + struct.pack(">HHLH", 0, 0x0100, 2, units.C_ECHO_RQ)


_FIELDS_WITHOUT_END = "a command set longer than 64 KiB"
_PAST_THE_END = "an element of a command set is longer than the set"
_NO_FIELD = "a command set lacks its command field or data set type"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        pytest.param(units.command_set({0x5180: bytes(70_000)}), _FIELDS_WITHOUT_END, id="row-30-longer-than-64-kib"),
        pytest.param(units.command_set({0x5180: bytes(70_000)})[:_UNFINISHED_BYTES], _FIELDS_WITHOUT_END, id="row-30-never-ends"),
        pytest.param(_big_endian(units.command_set({})), _PAST_THE_END, id="row-30-big-endian"),
        pytest.param(_EXPLICIT_COMMAND, _PAST_THE_END, id="row-30-explicit-vr"),
        pytest.param(b"", _NO_FIELD, id="row-30-nothing"),
        pytest.param(units.command_set({units.COMMAND_FIELD: b"\x30\x00\x00"}), _NO_FIELD, id="row-30-odd-length"),
        pytest.param(struct.pack("<HHL", 0, 0x0100, 2**32 - 1) + b"\x30\x00", _PAST_THE_END, id="row-30-4-gib-element"),
        pytest.param(struct.pack("<HHLH", 0x0008, 0x0016, 2, 0), "a command set holds an element outside group 0000", id="row-30-group-8"),
        pytest.param(
            units.command_set({units.COMMAND_FIELD: units.number(0x8001), units.DATA_SET_TYPE: units.number(units.NO_DATA_SET)}),
            "a response that nobody asked for",
            id="row-58-a-response",
        ),
        pytest.param(
            units.command_set({units.COMMAND_FIELD: units.number(C_CANCEL_RQ), units.DATA_SET_TYPE: units.number(1)}),
            "a request without a message id",
            id="row-58-cancel-with-a-data-set",
        ),
    ],
)
def test_a_command_that_cannot_be_served_ends_the_association(ward: Ward, command: bytes, problem: str) -> None:
    """It is aborted with 2/6 at 64 KiB at the latest, and the log says what it was."""
    with ward.row(peak_mib=16) as row, ward.rogue() as rogue:
        rogue.command(command, pieces=max(1, len(command) // 16_000), ends=len(command) != _UNFINISHED_BYTES)
        ending = rogue.ending()

        assert ABORTED_BY_PROVIDER == ending
        row.expect_log("association.protocol_error", problem=problem)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_without_group_length, id="row-30-no-group-length"),
        pytest.param(_with_wrong_group_length, id="row-30-wrong-group-length"),
    ],
)
def test_a_group_length_is_not_needed(ward: Ward, spoil: Callable[[bytes], bytes]) -> None:
    """The fragments say where a command set ends, so a missing or wrong group length loses no image: scanners send both."""
    instance = new_uid()
    data = an_object(instance)

    with ward.row() as row, ward.rogue() as rogue:
        rogue.command(spoil(rogue.encoded_request(units.C_STORE_RQ, sop_instance=instance)))
        rogue.data(data)
        status = rogue.status()
        rogue.release()

        row.acknowledged(instance, data)
        assert status == 0
        ward.assert_forwarded(instance, data)


_NOT_SERVED = {
    "C-GET": (0x0010, 3),
    "C-FIND": (0x0020, 3),
    "C-MOVE": (0x0021, 3),
    "N-EVENT-REPORT": (0x0100, 3),
    "N-GET": (0x0110, 3),
    "N-SET": (0x0120, 3),
    "N-ACTION": (0x0130, 3),
    "N-CREATE": (0x0140, 3),
    "N-DELETE": (0x0150, 3),
    "unknown": (0x7777, 3),
    "C-ECHO in a storage context": (units.C_ECHO_RQ, 3),
    "C-STORE in the verification context": (units.C_STORE_RQ, 1),
}


def test_row_31_operations_that_are_not_served(ward: Ward) -> None:
    """Each is answered 0211, with and without a data set, which is thrown away; the association lives."""
    with ward.row(peak_mib=16) as row, ward.rogue() as rogue:
        statuses = {}
        for name, (field, context) in _NOT_SERVED.items():
            sop_class, syntax = rogue.contexts[context]
            instance = new_uid()
            data = an_object(instance, sop_class=sop_class, syntax=syntax)
            rogue.request(field, sop_instance=instance, context=context)
            rogue.data(data * 1000, context=context)
            first = rogue.status()
            rogue.request(field, sop_instance=instance, context=context, has_data=False)
            statuses[name] = (first, rogue.status())
        echo = rogue.echo()
        rogue.release()

        assert (dict.fromkeys(_NOT_SERVED, (UNRECOGNISED, UNRECOGNISED)), 0) == (statuses, echo)
        for field, _ in _NOT_SERVED.values():
            row.expect_log("dimse.operation_refused", at_least=2, command=f"{field:04X}")


def test_row_31_abstract_syntaxes_that_are_not_storage(ward: Ward) -> None:
    """Query, retrieval, worklist and commitment have context result 3, the storage class beside them 0."""
    classes = ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.31", "1.2.840.10008.1.20.1", CT_STORAGE)

    with ward.row(), ward.rogue([(sop_class, IMPLICIT) for sop_class in classes]) as rogue:
        assert [0, 3, 3, 3, 3, 0] == list(rogue.results.values())
        assert rogue.echo() == 0
        rogue.release()


def test_row_32_no_data_set(ward: Ward) -> None:
    """A C-STORE that announces no data set is C000, and the association lives."""
    with ward.row() as row, ward.rogue() as rogue:
        rogue.request(units.C_STORE_RQ, sop_instance=new_uid(), has_data=False)
        status = rogue.status()
        echo = rogue.echo()
        rogue.release()

        assert (CANNOT_UNDERSTAND, 0) == (status, echo)
        row.expect_log("dimse.data_set_missing")


def test_row_57_echo_flood(ward: Ward) -> None:
    """A thousand C-ECHOs in one go are answered one by one, the later ones at a steady pace, while an honest peer is served."""
    with ward.row() as row, ward.rogue() as rogue:
        for _ in range(1000):
            rogue.request(units.C_ECHO_RQ, context=1, has_data=False)
        answers = [rogue.answer() for _ in range(BURST + 20)]
        row.honest()

        assert {0} == {units.as_number(answer[units.STATUS]) for answer in answers}
        assert list(range(1, BURST + 21)) == [units.as_number(answer[units.MESSAGE_ID_RESPONDED_TO]) for answer in answers]
        row.expect_log("association.paced", peer="127.0.0.1", at_most=1)
        rogue.close()
        [line] = row.expect_log("association.was_paced", peer="127.0.0.1", at_most=1)
        assert line["requests"] >= 20


def test_row_58_cancel_storm(ward: Ward) -> None:
    """A storm of C-CANCELs before and after a C-STORE changes nothing but the pace: there is nothing to cancel, each is ignored."""
    instance = new_uid()
    data = an_object(instance)
    cancel = units.command_set({units.COMMAND_FIELD: units.number(C_CANCEL_RQ), units.DATA_SET_TYPE: units.number(units.NO_DATA_SET)})

    with ward.row() as row, ward.rogue() as rogue:
        for _ in range(BURST + 20):
            rogue.command(cancel)
        status = rogue.store(data, instance)
        for _ in range(20):
            rogue.command(cancel)
        echo = rogue.echo()
        rogue.release()

        row.acknowledged(instance, data)
        assert (0, 0) == (status, echo)
        row.expect_log("association.paced", at_most=1)
        ward.assert_forwarded(instance, data)


def test_row_59_message_id_in_use(ward: Ward) -> None:
    """A request inside the data set of another is aborted with 2/6, whatever its id, and the object that was open is not kept."""
    # The row asks for 0210 (duplicate invocation). With a window of one, the only one we grant, a message id is in use from its command
    # to its answer, and until its data set has ended PS3.8 annex E lets no other message begin. A request that stands there all the same
    # makes everything behind it ambiguous: whose data set goes on? So it is not answered, it ends the association. When the command set
    # of the next request is read, the one before has been answered and its id is free: most scanners use one id for every image.
    instance = new_uid()
    data = an_object(instance)

    with ward.row() as row, ward.rogue() as rogue:
        rogue.request(units.C_STORE_RQ, sop_instance=instance, message_id=7)
        rogue.data(data[:80], ends=False)
        rogue.request(units.C_ECHO_RQ, context=1, has_data=False, message_id=7)
        ending = rogue.ending()

        assert ABORTED_BY_PROVIDER == ending
        row.expect_log("association.protocol_error", problem="a command inside the data set of another")


def test_row_59_message_id_used_again(ward: Ward) -> None:
    """Requests with one id that are sent without waiting are each answered, in order: none is open when the next is read."""
    instances = [new_uid() for _ in range(5)]
    objects = [an_object(instance) for instance in instances]

    with ward.row() as row, ward.rogue() as rogue:
        for instance, data in zip(instances, objects, strict=True):
            rogue.request(units.C_STORE_RQ, sop_instance=instance, message_id=7)
            rogue.data(data)
        answers = [rogue.answer() for _ in instances]
        rogue.release()

        assert [0] * 5 == [units.as_number(answer[units.STATUS]) for answer in answers]
        assert instances == [units.as_text(answer[units.AFFECTED_SOP_INSTANCE_UID]) for answer in answers]
        for instance, data in zip(instances, objects, strict=True):
            row.acknowledged(instance, data)
            ward.assert_forwarded(instance, data)


class _Faulty(StoreSink):
    """A sink with a defect in it, as no disk and no peer could bring about."""

    fails_at = ""

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Fail when told to, having begun."""
        super().begin(command, context)
        self._fail("begin")

    def write(self, data: Data) -> None:
        """Fail when told to, with the object begun in the spool."""
        super().write(data)
        self._fail("write")

    def commit(self) -> Answer:
        """Fail when told to, before the object is made durable."""
        self._fail("commit")
        return super().commit()

    def _fail(self, at: str) -> None:
        if self.fails_at == at:
            raise RuntimeError("QUIXVOLE")


@pytest.mark.parametrize("fails_at", [pytest.param(at, id=f"row-60-fault-in-{at}") for at in ("begin", "write", "commit")])
def test_a_fault_of_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fails_at: str) -> None:
    """It is answered 0110 with an incident id that the log has too, nothing is half-stored, and the next object is taken."""
    monkeypatch.setattr(_Faulty, "fails_at", fails_at)
    lost, good = new_uid(), new_uid()
    doors: list[Door] = []

    def sinks(origin: AssociationOrigin) -> StoreSink:
        return _Faulty(doors[0].spool, origin, _Roomy(), SystemClock(), lambda: None)

    with Door(tmp_path / "data", sinks=sinks) as door:
        doors.append(door)
        with Rogue(door.port, calling="CT1") as rogue:
            answer = rogue.answer_to(an_object(lost), lost)
            echo = rogue.echo()
            monkeypatch.setattr(_Faulty, "fails_at", "")
            status = rogue.store(an_object(good), good)
            rogue.release()
        eventually(lambda: door.listener.active == 0)
        kept = list(door.stored().values())

    comment = units.as_text(answer[_ERROR_COMMENT])
    log = capfd.readouterr()
    assert (PROCESSING_FAILURE, 0, 0) == (units.as_number(answer[units.STATUS]), echo, status)
    assert comment.startswith("incident ")
    assert comment.removeprefix("incident ") in log.out + log.err
    assert "QUIXVOLE" not in comment + log.out + log.err
    assert [an_object(good)] == kept
    assert [] == _open_files(tmp_path)
    assert [] == [path for path in (tmp_path / "data" / "spool" / "receiving").rglob("*") if path.is_file()]


def _open_files(folder: Path) -> list[str]:
    """Return the files under a folder that this process has open, nameless ones too."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(str(folder)) and not Path(path).is_dir()]


class _Roomy:
    """A disk with room."""

    def may_accept(self) -> bool:
        """Say yes."""
        return True

    def stored(self, length: int) -> None:
        """Take no notice."""

    def failed(self, error: Exception) -> None:
        """Take no notice."""
