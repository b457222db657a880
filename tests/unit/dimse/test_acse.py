"""Association negotiation as bytes: what pynetdicom agrees with, and what it must never see."""

from __future__ import annotations

import struct
import time

import pytest
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from appliance.core.identity import AETitle, Uid
from appliance.dimse.acse import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    decode_accept,
    decode_request,
    encode_accept,
    encode_request,
)
from appliance.dimse.contexts import VERIFICATION, ContextResult, ProposedContext, choose
from appliance.dimse.pdu import PduInvalidError
from appliance.spool import part10
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT

APPLICATION = b"1.2.840.10008.3.1.1.1"
MAXIMUM_LENGTH = struct.pack(">BBHL", 0x51, 0, 4, 16384)


def item(kind: int, content: bytes) -> bytes:
    """Return one item."""
    return struct.pack(">BBH", kind, 0, len(content)) + content


def context(number: int = 1, abstract: bytes = CT.encode(), *syntaxes: bytes) -> bytes:
    """Return one proposed context."""
    inner = item(0x30, abstract) + b"".join(item(0x40, syntax) for syntax in syntaxes or (IMPLICIT.encode(),))
    return item(0x20, bytes([number, 0, 0, 0]) + inner)


def request(
    *items: bytes,
    calling: bytes = b"CT1",
    called: bytes = b"EDGE",
    version: int = 1,
    application: bytes = APPLICATION,
    user: bytes = MAXIMUM_LENGTH,
) -> memoryview:
    """Return the body of a request with one context unless `items` say otherwise."""
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application) + b"".join(items or (context(),)) + (item(0x50, user) if user else b"")
    return memoryview(body)


def test_our_request_is_understood_by_pynetdicom() -> None:
    """What pynetdicom reads in our request is what was asked for: titles, contexts, length and implementation."""
    unit = A_ASSOCIATE_RQ()
    unit.decode(encode_request(AETitle("Edge 1"), AETitle("PACS"), [(Uid(CT), [EXPLICIT, IMPLICIT]), (VERIFICATION, [IMPLICIT])], 131072))

    assert (unit.calling_ae_title, unit.called_ae_title) == ("Edge 1", "PACS")
    assert [(cx.context_id, str(cx.abstract_syntax), list(map(str, cx.transfer_syntax))) for cx in unit.presentation_context] == [
        (1, CT, [EXPLICIT, IMPLICIT]),
        (3, VERIFICATION, [IMPLICIT]),
    ]
    assert unit.user_information is not None
    assert unit.user_information.maximum_length == 131072
    assert unit.user_information.implementation_version_name == "DICOM_EDGE_0"


def test_we_are_the_same_implementation_on_the_wire_and_on_disk() -> None:
    """The implementation named in negotiation is the one named in the sealed objects."""
    assert IMPLEMENTATION_CLASS_UID == part10.IMPLEMENTATION_CLASS_UID
    assert IMPLEMENTATION_VERSION == part10.IMPLEMENTATION_VERSION


def test_a_request_is_read() -> None:
    """Raw titles, contexts in order and the peer's length come out as sent."""
    asked = decode_request(request(context(5, CT.encode(), b"1.2.3.4", IMPLICIT.encode()), context(1, VERIFICATION.encode())))

    assert (asked.calling, asked.called) == (b"CT1".ljust(16), b"EDGE".ljust(16))
    assert asked.contexts == (ProposedContext(5, Uid(CT), (Uid("1.2.3.4"), IMPLICIT)), ProposedContext(1, VERIFICATION, (IMPLICIT,)))
    assert (asked.max_length, asked.version_supported, asked.application_context) == (16384, True, APPLICATION.decode())


@pytest.mark.parametrize("title", [b"CT\n1", b"A\0B", b"\xff" * 16, b" " * 16, b"\0" * 16, b"\x1b[31m", b"A\\B", b"<script>alert(1)"])
def test_no_title_stops_the_decoding(title: bytes) -> None:
    """Whatever stands in the titles is handed on as raw bytes (hostile-inputs.md N11, N12)."""
    asked = decode_request(request(calling=title, called=title))

    assert (asked.calling, asked.called) == (title.ljust(16), title.ljust(16))


