"""Keys and certificates as who manages the box sees and changes them, through the daemon that has them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.config.model import Site
from appliance.keys.generations import ensure_keys
from appliance.keys.recipient import RecipientInvalidError, encode_recipient
from appliance.keys.root import RootKey
from appliance.keys.tls_identity import CertificateMisfitError, create_identity, own_certificate_pem
from appliance.keys.tls_key import tls_password
from appliance.manage.certificates import CertificateDesk, shown_pem
from appliance.manage.sealing_keys import RecoveryDesk, sealing_keys
from appliance.runtime.clock import SystemClock
from appliance.runtime.page_requests import RecoveryRequest
from appliance.runtime.requests import CertificateRequest

ROOT = RootKey(bytes(range(32)))


def test_a_recovery_key_is_set_and_shown(tmp_path: Path) -> None:
    """Its public half stands beside the box's own; blanks around it do not matter."""
    ensure_keys(tmp_path, ROOT)
    escrow = encode_recipient(X25519PrivateKey.generate().public_key().public_bytes_raw())

    before = sealing_keys(tmp_path)
    reply = RecoveryDesk(tmp_path).recovery(RecoveryRequest(f" {escrow}\n"))

    after = sealing_keys(tmp_path)
    assert (before.generation, before.generations, before.recovery) == (1, (1,), None)
    assert (reply.recipient, after.recovery, after.recipient) == (escrow, escrow, before.recipient)


def test_what_is_no_recovery_key_is_refused(tmp_path: Path) -> None:
    """A typing mistake sets nothing: images would be sealed to nobody."""
    ensure_keys(tmp_path, ROOT)

    with pytest.raises(RecipientInvalidError):
        RecoveryDesk(tmp_path).recovery(RecoveryRequest("age1typo"))

    assert sealing_keys(tmp_path).recovery is None


def test_a_signed_certificate_is_installed_by_the_daemon(tmp_path: Path) -> None:
    """What fits the key is in use at once; what is for another key changes nothing."""
    names = ("vinh-ct",)
    create_identity(tmp_path, tls_password(ROOT), names, now=time.time())
    pem = own_certificate_pem(tmp_path)
    other = tmp_path / "other"
    create_identity(other, tls_password(ROOT), names, now=time.time())
    desk = CertificateDesk(tmp_path, ROOT, Site, SystemClock())

    reply = desk.certificate(CertificateRequest(install=pem))
    with pytest.raises(CertificateMisfitError):
        desk.certificate(CertificateRequest(install=own_certificate_pem(other)))

    assert (reply.pem, reply.names) == (pem, names)
    assert shown_pem(tmp_path, Site()) == pem
