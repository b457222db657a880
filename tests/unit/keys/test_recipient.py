"""Keys as text: published pairs in both directions, and every kind of wrong text refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.core.errors import Fault
from appliance.keys.recipient import (
    IdentityInvalidError,
    RecipientInvalidError,
    decode_identity,
    decode_recipient,
    encode_identity,
    encode_recipient,
)

# The identity of the published age test vectors, and what the age tools say is its recipient.
IDENTITY = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"
RECIPIENT = "age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef"


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def test_a_published_identity_reads_and_writes_back() -> None:
    """The vectors' identity decodes to 32 bytes that encode to the same text."""
    private = decode_identity(IDENTITY)

    assert (len(private), encode_identity(private)) == (32, IDENTITY)


def test_a_published_recipient_reads_and_writes_back() -> None:
    """The vectors' recipient is the public half of their identity."""
    public = decode_recipient(RECIPIENT)

    assert (_public(decode_identity(IDENTITY)), RECIPIENT) == (public, encode_recipient(public))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age",
        RECIPIENT[:-1],
        RECIPIENT + "q",
        RECIPIENT.upper(),
        RECIPIENT.replace("age1", "agf1"),
        RECIPIENT[:10] + ("q" if RECIPIENT[10] != "q" else "p") + RECIPIENT[11:],
        RECIPIENT[:10] + "b" + RECIPIENT[11:],
        " " + RECIPIENT,
        RECIPIENT[:20] + RECIPIENT[20:].upper(),
        "ssh-ed25519 AAAA",
        # A valid checksum over 31 bytes.
        "age1" + "q" * 50 + "ar9jk6",
    ],
)
def test_what_is_not_a_recipient_is_refused(text: str) -> None:
    """A wrong prefix, character, checksum, case or length is the operator's error."""
    with pytest.raises(RecipientInvalidError) as refused:
        decode_recipient(text)

    assert refused.value.fault == Fault.OPERATOR


def test_a_private_key_given_as_recipient_is_named_and_not_repeated() -> None:
    """Whoever pastes the private half learns what it is, and it stands in no message."""
    with pytest.raises(RecipientInvalidError, match="private key") as refused:
        decode_recipient(IDENTITY)

    assert IDENTITY[20:40] not in str(refused.value) + refused.value.advice


@pytest.mark.parametrize("point", [bytes(32), bytes([1]) + bytes(31)])
def test_a_point_of_low_order_is_no_recipient(point: bytes) -> None:
    """A key that would make every seal fail is refused where it is entered."""
    text = encode_recipient(point)

    with pytest.raises(RecipientInvalidError, match="low order"):
        decode_recipient(text)


@pytest.mark.parametrize("text", ["", IDENTITY.lower(), IDENTITY[:-1], RECIPIENT, IDENTITY.replace("1E", "1F")])
def test_what_is_not_an_identity_is_refused(text: str) -> None:
    """A private key is read only as the age tools write it."""
    with pytest.raises(IdentityInvalidError):
        decode_identity(text)


def test_only_32_bytes_are_a_key() -> None:
    """Encoding another length is a defect of the caller."""
    with pytest.raises(ValueError, match="32 bytes"):
        encode_recipient(bytes(31))
