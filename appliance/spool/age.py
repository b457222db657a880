"""age v1 streams: written while the data arrive, read with nothing let through that was not authenticated.

Promises: `SealWriter` holds at most one 64 KiB chunk; what it wrote is an age file when `finish` has returned, and nobody can take it for
one before. `SealReader` returns only authenticated bytes, in order, and never mistakes a truncated file for a whole one.
Failures: `SealFormatError`, `SealForeignError`, `SealDamagedError` (ours: the disk, a restore, an intruder); the file's `OSError` passes.
Limits: X25519 recipients only; other stanzas are skipped, so a passphrase file is foreign. No ASCII armour. A header has at most 64 KiB.
Standard: C2SP age (age-encryption.org/v1); RFC 5869, 7748, 8439.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BufferedIOBase

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.core.errors import ApplianceError

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16

_VERSION_LINE = b"age-encryption.org/v1\n"
_X25519 = b"X25519"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_KEY_BYTES = 32
_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_COLUMNS = 64
# A recipient costs 150 bytes; the reference implementation caps nothing, and a header that never ends must not eat memory.
_MAX_HEADER_BYTES = 64 * 1024
_ZERO_NONCE = bytes(12)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")
_ARGUMENT = re.compile(rb"[\x21-\x7e]+")
_LAST = b"\x01"
_NOT_LAST = b"\x00"


class SealError(ApplianceError):
    """A sealed object cannot be opened."""


class SealFormatError(SealError):
    """This is not an age v1 file, or its header is malformed."""


class SealForeignError(SealError):
    """The object is sealed to other keys than those at hand."""

    advice = "Compare the key generation in the name with `dicom-edge keys show`."


class SealDamagedError(SealError):
    """The object is not what was sealed: changed, cut short or extended."""


class Workspace:
    """Memory for one chunk in clear and one sealed. Fresh memory for each chunk would cost as much as sealing it: the kernel clears it."""

    __slots__ = ("clear", "sealed")

    def __init__(self) -> None:
        """Make the room."""
        self.clear = memoryview(bytearray(CHUNK_BYTES))
        self.sealed = memoryview(bytearray(CHUNK_BYTES + TAG_BYTES))


class SealWriter:
    """Seals a stream to its recipients, chunk by chunk, through a `write` that takes everything it is given before it returns."""

    def __init__(
        self,
        write: Callable[[bytes | memoryview], object],
        recipients: Sequence[bytes],
        *,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Write the header for `recipients` (32-byte X25519 public keys, at least one)."""
        if not recipients:
            raise ValueError("an object is sealed to somebody")
        file_key = entropy(_FILE_KEY_BYTES)
        nonce = entropy(_NONCE_BYTES)
        header = _VERSION_LINE + b"".join(_stanza(file_key, recipient, entropy) for recipient in recipients) + b"---"
        self._write = write
        self._cipher = _payload_cipher(file_key, nonce)
        self._counter = 0
        self._workspace: Workspace | None = None
        self._held = 0
        self._finished = False
        write(header + b" " + _base64(_header_mac(file_key, header)) + b"\n" + nonce)

    def work_in(self, workspace: Workspace) -> None:
        """Seal in `workspace`, which nobody else may use until the stream is finished or given up; without this call, in one of its own."""
        self._workspace = workspace

    def write(self, data: bytes | memoryview) -> None:
        """Seal `data`; up to one chunk of it is held back, because the last chunk is sealed differently."""
        if self._finished:
            raise ValueError("the stream is finished")
        view = memoryview(data)
        clear = self._memory().clear
        start, end = 0, len(view)
        # A full chunk is sealed only when a byte follows it. What lies whole in the caller's buffer is not copied.
        while start < end:
            if self._held == CHUNK_BYTES:
                self._seal(clear, _NOT_LAST)
                self._held = 0
            if not self._held and end - start > CHUNK_BYTES:
                self._seal(view[start : start + CHUNK_BYTES], _NOT_LAST)
                start += CHUNK_BYTES
                continue
            taken = min(CHUNK_BYTES - self._held, end - start)
            clear[self._held : self._held + taken] = view[start : start + taken]
            self._held += taken
            start += taken

    def finish(self) -> None:
        """Seal the last chunk; what was written is a complete age file when this returns."""
        if self._finished:
            raise ValueError("the stream is finished")
        self._finished = True
        self._seal(self._memory().clear[: self._held], _LAST)

    def _memory(self) -> Workspace:
        if self._workspace is None:
            self._workspace = Workspace()
        return self._workspace

    def _seal(self, chunk: memoryview, flag: bytes) -> None:
        sealed = self._memory().sealed[: len(chunk) + TAG_BYTES]
        self._cipher.encrypt_into(self._counter.to_bytes(11, "big") + flag, chunk, None, sealed)
        self._counter += 1
        self._write(sealed)


