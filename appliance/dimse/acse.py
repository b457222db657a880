"""Association negotiation as bytes: pynetdicom's units, behind a filter of ours. Pure.

pynetdicom raises in the middle of decoding on titles with control characters, on unknown items and on lengths that lie. Here the items are
counted and measured first, what we do not use is left out (user identities never get any further), titles are taken out as raw bytes, and
proposed contexts are read here: of 128 with 50 syntaxes each pynetdicom makes 100 ms of work, for whoever cares to ask.

Promises: what `decode_request` returns has between 1 and 128 contexts with odd, unique ids; titles are the 16 bytes of the wire; the answer
to a request repeats its titles byte for byte.
Failures: `PduInvalidError` (peer) for everything malformed.
Limits: extended negotiation and user identities are not answered; the asynchronous window is always one.
Standard: PS3.8 9.3.2 and 9.3.3, PS3.7 annex D.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydicom import config as pydicom_config
from pydicom.uid import UID
from pynetdicom import _config as pynetdicom_config
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    _UI,
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from appliance.core.identity import AE_TITLE_LENGTH, UID_LENGTH, AETitle, Uid
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import APPLICATION_CONTEXT, IMPLICIT_LITTLE_ENDIAN, ContextResult, ProposedContext
from appliance.dimse.pdu import OFFERED_LENGTH, PduInvalidError

# The same two as in the sealed objects (spool/part10): who speaks.
IMPLEMENTATION_CLASS_UID = "2.25.318230876889457152264882366519844927691"
IMPLEMENTATION_VERSION = "DICOM_EDGE_0"

# PS3.8 9.3.2.2: odd ids below 256.
MAX_CONTEXTS = 128
# Half as many again as a request that proposes everything there is (50 in each of 128, hostile-inputs.md row 15): no scanner means more.
_MAX_SYNTAXES = 9600

_APPLICATION_CONTEXT_ITEM = 0x10
_CONTEXT_RQ_ITEM = 0x20
_CONTEXT_AC_ITEM = 0x21
_ABSTRACT_SYNTAX_ITEM = 0x30
_TRANSFER_SYNTAX_ITEM = 0x40
_USER_INFORMATION_ITEM = 0x50
_MAXIMUM_LENGTH_ITEM = 0x51
_ASYNCHRONOUS_ITEM = 0x53
# PS3.7 D.3.3: class UID, asynchronous window, roles, version name. User identity (0x58) stays out.
_USED_USER_ITEMS = frozenset({_MAXIMUM_LENGTH_ITEM, 0x52, _ASYNCHRONOUS_ITEM, 0x54, 0x55})
# A role for each context, and one of each of the others; pynetdicom takes its time for every item.
_MAX_USER_ITEMS = MAX_CONTEXTS + 4

# Where the titles stand in the unit, its head included.
_TITLES = slice(10, 10 + 2 * AE_TITLE_LENGTH)
_FIXED_BYTES = 68
_PLACEHOLDER = b"TITLE".ljust(AE_TITLE_LENGTH)


def _silence_pynetdicom() -> None:
    """Turn off everything that pynetdicom would print: it shows what peers send, patients' names among it."""
    # A UID that breaks the rules would be printed as a warning, and Python keeps every text it warned of: a peer could fill memory.
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    pynetdicom_config.LOG_HANDLER_LEVEL = "none"
    logger = logging.getLogger("pynetdicom")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


_silence_pynetdicom()


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ: `calling` and `called` are 16 raw bytes, `roles` maps a SOP class to (SCU, SCP), `max_length` 0 is no limit.

    `implementation` is the class UID of who wrote the peer, as it says.
    """

    calling: bytes
    called: bytes
    version_supported: bool
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_length: int
    asks_asynchronous: bool
    roles: Mapping[str, tuple[bool, bool]]
    implementation: str = ""


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC: result and transfer syntax (empty where not accepted) by context id."""

    contexts: Mapping[int, tuple[int, Uid]]
    max_length: int


