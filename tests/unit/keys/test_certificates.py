"""Certificates as plain values: what peers show, whatever they wrote into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.keys.certificates import CertificateUnreadableError, facts_of, read_certificates
from tests.support.certificates import Authority


def test_a_certificate_says_who_when_and_which(tmp_path: Path) -> None:
    """Subject, issuer, serial number, names and fingerprint are those that OpenSSL would print."""
    issued = Authority(tmp_path).issue("ct1", names=("ct1.example.org", "10.0.0.7", "fd00::7"))

    (facts,) = read_certificates(issued.certificate.read_bytes())

    assert (facts.subject, facts.issuer) == ("CN=ct1", "CN=Hospital CA")
    assert facts.names == ("ct1.example.org", "10.0.0.7", "fd00::7")
    assert (facts.sha256, facts.serial) == (issued.sha256, issued.serial)
    assert facts.not_before < facts.not_after


@pytest.mark.parametrize(
    ("names", "name", "fits"),
    [
        (("ct1.example.org",), "CT1.example.org", True),
        (("ct1.example.org",), "ct1.example.org.", True),
        (("ct1.example.org",), "ct1", False),
        (("*.example.org",), "ct1.example.org", False),
        (("10.0.0.7",), "10.0.0.7", True),
        (("fd00::7",), "fd00:0:0::7", True),
        ((), "device", True),
        (("ct1.example.org",), "device", False),
    ],
)
def test_a_name_fits_as_a_whole(tmp_path: Path, names: tuple[str, ...], name: str, *, fits: bool) -> None:
    """Capitals and ways to write an address do not count; wildcards and a common name beside other names do not fit."""
    issued = Authority(tmp_path).issue("device", names=names)

    (facts,) = read_certificates(issued.certificate.read_bytes())

    assert facts.is_named(name) is fits


def test_a_peers_words_stay_one_short_line(tmp_path: Path) -> None:
    """A subject with line ends and escape sequences is escaped and cut, so that it can stand in a log."""
    issued = Authority(tmp_path).issue("x")
    forged = x509.load_pem_x509_certificate(issued.certificate.read_bytes()).public_bytes(Encoding.DER)
    # A common name of the same length that no tool would write.
    forged = forged.replace(b"\x0c\x01x", b"\x0c\x01\n")

    facts = facts_of(forged)

    assert facts.subject == "CN=\\n"


def test_what_cannot_be_read_still_has_its_fingerprint() -> None:
    """A certificate that this program cannot read, and OpenSSL took all the same, is known by its bytes and by nothing else."""
    facts = facts_of(b"no certificate")

    assert len(facts.sha256) == 64
    assert (facts.subject, facts.names) == ("", ())
    assert not facts.is_named("")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff" * 64])
def test_a_file_without_a_certificate_is_refused(content: bytes) -> None:
    """What is no certificate is said to be none."""
    with pytest.raises(CertificateUnreadableError):
        read_certificates(content)
