"""Responses to what we sent, put together from units and read for what they say. Pure.

Promises: at most 64 KiB of a command set are kept; a data set that comes with a response is thrown away.
Failures: `PduInvalidError`, `CommandSetInvalidError` (peer).
Limits: one response at a time; a second one in the same unit is ignored.
Standard: PS3.7 9.3.1.2 (C-STORE-RSP).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from appliance.dimse import commands, pdu
from appliance.dimse.commands import CommandSet
from appliance.dimse.pdu import Fragment, Pdu, PduInvalidError
from appliance.dimse.stream import MAX_COMMAND_BYTES, MAX_DISCARDED_BYTES

# A response of the ordinary kind has 150 bytes.
_RAW_BYTES = 256


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """A C-STORE-RSP as received: `status` None where there is none; `matches` says that it names our message and instance.

    `raw` is its command set in hexadecimal digits, cut, for answers that nobody understands.
    """

    status: int | None
    comment: str
    offending: tuple[int, ...]
    sop_instance_uid: str
    message_id: int | None
    matches: bool
    raw: str = ""


class ResponseReader:
    """The responses of one association."""

    def __init__(self) -> None:
        """Expect a response."""
        self._command = bytearray()
        self._discarding = False
        self._discarded = 0

    def take(self, unit: Pdu) -> CommandSet | None:
        """Return the response that `unit` completes, None while it is incomplete. Raises `PduInvalidError`, `CommandSetInvalidError`."""
        complete: CommandSet | None = None
        for fragment in pdu.fragments(unit.body):
            if not fragment.is_command:
                self._discard(fragment)
                continue
            self._command += fragment.data
            if len(self._command) > MAX_COMMAND_BYTES:
                raise PduInvalidError("a command set longer than 64 KiB")
            if fragment.is_last:
                command = commands.decode_command(self._command)
                self._command.clear()
                self._discarding, self._discarded = command.has_data_set, 0
                # hostile-inputs.md row 69.
                complete = complete or command
        return complete

    def _discard(self, fragment: Fragment) -> None:
        self._discarded += len(fragment.data)
        if not self._discarding or self._discarded > MAX_DISCARDED_BYTES:
            raise PduInvalidError("a data set that belongs to no response")
        self._discarding = not fragment.is_last


def read_store_response(response: CommandSet, message_id: int, sop_instance_uid: str) -> StoreResponse:
    """Return what a response to our C-STORE of `message_id` and `sop_instance_uid` says."""
    answered_id = response.number(commands.MESSAGE_ID_RESPONDED_TO)
    answered_uid = response.text(commands.AFFECTED_SOP_INSTANCE_UID)
    is_response = response.number(commands.COMMAND_FIELD) == commands.C_STORE_RQ | commands.RESPONSE
    return StoreResponse(
        status=response.number(commands.STATUS),
        comment=response.text(commands.ERROR_COMMENT)[: commands.ERROR_COMMENT_CHARACTERS],
        offending=response.tags(commands.OFFENDING_ELEMENT),
        sop_instance_uid=answered_uid,
        message_id=answered_id,
        matches=is_response and answered_id == message_id and answered_uid in {"", sop_instance_uid},
        raw=b"".join(_head(*one) + one[1] for one in response.elements.items())[:_RAW_BYTES].hex(),
    )


def _head(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value))
