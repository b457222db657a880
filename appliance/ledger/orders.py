"""An operator's order as the content of a sealed message object: which deliveries, what is to become of them, who says so. Pure.

An order is sealed before the ledger follows it, so that a ledger that is lost does not lose it. It names deliveries by what stays the same
in a rebuilt ledger: the reception id of the object, the destination, the cause.

Promises: `decode_order(encode_order(order)) == order`. The content is a DICOM data set (explicit VR little endian) with one private
element, so that the opened object is a Part 10 file like every other.
Failures: `OrderDamagedError` for bytes that are no order of ours, or that a newer version wrote.
Limits: at most `MOST_KEYS` deliveries an order; more are several orders.
Standard: PS3.5 7.1.2 (explicit VR) and 7.8 (private elements); the JSON is versioned, see docs/formats.md.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid
from appliance.ledger.vocabulary import Cause

# A UID derived from a UUID (PS3.5 B.2), made once and never changed: what marks a message object as an order.
ORDER_CLASS_UID = Uid("2.25.339951121565982587725079363259688289053")
ORDER_SYNTAX_UID = Uid("1.2.840.10008.1.2.1")
ORDER_VERSION = 1

# One transaction applies an order while other writers wait: 250 rows are about 20 ms (house.md section 6).
MOST_KEYS = 250
# 250 keys are 50 KiB.
MAX_ORDER_BYTES = 1 << 20

_CREATOR = b"DICOM EDGE ORDER"
# (0009,0010) LO reserves the block 10xx for the creator; (0009,1001) UT holds the JSON.
_HEAD = struct.pack("<HH2sH", 0x0009, 0x0010, b"LO", len(_CREATOR)) + _CREATOR + struct.pack("<HH2sH", 0x0009, 0x1001, b"UT", 0)
_LENGTH = struct.Struct("<L")


class OrderVerb(StrEnum):
    """What is to become of deliveries."""

    HOLD = "hold"
    """Wait until a person releases them."""
    RELEASE = "release"
    """Held ones, whatever holds them, are tried now."""
    RETRY = "retry"
    """What waits for a time, or for a change of settings, is tried now."""
    CANCEL = "cancel"
    """Nothing is owed any more."""
    RESEND = "resend"
    """What the box has is owed again: the keys name objects and destinations, and the order's own id is the reference of their cause."""

    @property
    def is_sealed(self) -> bool:
        """Say whether the order must outlive the ledger. A retry that is forgotten costs time and nothing else."""
        return self is not OrderVerb.RETRY


@dataclass(frozen=True, slots=True, order=True)
class DeliveryKey:
    """Which delivery, in words that a rebuilt ledger understands; `object_id` is the reception id of the instance's object."""

    object_id: str
    destination_id: str
    cause: Cause = Cause.ROUTE
    cause_ref: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody ordered. `who` is a user's name, `at` wall time (UTC); orders are followed by `sequence`, because clocks step.

    With a `destination_id` it is about the destination and no delivery: hold pauses it, until a moment (wall time) if one is given, and
    release resumes it.
    """

    verb: OrderVerb
    who: str
    reason: str = field(repr=False)
    at: float
    sequence: int
    keys: tuple[DeliveryKey, ...]
    destination_id: str = ""
    until: float | None = None


class OrderDamagedError(ApplianceError):
    """A sealed order cannot be understood."""


def encode_order(order: Order) -> bytes:
    """Return the data set that holds the order."""
    content: dict[str, Any] = {
        "v": ORDER_VERSION,
        "verb": order.verb.value,
        "who": order.who,
        "reason": order.reason,
        "at": order.at,
        "sequence": order.sequence,
        "deliveries": [[key.object_id, key.destination_id, key.cause.value, key.cause_ref] for key in order.keys],
    }
    if order.destination_id:
        content |= {"destination": order.destination_id, "until": order.until}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
    # PS3.5 6.2: text is padded with a space to even length.
    text += b" " * (len(text) % 2)
    return _HEAD + _LENGTH.pack(len(text)) + text


def decode_order(data: bytes) -> Order:
    """Return the order in a data set. Raises `OrderDamagedError`, which repeats nothing of it."""
    start = len(_HEAD) + _LENGTH.size
    if not data.startswith(_HEAD) or len(data) < start or _LENGTH.unpack_from(data, len(_HEAD))[0] != len(data) - start:
        raise OrderDamagedError("a sealed order does not begin like one of ours")
    try:
        content: dict[str, Any] = json.loads(data[start:])
        if content["v"] != ORDER_VERSION:
            raise OrderDamagedError("a sealed order was written by another version of this program", advice="Install the newer version.")
        return Order(
            OrderVerb(content["verb"]),
            _text(content["who"]),
            _text(content["reason"]),
            float(content["at"]),
            int(content["sequence"]),
            tuple(
                DeliveryKey(_text(object_id), _text(destination), Cause(cause), _text(ref))
                for object_id, destination, cause, ref in content["deliveries"]
            ),
            _text(content.get("destination", "")),
            None if content.get("until") is None else float(content["until"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise OrderDamagedError("a sealed order is damaged") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
