"""Connections and units, rows 1 to 14 of hostile-inputs.md: who says nothing, too little, too much, or something else.

Each row asserts what the box answers on the wire and what it logs; the oracle asserts the rest (tests/support/oracle.py).
"""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from appliance.dimse import commands, pdu, upper_layer
from appliance.dimse.acceptor import Deadlines
from tests.hostile.flood import Flood
from tests.hostile.rows import Case, Rows, scanner, stranger
from tests.hostile.site import SCANNERS, reconfigured
from tests.support.caller import ABORT, RELEASED, Caller
from tests.support.oracle import Limits, Oracle, Row
from tests.support.planted import an_object
from tests.support.samples import new_uid
from tests.support.stranger import ACCEPTED, BOTH, CLOSED, Stranger, abort, context, deafen, maximum, request, unit

ROWS = Rows()
# What is written of one address and kind by each of two workers (runtime/sparing), twice where a minute ends in between.
_SPARING = 2 * 2 * 20
# The default: more connections of one address that have not said who they are are closed unheard.
_STRANGERS_AN_ADDRESS = 32
# The box lets a last word be heard: what comes meanwhile is swallowed up to here, and the kernels' buffers hold some more.
_SWALLOWED_AT_MOST = 32 << 20
_WORKLIST = b"1.2.840.10008.5.1.4.31"


