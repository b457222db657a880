"""What plain pynetdicom 3.0.4 does under attack, and the box does not: N1, N2, N5, N6, N11 and N12 of hostile-inputs.md.

Each test is the attack that was measured there. Threads, descriptors, memory, temporary files, and that an honest peer is served all the
time, are the oracle's to assert (tests/support/oracle.py); limits that differ from its own stand with the test.
"""

from __future__ import annotations

import contextlib
import struct
import threading

import pytest

from tests.hostile.rows import scanner, stranger
from tests.hostile.site import reconfigured
from tests.support.caller import RELEASED, Caller
from tests.support.oracle import Limits, Oracle
from tests.support.planted import an_object
from tests.support.samples import new_uid
from tests.support.stranger import CLOSED, Stranger, abort, reject, request, reset

_MEBIBYTE = 1 << 20


def test_n1_connections_that_stop_after_three_bytes_cost_no_thread_for_long(oracle: Oracle) -> None:
    """Sixty connections that send three bytes and stop are gone after the deadline, and took no scanner's place meanwhile."""
    with oracle.row(Limits(kept_bytes=8 * _MEBIBYTE, peak_bytes=16 * _MEBIBYTE)) as row, contextlib.ExitStack() as stack:
        addresses = [row.address, row.address.replace("127.0.2.", "127.0.3.")]
        slow = [stack.enter_context(Stranger(row.box.port, address=address)) for address in addresses for _ in range(30)]
        for caller in slow:
            caller.send(request()[:3])
        row.honest()
        scanners = [scanner(row) for _ in range(2)]

        assert [caller.release() for caller in scanners] == [RELEASED] * 2
        assert [caller.answer() for caller in slow] == [CLOSED] * 60


def test_n2_a_length_is_no_reason_to_take_memory(oracle: Oracle) -> None:
    """Behind a request that claims 4 GiB, 300 MiB are offered before any title is known: it is aborted, and memory does not move."""
    with oracle.row(Limits(kept_bytes=4 * _MEBIBYTE, peak_bytes=8 * _MEBIBYTE)) as row:
        with stranger(row) as caller:
            caller.send(struct.pack(">BBL", 1, 0, 0xFFFFFFFF))
            piece, sent = bytes(_MEBIBYTE), 0
            while sent < 300 * _MEBIBYTE and caller.send(piece):
                sent += len(piece)
            row.honest()

        assert sent < 32 * _MEBIBYTE
        row.expect_log("association.protocol_error", at_most=1, peer=row.address)
        # The largest that is taken at all is kept only as far as it came.
        with stranger(row) as patient:
            patient.send(struct.pack(">BBL", 1, 0, 1 << 19) + bytes(1000))
            row.honest()
            assert patient.answer() == abort(0)


def test_n5_requests_sent_without_waiting_queue_up_in_tcp(oracle: Oracle) -> None:
    """Two hundred C-STOREs in one go are answered one by one, and at no moment lie in the receiver's memory."""
    with oracle.row(Limits(kept_bytes=8 * _MEBIBYTE, peak_bytes=16 * _MEBIBYTE)) as row:
        caller = scanner(row)
        objects = [(uid, an_object(uid, pixels=bytes(256 << 10))) for uid in (new_uid() for _ in range(200))]

        def send_all() -> None:
            for uid, data in objects:
                caller.command(uid_text=uid)
                for at in range(0, len(data), 65536):
                    caller.data(data[at : at + 65536], last=at + 65536 >= len(data))

        sending = threading.Thread(target=send_all, name="pipelining", daemon=True)
        sending.start()
        row.honest()
        answers = [caller.status() for _ in objects]
        sending.join()
        for uid, data in objects:
            row.acknowledged(uid, data)

        assert answers == [0] * 200
        assert caller.release() == RELEASED


@pytest.mark.parametrize("ending", ["abort", "reset"])
def test_n6_an_abort_in_mid_object_leaves_no_file(oracle: Oracle, ending: str) -> None:
    """Of an object that is aborted after 1.6 MB nothing is left, in no directory, and nothing of it was ever in clear."""
    with oracle.row() as row:
        uid = new_uid()
        caller = scanner(row)
        caller.command(uid_text=uid)
        data = an_object(uid, pixels=bytes(2_000_000))
        for at in range(0, 1_600_000, 100_000):
            caller.data(data[at : at + 100_000], last=False)
        row.honest()
        if ending == "abort":
            caller.socket.sendall(b"\x07\0\0\0\0\x04\0\0\0\0")
            assert caller.read() == CLOSED
        else:
            reset(caller.socket)
        caller.socket.close()


@pytest.mark.parametrize(
    "title",
    [b"CT\n1", b"CT1\0X", b"\0" * 16, b"\xff" * 16, b" " * 16, b"CT\\1"],
    ids=["line-feed", "inner-nul", "nuls", "0xff", "blanks", "backslash"],
)
def test_n11_a_title_that_is_none_is_rejected_not_aborted(oracle: Oracle, title: bytes) -> None:
    """A calling title that no title may be is 1/1/3, like every unknown one."""
    with oracle.row() as row:
        with stranger(row) as caller:
            assert caller.ask(request(calling=title)) == reject(1, 1, 3)
        row.honest()

        [line] = row.expect_log("association.refused", peer=row.address, answer="1/1/3")
        assert line["calling"].isprintable()


def test_n12_a_script_for_a_title_is_text(oracle: Oracle) -> None:
    """Sixteen legal characters that are a script are unknown where titles are listed, and text where everybody may come."""
    title = b"<script>alert(1)"
    with oracle.row() as row:
        with stranger(row) as caller:
            assert caller.ask(request(calling=title)) == reject(1, 1, 3)
        with reconfigured(row.box, admission={"unknown_sources": "accept"}):
            uid = new_uid()
            admitted = Caller(row.box.port, calling=title, address=row.address)
            assert admitted.store(an_object(uid), uid) == 0
            row.acknowledged(uid, an_object(uid))
            row.honest()
            assert admitted.release() == RELEASED

        [line] = row.expect_log("association.accepted", calling="<script>alert(1)")
        assert line["source"] == "<script>alert(1)"
        answer = row.box.command("studies", "--json")
        assert "<script>" not in answer.stdout
