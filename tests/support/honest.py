"""A scanner that does its work while others attack: again and again an association, a C-ECHO, a C-STORE, a release.

Promises: every visit uses a new association and a new object of the planted patient; what was answered 0000 is in `acknowledged`. `close`
leaves no thread and no socket.
Failures: `AssertionError` from `wait_for_visit` and `close`, with what the box did instead of serving it.
Limits: one visit at a time, from an address of its own (so that an attacker's address is not its own).
Standard: PS3.7 9.1.1 and 9.1.5.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

from appliance.dimse import commands
from tests.support.caller import RELEASED, Caller
from tests.support.eventually import eventually
from tests.support.planted import an_object
from tests.support.samples import new_uid

TITLE = "HONEST"
ADDRESS = "127.0.0.99"
# A real one makes a picture a second at most; this is often enough to meet every attack.
_PAUSE_S = 0.05
# Longer than every deadline of the box under test: only a box that does not serve at all fails it.
_VISIT_S = 30.0


class HonestPeer:
    """Visits the box; in a thread of its own between `start` and `close`."""

    def __init__(self, port: Callable[[], int]) -> None:
        """Prepare; `port` is asked at each visit."""
        self._port = port
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._begun = self._done = 0
        self._problem = ""
        self.acknowledged: dict[str, str] = {}
        """SHA-256 of the data set by SOP instance UID."""

    def start(self) -> None:
        """Visit again and again from now on."""
        self._thread = threading.Thread(target=self._run, name="honest peer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Visit no more; say what went wrong in any visit."""
        self._enough.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        assert not self._problem, f"an honest peer was not served: {self._problem}"

    def wait_for_visit(self) -> None:
        """Return when a whole visit that began after this call was served."""
        next_visit = self._begun + 1
        eventually(lambda: self._problem or self._done >= next_visit, within=_VISIT_S, message="a visit of the honest peer")
        assert not self._problem, f"an honest peer was not served: {self._problem}"

    def visit(self) -> None:
        """Make one visit now. Raises `AssertionError`, and `OSError` when the box does not talk."""
        uid = new_uid()
        data = an_object(uid, pixels=bytes(512))
        caller = Caller(self._port(), calling=TITLE.encode("ascii"), address=ADDRESS)
        try:
            assert caller.answer[0] == 2, f"the association was answered by unit {caller.answer}"
            caller.command(context=1, kind=commands.C_ECHO_RQ, with_data=False)
            assert caller.status() == 0, "C-ECHO"
            status = caller.store(data, uid)
            assert status == 0, f"C-STORE: {status}"
            self.acknowledged[uid] = hashlib.sha256(data).hexdigest()
            assert caller.release() == RELEASED, "release"
        finally:
            caller.socket.close()

    def _run(self) -> None:
        while not self._enough.wait(_PAUSE_S):
            self._begun += 1
            try:
                self.visit()
            except (AssertionError, OSError) as error:
                self._problem = f"{type(error).__name__}: {error}"
                return
            self._done += 1
