"""Association requests, rows 15 to 23 and 25 of hostile-inputs.md: who asks for too much, for nonsense, or under a false name.

Each row asserts what the box answers on the wire and what it logs; the oracle asserts the rest (tests/support/oracle.py).
"""

from __future__ import annotations

import os
import secrets
import struct
from pathlib import Path

import pytest

from appliance.dimse import acse
from tests.hostile.rows import Case, Rows, stranger
from tests.hostile.site import reconfigured
from tests.support import wire
from tests.support.oracle import Limits, Oracle, Row
from tests.support.stranger import ACCEPTED, BOTH, CT, VERIFICATION, Answer, abort, context, item, maximum, reject, request

ROWS = Rows()

_STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
_WORKLIST = b"1.2.840.10008.5.1.4.31"
_JPIP = b"1.2.840.10008.1.2.4.94"
# The table asks for 50 ms a request; several times that, because the machine that tests is shared and the honest peer works meanwhile.
_CPU_S_A_REQUEST = 0.25
_TIMES = 10
# PS3.7 table D.3-14: username, username and passcode, Kerberos, SAML, JSON web token, and one that nobody has defined.
_IDENTITY_TYPES = (1, 2, 3, 4, 5, 99)

_UNKNOWN = reject(1, 1, 3)
_NOT_OURS = reject(1, 1, 7)


def _asked(row: Row, *items: bytes, **settings: object) -> Answer:
    """Ask for an association, and return the answer."""
    with stranger(row) as caller:
        return caller.ask(request(*items, **settings))  # type: ignore[arg-type]


def _results(body: bytes) -> dict[int, tuple[int, bytes]]:
    """Return result and transfer syntax of each context of an A-ASSOCIATE-AC, in its order."""
    found, at = {}, 68
    while at < len(body):
        kind, length = body[at], struct.unpack_from(">H", body, at + 2)[0]
        content = body[at + 4 : at + 4 + length]
        if kind == 0x21:
            found[content[0]] = content[2], content[8:].rstrip(b"\0")
        at += 4 + length
    return found


