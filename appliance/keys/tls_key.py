"""Where the box's own TLS key lies, and what opens it: all that a daemon needs that shakes hands (see `tls_identity` for the rest).

Promises: the password opens that one key and nothing else; the root key cannot be found from it.
Failures: none; the file may be missing.
Limits: none known.
"""

from __future__ import annotations

from pathlib import Path

from appliance.keys.derive import Label, derive
from appliance.keys.keyfile import keys_directory
from appliance.keys.root import RootKey

_FILE = "tls.pem"


def identity_path(data: Path) -> Path:
    """Return where the identity lies: the encrypted key, its certificate and the chain above it."""
    return keys_directory(data) / _FILE


def tls_password(root: RootKey) -> bytes:
    """Return what opens the private key of the identity; it opens nothing else."""
    return derive(root.material, Label.TLS).hex().encode("ascii")
