"""What a daemon opens with its keys: the spool, the ledger, the digest key; composition shared by all of them.

Promises: each function reads only the secret it needs; a receiver under the supervisor gets its digest key without the
root key ever being in its process.
Failures: those of `keys.root`, `ledger.database` and `spool.store`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.dimse.tls import Credentials
    from appliance.keys.root import RootKey
    from appliance.ledger.database import Ledger
    from appliance.retain.snapshot import Snapshots
    from appliance.runtime.service import Service
    from appliance.spool.store import Spool

# systemd's own name for the directory with a unit's credentials (systemd.exec(5)).
_CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
# A memory file with the digest key, inherited from the supervisor, so that the receiver never reads the root key.
DIGEST_VARIABLE = "DICOM_EDGE_DIGEST_FD"
DIGEST_BYTES = 32
# Likewise with what opens the box's own TLS key, and nothing else.
TLS_VARIABLE = "DICOM_EDGE_TLS_FD"
_TLS_BYTES = 64
# Likewise, for the pages: the key of the accounts, then what signs cookies.
ACCOUNTS_VARIABLE = "DICOM_EDGE_ACCOUNTS_FD"
ACCOUNTS_BYTES = 64


def root_key(data: Path) -> RootKey:
    """Return the root key from the unit's credentials or the data directory. Raises what `keys.root.load_root` raises."""
    from appliance.keys.root import load_root

    credentials = os.environ.get(_CREDENTIALS_VARIABLE)
    return load_root(data, Path(credentials) if credentials else None)


def ledger_key(root: RootKey) -> bytes:
    """Return the key of the ledger."""
    from appliance.keys.derive import Label, derive

    return derive(root.material, Label.LEDGER)


def snapshots(data: Path, root: RootKey, *, reserve_bytes: int = 0) -> Snapshots:
    """Return the snapshots of the ledger; `reserve_bytes` are left free on their disk."""
    from appliance.retain.snapshot import Snapshots
    from appliance.runtime.clock import SystemClock

    return Snapshots(data, ledger_key(root), SystemClock(), reserve_bytes=reserve_bytes)


def serve_ledger(data: Path, root: RootKey, service: Service) -> Ledger | None:
    """Return the ledger, waiting while it is rebuilt, or None when the daemon is told to stop meanwhile.

    From then on the daemon ends by itself when the ledger is to be rebuilt, or was replaced: whoever supervises starts it again.
    """
    from appliance.ledger.database import await_ledger
    from appliance.ledger.watch import LedgerWatch

    ledger = await_ledger(data, ledger_key(root), service.stopping)
    if ledger is not None:
        LedgerWatch(data, ledger, service.stop, service.stopping).start()
    return ledger


def private_spool(data: Path, root: RootKey) -> Spool:
    """Return the spool with the keys that open objects, those of later generations included, and seal messages."""
    from appliance.keys.derive import Label, derive
    from appliance.keys.generations import RememberedRecipients
    from appliance.keys.identities import RememberedIdentities
    from appliance.spool.store import Spool

    spool = Spool(
        data,
        recipients=RememberedRecipients(data),
        digest_key=derive(root.material, Label.DIGEST),
        identities=RememberedIdentities(data, root),
    )
    spool.prepare()
    return spool


def own_tls(data: Path) -> Credentials:
    """Return the box's own TLS identity, with what opens its key: inherited as the digest key is, derived from the root key otherwise."""
    from appliance.dimse.tls import Credentials
    from appliance.keys.tls_key import identity_path, tls_password

    inherited_file = os.environ.get(TLS_VARIABLE)
    password = os.pread(int(inherited_file), _TLS_BYTES, 0) if inherited_file is not None else tls_password(root_key(data))
    return Credentials(identity_path(data), password=password)


def digest_key(data: Path) -> bytes:
    """Return the key of the digests in names: inherited where the supervisor gave it, derived from the root key otherwise."""
    from appliance.keys.derive import Label, derive

    inherited_file = os.environ.get(DIGEST_VARIABLE)
    if inherited_file is not None:
        return os.pread(int(inherited_file), DIGEST_BYTES, 0)
    return derive(root_key(data).material, Label.DIGEST)


def accounts_keys(data: Path) -> tuple[bytes, bytes]:
    """Return the key of the accounts and what signs cookies: inherited as the digest key is, derived from the root key otherwise."""
    inherited_file = os.environ.get(ACCOUNTS_VARIABLE)
    both = os.pread(int(inherited_file), ACCOUNTS_BYTES, 0) if inherited_file is not None else accounts_secret(root_key(data))
    return both[: ACCOUNTS_BYTES // 2], both[ACCOUNTS_BYTES // 2 :]


def accounts_secret(root: RootKey) -> bytes:
    """Return the key of the accounts and, behind it, what signs cookies: what the pages inherit."""
    from appliance.keys.derive import Label, derive

    return derive(root.material, Label.ACCOUNTS) + derive(root.material, Label.COOKIE)
