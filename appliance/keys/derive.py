"""Sub-keys: one 32-byte key for each purpose, all from the root key, none telling anything about another.

Promises: the same root and label always give the same key; pure.
Failures: `ValueError` for a root of another length than 32 bytes (a defect of the caller).
Limits: a label is for ever: changing one makes what it protects unreadable, so the labels carry a version.
Standard: RFC 5869 (HKDF with SHA-256, no salt, the label as info).
"""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# AES-256, ChaCha20 and keyed BLAKE3 all take 32 bytes, and so does SQLCipher's raw key.
KEY_LENGTH = 32


class Label(StrEnum):
    """What a derived key is for."""

    LEDGER = "dicom-edge/1/ledger"
    SECRETS = "dicom-edge/1/secrets"
    DIGEST = "dicom-edge/1/digest"
    WRAP = "dicom-edge/1/wrap"
    TLS = "dicom-edge/1/tls"
    ACCOUNTS = "dicom-edge/1/accounts"
    COOKIE = "dicom-edge/1/cookie"


def derive(root: bytes, label: Label) -> bytes:
    """Return the 32-byte key of `label` under `root`."""
    if len(root) != KEY_LENGTH:
        raise ValueError("a root key has 32 bytes")
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=label.value.encode("ascii")).derive(root)