@ROWS.row()
def row_01_says_nothing(row: Row) -> None:
    """Closed without a word after the time that a caller has; the scanners' places are free all the time."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(stranger(row)) for _ in range(_STRANGERS_AN_ADDRESS - 2)]
        row.honest()
        answers = [caller.answer() for caller in silent]

    assert answers == [CLOSED] * len(silent)
    row.expect_log("association.silent", at_most=_SPARING, peer=row.address)
    # The shipped deadline is an ARTIM timer of 10 to 30 s.
    assert 10 <= Deadlines().establish_s <= 30


@ROWS.row()
def row_02_drips_a_request(row: Row) -> None:
    """The time is for the whole request: a byte now and then does not extend it."""
    whole, pause = request(), threading.Event()
    with stranger(row) as dripping, stranger(row) as slower:
        for number, byte in enumerate(whole):
            if not dripping.send(bytes([byte])):
                break
            if number % 10 == 0 and number < 50:
                slower.send(whole[number // 10 : number // 10 + 1])
            pause.wait(0.05)
        row.honest()

        assert number < len(whole) - 1
        # Five bytes are no unit's head: to this caller we never spoke DICOM.
        assert (dripping.answer(), slower.answer()) == (abort(0), CLOSED)
    row.expect_log("association.silent", at_least=2, peer=row.address)


@ROWS.row()
def row_03_stalls_in_a_unit(row: Row) -> None:
    """A body that does not come, and a scanner that stands still in an object, are aborted; nothing of the object is left."""
    uid = new_uid()
    with stranger(row) as stalled:
        stalled.send(request()[:80])
        ct = scanner(row)
        ct.command(uid_text=uid)
        ct.data(an_object(uid, pixels=bytes(5000)), last=False)
        ct.socket.sendall(unit(4, b"\0\0\xff\xfe\x03\0" + bytes(100), length=65540))
        row.honest()

        assert stalled.last_answer() == abort(0)
        assert ct.read() == (ABORT, bytes([0, 0, 2, 0]))
        ct.socket.close()
    [line] = row.expect_log("association.stalled", peer=row.address)
    assert line["message_bytes"] > 5000
    assert Deadlines().progress_s == 60


@ROWS.row()
def row_04_floods_the_door(row: Row) -> None:
    """Ten thousand connections of one address do not keep listed scanners of other addresses out, and cost a line a minute."""
    with Flood(row.box.port, row.address, 10_000) as flood:
        row.honest()
        for title, address in list(SCANNERS.items())[:3]:
            ct = Caller(row.box.port, calling=title.encode("ascii"), address=address)
            assert ct.answer[0] == ACCEPTED
            assert ct.release() == RELEASED
        row.honest()

    assert flood.connected >= 10_000
    # One of each of two workers, and a minute may have ended in between; an earlier row may have had this minute's line.
    assert len(row.log("listener.calls_dropped")) <= 4
    assert row.whole_log("listener.calls_dropped")


@ROWS.row()
def row_05_opens_200_associations(row: Row) -> None:
    """A listed scanner has its 16 places; one more is 2/3/2 each time, and those that run go on."""
    running = [scanner(row) for _ in range(16)]
    refused = []
    for _ in range(184):
        with stranger(row) as caller:
            refused.append(caller.ask(request()))
    row.honest()
    stored = [(new_uid(), caller) for caller in running]
    for uid, ct in stored:
        assert ct.store(an_object(uid), uid) == 0
        row.acknowledged(uid, an_object(uid))

    assert [caller.answer[0] for caller in running] == [ACCEPTED] * 16
    assert set(refused) == {(3, bytes([0, 2, 3, 2]))}
    assert [caller.release() for caller in running] == [RELEASED] * 16
    row.expect_log("association.refused", at_most=_SPARING, answer="2/3/2", calling="CT1", reason="too many associations")


@ROWS.row()
def row_06_is_unplugged(row: Row) -> None:
    """A peer that vanished without a word is noticed by the kernel: within 60 s as shipped, within three here."""
    ct = Caller(row.box.port, calling=b"S0", address=SCANNERS["S0"])
    assert ct.answer[0] == ACCEPTED
    deafen(ct.socket)
    row.honest()

    [line] = row.expect_log("association.lost", peer=SCANNERS["S0"])
    assert line["problem"] == "the peer vanished: its kernel does not answer"
    ct.socket.close()
    shipped = dict(upper_layer._KEEPALIVE)
    assert shipped[socket.TCP_KEEPIDLE] + shipped[socket.TCP_KEEPINTVL] * shipped[socket.TCP_KEEPCNT] <= 60
    assert upper_layer._USER_TIMEOUT_MS <= 60_000


@ROWS.row()
def row_07_speaks_something_else(row: Row) -> None:
    """What is not DICOM is aborted as an unrecognised unit, and the log says what it looks like."""
    openings = {
        b"\0" * 6: "\\x00\\x00\\x00\\x00\\x00\\x00",
        b"\x08\0\0\0\0\0": "\\x08\\x00\\x00\\x00\\x00\\x00",
        b"\xff" * 6: "\\xff\\xff\\xff\\xff\\xff\\xff",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "HTTP",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500): "TLS",
        b"SSH-2.0-OpenSSH_9.2p1\r\n": "SSH",
    }
    for opening, looks_like in openings.items():
        with stranger(row) as caller:
            assert caller.ask(opening) == abort(1)
        row.expect_log("association.protocol_error", looks_like=looks_like)
    row.honest()


@ROWS.row()
def row_08_sends_units_out_of_place(row: Row) -> None:
    """Data before an association, a second request, and an answer to no request are unexpected units: 2/2."""
    echo = pdu.data_pdu(1, b"x", is_command=True, is_last=True)
    for early in (echo, pdu.RELEASE_RQ, pdu.RELEASE_RP, unit(2, bytes(100)), pdu.reject_pdu(1, 1, 1)):
        with stranger(row) as caller:
            assert caller.ask(early) == abort(2)
    for late in (request(), unit(2, bytes(100)), pdu.reject_pdu(1, 1, 1), pdu.RELEASE_RP):
        with stranger(row) as caller:
            assert caller.ask(request())[0] == ACCEPTED
            assert caller.ask(late) == abort(2)
    row.honest()

    row.expect_log("association.protocol_error", at_least=5, problem="a unit before there is an association")
    row.expect_log("association.protocol_error", at_least=4, problem="a unit that does not belong into an association")


@ROWS.row(Limits(peak_bytes=24 << 20))
def row_09_lies_about_the_length(row: Row) -> None:
    """A length that nobody needs is refused at the head, with 2/6; what is sent behind it is neither kept nor read for long."""
    with stranger(row) as flooding:
        flooding.send(unit(1, b"", length=0xFFFFFFFF))
        sent, piece = 0, bytes(1 << 20)
        while sent < 300 << 20 and flooding.send(piece):
            sent += len(piece)
        row.honest()
        assert sent < _SWALLOWED_AT_MOST
    for opening, problem in {
        unit(1, b"", length=0xFFFFFFFF): "a unit of 4294967295 bytes, more than the 524288 that are taken here",
        unit(4, b"", length=0x7FFFFFFF): "a unit of 2147483647 bytes, more than the 524288 that are taken here",
        unit(1, b""): "an association unit is too short",
        unit(1, b"x"): "an association unit is too short",
        unit(1, request()[6:-3]): "an item's length does not fit",
        unit(1, request()[6:] + b"\x77"): "an item ends inside its head",
    }.items():
        with stranger(row) as caller:
            assert caller.ask(opening) == abort(6)
        row.expect_log("association.protocol_error", problem=problem)


@ROWS.row()
def row_10_ignores_our_maximum(row: Row) -> None:
    """A listed source is served up to 1 MiB a unit, which is told; beyond it, and from others, it is 2/6."""
    uid = new_uid()
    large = an_object(uid, pixels=bytes(900_000))
    ct = scanner(row)
    assert ct.store(large, uid) == 0
    row.acknowledged(uid, large)
    ct.command()
    ct.data(bytes(1 << 20))
    assert ct.read() == (ABORT, bytes([0, 0, 2, 6]))
    ct.socket.close()
    [line] = row.expect_log("association.units_above_maximum", units=1)
    assert line["longest"] == len(large) + 6
    row.expect_log("association.protocol_error", problem=f"a unit of {(1 << 20) + 6} bytes, more than the 1048576 that are taken here")

    with reconfigured(row.box, admission={"unknown_sources": "accept"}):
        unlisted = Caller(row.box.port, calling=b"NOBODY")
        unlisted.command()
        unlisted.data(bytes(131_073))
        assert unlisted.read() == (ABORT, bytes([0, 0, 2, 6]))
        unlisted.socket.close()
        row.honest()


@ROWS.row()
def row_11_takes_next_to_nothing(row: Row) -> None:
    """No limit is ours, a huge one too; what cannot carry an answer is refused at once, and an answer goes in as many units as it needs."""
    for useless in (1, 7, 127):
        with stranger(row) as caller:
            assert caller.ask(request(user=maximum(useless))) == abort(6)
    row.expect_log("association.protocol_error", at_least=3, problem="the peer takes data units too short to carry an answer")
    for useful in (0, 128, 0xFFFFFFFF):
        with stranger(row) as caller:
            assert caller.ask(request(user=maximum(useful)))[0] == ACCEPTED
            caller.send(_a_store_command(new_uid()))
            units, answer = _whole_answer(caller)
            assert commands.decode_command(answer).number(commands.STATUS) == 0xC000
            assert max(units) <= (useful or pdu.OFFERED_LENGTH)
    row.honest()


def _a_store_command(uid: str, *, data_set_type: int = commands.NO_DATA_SET) -> bytes:
    """Return a C-STORE-RQ, without a data set unless one is announced."""
    elements: dict[int, int | str] = {
        commands.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.5.1.4.1.1.2",
        commands.COMMAND_FIELD: commands.C_STORE_RQ,
        commands.MESSAGE_ID: 1,
        commands.DATA_SET_TYPE: data_set_type,
        commands.AFFECTED_SOP_INSTANCE_UID: uid,
    }
    return pdu.data_pdu(3, commands.encode_command(elements), is_command=True, is_last=True)


def _whole_answer(caller: Stranger) -> tuple[list[int], bytes]:
    """Return the lengths of the units of a response, and its command set."""
    lengths, answer, is_last = [], b"", False
    while not is_last:
        kind, body = caller.answer()
        assert kind == 4
        lengths.append(len(body))
        for fragment in pdu.fragments(memoryview(body)):
            answer += fragment.data
            is_last = fragment.is_last
    return lengths, answer


@ROWS.row()
def row_12_lies_about_fragments(row: Row) -> None:
    """A fragment of no length, of one byte, longer than its unit or with bytes left over is 2/6, in the middle of an object too."""
    for body in (b"", b"\0\0\0\0", b"\0\0\0\0\3\2", b"\0\0\0\1\3\2", b"\0\0\0\xff\3\2abcd", b"\0\0\0\4\3\0ab\0\0\0"):
        for begun in (False, True):
            caller = scanner(row)
            if begun:
                _begin_an_object(caller)
            caller.socket.sendall(unit(4, body))
            assert caller.read() == (ABORT, bytes([0, 0, 2, 6]))
            caller.socket.close()
    row.honest()
    row.expect_log("association.protocol_error", at_least=12, peer=row.address)


def _begin_an_object(caller: Caller) -> None:
    uid = new_uid()
    caller.command(uid_text=uid)
    caller.data(an_object(uid, pixels=bytes(1000)), last=False)


@ROWS.row()
def row_13_mixes_contexts(row: Row) -> None:
    """A context that is even, unknown or refused, and data in another context than its command, are 2/6."""
    with stranger(row) as refused:
        assert refused.ask(request(*BOTH, context(5, _WORKLIST)))[0] == ACCEPTED
        assert refused.ask(pdu.data_pdu(5, b"x", is_command=True, is_last=True)) == abort(6)
    for context_id in (0, 2, 4, 9, 255):
        caller = scanner(row)
        caller.socket.sendall(pdu.data_pdu(context_id, b"x", is_command=True, is_last=True))
        assert caller.read() == (ABORT, bytes([0, 0, 2, 6]))
        caller.socket.close()
    for wrong in (
        pdu.data_pdu(1, b"x", is_command=False, is_last=True),
        pdu.data_pdu(1, b"x", is_command=True, is_last=True),
        pdu.data_pdu(3, b"x", is_command=True, is_last=True),
    ):
        caller = scanner(row)
        _begin_an_object(caller)
        caller.socket.sendall(wrong)
        assert caller.read() == (ABORT, bytes([0, 0, 2, 6]))
        caller.socket.close()
    row.honest()
    row.expect_log("association.protocol_error", at_least=6, problem="a fragment in a context that was not accepted")
    row.expect_log("association.protocol_error", problem="data without a command in this context")
    row.expect_log("association.protocol_error", at_least=2, problem="a command inside the data set of another")


@ROWS.row()
def row_14_sets_reserved_bits(row: Row) -> None:
    """Six bits of the message control header mean nothing: an object whose fragments set them all is stored."""
    uid = new_uid()
    data = an_object(uid)
    with stranger(row) as ct:
        assert ct.ask(request())[0] == ACCEPTED
        command = bytearray(_a_store_command(uid, data_set_type=commands.WITH_DATA_SET))
        command[11] |= 0xFC
        ct.send(bytes(command))
        for piece, is_last in ((data[:20], False), (data[20:], True)):
            fragment = bytearray(pdu.data_pdu(3, piece, is_command=False, is_last=is_last))
            fragment[11] |= 0xFC
            ct.send(bytes(fragment))
        _, answer = _whole_answer(ct)
        row.honest()
    assert commands.decode_command(answer).number(commands.STATUS) == 0
    row.acknowledged(uid, data)


@pytest.mark.parametrize("case", ROWS.cases, ids=ROWS.ids)
def test_row(oracle: Oracle, case: Case) -> None:
    """Each row has its answer on the wire and in the log, and costs nobody else anything."""
    with oracle.row(case.limits) as row:
        case.attack(row)
