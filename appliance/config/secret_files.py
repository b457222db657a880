"""Files that hold one secret each: read where it is used, and looked at when a configuration is checked.

Promises: what `read_secret` returns is held by a regular file that nobody but its owner can read; a secret is in no message.
Failures: `SecretFileError` (operator).
Limits: the box does not seal these files: whoever takes the disk has them, unless the disk is encrypted (decision 0023).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.config.model import Site
from appliance.config.problem import Problem, printable
from appliance.core.errors import ApplianceError, Fault

# A private key of 16,384 bits has 13 KiB.
LARGEST_BYTES = 1 << 16
"""The most that a secret may have."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ROOT = 0

SECRET_KEYS = ("password_file", "token_file", "key_file")
"""The keys of destinations that name such files."""


class SecretFileError(ApplianceError):
    """A file that should hold a secret cannot be used."""

    fault = Fault.OPERATOR


def read_secret(path: str) -> str:
    """Return the secret in the file, without the line break at its end. Raises `SecretFileError`."""
    shown = printable(path)
    try:
        # O_NONBLOCK: a named pipe must not hold the box up; it is refused below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SecretFileError(f"there is no file {shown}", advice="Check the path, and that the file is on this machine.") from None
    except OSError as error:
        advice = f"It must belong to the user that runs the box: chown it, and chmod 600 {shown}."
        raise SecretFileError(f"{shown} cannot be read ({error.strerror})", advice=advice) from None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise SecretFileError(f"{shown} is not a file", advice="Name the file itself.")
        # Root, who checks a configuration for the box's own user, does not know which one that is.
        if os.geteuid() != _ROOT and facts.st_uid not in {os.geteuid(), _ROOT}:
            raise SecretFileError(f"{shown} belongs to another user", advice="It must belong to the user that runs the box, or to root.")
        if facts.st_mode & _OTHERS:
            raise SecretFileError(f"{shown} can be read or changed by other users", advice=f"chmod 600 {shown}")
        try:
            content = file.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise SecretFileError(f"{shown} cannot be read ({error.strerror})", advice="Check the disk.") from None
    return _text_of(content, shown)


def secret_file_problems(site: Site) -> Iterator[Problem]:
    """Find files of destinations that cannot be used as they are."""
    for index, destination in enumerate(site.destinations):
        for key in SECRET_KEYS:
            path = getattr(destination, key, None)
            if path is None:
                continue
            try:
                read_secret(path)
            except SecretFileError as error:
                yield Problem(f"destination[{index}].{key}", str(error), error.advice)


def own_file_problems(site: Site, data: Path) -> Iterator[Problem]:
    """Find secrets of destinations that are the box's own files: whoever may set destinations up must not send its keys to one of them.

    Only `DATA/secrets`, where what somebody typed is kept, is for that.
    """
    home, typed = data.resolve(), data.resolve() / "secrets"
    for index, destination in enumerate(site.destinations):
        for key in SECRET_KEYS:
            path = getattr(destination, key, None)
            # As the file system has it: no link and no .. leads around this.
            where = None if path is None else Path(path).resolve()
            if where is not None and where.is_relative_to(home) and not where.is_relative_to(typed):
                advice = "Put the destination's secret in a file outside of the box's data directory."
                yield Problem(f"destination[{index}].{key}", f"{printable(str(path))} belongs to the box itself", advice)


def _text_of(content: bytes, shown: str) -> str:
    """Return what the file says, or refuse what can be no secret."""
    if len(content) > LARGEST_BYTES:
        raise SecretFileError(f"{shown} is larger than 64 KiB", advice="This cannot be a secret: check the path.")
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        # Not chained: the error would carry the content.
        raise SecretFileError(f"{shown} is not UTF-8 text", advice="Save the file again with the encoding UTF-8.") from None
    if not text:
        raise SecretFileError(f"{shown} is empty", advice="Put the secret into it.")
    return text
