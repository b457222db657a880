"""Generations of the pair that seals objects: the public half in clear for whoever receives, the private half wrapped by the root key.

Promises: `active_recipients` needs no secret, so the process that faces the network holds none; a generation file is durable when
`create_generation` returns and is never replaced; `unlock` gives back a private key only if it was wrapped by this root for that very
generation and recipient.
Failures: `RootKeyForeignError` (root.py), `KeyGenerationMissingError`, `KeyGenerationDamagedError`, `RecipientInvalidError` (all operator).
Limits: without the root key nobody can tell a generation file that an intruder replaced; `unlock` of the other daemons does, and refuses.
Standard: RFC 8439 (ChaCha20-Poly1305) for wrapping; C2SP age for the recipient's text.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.derive import Label, derive
from appliance.keys.keyfile import keys_directory, write_key_file
from appliance.keys.recipient import RecipientInvalidError, decode_recipient, encode_recipient
from appliance.keys.root import RootKey, RootKeyForeignError
from appliance.runtime.clock import Clock, SystemClock

RECOVERY_FILE = "recovery.recipient"

_FILE_NAME = re.compile(r"generation-([1-9][0-9]{0,8})\.json")
_NONCE_LENGTH = 12
# Nonce, X25519 private key, Poly1305 tag.
_WRAPPED_LENGTH = _NONCE_LENGTH + 32 + 16


class KeyGenerationMissingError(ApplianceError):
    """There is no key generation, so nothing can be sealed."""

    fault = Fault.OPERATOR
    advice = "Start the box once with its root key: the first start makes generation 1. If there was one, restore the keys directory."


class KeyGenerationDamagedError(ApplianceError):
    """A key generation file is not what this program wrote."""

    fault = Fault.OPERATOR
    advice = "Restore the keys directory from the backup of this box."


@dataclass(frozen=True, slots=True)
class Recipients:
    """To whom objects are sealed: the box's public key of `generation`, and the hospital's recovery key where one is set."""

    generation: int
    box: bytes
    recovery: bytes | None

    @property
    def all(self) -> tuple[bytes, ...]:
        """The public keys, the box's first."""
        return (self.box,) if self.recovery is None else (self.box, self.recovery)


@dataclass(frozen=True, slots=True)
class _Generation:
    number: int
    recipient: str
    wrapped: bytes

    @property
    def associated(self) -> bytes:
        """What the wrapping is bound to, so that a private key cannot be passed off as another generation's."""
        return f"dicom-edge/1/generation/{self.number}/{self.recipient}".encode("ascii")


def active_recipients(data: Path) -> Recipients:
    """Return to whom new objects are sealed: the highest generation, and the recovery key.

    Reads two small files; whoever seals often keeps the answer. Raises `KeyGenerationMissingError`, `KeyGenerationDamagedError`,
    `RecipientInvalidError`, and `OSError` where a file may not be read.
    """
    numbers = generation_numbers(data)
    if not numbers:
        raise KeyGenerationMissingError(f"there is no key generation in {keys_directory(data)}")
    newest = _read(data, numbers[-1])
    recovery_text = recovery(data)
    return Recipients(newest.number, decode_recipient(newest.recipient), None if recovery_text is None else decode_recipient(recovery_text))


class RememberedRecipients:
    """`active_recipients` for whoever seals often: read again only when something in the keys directory was replaced.

    Threads may share it; at worst two of them read the same files.
    """

    def __init__(self, data: Path) -> None:
        """Remember nothing yet."""
        self._data = data
        self._known: tuple[int, Recipients] | None = None

    def __call__(self) -> Recipients:
        """Return to whom new objects are sealed. Raises what `active_recipients` raises."""
        # Key files are only ever made or renamed into place, which changes the directory's own time.
        changed = keys_directory(self._data).stat().st_mtime_ns
        known = self._known
        if known is None or known[0] != changed:
            known = self._known = (changed, active_recipients(self._data))
        return known[1]


