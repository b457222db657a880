"""How a destination is called over TLS: its settings and those of the box, as what an association asks for.

Promises: a destination with a pin is sent nothing unless it shows that very certificate; one without is sent nothing unless an authority
vouches for its certificate and for its name. Renewed files count for the next association.
Failures: none here; files that cannot be used are the failure of the association that needs them.
Limits: with a pin neither authority, name nor dates count: the pin is the trust.
Standard: PS3.15 B.12 and B.13; RFC 6125.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from appliance.config.model import DicomDestination, StowDestination, Tls
from appliance.dimse.tls import Check, Contexts, Credentials, Profile, Recipe, TlsRequest, named_credentials


class OutgoingTls:
    """Makes what associations with destinations need. Threads may share it."""

    def __init__(self, own: Credentials | None = None) -> None:
        """Show `own` where the settings name no certificate and a destination asks for one."""
        self._own = own
        self._contexts = Contexts()

    def request(self, destination: DicomDestination, settings: Tls) -> TlsRequest | None:
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

        name = expected.name if expected is not None and expected.name else str(destination.host)
        return TlsRequest(self._context_of(recipe), name, pin)

    def web_request(self, destination: StowDestination, settings: Tls) -> TlsRequest | None:
        """Return how to speak TLS with a web service, None where its address begins with http."""
        address = urlsplit(destination.url)
        if address.scheme != "https":
            return None
        recipe = Recipe(
            is_acceptor=False,
            profile=Profile(settings.profile),
            check=Check.CERTIFICATE_AND_NAME,
            credentials=named_credentials(destination.certificate, destination.key),
            authorities=tuple(map(Path, destination.authorities or settings.authorities)),
        )
        return TlsRequest(self._context_of(recipe), urlsplit(f"https://{destination.authority}").hostname or "")

    def _context_of(self, recipe: Recipe) -> Callable[[], ssl.SSLContext]:
        return lambda: self._contexts.get(recipe)
