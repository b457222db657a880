"""Why a destination cannot be reached, or is not to be trusted, in words. Pure.

Promises: the words are those of an operator and hold nothing that a peer sent.
Failures: none.
Limits: what follows from it is for `verdict`, what to do about it for `remedies`.
Standard: semantics.md 1.3; hostile-inputs.md rows 61, 62 and 81.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNREACHABLE: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("name", "name"): "its host name is not known",
        ("connect", "refused"): "nothing listens at its address and port (connection refused)",
        ("connect", "timeout"): "its address does not answer",
        ("connect", "unreachable"): "there is no route to its address",
        ("connect", "closed"): "it closes the connection at once",
        ("tls", "timeout"): "it does not finish the TLS handshake",
        ("tls", "closed"): "it closes the connection in the TLS handshake",
        ("tls", "not_tls"): "it does not speak TLS at this port",
    }
)
"""By phase and kind: nobody is there, or nobody who speaks our protocol."""
NOT_TRUSTED: Mapping[str, str] = MappingProxyType(
    {
        "untrusted": "the certificate that the destination shows is not trusted",
        "wrong_name": "the destination shows a certificate for another name",
        "wrong_certificate": "the destination shows another certificate than the one that is configured for it",
        "expired": "the destination's certificate has expired",
        "not_yet_valid": "the destination's certificate is not valid yet, or the box's clock is wrong",
        "client_certificate": "the destination does not accept the box's certificate, or demands one",
        "no_agreement": "the destination and the box find no TLS version, cipher or key in common",
        "own_certificate": "the box's own certificate, key or authorities cannot be used",
    }
)
"""By kind, of the TLS handshake: somebody is there, and a setting on one side or the other stands between."""
NOT_ANSWERED: Mapping[str, str] = MappingProxyType(
    {
        "timeout": "the destination takes the connection but does not answer the association request",
        "closed": "the destination closes the connection instead of answering the association request",
    }
)
"""By kind: the connection was taken, and the association request was not answered."""