class SealReader:
    """Opens a sealed stream; the header is read and verified when it is made."""

    def __init__(self, source: BufferedIOBase, identities: Iterable[bytes | Identity], *, workspace: Workspace | None = None) -> None:
        """Find the file key with one of `identities` (32-byte X25519 private keys, or what was made of them) and verify the header.

        `source` stands at the first byte and returns short reads only at its end, as a buffered file does; nobody else may use `workspace`
        while this one is in use. Raises `SealFormatError`, `SealForeignError`, and `SealDamagedError` where the header was changed after
        it was sealed.
        """
        header = _read_header(source)
        file_key = _file_key(header, [identity if isinstance(identity, Identity) else Identity(identity) for identity in identities])
        if not hmac.compare_digest(header.mac, _header_mac(file_key, header.authenticated)):
            raise SealDamagedError("the header of the sealed object was changed")
        nonce = source.read(_NONCE_BYTES)
        if len(nonce) != _NONCE_BYTES:
            raise SealFormatError("the sealed object ends inside its header")
        self._source = source
        self._cipher = _payload_cipher(file_key, nonce)
        self._counter = 0
        self._workspace = workspace or Workspace()
        self._chunk = self._workspace.clear[:0]
        self._position = 0
        self._ended = False
        self._failure: SealDamagedError | None = None

    def read(self, size: int) -> bytes:
        """Return `size` authenticated bytes; fewer only before the end or before damage; `b""` at the authenticated end only.

        Raises `SealDamagedError`, again at every further call. After an `OSError` of the source the reader is of no more use.
        """
        parts: list[bytes] = []
        wanted = size
        while wanted > 0:
            if self._position == len(self._chunk) and not self._advance(may_raise=not parts):
                break
            part = bytes(self._chunk[self._position : self._position + wanted])
            self._position += len(part)
            wanted -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _advance(self, *, may_raise: bool) -> bool:
        """Open the next chunk; False at the end, and before damage that the next call will raise."""
        if self._failure is None:
            try:
                self._chunk, self._position = self._open_chunk(), 0
            except SealDamagedError as error:
                self._failure = error
        if self._failure is None:
            return bool(self._chunk)
        self._chunk, self._position = self._workspace.clear[:0], 0
        if may_raise:
            raise self._failure
        return False

    def _open_chunk(self) -> memoryview:
        if self._ended:
            if self._source.read(1):
                raise SealDamagedError("bytes follow the end of the sealed object")
            return self._workspace.clear[:0]
        length = self._source.readinto(self._workspace.sealed)
        # A short chunk can only be the last one. A full one may be either, and the flag in its nonce tells.
        flags = (_LAST,) if length < CHUNK_BYTES + TAG_BYTES else (_NOT_LAST, _LAST)
        for flag in flags if length >= TAG_BYTES else ():
            chunk = self._workspace.clear[: length - TAG_BYTES]
            try:
                self._cipher.decrypt_into(self._counter.to_bytes(11, "big") + flag, self._workspace.sealed[:length], None, chunk)
            except InvalidTag:
                continue
            if not chunk and self._counter:
                raise SealDamagedError("the sealed object ends in an empty chunk")
            self._counter += 1
            self._ended = flag == _LAST
            return chunk or self._open_chunk()
        raise SealDamagedError(f"chunk {self._counter} of the sealed object is missing or was changed")


