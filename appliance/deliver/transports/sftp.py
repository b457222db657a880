"""Deliveries over SFTP: an SSH session to a server whose host key is pinned, and one file an instance, renamed when it is whole.

Promises: nothing, not even the account's name, is told to a server that shows another host key than the one that was pinned. A file that
has its name is whole: the server said of it that it has every byte, and where it can say so (fsync@openssh.com) that they are on its disk.
Nothing runs against a fixed time, only against a standstill.
Failures: `AssociationFailedError`; everything else is an outcome.
Limits: SFTP version 3 has no sync: of a server without that extension closing the file is believed, and the file's name is any server's own
promise. Without the extension posix-rename a file that is sent again is gone for a moment before the new one has its name. Six round trips.
Standard: RFC 4251 to 4254; draft-ietf-secsh-filexfer-02; PROTOCOL of OpenSSH (fsync@openssh.com, posix-rename@openssh.com).
"""

from __future__ import annotations

import contextlib
import io
import math
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from paramiko.ecdsakey import ECDSAKey
from paramiko.ed25519key import Ed25519Key
from paramiko.pkey import PKey
from paramiko.rsakey import RSAKey
from paramiko.sftp import SFTPError
from paramiko.sftp_file import SFTPFile
from paramiko.ssh_exception import IncompatiblePeer, SSHException
from paramiko.transport import Transport
from paramiko.util import get_logger

from appliance.config.layout import LayoutTemplate
from appliance.config.secret_files import SecretFileError, read_secret
from appliance.deliver.file_verdicts import FileTroubleError, Trouble
from appliance.deliver.transport import AssociationFailedError, Wanted
from appliance.deliver.transports.files import FileChannel, OpenObject
from appliance.deliver.transports.sftp_client import BoundedPacketizer, Client
from appliance.deliver.verdict import judge_unreachable
from appliance.dimse.association import PeerUnreachableError
from appliance.dimse.reach import connect, tcp_hello

# Shorter than what firewalls take for a dead connection.
_KEEPALIVE_S = 30
# The kinds of host keys, one of which a server shows: the pinned one may be of any of them.
_KEY_TYPES: tuple[tuple[str, ...], ...] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
# What the library raises for a session that ended, and for what is no SFTP or no UTF-8 in it.
_BROKEN = (SSHException, EOFError, SFTPError, ValueError, IndexError, struct.error)
_PRIVATE_KEYS = (Ed25519Key, ECDSAKey, RSAKey)
# The library logs names of files, which may be names of people where the layout asks for them.
_SILENT = 100


@dataclass(frozen=True, slots=True)
class SftpPeer:
    """Where a destination is, who the box is there, and how long it may take, in seconds. One of both files is named."""

    host: str
    port: int
    user: str
    password_file: str | None
    key_file: str | None
    host_key: str
    path: str
    connect_s: float
    login_s: float
    progress_s: float
    hello_s: float


