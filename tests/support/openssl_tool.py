"""`openssl s_client` and `s_server`: a client that offers what nobody should offer any more, and a server that takes it.

Promises: both ignore the machine's own OpenSSL settings, so that old protocols and weak ciphers are really offered and taken.
Failures: `pytest.skip` or `pytest.fail` (CI) without the tool; `AssertionError` where the server does not come up.
Limits: what the tool was built without (in Debian: SSLv2, SSLv3, RC4, DES, export, compression) cannot be offered.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support import dcmtk
from tests.support.certificates import Authority, Identity
from tests.support.eventually import eventually

EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
_CURVES = "X25519:P-256:P-384:P-521:secp224r1"
_ENVIRONMENT = os.environ | {"OPENSSL_CONF": os.devnull}
_PERMISSIONS = ("-cipher", EVERYTHING, "-groups", _CURVES, "-client_renegotiation")
_S = 30.0


def agreed(port: int, *options: str, typed: str = "") -> str:
    """Return the cipher suite that a handshake with these options of `s_client` led to, "" where it was refused."""
    output = talk(port, *options, typed=typed)
    found = re.search(r"^New, \S+, Cipher is (\S+)$", output, re.MULTILINE)
    return found[1] if found is not None and found[1] != "(NONE)" else ""


def talk(port: int, *options: str, typed: str = "") -> str:
    """Return everything that `s_client` prints, with `typed` as its input."""
    dcmtk.require("openssl")
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
        input=typed,
        capture_output=True,
        text=True,
        errors="replace",
        env=_ENVIRONMENT,
        timeout=_S,
        check=False,
    )
    return result.stdout + result.stderr


def signed_with_sha1(authority: Authority, name: str) -> Identity:
    """Return an identity whose certificate is signed with SHA-1, which the library that the tests use refuses to do."""
    dcmtk.require("openssl")
    identity = Identity(authority.directory / f"{name}.pem", authority.directory / f"{name}.key")
    request = authority.directory / f"{name}.csr"
    make = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", str(identity.key), "-out", str(request))
    sign = ("x509", "-req", "-sha1", "-days", "9", "-CA", str(authority.path), "-CAkey", str(authority.key_path), "-set_serial", "7")
    for command in (make, (*sign, "-in", str(request), "-out", str(identity.certificate))):
        # `req` wants settings of its own, which the machine has.
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=_S)
    return identity


class PermissiveServer:
    """`openssl s_server` that takes every protocol and cipher suite that it was built with."""

    def __init__(self, directory: Path, rsa: Identity, ec: Identity, *options: str, only_rsa: bool = False) -> None:
        """Prepare, with a certificate of either kind, and more options of the tool."""
        self._options = options
        self._only_rsa = only_rsa
        self._log = directory / "s_server.log"
        self._rsa = rsa
        self._ec = ec
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that the kernel chose."""
        found = re.search(r"^ACCEPT \S*:(\d+)$", self._log.read_text(encoding="utf-8"), re.MULTILINE)
        return int(found[1]) if found is not None else 0

    def __enter__(self) -> Self:
        """Start, and return when it listens."""
        dcmtk.require("openssl")
        certificates: Sequence[str] = (
            *("-cert", str(self._rsa.certificate), "-key", str(self._rsa.key)),
            *(() if self._only_rsa else ("-dcert", str(self._ec.certificate), "-dkey", str(self._ec.key))),
            *self._options,
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["openssl", "s_server", "-accept", "127.0.0.1:0", *_PERMISSIONS, *certificates],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
            )
        eventually(lambda: self.port, within=10, message="s_server to listen")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
