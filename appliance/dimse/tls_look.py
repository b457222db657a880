"""A look at what a TLS server offers, whether or not it can be trusted: for whoever has to mend what does not agree.

Promises: nothing is sent but a handshake, and nothing that comes is believed; old protocols and ciphers are asked for too, so that a server
that has nothing better is seen with what it has.
Failures: none; what cannot be seen is None.
Limits: a server that demands a certificate shows its own in TLS 1.2 and 1.3, and then hangs up.
"""

from __future__ import annotations

import socket
import ssl
import warnings

from appliance.dimse.failures import PeerUnreachableError
from appliance.dimse.reach import connect
from appliance.dimse.tls import Secured
from appliance.keys.certificates import facts_of


def look(host: str, port: int, timeout_s: float) -> Secured | None:
    """Return what a server offers to somebody who takes everything, None where no handshake comes about."""
    try:
        with connect(host, port, timeout_s) as sock:
            return _look(sock, host, timeout_s)
    except (PeerUnreachableError, OSError, ValueError):
        return None


def _look(sock: socket.socket, host: str, timeout_s: float) -> Secured | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Python warns of versions that nobody should use; this is to see who uses them.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    sock.settimeout(timeout_s)
    with context.wrap_socket(sock, server_hostname=host) as secure:
        certificate, cipher = secure.getpeercert(binary_form=True), secure.cipher()
        shown = None if certificate is None else facts_of(certificate)
        return Secured(secure.version() or "", cipher[0] if cipher is not None else "", shown)