def create_generation(data: Path, root: RootKey, *, clock: Clock | None = None) -> int:
    """Make the next key pair, durably, and return its number; what is sealed from now on is sealed to it. Raises `OSError`."""
    numbers = generation_numbers(data)
    number = numbers[-1] + 1 if numbers else 1
    private = X25519PrivateKey.generate()
    recipient = encode_recipient(private.public_key().public_bytes_raw())
    unwrapped = _Generation(number, recipient, b"")
    nonce = os.urandom(_NONCE_LENGTH)
    wrapped = nonce + _wrapping(root).encrypt(nonce, private.private_bytes_raw(), unwrapped.associated)
    created = datetime.fromtimestamp((clock or SystemClock()).now().wall, UTC).isoformat(timespec="seconds")
    content = {"generation": number, "recipient": recipient, "wrapped": base64.b64encode(wrapped).decode("ascii"), "created": created}
    write_key_file(_path(data, number), json.dumps(content, indent=1).encode("ascii") + b"\n", must_be_new=True)
    return number


def unlock(data: Path, root: RootKey) -> dict[int, bytes]:
    """Return every generation's 32-byte private key.

    Raises `RootKeyForeignError` when one was wrapped by another root, `KeyGenerationDamagedError` when a file is not readable as one.
    """
    return {number: unlock_generation(data, root, number) for number in generation_numbers(data)}


def unlock_generation(data: Path, root: RootKey, number: int) -> bytes:
    """Return the 32-byte private key of one generation. Raises what `unlock` raises, and `FileNotFoundError` where there is none."""
    generation = _read(data, number)
    nonce, sealed = generation.wrapped[:_NONCE_LENGTH], generation.wrapped[_NONCE_LENGTH:]
    try:
        private = _wrapping(root).decrypt(nonce, sealed, generation.associated)
    except InvalidTag:
        raise RootKeyForeignError(f"the root key does not open {_path(data, number)}") from None
    if encode_recipient(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()) != generation.recipient:
        raise KeyGenerationDamagedError(f"the two halves of {_path(data, number)} do not belong together")
    return private


def generation_numbers(data: Path) -> list[int]:
    """Return the numbers of the generations that are there, rising. Reads names only."""
    try:
        names = [path.name for path in keys_directory(data).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(_FILE_NAME.fullmatch, names) if match)


def ensure_keys(data: Path, root: RootKey) -> None:
    """Make generation 1 where there is none; otherwise prove that this root opens what is there (errors as `unlock`)."""
    if not unlock(data, root):
        create_generation(data, root)


def set_recovery(data: Path, recipient_text: str) -> None:
    """Seal what comes from now on to the hospital's recovery key too. Raises `RecipientInvalidError`, and `OSError`."""
    text = recipient_text.strip()
    decode_recipient(text)
    write_key_file(keys_directory(data) / RECOVERY_FILE, text.encode("ascii") + b"\n")


def recovery(data: Path) -> str | None:
    """Return the recovery key's `age1…` text, or None where none is set. Raises `RecipientInvalidError`.

    Lines that begin with `#` are comments, as in the files of the age tools.
    """
    path = keys_directory(data) / RECOVERY_FILE
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise RecipientInvalidError(f"{path} does not hold one recipient")
    decode_recipient(lines[0])
    return lines[0]


def _wrapping(root: RootKey) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive(root.material, Label.WRAP))


def _path(data: Path, number: int) -> Path:
    return keys_directory(data) / f"generation-{number}.json"


def _read(data: Path, number: int) -> _Generation:
    path = _path(data, number)
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        generation = _Generation(content["generation"], content["recipient"], base64.b64decode(content["wrapped"], validate=True))
        decode_recipient(generation.recipient)
    except (ValueError, KeyError, TypeError, AttributeError, RecipientInvalidError):
        raise KeyGenerationDamagedError(f"{path} is not a key generation") from None
    if generation.number != number or len(generation.wrapped) != _WRAPPED_LENGTH:
        raise KeyGenerationDamagedError(f"{path} is not the key generation that its name says")
    return generation