class SftpTransport:
    """The way to one SSH server. Threads may share it."""

    def __init__(self, peer: SftpPeer, layout: LayoutTemplate, open_object: OpenObject) -> None:
        """Write below the peer's path, laid out as `layout` says, what `open_object` opens."""
        get_logger("paramiko").setLevel(_SILENT)
        self._peer = peer
        self._layout = layout
        self._open_object = open_object
        self._key_types: tuple[str, ...] = ()
        """The kind of host key that the pinned one was, once it was seen."""

    def hello(self) -> None:
        """Return when somebody listens at the peer's address. Raises `AssociationFailedError`."""
        try:
            tcp_hello(self._peer.host, self._peer.port, self._peer.hello_s)
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error

    def echo(self) -> None:
        """Return when the server lets the box in and has the folder, or refuses: either way it is back. Raises `AssociationFailedError`."""
        try:
            self._place().close()
        except FileTroubleError as error:
            if error.trouble in {Trouble.NOT_SSH, Trouble.HUNG_UP}:
                raise AssociationFailedError(error.verdict) from error

    def open(self, wanted: Wanted) -> FileChannel:  # noqa: ARG002 (a file takes everything)
        """Return a session. Raises `AssociationFailedError`."""
        try:
            return FileChannel(self._place(), self._layout, self._open_object)
        except FileTroubleError as error:
            raise AssociationFailedError(error.verdict) from error

    def _place(self) -> SftpPlace:
        """Return the folder at the server, the box logged in. Raises `FileTroubleError`, `AssociationFailedError`."""
        session = self._trusted_session()
        # The library waits without an end for some answers: closing the session ends that too.
        deadline = threading.Timer(self._peer.login_s, session.close)
        deadline.daemon = True
        deadline.start()
        try:
            self._log_in(session)
            return SftpPlace(session, _start_sftp(session, self._peer), self._peer.path)
        except BaseException:  # boundary: whatever ends the login, the connection must not stay open; it is raised again
            session.close()
            raise
        finally:
            deadline.cancel()

    def _trusted_session(self) -> Transport:
        """Return a session with the server that has the pinned key, having tried every kind of key that it may have."""
        shown: list[str] = []
        for key_types in (self._key_types, *(kind for kind in _KEY_TYPES if kind != self._key_types)):
            try:
                session = self._negotiate(key_types)
            except IncompatiblePeer:
                continue
            if (fingerprint := session.get_remote_server_key().fingerprint) == self._peer.host_key:
                self._key_types = key_types
                return session
            session.close()
            if fingerprint not in shown:
                shown.append(fingerprint)
        if not shown:
            raise FileTroubleError(Trouble.NO_AGREEMENT)
        text = f"the destination is not trusted: it shows the host key {' or '.join(shown)}, and {self._peer.host_key} is configured"
        raise FileTroubleError(Trouble.WRONG_HOST_KEY, text)

    def _negotiate(self, key_types: tuple[str, ...]) -> Transport:
        """Return a session with keys agreed on, nothing said yet. Raises what the library raises of algorithms, and `FileTroubleError`."""
        peer = self._peer
        try:
            sock = connect(peer.host, peer.port, peer.connect_s)
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error
        # A peer whose machine is gone, or that takes nothing any more, is noticed by the kernel.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(peer.progress_s * 1000))
        session = Transport(sock, packetizer_class=BoundedPacketizer)
        session.banner_timeout = session.handshake_timeout = session.auth_timeout = session.channel_timeout = math.ceil(peer.login_s)
        if key_types:
            session.get_security_options().key_types = key_types
        try:
            session.start_client(timeout=peer.login_s)
            session.get_remote_server_key()
        except IncompatiblePeer:
            session.close()
            raise
        except (SSHException, EOFError, OSError):
            session.close()
            raise FileTroubleError(Trouble.NOT_SSH) from None
        session.set_keepalive(_KEEPALIVE_S)
        return session

    def _log_in(self, session: Transport) -> None:
        """Return when the server knows who the box is. Raises `FileTroubleError`."""
        peer = self._peer
        try:
            if peer.key_file is not None:
                more = session.auth_publickey(peer.user, _private_key(read_secret(peer.key_file)))
            else:
                more = session.auth_password(peer.user, read_secret(peer.password_file or ""))
        except SecretFileError as error:
            raise FileTroubleError(Trouble.SECRET_UNUSABLE, f"the box's own secret cannot be used: {error}") from None
        except (SSHException, EOFError, OSError):
            # Not chained: what the library knows includes the secret.
            raise FileTroubleError(Trouble.NOT_ADMITTED if session.is_active() else Trouble.HUNG_UP) from None
        if more:
            raise FileTroubleError(Trouble.NOT_ADMITTED, "the destination wants more than a password or key, which the box cannot give")


def _start_sftp(session: Transport, peer: SftpPeer) -> Client:
    """Return SFTP on a session in which the box is logged in, the folder being there. Raises `FileTroubleError`."""
    try:
        channel = session.open_session(timeout=peer.login_s)
        channel.settimeout(peer.progress_s)
        channel.invoke_subsystem("sftp")
        client = Client(channel)
    except (*_BROKEN, OSError):
        raise FileTroubleError(Trouble.NO_SFTP if session.is_active() else Trouble.HUNG_UP) from None
    try:
        client.stat(peer.path)
    except FileNotFoundError:
        raise FileTroubleError(Trouble.NO_FOLDER) from None
    except PermissionError:
        raise FileTroubleError(Trouble.FORBIDDEN) from None
    except (*_BROKEN, OSError):
        raise FileTroubleError(Trouble.NO_FOLDER if session.is_active() else Trouble.HUNG_UP) from None
    return client


