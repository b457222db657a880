"""Where destinations of other kinds than DICOM are, and what they are known by: web addresses, users, paths, host keys. Pure.

Promises: no password, token or key hides in a value: what is secret is in a file that a path names.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: whether a file is there, and is nobody else's to read, is for `secret_files`.
Standard: a host key's fingerprint is SHA-256 in base64 without padding, as `ssh-keygen -l` prints it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator

from appliance.config.problem import kind_of, quoted, refusal

_URL_CHARACTERS = 2048
# RFC 3986: what may stand in an address without being escaped; a space or an accent is a typing mistake.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_URL_ADVICE = 'Write the address as the server\'s settings do, for example "https://pacs.example.org/dicom-web".'
# No sign that means something to a shell: nothing here runs one, but the server at the other end may.
_USER = re.compile(r"(?!-)[^\s:/@;|&$`<>(){}\"'*?!]{1,64}")
_PATH_CHARACTERS = 1024
_FINGERPRINT_PREFIX = "SHA256:"
_FINGERPRINT_BYTES = 32
_HOST_KEY_ADVICE = 'Write what `ssh-keygen -lf KEY.pub` prints on the server: "SHA256:" and 43 letters and digits.'
_PATH_ADVICE = 'Put the secret alone into a file, chmod 600, and write its whole path, for example "/etc/dicom-edge/archive.secret".'


def _read_url(value: object) -> str:
    """Return a web address without user, query and closing slash, or refuse."""
    if not isinstance(value, str):
        raise refusal(f"must be a web address in quotes, not {kind_of(value)}", _URL_ADVICE)
    text = value.strip(" ").rstrip("/")
    if "@" in text:
        # Not shown: what stands before the @ may be a password.
        raise refusal("holds a user or a password", "Leave the part up to the @ away; user and password_file have their own keys.")
    if len(text) > _URL_CHARACTERS or not _URL.fullmatch(text):
        raise refusal(f"{quoted(text)} is not a web address", _URL_ADVICE)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise refusal(f"{quoted(text)} is not a web address", _URL_ADVICE) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise refusal(f"{quoted(text)} does not begin with https:// or http:// and a name", _URL_ADVICE)
    if parts.query or parts.fragment:
        raise refusal(f"{quoted(text)} holds a ? or #", _URL_ADVICE)
    return text


def _read_proxy(value: object) -> str:
    """Return the address of an HTTP proxy, name and port, or refuse."""
    advice = 'Write name and port of the proxy, for example "http://proxy.example.org:3128".'
    text = _read_url(value)
    parts = urlsplit(text)
    if parts.scheme != "http" or parts.port is None or parts.path:
        raise refusal(f"{quoted(text)} is not name and port of an HTTP proxy", advice)
    return text


def _read_user(value: object) -> str:
    """Return the name of an account, or refuse."""
    advice = 'Write the name of the account at the destination, for example "dicom-edge".'
    if not isinstance(value, str):
        raise refusal(f"must be a user's name in quotes, not {kind_of(value)}", advice)
    if not _USER.fullmatch(value) or not value.isprintable():
        raise refusal(f"{quoted(value)} is not the name of a user", advice)
    return value


def _read_host_key(value: object) -> str:
    """Return the fingerprint of a host key in the one spelling that `ssh-keygen` has, or refuse."""
    if not isinstance(value, str):
        raise refusal(f"must be a fingerprint in quotes, not {kind_of(value)}", _HOST_KEY_ADVICE)
    text = value.strip(" ")
    if not text.startswith(_FINGERPRINT_PREFIX):
        raise refusal(f"{quoted(value)} does not begin with {_FINGERPRINT_PREFIX}", _HOST_KEY_ADVICE)
    digits = text.removeprefix(_FINGERPRINT_PREFIX).rstrip("=")
    try:
        digest = base64.b64decode(digits + "=", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _FINGERPRINT_BYTES:
        raise refusal(f"{quoted(value)} is not a fingerprint", _HOST_KEY_ADVICE)
    return _FINGERPRINT_PREFIX + digits


def _read_secret_file(value: object) -> str:
    if not isinstance(value, str):
        raise refusal(f"must be the path of a file in quotes, not {kind_of(value)}", _PATH_ADVICE)
    if not value.startswith("/"):
        # Not shown: who mistakes the key may have written the secret itself.
        raise refusal("is not the whole path of a file", _PATH_ADVICE)
    return _checked_path(value, _PATH_ADVICE)


def _read_folder_path(value: object) -> str:
    advice = 'Write the whole path of the folder, for example "/mnt/archive".'
    if not isinstance(value, str):
        raise refusal(f"must be the path of a folder in quotes, not {kind_of(value)}", advice)
    if not value.startswith("/") or not value.strip("/"):
        raise refusal(f"{quoted(value)} is not the whole path of a folder", advice)
    return _checked_path(value.rstrip("/"), advice)


def _read_remote_path(value: object) -> str:
    advice = 'Write the path of the folder at the destination, for example "incoming" or "/srv/dicom".'
    if not isinstance(value, str) or not value:
        raise refusal(f"must be the path of a folder in quotes, not {kind_of(value)}", advice)
    return _checked_path(value.rstrip("/") or "/", advice)


def _checked_path(text: str, advice: str) -> str:
    """Return `text` if it can be a path that means one place only; refuse it otherwise."""
    if len(text) > _PATH_CHARACTERS or not text.isprintable() or ".." in text.split("/"):
        raise refusal(f"{quoted(text)} cannot be the path of a place of its own", advice)
    return text


Url = Annotated[str, PlainValidator(_read_url)]
"""A web address, without closing slash."""
Proxy = Annotated[str, PlainValidator(_read_proxy)]
"""The address of an HTTP proxy."""
UserName = Annotated[str, PlainValidator(_read_user)]
"""An account at a destination."""
HostKey = Annotated[str, PlainValidator(_read_host_key)]
"""The fingerprint of an SSH server's key."""
SecretFile = Annotated[str, PlainValidator(_read_secret_file)]
"""The path of a file that holds a secret and nothing else."""
FolderPath = Annotated[str, PlainValidator(_read_folder_path)]
"""The whole path of a folder of this machine."""
RemotePath = Annotated[str, PlainValidator(_read_remote_path)]
"""The path of a folder at a destination."""
