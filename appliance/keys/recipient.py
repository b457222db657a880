"""X25519 keys as text: `age1…` for the public half, `AGE-SECRET-KEY-1…` for the private half, as the age tools read and write them.

Promises: what `encode_…` writes, `decode_…` and the `age` command read; a recipient that decodes can be sealed to. Pure.
Failures: `RecipientInvalidError` and `IdentityInvalidError` (operator); neither repeats the text, which may be a private key.
Limits: only X25519 keys; plugin, SSH and post-quantum recipients are refused.
Standard: C2SP age, section "X25519 recipient stanza"; BIP 173 for Bech32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from appliance.core.errors import ApplianceError, Fault

KEY_LENGTH = 32
RECIPIENT_PREFIX = "age"
IDENTITY_PREFIX = "age-secret-key-"

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
# BIP 173: the generator of the checksum's code.
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH = 6
# Any scalar shows a point of low order: clamping makes it a multiple of 8, which takes each of them to zero.
_PROBE = X25519PrivateKey.from_private_bytes(bytes([1]) * KEY_LENGTH)


class RecipientInvalidError(ApplianceError):
    """A text is not an age X25519 recipient."""

    fault = Fault.OPERATOR
    advice = "A recipient is one line that begins with age1; `age-keygen -y FILE` prints it from the private half."


class IdentityInvalidError(ApplianceError):
    """A text is not an age X25519 identity."""

    fault = Fault.OPERATOR
    advice = "An identity is one line that begins with AGE-SECRET-KEY-1."


def encode_recipient(public: bytes) -> str:
    """Return the `age1…` text of a 32-byte public key."""
    return _bech32(RECIPIENT_PREFIX, public)


def encode_identity(private: bytes) -> str:
    """Return the `AGE-SECRET-KEY-1…` text of a 32-byte private key."""
    return _bech32(IDENTITY_PREFIX, private).upper()


def decode_recipient(text: str) -> bytes:
    """Return the 32-byte public key that `text` spells. Raises `RecipientInvalidError`."""
    if text.upper().startswith(IDENTITY_PREFIX.upper()):
        raise RecipientInvalidError(
            "this is a private key, not a recipient", advice="Keep it away from this box: only the age1… line belongs here."
        )
    public = _unbech32(RECIPIENT_PREFIX, text) if text == text.lower() else None
    if public is None or len(public) != KEY_LENGTH:
        raise RecipientInvalidError("the recipient is not an age1… line, or was copied incompletely")
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise RecipientInvalidError("the recipient is a point of low order, to which nothing can be sealed") from None
    return public


def decode_identity(text: str) -> bytes:
    """Return the 32-byte private key that `text` spells. Raises `IdentityInvalidError`."""
    private = _unbech32(IDENTITY_PREFIX, text.lower()) if text == text.upper() else None
    if private is None or len(private) != KEY_LENGTH:
        raise IdentityInvalidError("the identity is not an AGE-SECRET-KEY-1… line, or was copied incompletely")
    return private


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            checksum ^= term if top >> bit & 1 else 0
    return checksum


def _expanded(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _regrouped(values: Iterable[int], width: int, to: int) -> Iterator[int]:
    """Yield the same bits in groups of `to`; bits that do not fill the last group are yielded on their own, shifted up."""
    bits = held = 0
    for value in values:
        bits, held = bits << width | value, held + width
        while held >= to:
            held -= to
            yield bits >> held & (1 << to) - 1
        bits &= (1 << held) - 1
    if held:
        yield bits << to - held & (1 << to) - 1


def _bech32(prefix: str, payload: bytes) -> str:
    if len(payload) != KEY_LENGTH:
        raise ValueError("an X25519 key has 32 bytes")
    values = list(_regrouped(payload, 8, 5))
    checksum = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM_LENGTH]) ^ 1
    values += [checksum >> 5 * (_CHECKSUM_LENGTH - 1 - place) & 31 for place in range(_CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(_ALPHABET[value] for value in values)


def _unbech32(prefix: str, text: str) -> bytes | None:
    """Return the payload, or None where the prefix, a character, the checksum or the padding is wrong."""
    head, separator, tail = text.rpartition("1")
    if not separator or head != prefix or len(tail) < _CHECKSUM_LENGTH or any(character not in _VALUES for character in tail):
        return None
    values = [_VALUES[character] for character in tail]
    if _polymod([*_expanded(prefix), *values]) != 1:
        return None
    values = values[:-_CHECKSUM_LENGTH]
    whole, spare = divmod(len(values) * 5, 8)
    regrouped = bytes(_regrouped(values, 5, 8))
    # BIP 173: the padding is shorter than a character and zero.
    if spare >= 5 or any(regrouped[whole:]):  # noqa: PLR2004 - a character has five bits
        return None
    return regrouped[:whole]