def encode_request(calling: AETitle, called: AETitle, contexts: Sequence[tuple[Uid, Sequence[Uid]]], max_length: int) -> bytes:
    """Return an A-ASSOCIATE-RQ whose context ids are 1, 3, 5 … in the order of `contexts`."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.calling_ae_title = calling.text
    primitive.called_ae_title = called.text
    proposed = []
    for number, (abstract_syntax, transfer_syntaxes) in enumerate(contexts):
        context = build_context(abstract_syntax, [str(syntax) for syntax in transfer_syntaxes])
        context.context_id = 2 * number + 1
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    primitive.user_information = _user_information(max_length)
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def decode_request(body: memoryview) -> AssociateRequest:
    """Return what an A-ASSOCIATE-RQ asks for. Raises `PduInvalidError`."""
    fixed, items = _split(body)
    kept: dict[int, bytes] = {}
    contexts: dict[int, ProposedContext] = {}
    room = _MAX_SYNTAXES
    user_items: list[int] = []
    for kind, content in items:
        if kind == _CONTEXT_RQ_ITEM:
            context = _proposed(content, room)
            if contexts.setdefault(context.context_id, context) is not context:
                raise PduInvalidError("an association request with one context id twice")
            room -= len(context.transfer_syntaxes)
            continue
        if kind in kept:
            raise PduInvalidError("an association request with an item twice that there is once")
        if kind == _USER_INFORMATION_ITEM:
            user_items = [number for number, _ in _items(content)]
            if sum(number in _USED_USER_ITEMS for number in user_items) > _MAX_USER_ITEMS:
                raise PduInvalidError("an association request with more user information than there is")
            content = _only(content, _USED_USER_ITEMS)  # noqa: PLW2901
        elif kind != _APPLICATION_CONTEXT_ITEM:
            continue
        kept[kind] = _item(kind, content)
    if not contexts or not user_items:
        raise PduInvalidError("an association request without contexts, or without user information")
    unit = A_ASSOCIATE_RQ()
    _decode(unit, 1, fixed, list(kept.values()))
    user = unit.user_information
    assert user is not None  # noqa: S101 (it was counted above; for the type checker)
    return AssociateRequest(
        calling=fixed[20:36],
        called=fixed[4:20],
        # PS3.8 table 9-11: only bit 0 is tested.
        version_supported=bool(fixed[1] & 1),
        application_context=_text(unit.application_context_name),
        contexts=tuple(contexts.values()),
        max_length=int(user.maximum_length or 0),
        asks_asynchronous=_ASYNCHRONOUS_ITEM in user_items,
        roles=MappingProxyType({_text(uid): (bool(item.scu_role), bool(item.scp_role)) for uid, item in user.role_selection.items()}),
        implementation=_text(user.implementation_class_uid),
    )


def encode_accept(request: AssociateRequest, results: Sequence[ContextResult]) -> bytes:
    """Return the A-ASSOCIATE-AC that answers `request` with `results`."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.calling_ae_title = primitive.called_ae_title = "TITLE"
    primitive.result = 0x00
    primitive.result_source = 0x01
    primitive.presentation_context_definition_results_list = [_result_item(result) for result in results]
    information = _user_information(OFFERED_LENGTH)
    if request.asks_asynchronous:
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 1
        information.append(window)
    accepted = {str(result.abstract_syntax) for result in results if result.result == 0}
    for uid, (as_scu, as_scp) in request.roles.items():
        # The box is the SCP of everything it accepts, but for commitment reports: there the caller is. Who asked for the other role only
        # is not answered and gets the default roles.
        is_scu = uid == COMMITMENT_PUSH_MODEL
        if (as_scp if is_scu else as_scu) and uid in accepted:
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid, role.scu_role, role.scp_role = UID(uid), not is_scu, is_scu
            information.append(role)
    primitive.user_information = information
    encoded = bytearray(A_ASSOCIATE_AC(primitive).encode())
    encoded[_TITLES] = request.called + request.calling
    return bytes(encoded)


