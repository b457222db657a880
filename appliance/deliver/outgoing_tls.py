"""How a destination is called over TLS: its settings and those of the box, as what an association asks for.

Promises: a destination with a pin is sent nothing unless it shows that very certificate; one without is sent nothing unless an authority
vouches for its certificate and for its name. Renewed files count for the next association.
Failures: none here; files that cannot be used are the failure of the association that needs them.
Limits: with a pin neither authority, name nor dates count: the pin is the trust.
Standard: PS3.15 B.12 and B.13; RFC 6125.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from appliance.config.model import Destination, Tls
from appliance.dimse.tls import Check, Contexts, Credentials, Profile, Recipe, TlsRequest, named_credentials


class OutgoingTls:
    """Makes what associations with destinations need. Threads may share it."""

    def __init__(self, own: Credentials | None = None) -> None:
        """Show `own` where the settings name no certificate and a destination asks for one."""
        self._own = own
        self._contexts = Contexts()

    def request(self, destination: Destination, settings: Tls) -> TlsRequest | None:
        """Return how to speak TLS with a destination, None where it is called in plain."""
        if destination.tls == "off":
            return None
        expected = destination.certificate
        pin = "" if expected is None else expected.sha256
        own = named_credentials(settings.certificate, settings.key) or self._own
        recipe = Recipe(
            is_acceptor=False,
            profile=Profile(settings.profile),
            check=Check.NOTHING if pin else Check.CERTIFICATE_AND_NAME,
            credentials=own if destination.tls == "mutual" else None,
            authorities=() if pin else tuple(map(Path, settings.authorities)),
        )

        def context() -> ssl.SSLContext:
            return self._contexts.get(recipe)

        name = expected.name if expected is not None and expected.name else str(destination.host)
        return TlsRequest(context, name, pin)