def test_nothing_is_printed_about_what_a_peer_sends() -> None:
    """A name of the application context that is no UID is handed on; no library warns of it, which would show and keep every such text."""
    asked = decode_request(memoryview(bytes(request()).replace(APPLICATION, b"PATIENT^NAME".ljust(len(APPLICATION), b"!"))))

    assert asked.application_context == "PATIENT^NAME!!!!!!!!!"


@pytest.mark.parametrize(("version", "supported"), [(0, False), (1, True), (2, False), (3, True), (0xFFFF, True)])
def test_only_bit_0_of_the_version_counts(version: int, supported: bool) -> None:  # noqa: FBT001
    """The protocol version is tested as PS3.8 table 9-11 says."""
    assert decode_request(request(version=version)).version_supported is supported


def test_what_is_not_needed_is_left_out() -> None:
    """Unknown items, user identities of any size and extended negotiation neither fail nor get any further."""
    identity = item(0x58, b"\x09\x01" + struct.pack(">H", 60000) + b"x" * 50)
    user = MAXIMUM_LENGTH + identity + item(0x56, b"junk") + item(0x57, b"") + item(0x99, b"?")
    asked = decode_request(request(item(0x77, b"who knows"), context(), user=user))

    assert [cx.context_id for cx in asked.contexts] == [1]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(memoryview(b""), id="empty"),
        pytest.param(request()[:60], id="too short"),
        pytest.param(request()[:-1], id="cut off"),
        pytest.param(request(context(2)), id="even context id"),
        pytest.param(request(context(1), context(1)), id="context id twice"),
        pytest.param(request(*[context(1 + 2 * number) for number in range(128)], context(1)), id="129 contexts"),
        pytest.param(request(item(0x10, APPLICATION)), id="no context"),
        pytest.param(request(user=b""), id="no user information"),
        pytest.param(request(item(0x20, b"\1")), id="context without content"),
        pytest.param(request(item(0x20, b"\1\0\0\0\x30\0\xff\xff")), id="inner length lies"),
        pytest.param(request(context(1, b"\xff\xfe")), id="abstract syntax outside ASCII"),
        pytest.param(request(context(1, b"1" * 65)), id="abstract syntax too long"),
        pytest.param(request(user=item(0x51, b"\0")), id="length item too short"),
        pytest.param(request(user=MAXIMUM_LENGTH + item(0x54, b"\xff\xff1.2")), id="role item lies"),
        pytest.param(request(user=MAXIMUM_LENGTH + item(0x54, b"\0\x031.2\1\1") * 200), id="200 roles"),
        pytest.param(request(context(), item(0x10, APPLICATION)), id="application context twice"),
        pytest.param(request(item(0x50, MAXIMUM_LENGTH), context()), id="user information twice"),
        pytest.param(request(*[context(1 + 2 * number, CT.encode(), *([b""] * 2000)) for number in range(5)]), id="10,000 syntaxes"),
    ],
)
def test_what_is_malformed_is_refused(body: memoryview) -> None:
    """Lies and contradictions in a request are refused in one way (hostile-inputs.md rows 9, 15, 16)."""
    with pytest.raises(PduInvalidError):
        decode_request(body)


def test_the_largest_request_takes_little_time() -> None:
    """128 contexts of 50 syntaxes each are judged and answered in well under the 30 seconds a caller has (hostile-inputs.md row 15)."""
    many = [context(1 + 2 * number, CT.encode(), *[f"1.2.840.10008.1.2.4.{kind}".encode() for kind in range(50)]) for number in range(128)]
    started = time.process_time()
    asked = decode_request(request(*many))
    encode_accept(asked, choose(asked.contexts))

    assert time.process_time() - started < 0.5


