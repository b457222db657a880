"""The root key: the one secret from which everything else on the box can be opened.

Promises: it is read from the service manager's credential, or in development from `keys/root.key` that only its owner can read; a new one
is never made while anything exists that an older one protects.
Failures: `RootKeyMissingError`, `RootKeyUnreadableError`, `RootKeyExistsError` (operator), each with what to do. `RootKeyForeignError` is
raised where it shows, in `generations`.
Limits: a Python process cannot wipe memory; whoever reads the memory of a daemon that holds the root has it.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.derive import KEY_LENGTH
from appliance.keys.keyfile import keys_directory, write_key_file

CREDENTIAL = "dicom-edge.root"
ROOT_FILE = "root.key"

_HEX = re.compile(rb"[0-9a-fA-F]{64}\n?")
# 64 hexadecimal digits and a line end; one more byte tells a longer file.
_LONGEST = 66


class RootKeyMissingError(ApplianceError):
    """There is no root key, and nothing may be done without it."""

    fault = Fault.OPERATOR
    advice = "Put back the root key of this box from its backup: a new one cannot open what the old one sealed."


class RootKeyUnreadableError(ApplianceError):
    """The root key is there and cannot be used."""

    fault = Fault.OPERATOR
    advice = "The root key is 64 hexadecimal digits on one line, in a file that only the service's user may read (chmod 600)."


class RootKeyExistsError(ApplianceError):
    """A root key was to be made and there is one."""

    fault = Fault.OPERATOR
    advice = "Use the root key that is there."


class RootKeyForeignError(ApplianceError):
    """The root key is not the one that protects this data directory."""

    fault = Fault.OPERATOR
    advice = "This data directory belongs to another root key: put back its own, or point the box at its own data directory."


@dataclass(frozen=True, slots=True)
class RootKey:
    """The 32 bytes; they never show in a representation."""

    material: bytes = field(repr=False)


def load_root(data: Path, credentials: Path | None) -> RootKey:
    """Return the root key.

    `credentials` is the service manager's directory for this daemon, or None; without the credential in it the file `keys/root.key` under
    `data` counts. Raises `RootKeyMissingError` and `RootKeyUnreadableError`.
    """
    if credentials is not None and (credentials / CREDENTIAL).exists():
        # The service manager guards its credentials with access lists that look like group bits: the mode says nothing there.
        return _read(credentials / CREDENTIAL, private=False)
    return _read(keys_directory(data) / ROOT_FILE, private=True)


def create_root(data: Path) -> RootKey:
    """Make a new root key in `keys/root.key` and return it; it is on the disk when this returns.

    Raises `RootKeyMissingError` while `data` holds sealed objects, a key generation, a ledger or accounts, which a new key could never
    open, and `RootKeyExistsError` where there is a root key.
    """
    path = keys_directory(data) / ROOT_FILE
    if path.exists():
        raise RootKeyExistsError(f"{path} exists")
    protected = next(_protected(data), None)
    if protected is not None:
        raise RootKeyMissingError(f"the root key {path} is missing, and {protected} needs it")
    root = RootKey(secrets.token_bytes(KEY_LENGTH))
    try:
        write_key_file(path, root.material.hex().encode("ascii") + b"\n", must_be_new=True)
    except FileExistsError:
        raise RootKeyExistsError(f"{path} exists") from None
    return root


def _read(path: Path, *, private: bool) -> RootKey:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise RootKeyMissingError(f"the root key {path} is missing") from None
    except OSError as error:
        raise RootKeyUnreadableError(f"the root key {path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RootKeyUnreadableError(f"the root key {path} is not a file")
        if private and stat.S_IMODE(status.st_mode) & 0o077:
            raise RootKeyUnreadableError(f"the root key {path} can be read by others than its owner", advice=f"chmod 600 {path}")
        content = os.read(descriptor, _LONGEST)
    except OSError as error:
        raise RootKeyUnreadableError(f"the root key {path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if not _HEX.fullmatch(content):
        raise RootKeyUnreadableError(f"the root key {path} is not 64 hexadecimal digits")
    return RootKey(bytes.fromhex(content.decode("ascii")))


def _protected(data: Path) -> Iterator[str]:
    """Yield what a lost root key protects, in words, as found."""
    if (data / "ledger" / "ledger.db").exists():
        yield "the ledger"
    if (data / "accounts" / "accounts.db").exists():
        yield "the database of accounts"
    if any(keys_directory(data).glob("generation-*.json")):
        yield "a key generation"
    for _, _, files in os.walk(data / "spool"):
        if files:
            yield "a sealed object"
