"""Secrets that somebody typed: each in a file of its own, as decision 0023 wants them.

Promises: when `keep_secret` returns, the secret is durable in a file that only its owner can read, under a name that nothing had before;
it is in no message. What no destination names is removed by `forget_unused`, once it is a day old.
Failures: `SecretUnusableError` (operator) for what can be none, `SecretUnwritableError` for a disk that does not take it.
Limits: none of the files of other folders is touched.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from appliance.config.model import Site
from appliance.config.private_file import write_private_file
from appliance.config.secret_files import LARGEST_BYTES, SECRET_KEYS
from appliance.core.errors import ApplianceError, Fault

# Whoever types a password and tests it saves the same day.
_UNUSED_S = 86400.0
# More are not tried out in a day.
_MOST_FILES = 200


class SecretUnusableError(ApplianceError):
    """What was typed can be no secret."""

    fault = Fault.OPERATOR


class SecretUnwritableError(ApplianceError):
    """The box cannot keep the secret."""

    advice = "Is the disk full? `dicom-edge status` says how much is free."


def secrets_folder(data: Path) -> Path:
    """Return where typed secrets are kept."""
    return data.absolute() / "secrets"


def keep_secret(data: Path, secret: str) -> str:
    """Keep a secret and return the path of its file. Raises `SecretUnusableError`, `SecretUnwritableError`."""
    # Browsers end lines as the network does; a private key that is pasted must end with one.
    text = secret.replace("\r\n", "\n").strip("\n")
    try:
        content = f"{text}\n".encode()
    except UnicodeEncodeError:
        raise SecretUnusableError("this is no text", advice="Type it again.") from None
    if not text.strip() or "\0" in text:
        raise SecretUnusableError("this is blank", advice="Type it again.")
    if len(content) > LARGEST_BYTES:
        raise SecretUnusableError("this is longer than 64 KiB", advice="This cannot be a password, a token or a key.")
    folder = secrets_folder(data)
    if len(_files(folder)) >= _MOST_FILES:
        raise SecretUnusableError("too many secrets were typed and not used", advice="Try again tomorrow.")
    path = folder / secrets.token_hex(8)
    try:
        write_private_file(path, content)
    except OSError as error:
        raise SecretUnwritableError(f"the secret cannot be kept ({error.strerror})") from None
    return str(path)


def forget_unused(data: Path, site: Site, now: float) -> None:
    """Remove what was typed before yesterday and is no destination's. Never raises."""
    used = {getattr(destination, key, None) for destination in site.destinations for key in SECRET_KEYS}
    for path in _files(secrets_folder(data)):
        with contextlib.suppress(OSError):
            if str(path) not in used and now - path.stat().st_mtime > _UNUSED_S:
                path.unlink()


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
