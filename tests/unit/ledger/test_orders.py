"""An order as bytes: what was written is read, what is not an order is refused, and any DICOM reader can open it."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from appliance.ledger import orders
from appliance.ledger.orders import DeliveryKey, Order, OrderDamagedError, OrderVerb, decode_order, encode_order
from appliance.ledger.vocabulary import Cause

REASON = "PLANTEDREASON, the wrong \u2018patient\u2019"


def an_order(verb: OrderVerb = OrderVerb.CANCEL, reason: str = REASON, count: int = 2) -> Order:
    """Return an order about `count` deliveries."""
    keys = (DeliveryKey(f"{number:032x}", "archive", Cause.RESEND, f"{number + 1:032x}") for number in range(count))
    return Order(verb, "anna", reason, 1_709_208_000.25, 7, tuple(keys))


@pytest.mark.parametrize("verb", OrderVerb)
@pytest.mark.parametrize("reason", ["", "x", "xy", REASON])
def test_what_was_written_is_read(verb: OrderVerb, reason: str) -> None:
    """Every field of an order comes back, whatever the length of its text."""
    order = an_order(verb, reason)

    assert decode_order(encode_order(order)) == order


def test_an_order_is_a_data_set() -> None:
    """The content is one private text element in a reserved block, which an independent reader finds."""
    data_set = pydicom.dcmread(BytesIO(_part10(encode_order(an_order()))))

    block = data_set.private_block(0x0009, "DICOM EDGE ORDER")
    assert block[0x01].VR == "UT"
    assert '"verb":"cancel"' in block[0x01].value
    assert len(data_set) == 2


def test_a_full_order_is_small() -> None:
    """As many deliveries as an order may name fit well below the bound."""
    assert len(encode_order(an_order(count=orders.MOST_KEYS))) < orders.MAX_ORDER_BYTES / 8


def test_the_reason_is_not_shown() -> None:
    """An order in a log or an exception does not say what a person wrote."""
    assert "PLANTEDREASON" not in repr(an_order())


def _other_version(data: bytes) -> bytes:
    return data.replace(b'"v":1', b'"v":2')


@pytest.mark.parametrize(
    "damage",
    [
        lambda _data: b"",
        lambda data: data[:10],
        lambda data: data[:-2],
        lambda data: data + b"  ",
        lambda data: data.replace(b"LO", b"SH"),
        lambda data: data.replace(b'"cancel"', b'"delete"'),
        lambda data: data.replace(b'"anna"', b"123456"),
        lambda data: data.replace(b'"deliveries":[', b'"deliverieX":['),
        lambda data: data.replace(b'"resend"', b'"person"'),
        lambda data: data.replace(b'{"v"', b'["v"'),
        _other_version,
    ],
)
def test_what_is_no_order_is_refused(damage: object) -> None:
    """Bytes that are not a whole order of this version are refused without repeating any of them."""
    assert callable(damage)
    data = damage(encode_order(an_order()))

    with pytest.raises(OrderDamagedError) as caught:
        decode_order(data)

    assert "PLANTED" not in str(caught.value)


def test_a_newer_version_says_so() -> None:
    """An order of a newer version is refused with the advice to install that."""
    with pytest.raises(OrderDamagedError) as caught:
        decode_order(_other_version(encode_order(an_order())))

    assert caught.value.advice == "Install the newer version."


def _part10(data_set: bytes) -> bytes:
    syntax = ExplicitVRLittleEndian.encode() + b"\0"
    group = b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    return bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00" + len(group).to_bytes(4, "little") + group + data_set
