"""Serving the pages: one process, gunicorn's threads, TLS, and the limits of every request.

Promises: `serve` returns when it was told to stop and nobody is being served, or their time is over; nothing is answered in plain but that
this is the wrong way in; a renewed certificate counts for the next connection.
Failures: whatever `make_application` raises.
Limits: HTTP/1.1 over TLS on sockets that were bound before.
Standard: RFC 9112; hostile-inputs.md rows 84 and 85.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gunicorn.config import Config

from webui.serving.waiting_room import Context, Patience
from webui.serving.worker import PagesWorker

# Pages ask daemons and wait for them: many may wait at a time. One page takes a thread for milliseconds.
_THREADS = 24
# A page that somebody waits for; the doctor's longest step is shown as it goes.
_DRAIN_S = 10
_SETTINGS: dict[str, object] = {
    "threads": _THREADS,
    # The waiting room has its own, lower bound; this one only stops accepting.
    "worker_connections": 4096,
    # Whether to keep a connection; how long is the waiting room's.
    "keepalive": 1,
    "graceful_timeout": _DRAIN_S,
    "limit_request_line": 8190,
    "limit_request_fields": 64,
    "limit_request_field_size": 8190,
    # A compiled parser would be another one than the one that was looked at.
    "http_parser": "python",
    # Nobody stands before us: what a header says of another address or scheme is a lie.
    "forwarded_allow_ips": "",
    "secure_scheme_headers": {},
    "forwarder_headers": "",
    "header_map": "refuse",
    "sendfile": False,
    "errorlog": "/dev/null",
}


def serve(
    make_application: Callable[[], Any],
    sockets: Sequence[socket.socket],
    context: Context,
    *,
    run_dir: Path,
    stopping: threading.Event,
    ready: Callable[[], None],
    patience: Patience | None = None,
) -> bool:
    """Serve the application until `stopping` is set; say whether everybody had their answer by then. `ready` is called once."""
    config = _Config()
    for name, value in (*_SETTINGS.items(), ("worker_tmp_dir", str(run_dir)), ("post_worker_init", lambda _worker: ready())):
        config.set(name, value)
    worker = PagesWorker(sockets=list(sockets), application=_Loader(make_application), config=config, context=context, patience=patience)
    threading.Thread(target=_stop_when_told, args=(stopping, worker), name="stopping", daemon=True).start()
    try:
        worker.init_process()
    finally:
        # What an arbiter would look at.
        worker.tmp.close()
        for end in worker.PIPE:
            os.close(end)
    return bool(worker.nr_conns == 0)


class _Config(Config):
    """gunicorn's settings: TLS is ours, so that it finds no certificate in them, and must be told that there is one."""

    is_ssl = True


class _Loader:
    """What gunicorn calls an application: it makes one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.wsgi = make


def _stop_when_told(stopping: threading.Event, worker: PagesWorker) -> None:
    stopping.wait()
    worker.stop()
