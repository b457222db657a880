"""An SSH server of a few lines for what OpenSSH cannot show: passwords that are nobody's, no SFTP, no posix-rename, a full disk.

Promises: nothing of it is left after `stop`.
Failures: none of its own; what a client does wrong ends that client's session.
Limits: paramiko's own server side: what OpenSSH does is tested against OpenSSH.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any, Self

from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.ecdsakey import ECDSAKey
from paramiko.message import Message
from paramiko.server import ServerInterface, SubsystemHandler
from paramiko.sftp import CMD_CLOSE, CMD_EXTENDED, CMD_VERSION, SFTP_FAILURE, SFTP_OK, SFTP_OP_UNSUPPORTED
from paramiko.sftp_attr import SFTPAttributes
from paramiko.sftp_handle import SFTPHandle
from paramiko.sftp_server import SFTPServer
from paramiko.sftp_si import SFTPServerInterface
from paramiko.transport import Transport

USER, PASSWORD = "edge", "correct horse"
_SYNC = "fsync@openssh.com"


class SshServer:
    """One server that serves one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        has_sftp: bool = True,
        has_posix_rename: bool = True,
        fails: range = range(0),
        forgets: range = range(0),
        closes: bool = True,
        chats: bool = False,
        syncs: int | None = None,
        announces: int = 0,
    ) -> None:
        """Serve `folder`, whose disk refuses what begins at one of the offsets `fails`, and loses what begins in `forgets`.

        `closes` False: no file can be closed. `chats`: its shell greets where SFTP should begin.
        `syncs`: it announces that it can sync a file, and answers that with this status. `announces`: its first packet of SFTP, that long.
        """
        self._handler = _Greeting if chats or announces else _Session
        self.key = ECDSAKey.generate()
        self.has_sftp = has_sftp
        self.asked: list[str] = []
        """The passwords that were tried."""
        self.deeds: list[str] = []
        """What files were given: "sync", "rename"."""
        self._interface = type(
            "Interface",
            (_Folder,),
            {
                "root": folder,
                "has_posix_rename": has_posix_rename,
                "fails": fails,
                "forgets": forgets,
                "closes": closes,
                "syncs": syncs,
                "deeds": self.deeds,
                "greeting": announces.to_bytes(4, "big") + bytes(announces) if announces else b"Welcome to the archive\n",
            },
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sessions: list[Transport] = []
        self._thread = threading.Thread(target=self._serve, name="ssh server", daemon=True)

    @property
    def fingerprint(self) -> str:
        """What a client pins."""
        return str(self.key.fingerprint)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self._sessions:
            session.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            session = Transport(client)
            session.add_server_key(self.key)
            if self.has_sftp:
                session.set_subsystem_handler("sftp", self._handler, self._interface)
            self._sessions.append(session)
            session.start_server(server=_Door(self), event=threading.Event())


class _Door(ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.asked.append(password)
        return AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 (the library's own)
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 (the library's own)
        return OPEN_SUCCEEDED


class _Greeting(SubsystemHandler):
    def __init__(self, channel: Any, name: str, server: Any, interface: Any) -> None:
        super().__init__(channel, name, server)
        self._greeting = interface.greeting

    def start_subsystem(self, name: str, transport: Any, channel: Any) -> None:  # noqa: ARG002 (the library's own)
        channel.sendall(self._greeting)
        channel.recv(1)


class _Session(SFTPServer):
    """Says what fails in the words of an old Windows, which are no UTF-8."""

    _is_closing = False

    def _process(self, t: int, request_number: int, msg: Any) -> None:
        self._is_closing = t == CMD_CLOSE
        if t == CMD_EXTENDED:
            if msg.get_text() == _SYNC and self.server.syncs is not None:
                self.server.deeds.append("sync")
                self._send_status(request_number, self.server.syncs)
                return
            msg.rewind()
            msg.get_int()
        super()._process(t, request_number, msg)

    def _send_server_version(self) -> int:
        self._read_packet()
        version = Message()
        version.add_int(3)
        for word in ("check-file", "md5,sha1", *((_SYNC, "1") if self.server.syncs is not None else ())):
            version.add_string(word)
        self._send_packet(CMD_VERSION, version)
        return 3

    def _send_status(self, request_number: int, code: int, desc: Any = None) -> None:
        if self._is_closing and not self.server.closes:
            code, desc = SFTP_FAILURE, "quota"
        super()._send_status(request_number, code, desc or (b"\xc9chec" if code == SFTP_FAILURE else None))


class _Folder(SFTPServerInterface):
    root: Path
    closes: bool
    syncs: int | None
    deeds: list[str]
    has_posix_rename: bool
    fails: range
    forgets: range

    def stat(self, path: str) -> Any:
        try:
            return SFTPAttributes.from_stat(self._of(path).stat())
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    lstat = stat

    def mkdir(self, path: str, attr: Any) -> int:  # noqa: ARG002 (the library's own)
        try:
            self._of(path).mkdir()
        except OSError as error:
            return int(SFTPServer.convert_errno(error.errno))
        return int(SFTP_OK)

    def open(self, path: str, flags: int, attr: Any) -> Any:  # noqa: ARG002 (the library's own)
        try:
            descriptor = os.open(self._of(path), flags, 0o600)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        handle = _File(flags)
        handle.writefile = os.fdopen(descriptor, "wb")
        handle.fails, handle.forgets = self.fails, self.forgets
        return handle

    def remove(self, path: str) -> int:
        try:
            self._of(path).unlink()
        except OSError as error:
            return int(SFTPServer.convert_errno(error.errno))
        return int(SFTP_OK)

    def rename(self, oldpath: str, newpath: str) -> int:
        # SFTP version 3: a name that is taken is not given.
        if self._of(newpath).exists():
            return int(SFTP_FAILURE)
        self._of(oldpath).rename(self._of(newpath))
        return int(SFTP_OK)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        if not self.has_posix_rename:
            return int(SFTP_OP_UNSUPPORTED)
        self.deeds.append("rename")
        self._of(oldpath).replace(self._of(newpath))
        return int(SFTP_OK)

    def _of(self, path: str) -> Path:
        return self.root / path.lstrip("/")


class _File(SFTPHandle):
    writefile: Any
    fails: range
    forgets: range

    def write(self, offset: int, data: bytes) -> int:
        if offset in self.fails:
            return int(SFTP_FAILURE)
        if offset in self.forgets:
            return int(SFTP_OK)
        return int(super().write(offset, data))