def _user_items(body: bytes) -> dict[int, bytes]:
    """Return the user information of an A-ASSOCIATE-AC by the types of its items."""
    at = 68
    while body[at] != 0x50:
        at += 4 + struct.unpack_from(">H", body, at + 2)[0]
    found, at = {}, at + 4
    while at < len(body):
        length = struct.unpack_from(">H", body, at + 2)[0]
        found[body[at]] = body[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def _receivers_cpu_s(row: Row) -> float:
    """Return the processor time that the receivers have used."""
    ticks = 0
    for pid, name in row.box.daemons().items():
        if name == "receiver":
            fields = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            # proc(5): utime and stime, the 14th and 15th of all fields.
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@ROWS.row()
def row_15_proposes_everything(row: Row) -> None:
    """128 contexts of 50 transfer syntaxes are answered, each of them, in little time; what nobody takes is 3 or 4, malformed is 2/6."""
    syntaxes = [b"1.2.840.10008.1.2.4.%d" % (50 + number) for number in range(50)]
    many = [context(2 * number + 1, b"1.2.840.10008.5.1.4.1.1.%d" % (number + 2), *syntaxes) for number in range(126)]
    many += [context(253, _WORKLIST, *syntaxes), context(255, _STORAGE, _JPIP)]
    before = _receivers_cpu_s(row)
    answers = [_asked(row, *many) for _ in range(_TIMES)]
    spent = _receivers_cpu_s(row) - before
    row.honest()

    for kind, body in answers:
        assert kind == ACCEPTED
        results = _results(body)
        assert list(results) == list(range(1, 256, 2))
        assert [result for result, _ in results.values()] == [0] * 126 + [3, 4]
    assert spent / _TIMES < _CPU_S_A_REQUEST
    # With UIDs of 64 characters it is the longest request that makes sense.
    longest = [context(2 * number + 1, _STORAGE, *(b"1." * 30 + b"%04d" % kind for kind in range(50))) for number in range(128)]
    assert _asked(row, *longest)[0] == ACCEPTED

    malformed = {
        "an association request with one context id twice": (context(1, _STORAGE), context(1, _STORAGE)),
        "a context with an even id, or without one": (context(1, _STORAGE), context(2, _STORAGE)),
        "an association request with more transfer syntaxes than there are": (
            *(context(2 * number + 1, _STORAGE, *([b""] * 16_000)) for number in range(8)),
        ),
    }
    for problem, items in malformed.items():
        assert _asked(row, *items) == abort(6)
        row.expect_log("association.protocol_error", problem=problem)
    assert _asked(row, *(context(number % 256, _STORAGE) for number in range(300))) == abort(6)
    assert _asked(row, *(context((2 * number + 1) % 256, _STORAGE) for number in range(300))) == abort(6)


@ROWS.row()
def row_16_leaves_out_or_lies(row: Row) -> None:
    """Without contexts or user information, and with lengths that lie, it is 2/6; items that nobody knows are skipped."""
    no_context = request(item(0x77, b"nothing")), request(item(0x20, b"")), request(item(0x20, b"\1"))
    lies = (
        request(item(0x20, b"\1\0\0\0", length=400)),
        request(item(0x20, b"\1\0\0\0" + item(0x30, _STORAGE, length=400))),
        request(item(0x20, b"\1\0\0\0" + item(0x40, b"1.2", length=0xFFFF))),
        request(user=item(0x51, b"\0\0\0\1", length=9)),
        request(user=item(0x51, b"\0\0")),
        request(user=None),
        request(user=b""),
        request(item(0x50, maximum(16384)), *BOTH),
        request(*BOTH, item(0x10, b"1.2.840.10008.3.1.1.1")),
    )
    for wrong in (*no_context, *lies):
        with stranger(row) as caller:
            assert caller.ask(wrong) == abort(6)
    row.honest()
    row.expect_log("association.protocol_error", at_least=len(no_context) + len(lies), peer=row.address)

    odd = item(0x30, _STORAGE) + item(0x40, wire.VERIFICATION.encode()) + item(0x99, b"?")
    kind, body = _asked(
        row, item(0x77, b"who knows"), VERIFICATION, CT, item(0x20, b"\5\0\0\0" + odd), item(0xFF, b""), user=maximum(0) + item(0x60, b"?")
    )
    assert (kind, list(_results(body))) == (ACCEPTED, [1, 3, 5])
    # Without a maximum there is none.
    assert _asked(row, user=item(0x52, b"1.2.3"))[0] == ACCEPTED


@ROWS.row()
def row_17_has_another_application_context(row: Row) -> None:
    """Another application context is 1/1/2."""
    for application in (b"1.2.840.10008.3.1.1.2", b"1.2.840.10008.3.1.1.1.1"):
        assert _asked(row, application=application) == reject(1, 1, 2)
    row.honest()
    row.expect_log("association.refused", at_least=2, answer="1/1/2", peer=row.address)


@ROWS.row()
def row_18_has_no_protocol_version(row: Row) -> None:
    """A version without the bit that says "version 1" is 1/2/2; bits of later versions beside it change nothing."""
    for version in (0, 2, 0xFFFE):
        assert _asked(row, version=version) == reject(1, 2, 2)
    for version in (1, 3, 0xFFFF):
        assert _asked(row, version=version)[0] == ACCEPTED
    row.honest()
    row.expect_log("association.refused", at_least=3, answer="1/2/2", peer=row.address)


@ROWS.row()
def row_19_calls_another_title(row: Row) -> None:
    """A wrong or empty called title is 1/1/7, unless empty ones are allowed; capitals, padding and trailing NULs make no difference."""
    for called in (b"OTHER", b"EDGE1", b"ED GE", b"", bytes(16), b"\x01", b"EDGE\x01"):
        assert _asked(row, called=called) == _NOT_OURS
    for called in (b"edge", b"  Edge", b"EDGE" + bytes(12), b"EDGE  \0\0"):
        kind, body = _asked(row, called=called)
        assert kind == ACCEPTED
        assert body[4:20] == called.ljust(16)
    row.expect_log("association.refused", answer="1/1/7", called="OTHER", calling="CT1", peer=row.address)
    with reconfigured(row.box, admission={"blank_called": True}):
        assert _asked(row, called=b"")[0] == ACCEPTED
        assert _asked(row, called=b"OTHER") == _NOT_OURS
        row.honest()


@ROWS.row()
def row_20_calls_itself_something_else(row: Row) -> None:
    """An unknown title, and a known one from another address, cannot be told apart from outside; the log tells them apart."""
    assert _asked(row, calling=b"NOBODY") == _UNKNOWN
    assert _asked(row, calling=b"MR1") == _UNKNOWN
    # Nobody learns our title from how a stranger is answered who calls a wrong one.
    assert _asked(row, calling=b"NOBODY", called=b"OTHER") == _UNKNOWN
    assert _asked(row, calling=b"") == _UNKNOWN
    row.honest()
    row.expect_log("association.refused", calling="NOBODY", reason="unknown calling title", answer="1/1/3", peer=row.address)
    row.expect_log("association.refused", calling="MR1", reason="known title from another address", answer="1/1/3", peer=row.address)
    row.expect_log("association.refused", calling="", reason="blank calling title", answer="1/1/3", peer=row.address)


@ROWS.row()
def row_21_has_bytes_in_its_title_that_no_title_has(row: Row) -> None:
    """Control characters, a backslash and bytes outside ASCII are 1/1/3, never an abort, and stand escaped in the log, on one line."""
    titles = {
        b"CT\r1": "CT\\r1",
        b"CT\n1": "CT\\n1",
        b"CT\t1": "CT\\t1",
        b"CT\0001": "CT\\x001",
        b"CT\\1": "CT\\\\1",
        b"\x80\xff": "\\x80\\xff",
        b"\x1b[31mCT1\x1b[0m": "\\x1b[31mCT1\\x1b[0m",
        b'CT1\n{"event":1}': 'CT1\\n{"event":1}',
    }
    for title, shown in titles.items():
        assert _asked(row, calling=title) == _UNKNOWN
        row.expect_log("association.refused", calling=shown, reason="calling title with invalid characters", peer=row.address)
        assert _asked(row, called=title) == _NOT_OURS
    row.honest()
    assert all(byte == 0x0A or byte >= 0x20 for byte in row.box.stderr_path.read_bytes())


@ROWS.row()
def row_22_has_a_title_that_means_something_elsewhere(row: Row) -> None:
    """Scripts, formulas, look-ups, formats and paths are titles like others: unknown, and shown as text."""
    for title in (
        b"<script>alert(1)",
        b"=cmd|'/c'!A0",
        b"${jndi:ldap://a}",
        b"%n%n%n%s%s",
        b"../../../../etc",
        b"'; DROP TABLE--",
        b"{{7*7}}",
    ):
        assert _asked(row, calling=title) == _UNKNOWN
        assert _asked(row, called=title) == _NOT_OURS
        row.expect_log("association.refused", calling=title.decode(), reason="unknown calling title", peer=row.address)
    row.honest()


@ROWS.row()
def row_23_says_who_it_is(row: Row) -> None:
    """User identities of every kind and size are left alone: not answered, not checked, and never written anywhere."""
    secret = f"SECRET{secrets.token_hex(8)}".encode("ascii")
    row.plant(secret)
    for kind in _IDENTITY_TYPES:
        identity = bytes([kind, 1]) + struct.pack(">H", len(secret)) + secret + struct.pack(">H", len(secret)) + secret
        answer, body = _asked(row, user=maximum(16384) + item(0x58, identity))
        assert answer == ACCEPTED
        assert 0x59 not in _user_items(body)
    # A token as large as an item can be, one whose inner lengths lie, and one larger than any request may be.
    assert _asked(row, user=maximum(0) + item(0x58, (secret * 4000)[:65_000]))[0] == ACCEPTED
    assert _asked(row, user=maximum(0) + item(0x58, b"\x02\x01\xff\xff" + secret))[0] == ACCEPTED
    assert _asked(row, *BOTH, *([item(0x58, (secret * 4000)[:65_000])] * 16)) == abort(6)
    row.honest()


@ROWS.row(Limits(peak_bytes=32 << 20))
def row_25_negotiates_junk(row: Row) -> None:
    """Roles and extended negotiation that make sense are heard, junk is skipped or 2/6; no handler fails."""
    role = item(0x54, struct.pack(">H", len(_STORAGE)) + _STORAGE + b"\1\1")
    kind, body = _asked(row, user=maximum(0) + role)
    assert kind == ACCEPTED
    # The box is the SCP of everything.
    assert _user_items(body)[0x54][-2:] == b"\1\0"
    for skipped in (
        item(0x56, b"junk"),
        item(0x56, struct.pack(">H", 0xFFFF)),
        item(0x57, b""),
        item(0x54, struct.pack(">H", 5) + b"1.2.3\1\1"),
        item(0x53, b"\xff\xff\xff\xff"),
    ):
        assert _asked(row, user=maximum(0) + skipped)[0] == ACCEPTED
    for junk in (item(0x54, b""), item(0x54, b"\xff\xff1.2"), item(0x53, b"\1"), role * 200):
        assert _asked(row, user=maximum(0) + junk) == abort(6)
    row.honest()
    row.expect_log("association.protocol_error", at_least=4, peer=row.address)
    assert row.log("association.failed") == []
    assert acse.MAX_CONTEXTS == 128


@pytest.mark.parametrize("case", ROWS.cases, ids=ROWS.ids)
def test_row(oracle: Oracle, case: Case) -> None:
    """Each row has its answer on the wire and in the log, and costs nobody else anything."""
    with oracle.row(case.limits) as row:
        case.attack(row)
