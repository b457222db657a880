"""The heads of objects that have just become durable, handed from receiver to router in memory: most need not be opened again to be routed.

A head is one datagram: a tag that authenticates it, the object's id, its clear header, and the first bytes of its data set.

Promises: `HeadPost.send` never blocks and never fails; a head that `HeadListener.take` returns was made by a process of this box that has
the digest key, for exactly that object. A head that is lost, late or not authentic costs an opening of the sealed object, nothing else.
Failures: `OSError` when a listener cannot bind its socket (operator: the run directory is not writable).
Limits: nothing reaches a disk; at most `_KEPT` heads wait, the oldest go first. A head says nothing about the rest of the object.
"""

from __future__ import annotations

import contextlib
import hmac
import io
import socket
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from appliance.runtime.datagrams import DatagramSender, listening_socket
from appliance.spool.names import OBJECT_ID_LENGTH
from appliance.spool.part10 import MAX_HEADER_BYTES, ObjectHeader, ObjectHeaderError, read_header

# The wanted attributes of an image stand in its first few kilobytes (`route.attributes`).
HEAD_BYTES = 1 << 13

# Half a second of the fastest reception; more wait only for a router that is behind anyway, and opens what it finds no head of.
_KEPT = 512
_TAG_BYTES = 16
_CONTEXT = "DICOM Edge 2026-11-24 heads of received objects"
_LONGEST = _TAG_BYTES + OBJECT_ID_LENGTH + MAX_HEADER_BYTES + HEAD_BYTES
_SOCKET_NAME = "heads"


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What the beginning of an object says: its header, and the first bytes of its data set."""

    header: ObjectHeader
    data: bytes


class HeadPost:
    """The sending end, of a receiver; threads may share it."""

    def __init__(self, run_dir: Path, digest_key: bytes) -> None:
        """Send to whoever listens in `run_dir`. Raises `OSError` where there is no such directory."""
        self._heads = DatagramSender(run_dir, _SOCKET_NAME)
        self._key = _key(digest_key)

    def send(self, object_id: str, clear: bytes, data: bytes) -> None:
        """Hand over the clear header and the first bytes of the data set of the object `object_id`."""
        content = object_id.encode("ascii") + clear + data
        # One that the kernel does not take (too long, no memory) is one that the router does without.
        with contextlib.suppress(OSError):
            self._heads.send(_tag(self._key, content) + content)

    def close(self) -> None:
        """Give the descriptors back."""
        self._heads.close()


class HeadListener:
    """The receiving end, of the router: a thread that keeps what comes until somebody asks for it."""

    def __init__(self, run_dir: Path, digest_key: bytes) -> None:
        """Bind `run_dir/heads`, replacing what a dead predecessor left, and begin to listen."""
        self._key = _key(digest_key)
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._socket = listening_socket(run_dir, _SOCKET_NAME)
        self._thread = threading.Thread(target=self._listen, name="heads", daemon=True)
        self._thread.start()

    def take(self, object_id: str) -> ObjectHead | None:
        """Return the head of an object, once, or None: who gets None opens the object."""
        with self._lock:
            content = self._waiting.pop(object_id, None)
        if content is None:
            return None
        tag, said = content[:_TAG_BYTES], content[_TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(self._key, said)):
            return None
        reader = io.BytesIO(said)
        reader.seek(OBJECT_ID_LENGTH)
        try:
            header = read_header(reader.read)
        except ObjectHeaderError:
            return None
        return ObjectHead(header, reader.read()) if header.reception_id == object_id else None

    def close(self) -> None:
        """Stop listening; what waits is forgotten."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            content = self._socket.recv(_LONGEST)
            # The socket gives nothing when it is shut down, and for an empty datagram.
            if self._stopping.is_set():
                return
            object_id = content[_TAG_BYTES : _TAG_BYTES + OBJECT_ID_LENGTH].decode("latin-1")
            with self._lock:
                self._waiting[object_id] = content
                if len(self._waiting) > _KEPT:
                    self._waiting.popitem(last=False)


def _key(digest_key: bytes) -> bytes:
    return blake3(digest_key, derive_key_context=_CONTEXT).digest()


def _tag(key: bytes, content: bytes) -> bytes:
    return blake3(content, key=key).digest(_TAG_BYTES)
