"""Associations from their acceptance to their end, rows 24 and 26 to 29 of hostile-inputs.md: who hurries, breaks off, floods, or idles.

Each row asserts what the box answers on the wire and what it logs; the oracle asserts the rest (tests/support/oracle.py).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable

import pytest

from appliance.dimse import commands, pdu
from tests.hostile.rows import Case, Rows, scanner, stranger
from tests.hostile.site import SCANNERS, reconfigured
from tests.support import sealed
from tests.support.caller import ABORT, RELEASED, Caller
from tests.support.eventually import eventually
from tests.support.oracle import Limits, Oracle, Row
from tests.support.planted import an_object
from tests.support.samples import new_uid
from tests.support.stranger import ACCEPTED, CLOSED, abort, item, maximum, request, reset

ROWS = Rows()

# PS3.7 D.3.3.3: operations invoked and performed.
_WINDOW = 0x53
_MEBIBYTE = 1 << 20
# As many as four scanners send in a busy minute.
_ASSOCIATIONS = 160


@ROWS.row(Limits(kept_bytes=16 << 20, peak_bytes=24 << 20))
def row_24_does_not_wait_for_answers(row: Row) -> None:
    """A window of any size is answered with one; who sends on all the same waits in TCP, not in our memory, and is answered in order."""
    with stranger(row) as caller:
        kind, body = caller.ask(request(user=maximum(0) + item(_WINDOW, b"\xff\xff\xff\xff")))
        assert kind == ACCEPTED
        assert item(_WINDOW, b"\0\1\0\1") in body

    pipelining = scanner(row)
    objects = [(uid, an_object(uid, pixels=bytes(_MEBIBYTE))) for uid in (new_uid() for _ in range(64))]
    sending = threading.Thread(target=_send_all, args=(pipelining, objects), name="pipelining", daemon=True)
    sending.start()
    row.honest()
    answers = [pipelining.status() for _ in objects]
    sending.join()
    assert answers == [0] * len(objects)
    for uid, data in objects:
        row.acknowledged(uid, data)
    assert pipelining.release() == RELEASED


def _send_all(caller: Caller, objects: list[tuple[str, bytes]]) -> None:
    for uid, data in objects:
        caller.command(uid_text=uid)
        for at in range(0, len(data), 65536):
            caller.data(data[at : at + 65536], last=at + 65536 >= len(data))


def _release(caller: Caller) -> None:
    assert caller.release() == RELEASED


def _release_twice(caller: Caller) -> None:
    caller.socket.sendall(pdu.RELEASE_RQ + pdu.RELEASE_RQ)
    assert caller.read()[0] == RELEASED


def _answer_a_release_that_nobody_asked_for(caller: Caller) -> None:
    caller.socket.sendall(pdu.RELEASE_RP)
    assert caller.read() == (ABORT, bytes([0, 0, 2, 2]))


def _abort(caller: Caller) -> None:
    caller.socket.sendall(pdu.abort_pdu(pdu.AbortSource.USER))
    assert caller.read() == CLOSED


def _abort_in_two_bytes(caller: Caller) -> None:
    caller.socket.sendall(struct.pack(">BBL", 7, 0, 2) + b"\0\0")
    assert caller.read() == CLOSED


def _close(caller: Caller) -> None:
    caller.socket.close()


def _reset(caller: Caller) -> None:
    reset(caller.socket)


_ENDINGS: tuple[Callable[[Caller], None], ...] = (
    _release,
    _release_twice,
    _answer_a_release_that_nobody_asked_for,
    _abort,
    _abort_in_two_bytes,
    _close,
    _reset,
)


def _nothing(_caller: Caller) -> None:
    return


def _a_command(caller: Caller) -> None:
    caller.command(uid_text=new_uid())


def _half_a_command(caller: Caller) -> None:
    caller.socket.sendall(pdu.data_pdu(3, commands.encode_command({commands.MESSAGE_ID: 1}), is_command=True, is_last=False))


def _half_an_object(caller: Caller) -> None:
    uid = new_uid()
    caller.command(uid_text=uid)
    caller.data(an_object(uid, pixels=bytes(200_000))[:100_000], last=False)


_STATES: tuple[Callable[[Caller], None], ...] = (_nothing, _half_a_command, _a_command, _half_an_object)


@ROWS.row()
def row_26_breaks_off(row: Row) -> None:
    """However it ends, in whatever state, what was not finished was never there; a release is answered even then."""
    for state in _STATES:
        for ending in _ENDINGS:
            caller = scanner(row)
            state(caller)
            ending(caller)
            caller.socket.close()
    for before in (b"", request()[:50]):
        with stranger(row) as early:
            early.send(before)
            early.send(pdu.abort_pdu(pdu.AbortSource.USER))
    row.honest()
    row.expect_log("association.released_in_message", at_least=6, peer=row.address)
    row.expect_log("association.aborted", at_least=8, peer=row.address)
    row.expect_log("association.lost", at_least=8, peer=row.address)
    assert row.log("association.failed") == []
    assert sealed.partial_files(row.box.data) == []


@ROWS.row()
def row_27_resets_before_it_is_answered(row: Row) -> None:
    """The object is kept although its sender never heard so, which is told; the repeat is answered 0000 like the first."""
    uid, data = "", b""
    # Sometimes the answer is out before the reset is in, and sometimes the reset destroys what we had not read yet.
    for _ in range(50):
        uid = new_uid()
        data = an_object(uid, pixels=bytes(100_000))
        row.may_keep(uid, data)
        caller = scanner(row)
        caller.command(uid_text=uid)
        caller.data(data)
        _reset(caller)
        if _is_told(row, uid):
            break
    else:
        raise AssertionError("no answer was ever late")
    row.honest()
    # Nobody was told, and it is kept all the same.
    row.acknowledged(uid, data)

    repeat = scanner(row)
    assert repeat.store(data, uid) == 0
    assert repeat.release() == RELEASED


def _is_told(row: Row, uid: str) -> bool:
    """Say whether the box wrote within a moment that it could not answer."""
    try:
        eventually(lambda: row.log("association.answer_not_delivered", peer=row.address, status="0000", sop_instance_uid=uid), within=0.3)
    except AssertionError:
        return False
    return True


@ROWS.row()
def row_28_opens_one_association_an_image(row: Row) -> None:
    """Association after association with one image each, from four scanners at once, leaves nothing behind but the images."""
    stored: list[tuple[str, int | None]] = []
    scanners = [
        threading.Thread(target=_send_one_by_one, args=(row, title, address, stored), name=title, daemon=True)
        for title, address in list(SCANNERS.items())[:4]
    ]
    for thread in scanners:
        thread.start()
    row.honest()
    for thread in scanners:
        thread.join()
    for uid, status in stored:
        assert status == 0
        row.acknowledged(uid, an_object(uid, pixels=bytes(2000)))
    assert len(stored) == _ASSOCIATIONS
    # Two lines an association, and none that says that something is wrong.
    assert row.log("association.failed") + row.log("association.refused") == []


def _send_one_by_one(row: Row, title: str, address: str, stored: list[tuple[str, int | None]]) -> None:
    for _ in range(_ASSOCIATIONS // 4):
        uid = new_uid()
        caller = Caller(row.box.port, calling=title.encode("ascii"), address=address)
        stored.append((uid, caller.store(an_object(uid, pixels=bytes(2000)), uid)))
        caller.release()


@ROWS.row()
def row_29_stays_open_and_says_nothing(row: Row) -> None:
    """A listed scanner may idle as long as `admission.idle` says, and is then aborted, which is no error."""
    with reconfigured(row.box, admission={"idle": "1 s"}):
        uid = new_uid()
        idle = scanner(row)
        assert idle.store(an_object(uid), uid) == 0
        row.acknowledged(uid, an_object(uid))
        row.honest()
        assert idle.read() == abort(0)
        assert idle.read() == CLOSED
        idle.socket.close()
    [line] = row.expect_log("association.idle", peer=row.address)
    assert line["level"] == "info"


@pytest.mark.parametrize("case", ROWS.cases, ids=ROWS.ids)
def test_row(oracle: Oracle, case: Case) -> None:
    """Each row has its answer on the wire and in the log, and costs nobody else anything."""
    with oracle.row(case.limits) as row:
        case.attack(row)