def test_the_answer_repeats_the_titles_and_every_context() -> None:
    """An independent reader finds each context's result in our answer, and the titles stand there as they came."""
    asked = decode_request(request(context(1), context(3, b"1.2.840.10008.5.1.4.31"), called=b"edge\0\0\0\0\0\0\0\0\0\0\0\0"))
    encoded = encode_accept(asked, choose(asked.contexts))
    unit = A_ASSOCIATE_AC()
    unit.decode(encoded.replace(b"edge" + bytes(12), b"EDGE".ljust(16)))

    assert encoded[10:42] == b"edge" + bytes(12) + b"CT1".ljust(16)
    assert [(cx.context_id, cx.result_reason) for cx in unit.presentation_context] == [(1, 0), (3, 3)]


def test_roles_and_windows_are_answered() -> None:
    """Who asks to be SCU of what is accepted hears so; an asynchronous window is always one."""
    role = item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1")
    window = item(0x53, b"\xff\xff\xff\xff")
    asked = decode_request(request(user=MAXIMUM_LENGTH + window + role))
    unit = A_ASSOCIATE_AC()
    unit.decode(encode_accept(asked, choose(asked.contexts)))

    assert unit.user_information is not None
    assert unit.user_information.role_selection[UID(CT)].scu_role == 1
    assert unit.user_information.role_selection[UID(CT)].scp_role == 0
    assert unit.user_information.async_ops_window is not None
    assert unit.user_information.async_ops_window.maximum_number_operations_invoked == 1


@pytest.mark.parametrize(("wanted", "answered"), [(b"\0\1", (0, 1)), (b"\1\1", (0, 1)), (b"\1\0", None)])
def test_who_reports_is_the_provider(wanted: bytes, answered: tuple[int, int] | None) -> None:
    """For storage commitment the caller provides and the box uses; who asks for the box's role only is not answered."""
    model = "1.2.840.10008.1.20.1"
    role = item(0x54, struct.pack(">H", len(model)) + model.encode() + wanted)
    asked = decode_request(request(user=MAXIMUM_LENGTH + role))
    unit = A_ASSOCIATE_AC()
    unit.decode(encode_accept(asked, [ContextResult(1, Uid(model), 0, Uid("1.2.840.10008.1.2"))]))

    assert unit.user_information is not None
    found = unit.user_information.role_selection.get(UID(model))
    assert answered == (None if found is None else (found.scu_role, found.scp_role))


def answer(*items: bytes, user: bytes = MAXIMUM_LENGTH) -> memoryview:
    """Return the body of an A-ASSOCIATE-AC."""
    body = struct.pack(">HH", 1, 0) + bytes(64) + item(0x10, APPLICATION) + b"".join(items) + item(0x50, user)
    return memoryview(body)


def test_an_answer_is_read() -> None:
    """Results by context id come out; the syntax of a refused context means nothing, titles neither."""
    granted = decode_accept(answer(item(0x21, b"\1\0\0\0" + item(0x40, IMPLICIT.encode())), item(0x21, b"\3\0\4\0" + item(0x40, b"\xff"))))

    assert dict(granted.contexts) == {1: (0, IMPLICIT), 3: (4, "")}
    assert granted.max_length == 16384


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(answer(item(0x21, b"\1\0\0\0"), item(0x21, b"\1\0\0\0")), id="context id twice"),
        pytest.param(answer(item(0x21, b"\2\0\0\0")), id="even context id"),
        pytest.param(answer(item(0x21, b"\1\0")), id="context too short"),
        pytest.param(answer(user=item(0x51, b""))[:-1], id="cut off"),
        pytest.param(memoryview(b"HTTP/1.1 400 Bad Request"), id="not DICOM"),
    ],
)
def test_a_malformed_answer_is_refused(body: memoryview) -> None:
    """Lies and contradictions in an answer are refused in one way (hostile-inputs.md row 72)."""
    with pytest.raises(PduInvalidError):
        decode_accept(body)
