"""The SSH library's reader of packets and its SFTP client, each within bounds and without a word of the server's.

Promises: whoever answers, known or not, is believed no packet and no greeting that would fill the memory; errors hold a status and nothing
else. What the server announced that it can do beyond version 3 is known.
Failures: what the library raises (`SSHException`, `SFTPError`, `OSError`).
Limits: none.
Standard: RFC 4253 4.2 and 6.1; draft-ietf-secsh-filexfer-02 section 4; PROTOCOL of OpenSSH (fsync@openssh.com).
"""

from __future__ import annotations

from typing import Any

from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_INIT,
    CMD_VERSION,
    SFTP_EOF,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
    SFTPError,
)
from paramiko.sftp_client import SFTPClient
from paramiko.sftp_file import SFTPFile
from paramiko.ssh_exception import SSHException

# RFC 4253 6.1 demands 35,000; OpenSSH sends and takes 256 KiB. What stands around it (length, padding, MAC) is much less than the rest.
_MOST_PACKET_BYTES = (256 << 10) + 1024
# RFC 4253 4.2: a line has 255 bytes. Servers may say some before their own, and the library reads a hundred.
_MOST_GREETING_BYTES = 64 << 10
_VERSION = 3
_SYNC = b"fsync@openssh.com"
_STATUSES = {SFTP_EOF: EOFError, SFTP_NO_SUCH_FILE: FileNotFoundError, SFTP_PERMISSION_DENIED: PermissionError}


class UnsupportedRequestError(OSError):
    """The server does not know the request."""


class BoundedPacketizer(Packetizer):
    """Reads packets, of which the length is known before anything is known of who sends them."""

    def __init__(self, sock: Any) -> None:
        """Read from `sock`."""
        super().__init__(sock)
        self._greeted = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002 (the library's own)
        """Return `n` bytes. Raises `SSHException` for more than a packet may have, before any of it is read."""
        if n > _MOST_PACKET_BYTES:
            raise SSHException("a packet is too large")
        read: bytes = super().read_all(n, check_rekey)
        return read

    def _read_timeout(self, timeout: float) -> bytes:
        read: bytes = super()._read_timeout(timeout)
        self._greeted += len(read)
        if self._greeted > _MOST_GREETING_BYTES:
            raise SSHException("the greeting is too long")
        return read


class Client(SFTPClient):
    """SFTP whose errors hold no word of the server's: these need not be UTF-8, at which the library fails, and may name anybody."""

    _can_sync = False

    def close_file(self, file: SFTPFile) -> None:
        """Return when the server has closed the file. The library's own `close` says nothing of a server that could not."""
        file._closed = True  # noqa: SLF001 (nothing may be closed twice: the handle may be another file's by then)
        self._request(CMD_CLOSE, file.handle)

    def sync_file(self, file: SFTPFile) -> None:
        """Return when the server says that the file is on its disk, or has no way to say it. Raises `OSError` where it failed."""
        if not self._can_sync:
            return
        try:
            self._request(CMD_EXTENDED, _SYNC, file.handle)
        except UnsupportedRequestError:
            # It was announced; what stands behind the server cannot do it after all.
            self._can_sync = False

    def _send_version(self) -> int:
        """Agree on the version, and note what the server announces with it, which the library does not."""
        hello = Message()
        hello.add_int(_VERSION)
        self._send_packet(CMD_INIT, hello)
        kind, data = self._read_packet()
        if kind != CMD_VERSION:
            raise SFTPError("no SFTP")
        answer = Message(data)
        version: int = answer.get_int()
        while answer.get_remainder():
            name = answer.get_binary()
            answer.get_binary()
            self._can_sync = self._can_sync or name == _SYNC
        return version

    def _read_all(self, n: int) -> bytes:
        if n > _MOST_PACKET_BYTES:
            raise SFTPError("a packet is too large")
        read: bytes = super()._read_all(n)
        return read

    def _convert_status(self, msg: Message) -> None:
        code = msg.get_int()
        if code == SFTP_OP_UNSUPPORTED:
            raise UnsupportedRequestError(f"status {code}")
        if code != SFTP_OK:
            raise _STATUSES.get(code, OSError)(f"status {code}")