class Identity:
    """A private key ready to open objects; making it costs as much as opening one."""

    def __init__(self, private: bytes) -> None:
        """Take 32 bytes of X25519."""
        self.private = X25519PrivateKey.from_private_bytes(private)
        self.public = self.private.public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class _Stanza:
    kind: bytes
    arguments: tuple[bytes, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    stanzas: tuple[_Stanza, ...]
    authenticated: bytes
    mac: bytes


def _read_header(source: BufferedIOBase) -> _Header:
    if source.readline(len(_VERSION_LINE)) != _VERSION_LINE:
        raise SealFormatError("this is not an age v1 file")
    seen = bytearray(_VERSION_LINE)
    stanzas: list[_Stanza] = []

    def next_line() -> bytes:
        line = source.readline(_MAX_HEADER_BYTES - len(seen))
        if not line.endswith(b"\n"):
            raise SealFormatError("the header of the sealed object does not end")
        seen.extend(line)
        return line[:-1]

    while (line := next_line()).startswith(b"-> "):
        words = line[3:].split(b" ")
        if not all(_ARGUMENT.fullmatch(word) for word in words):
            raise SealFormatError("a recipient stanza is malformed")
        body = b""
        while len(part := next_line()) == _COLUMNS:
            body += _unbase64(part)
        if len(part) > _COLUMNS:
            raise SealFormatError("a recipient stanza is malformed")
        stanzas.append(_Stanza(words[0], tuple(words[1:]), body + _unbase64(part)))
    if not stanzas or not line.startswith(b"--- "):
        raise SealFormatError("the header of the sealed object is malformed")
    mac = _unbase64(line[4:])
    if len(mac) != hashlib.sha256().digest_size:
        raise SealFormatError("the header of the sealed object is malformed")
    return _Header(tuple(stanzas), bytes(seen[: -len(line) - 1]) + b"---", mac)


def _file_key(header: _Header, identities: Sequence[Identity]) -> bytes:
    shares = [_share(stanza) for stanza in header.stanzas if stanza.kind == _X25519]
    for share, body in shares:
        for identity in identities:
            wrapping = _wrapping(identity.private, X25519PublicKey.from_public_bytes(share), share + identity.public)
            try:
                return wrapping.decrypt(_ZERO_NONCE, body, None)
            except InvalidTag:
                continue
    raise SealForeignError("the object is sealed to other keys than those at hand")


def _share(stanza: _Stanza) -> tuple[bytes, bytes]:
    """Return the ephemeral share and the wrapped file key; the length is checked before anything is decrypted, as the standard asks."""
    share = _unbase64(stanza.arguments[0]) if len(stanza.arguments) == 1 else b""
    if len(share) != _KEY_BYTES or len(stanza.body) != _FILE_KEY_BYTES + TAG_BYTES:
        raise SealFormatError("an X25519 stanza is malformed")
    return share, stanza.body


def _stanza(file_key: bytes, recipient: bytes, entropy: Callable[[int], bytes]) -> bytes:
    ephemeral = X25519PrivateKey.from_private_bytes(entropy(_KEY_BYTES))
    share = ephemeral.public_key().public_bytes_raw()
    wrapping = _wrapping(ephemeral, X25519PublicKey.from_public_bytes(recipient), share + recipient)
    return b"-> X25519 " + _base64(share) + b"\n" + _base64(wrapping.encrypt(_ZERO_NONCE, file_key, None)) + b"\n"


def _wrapping(private: X25519PrivateKey, public: X25519PublicKey, salt: bytes) -> ChaCha20Poly1305:
    try:
        shared = private.exchange(public)
    except ValueError:
        raise SealFormatError("an X25519 share is a point of low order") from None
    return ChaCha20Poly1305(_derived(shared, salt, _X25519_INFO))


def _payload_cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))


def _header_mac(file_key: bytes, authenticated: bytes) -> bytes:
    return hmac.digest(_derived(file_key, None, b"header"), authenticated, "sha256")


def _derived(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=info).derive(secret)


def _base64(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    """Return the bytes of canonical base64 without padding. Raises `SealFormatError` for anything else."""
    if not _BASE64.fullmatch(text) or len(text) % 4 == 1:
        raise SealFormatError("base64 in the header is malformed")
    raw = base64.b64decode(text + b"=" * (-len(text) % 4))
    if _base64(raw) != text:
        raise SealFormatError("base64 in the header is not canonical")
    return raw
