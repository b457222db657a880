"""Rotating the key pair that seals objects: a new generation, made only by who can open the old ones.

Promises: when `rotate` returns, the new generation is durable and opens with this root key; what is received from now on is sealed to it
(receivers look for themselves), and what was sealed before still opens. When it raises, nothing has changed.
Failures: `RootKeyForeignError` where the root key does not open every generation that is there; `KeyGenerationMissingError` where there is
none to follow; `KeyRotationBusyError` where another rotation was faster; `KeyGenerationDamagedError`; `OSError` of a full or sick disk.
Limits: rotating protects what is received later. Who has an older private key still opens what was sealed to it, until that has left the
box; nothing is sealed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.generations import KeyGenerationMissingError, create_generation, unlock, unlock_generation
from appliance.keys.recipient import encode_recipient
from appliance.keys.root import RootKey, RootKeyForeignError
from appliance.runtime.clock import Clock, SystemClock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


class KeyRotationBusyError(ApplianceError):
    """Two rotations met, and the other one was faster."""

    fault = Fault.OPERATOR
    advice = "Look at `dicom-edge keys show`: there is a new generation already."


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation led to: the numbers before and after, and the new public key as `age1…` text."""

    before: int
    generation: int
    recipient: str


def rotate(data: Path, root: RootKey, *, clock: Clock | None = None) -> Rotated:
    """Make the next generation and return it.

    Every generation is opened first: a new one wrapped by a root that the box does not have would seal images that nobody can ever open.
    """
    try:
        present = unlock(data, root)
    except RootKeyForeignError as error:
        raise RootKeyForeignError(
            f"the keys are not rotated: {error}",
            advice="Nothing was changed. Rotate with the root key of this box, which opens what is there.",
        ) from None
    if not present:
        raise KeyGenerationMissingError("the keys are not rotated: there is no generation yet")
    try:
        generation = create_generation(data, root, clock=clock or SystemClock())
    except FileExistsError:
        raise KeyRotationBusyError("the keys are not rotated: another rotation came first") from None
    # Read back from the disk, so that what is printed for the hospital's records is proven to open.
    private = X25519PrivateKey.from_private_bytes(unlock_generation(data, root, generation))
    log.info("keys.rotated", generation=generation)
    return Rotated(max(present), generation, encode_recipient(private.public_key().public_bytes_raw()))
