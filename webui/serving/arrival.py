"""What a peer has said so far: is it a whole request, never going to be one, or is there more to wait for? Pure.

Promises: whatever is not `MORE` will not wait for the peer's next word in the parser: a head that can never become right is handed over (or
refused) at once, and a body that is short comes with its head.
Failures: none.
Limits: judges how long to wait, not what is right: that is the parser's (`serving.strict`), which sees every byte again.
Standard: RFC 9112 sections 2.2, 3 and 6.
"""

from __future__ import annotations

import re
from enum import Enum, auto

# Cookie, form and path of a page are a few KiB together.
MOST_HEAD_BYTES = 32 << 10
# What comes with its head before a thread is asked: every form, and every request of the API. Longer bodies are read by the thread.
MOST_BODY_AHEAD_BYTES = 64 << 10

_HEAD_END = b"\r\n\r\n"
_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_VERSIONS = (b" HTTP/1.1", b" HTTP/1.0")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class Arrival(Enum):
    """How much of a request has come."""

    MORE = auto()
    """Not all that is to be waited for."""
    WHOLE = auto()
    """A request with its whole body, or something that the parser will refuse without waiting."""
    PART = auto()
    """A request of whose body more is to come."""
    TOO_LARGE = auto()
    """A head that is longer than any of an honest peer."""


def judge(said: bytes | bytearray) -> Arrival:
    """Say how much of a request these bytes are; they begin where it begins."""
    end = said.find(_HEAD_END)
    if end < 0:
        return _without_end(said)
    if end > MOST_HEAD_BYTES:
        return Arrival.TOO_LARGE
    length = _body_length(bytes(said[: end + 2]))
    if length is None or length <= len(said) - end - len(_HEAD_END):
        return Arrival.WHOLE
    return Arrival.MORE if length <= MOST_BODY_AHEAD_BYTES else Arrival.PART


def _without_end(said: bytes | bytearray) -> Arrival:
    if len(said) > MOST_HEAD_BYTES:
        return Arrival.TOO_LARGE
    # A bare LF is an error wherever it stands in a head, and a line of HTTP/0.9 is all that its peer will ever say.
    if said.count(b"\n") != said.count(b"\r\n"):
        return Arrival.WHOLE
    begin = 2 if said[:2] == b"\r\n" else 0
    line, ended, _ = bytes(said[begin:]).partition(b"\r\n")
    return Arrival.WHOLE if ended and not line.endswith(_VERSIONS) else Arrival.MORE


def _body_length(head: bytes) -> int | None:
    """Return how many bytes of a body are to be waited for, None where there are none."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING.findall(head):
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    lengths = fields.get(b"content-length", [])
    if b"transfer-encoding" in fields or len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        # Nothing to read, or framing that the parser refuses.
        return None
    length = int(lengths[0])
    # The peer waits for our word before it sends the body: as good as a long one.
    return max(length, MOST_BODY_AHEAD_BYTES + 1) if length and b"expect" in fields else length
