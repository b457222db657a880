"""Small messages of any service but C-STORE: a command set and the data set that comes with it, put together from units. Pure.

Promises: messages come out whole and in order, also where one unit carries several; a data set is kept up to the limit that was set.
Failures: `PduInvalidError`, `CommandSetInvalidError` (peer) for what cannot be put together.
Limits: objects do not pass here: they are streamed (`stream`, `association`).
Standard: PS3.7 6.3, PS3.8 annex E.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.dimse import commands, pdu
from appliance.dimse.commands import CommandSet
from appliance.dimse.pdu import Fragment, Pdu, PduInvalidError
from appliance.dimse.stream import MAX_COMMAND_BYTES


@dataclass(frozen=True, slots=True)
class Message:
    """A message as received; `data_set` is empty where there is none."""

    context_id: int
    command: CommandSet
    data_set: bytes


class MessageReader:
    """The messages of one association."""

    def __init__(self, largest: int) -> None:
        """Keep data sets of at most `largest` bytes; a longer one is the peer's fault."""
        self._largest = largest
        self._context_id: int | None = None
        self._bytes = bytearray()
        self._command: CommandSet | None = None
        self._complete: deque[Message] = deque()

    def next(self) -> Message | None:
        """Return the next message that is whole, or None when more must be read for it."""
        return self._complete.popleft() if self._complete else None

    def take(self, unit: Pdu) -> None:
        """Take in a P-DATA-TF. Raises `PduInvalidError`, `CommandSetInvalidError`."""
        for fragment in pdu.fragments(unit.body):
            if fragment.context_id != (self._context_id or fragment.context_id):
                raise PduInvalidError("a message changes its context")
            if fragment.is_command is (self._command is not None):
                raise PduInvalidError("command set and data set are mixed up")
            self._context_id = fragment.context_id
            self._add(fragment)

    def _add(self, fragment: Fragment) -> None:
        self._bytes += fragment.data
        if len(self._bytes) > (MAX_COMMAND_BYTES if fragment.is_command else self._largest):
            raise PduInvalidError("a message is longer than it may be here")
        if not fragment.is_last:
            return
        content = bytes(self._bytes)
        self._bytes.clear()
        if self._command is not None:
            self._end(self._command, content)
            return
        command = commands.decode_command(content)
        if command.has_data_set:
            self._command = command
        else:
            self._end(command, b"")

    def _end(self, command: CommandSet, data_set: bytes) -> None:
        if self._context_id is not None:
            self._complete.append(Message(self._context_id, command, data_set))
        self._context_id, self._command = None, None


def data_set_pdus(context_id: int, data_set: bytes, max_length: int) -> Iterator[bytes]:
    """Yield the units that carry a data set, which is not empty, to a peer that takes units of `max_length`."""
    room = max_length - pdu.FRAGMENT_HEAD_BYTES
    for at in range(0, len(data_set), room):
        yield pdu.data_pdu(context_id, data_set[at : at + room], is_command=False, is_last=at + room >= len(data_set))
