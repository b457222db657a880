"""How the box says to a web server who it is: the values of Authorization headers.

Promises: a secret that cannot stand in a header is refused before anything is sent; no error repeats it, and what a server says is not kept
where it does.
Failures: `CredentialsUnusableError` (operator).
Limits: none.
Standard: RFC 6750 2.1 (bearer), RFC 7617 (basic, in UTF-8).
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from appliance.core.errors import ApplianceError, Fault

# RFC 6750 2.1: b64token.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class CredentialsUnusableError(ApplianceError):
    """A token, user or password cannot be sent."""

    fault = Fault.OPERATOR


def bearer(token: str) -> str:
    """Return the header's value for a token; spaces and line ends around it are not part of it. Raises `CredentialsUnusableError`."""
    text = token.strip()
    if not _TOKEN.fullmatch(text):
        raise CredentialsUnusableError("what should be a bearer token is none")
    return f"Bearer {text}"


def basic(user: str, password: str) -> str:
    """Return the header's value for a user. Raises `CredentialsUnusableError`."""
    if ":" in user or not user.isprintable() or not password.isprintable():
        raise CredentialsUnusableError("the user or the password holds a character that cannot be sent")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def reveals(text: bytes, authorization: str) -> bool:
    """Say whether a server's words hold the token, the password, or the header `authorization` in which they went, however escaped."""
    kind, _, token = authorization.partition(" ")
    secrets = [token.encode()]
    if kind == "Basic":
        secrets.append(base64.b64decode(token).partition(b":")[2])
    forms = (text, text.replace(b"\\", b""), unquote_to_bytes(text))
    return any(secret and secret in form for secret in secrets for form in forms)