def decode_accept(body: memoryview) -> AssociateAccept:
    """Return what an A-ASSOCIATE-AC grants. Raises `PduInvalidError`."""
    fixed, items = _split(body)
    results: dict[int, int] = {}
    kept: list[bytes] = []
    for kind, content in items:
        if kind == _CONTEXT_AC_ITEM:
            number = _context_id(content)
            if number in results:
                raise PduInvalidError("an association answer has one context id twice")
            results[number] = content[2]
            # PS3.8 9.3.3.2: the transfer syntax of a context that is not accepted means nothing.
            content = content[:4] + (_only(content[4:], frozenset({_TRANSFER_SYNTAX_ITEM})) if content[2] == 0 else b"")  # noqa: PLW2901
        elif kind == _USER_INFORMATION_ITEM:
            content = _only(content, frozenset({_MAXIMUM_LENGTH_ITEM}))  # noqa: PLW2901
        else:
            continue
        kept.append(_item(kind, content))
    unit = A_ASSOCIATE_AC()
    _decode(unit, 2, fixed, kept)
    contexts = {
        int(item.presentation_context_id or 0): (int(item.result_reason or 0), _text(item.transfer_syntax))
        for item in unit.presentation_context
    }
    user = unit.user_information
    return AssociateAccept(MappingProxyType(contexts), int(user.maximum_length or 0) if user is not None else 0)


def _decode(unit: A_ASSOCIATE_RQ | A_ASSOCIATE_AC, kind: int, fixed: bytes, items: Sequence[bytes]) -> None:
    """Let pynetdicom decode what is left after filtering, with titles that it takes."""
    content = fixed[:4] + _PLACEHOLDER + _PLACEHOLDER + fixed[36:] + b"".join(items)
    try:
        unit.decode(struct.pack(">BBL", kind, 0, len(content)) + content)
    except Exception as error:  # boundary: pynetdicom raises whatever its many setters raise (ValueError, TypeError, KeyError, assert)
        raise PduInvalidError("an association unit cannot be decoded") from error


def _split(body: memoryview) -> tuple[bytes, Iterator[tuple[int, bytes]]]:
    if len(body) < _FIXED_BYTES:
        raise PduInvalidError("an association unit is too short")
    content = bytes(body)
    return content[:_FIXED_BYTES], _items(content[_FIXED_BYTES:])


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of items, refusing a length that does not fit."""
    at = 0
    while at < len(content):
        if len(content) - at < 4:  # noqa: PLR2004 (an item's head)
            raise PduInvalidError("an item ends inside its head")
        kind, length = content[at], int.from_bytes(content[at + 2 : at + 4], "big")
        at += 4
        if length > len(content) - at:
            raise PduInvalidError("an item's length does not fit")
        yield kind, content[at : at + length]
        at += length


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _only(content: bytes, kinds: frozenset[int]) -> bytes:
    return b"".join(_item(kind, inner) for kind, inner in _items(content) if kind in kinds)


def _proposed(content: bytes, room: int) -> ProposedContext:
    """Return a proposed context with at most `room` transfer syntaxes; other items in it mean nothing."""
    number = _context_id(content)
    abstract_syntax = Uid("")
    syntaxes: list[Uid] = []
    for kind, value in _items(content[4:]):
        if kind == _TRANSFER_SYNTAX_ITEM:
            syntaxes.append(_uid(value))
            if len(syntaxes) > room:
                raise PduInvalidError("an association request with more transfer syntaxes than there are")
        elif kind == _ABSTRACT_SYNTAX_ITEM:
            abstract_syntax = _uid(value)
    return ProposedContext(number, abstract_syntax, tuple(syntaxes))


def _uid(value: bytes) -> Uid:
    """Return a UID item's text; whether it is well-formed is judged where it is used."""
    text = value.rstrip(b"\0 ")
    if len(text) > UID_LENGTH or not text.isascii():
        raise PduInvalidError("a UID in an association request is longer than 64 characters or not ASCII")
    return Uid(text.decode("ascii"))


def _context_id(content: bytes) -> int:
    if len(content) < 4 or content[0] % 2 == 0:  # noqa: PLR2004 (PS3.8 table 9-13)
        raise PduInvalidError("a context with an even id, or without one")
    return content[0]


def _result_item(result: ContextResult) -> PresentationContext:
    context = PresentationContext()
    context.context_id = result.context_id
    context.result = result.result
    # The standard wants a transfer syntax here even where nothing was accepted; it means nothing then.
    context.transfer_syntax = [str(result.transfer_syntax or IMPLICIT_LITTLE_ENDIAN)]
    return context


def _user_information(max_length: int) -> list[_UI]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_length
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION
    return [length, class_uid, version]


def _text(value: object) -> Uid:
    return Uid("" if value is None else str(value).rstrip("\0 "))