class SftpPlace:
    """A folder at a server, in a session."""

    def __init__(self, session: Transport, client: Client, path: str) -> None:
        """Own the session."""
        self.session = session
        self.client = client
        self._path = path
        self._is_usable = True

    @property
    def is_open(self) -> bool:
        """Whether the session is still there, and in a state that is known."""
        return self._is_usable and bool(self.session.is_active())

    def draft(self, path: tuple[str, ...], temporary: str) -> SftpDraft:
        """Return a new file. Raises `FileTroubleError`."""
        *folders, name = path
        folder = "/".join((self._path, *folders))
        with self.told():
            try:
                file = self._create(f"{folder}/{temporary}")
            except FileNotFoundError:
                self._make(folders)
                try:
                    file = self._create(f"{folder}/{temporary}")
                except FileNotFoundError:
                    raise FileTroubleError(Trouble.NO_FOLDER) from None
        return SftpDraft(self, file, f"{folder}/{temporary}", f"{folder}/{name}")

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def _create(self, path: str) -> SFTPFile:
        file: SFTPFile = self.client.open(path, "wb")
        file.set_pipelined(pipelined=True)
        return file

    def _make(self, folders: list[str]) -> None:
        """Make the folders that are not there; what stands in the way shows when the file is made."""
        for count in range(1, len(folders) + 1):
            try:
                self.client.mkdir("/".join((self._path, *folders[:count])))
            except OSError as error:
                if isinstance(error, TimeoutError) or not self.is_open:
                    raise

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn errors of the library into what they mean."""
        try:
            yield
        except TimeoutError:
            self._is_usable = False
            raise FileTroubleError(Trouble.STALLED) from None
        except _BROKEN:
            self._is_usable = False
            raise FileTroubleError(Trouble.LOST) from None
        except OSError as error:
            if not self.is_open:
                raise FileTroubleError(Trouble.LOST) from None
            raise FileTroubleError(Trouble.FORBIDDEN if isinstance(error, PermissionError) else Trouble.FAILED) from None


class SftpDraft:
    """A file being written."""

    def __init__(self, place: SftpPlace, file: SFTPFile, temporary: str, name: str) -> None:
        """Own the file, whose path is `temporary` until it is `name`."""
        self._place = place
        self._file = file
        self._temporary = temporary
        self._name = name
        self._length = 0
        self._last = b""

    def write(self, data: bytes) -> None:
        """Add to the file."""
        with self._place.told():
            self._file.write(data)
        self._length += len(data)
        self._last = data[-1:] or self._last

    def finish(self) -> None:
        """Return when the server has every byte under the file's own name."""
        client = self._place.client
        with self._place.told():
            # The library looks at the answers to its last hundred requests only when it waits for one: the last byte again, not pipelined.
            self._file.set_pipelined(pipelined=False)
            self._file.seek(self._length - len(self._last))
            self._file.write(self._last)
            client.sync_file(self._file)
            client.close_file(self._file)
            if client.stat(self._temporary).st_size != self._length:
                raise FileTroubleError(Trouble.SHORT)
            try:
                client.posix_rename(self._temporary, self._name)
            except OSError as error:
                if isinstance(error, TimeoutError) or not self._place.is_open:
                    raise
                self._rename_plainly()

    def discard(self) -> None:
        """Remove the file, unless the session is in no state to."""
        if self._place.is_open:
            with contextlib.suppress(*_BROKEN, OSError):
                self._file.close()
                self._place.client.remove(self._temporary)

    def _rename_plainly(self) -> None:
        """Give the file its name without posix-rename; what had it before goes only where it is in the way."""
        client = self._place.client
        try:
            client.rename(self._temporary, self._name)
        except OSError as error:
            if isinstance(error, TimeoutError) or not self._place.is_open:
                raise
            with contextlib.suppress(FileNotFoundError):
                client.remove(self._name)
            client.rename(self._temporary, self._name)


def _private_key(text: str) -> PKey:
    """Return the private key that a file holds. Raises `SecretFileError`."""
    for kind in _PRIVATE_KEYS:
        with contextlib.suppress(SSHException, ValueError, IndexError, TypeError):
            key: PKey = kind.from_private_key(io.StringIO(text + "\n"))
            return key
    advice = "Make one without passphrase: ssh-keygen -t ed25519 -N '' -f FILE"
    raise SecretFileError("key_file holds no private key that can be used (perhaps it has a passphrase)", advice=advice)
