"""Why a TLS handshake failed, in words of its own: what OpenSSL reports, as one of a few kinds with a text.

Promises: every failure has a kind and a text; the text holds OpenSSL's own constant words at most, never a peer's.
Failures: none of its own.
Limits: in TLS 1.2 a peer that demands a certificate and one that shares no cipher with us may answer alike.
Standard: RFC 8446 6 (alerts); X509_verify_cert results of OpenSSL.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from appliance.dimse.failures import Unreachable
from appliance.dimse.upper_layer import ConnectionLostError


class TlsRefusedError(ConnectionLostError):
    """A handshake failed; `kind` says how."""

    def __init__(self, kind: Unreachable, message: str) -> None:
        """Keep the kind."""
        super().__init__(message)
        self.kind = kind


class NotTlsError(OSError):
    """What came is not TLS; `looks_like` says what it is."""

    def __init__(self, looks_like: str) -> None:
        """Keep what it looks like."""
        super().__init__(f"what came is not TLS but looks like {looks_like}")
        self.looks_like = looks_like


# Results of OpenSSL's certificate verification (openssl-verification-options(1), x509_vfy.h).
_VERIFICATION: Mapping[int, tuple[Unreachable, str]] = {
    9: (Unreachable.NOT_YET_VALID, "the certificate is not valid yet"),
    10: (Unreachable.EXPIRED, "the certificate has expired"),
    62: (Unreachable.WRONG_NAME, "the certificate is for another name"),
    64: (Unreachable.WRONG_NAME, "the certificate is for another address"),
}
# What a peer says when it does not like, or misses, our certificate.
_ABOUT_OURS: Mapping[str, str] = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it demands a certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it calls our certificate bad",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not support our certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "it denies access to our certificate",
}
_NO_AGREEMENT: Mapping[str, str] = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refuses the handshake: no protocol or cipher in common, or a certificate is demanded",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no TLS version in common",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common: 1.2 is the least",
    "VERSION_TOO_LOW": "no TLS version in common: 1.2 is the least",
    "NO_PROTOCOLS_AVAILABLE": "no TLS version in common",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": "no cipher in common that is strong enough for the peer",
    "NO_SHARED_CIPHER": "no cipher in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no signature algorithm in common",
    "NO_SUITABLE_KEY_SHARE": "no elliptic curve in common",
    "WRONG_SIGNATURE_TYPE": "the peer's signature is of a kind that is not accepted",
    "DH_KEY_TOO_SMALL": "the peer's keys are too short",
    "EE_KEY_TOO_SMALL": "the peer's certificate has a key that is too short",
    "CA_KEY_TOO_SMALL": "the peer's authority has a key that is too short",
    "CA_MD_TOO_WEAK": "the peer's certificate is signed with a hash that is too weak",
}
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL")


def refused(error: OSError) -> TlsRefusedError:
    """Return what the end of a handshake means."""
    kind, words = _meaning(error)
    return TlsRefusedError(kind, words)


def about_late_alert(cause: BaseException | None) -> TlsRefusedError | None:
    """Return what an alert means that came instead of an answer, None for another cause.

    In TLS 1.3 a client is done before the server has looked at its certificate.
    """
    if not isinstance(cause, ssl.SSLError) or cause.reason not in _ABOUT_OURS:
        return None
    return refused(cause)


def _meaning(error: OSError) -> tuple[Unreachable, str]:
    if isinstance(error, NotTlsError):
        return Unreachable.NOT_TLS, str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFICATION.get(error.verify_code) or (Unreachable.UNTRUSTED, _untrusted(error))
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Unreachable.CLOSED, "the peer closed the connection in the handshake"
    reason = error.reason or ""
    if reason in _ABOUT_OURS:
        return Unreachable.CLIENT_CERTIFICATE, _ABOUT_OURS[reason]
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Unreachable.UNTRUSTED, "the peer shows no certificate, and one is demanded"
    if reason in _NOT_TLS:
        return Unreachable.NOT_TLS, "what came is not TLS"
    return Unreachable.NO_AGREEMENT, _NO_AGREEMENT.get(reason, f"the handshake failed ({reason or 'no reason given'})")


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    return f"the certificate is not trusted ({error.verify_message})"
