"""The TLS side of the door: its sockets, the context that the configuration in force asks for, and what of a handshake stands in the log.

Promises: nothing of TLS happens where calls are accepted; the context is looked up in the association's own thread, so that a renewed
certificate or a new generation counts for the next caller.
Failures: `TlsMaterialUnusableError` (operator) where the files of [tls] cannot be used; the caller is closed, the others are served.
Limits: addresses and ports need a restart, like every listener.
Standard: PS3.15 B.12 and B.13.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.config.model import Tls
from appliance.dimse.tls import Check, Contexts, Credentials, Profile, Recipe, Secured, named_credentials
from appliance.dimse.tls_socket import SecureConnection, TlsSocket
from appliance.dimse.upper_layer import Connection


class SecureDoor:
    """Which listening sockets speak TLS, and how."""

    def __init__(
        self,
        sockets: Sequence[socket.socket] = (),
        settings: Callable[[], Tls] = Tls,
        own: Credentials | None = None,
    ) -> None:
        """Speak TLS on `sockets` as `settings` say at the moment of a call; `own` is the identity where they name no files."""
        self.sockets = tuple(sockets)
        self._settings = settings
        self._own = own
        self._contexts = Contexts()

    def connection(self, listener: socket.socket, sock: socket.socket, progress_s: float) -> Connection:
        """Return the connection of a call that came in at `listener`. Nothing is waited for here."""
        if listener in self.sockets:
            return SecureConnection(TlsSocket(sock, self.context, server_name=None), progress_s=progress_s)
        return Connection(sock, progress_s=progress_s)

    def context(self) -> ssl.SSLContext:
        """Return the context for a call that comes now. Raises `TlsMaterialUnusableError`."""
        settings = self._settings()
        demands = settings.client_certificates == "required"
        recipe = Recipe(
            is_acceptor=True,
            profile=Profile(settings.profile),
            check=Check.CERTIFICATE if demands else Check.NOTHING,
            credentials=named_credentials(settings.certificate, settings.key) or self._own,
            authorities=tuple(map(Path, settings.authorities)) if demands else (),
        )
        return self._contexts.get(recipe)


def tls_fields(secured: Secured | None) -> dict[str, str]:
    """Return what the log says of a handshake; nothing of a call in plain."""
    if secured is None:
        return {}
    fields = {"tls": secured.version, "cipher": secured.cipher}
    if secured.certificate is not None:
        fields |= {"certificate": secured.certificate.subject, "certificate_serial": secured.certificate.serial}
    return fields
