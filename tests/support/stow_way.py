"""What a test of STOW-RS needs on the box's side: sealed objects as tasks, and a transport with short waits.

Promises: each task has a delivery of its own; its object is sealed in the spool as the receiver would have sealed it.
Failures: none.
Limits: uses the appliance's own spool, because a transport sends nothing else.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.core.identity import AETitle, Uid
from appliance.deliver.task import Task
from appliance.deliver.transport import Outcome, Wanted
from appliance.deliver.transports.stow import StowChannel, StowPeer, StowTransport
from appliance.dimse.tls import Check, Credentials, Profile, Recipe, TlsRequest, make_context
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.support import part10
from tests.support.certificates import Authority, Identity
from tests.unit.deliver.test_settlement import a_task
from tests.unit.spool.builders import a_header, a_spool

CT, EXPLICIT, IMPLICIT = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2")
WANTED = Wanted(AETitle("CT1"), [(CT, EXPLICIT)])
# Against hanging only; what is to expire in a test is given to it.
PATIENT_S = 20.0


class SealedTasks:
    """A spool, and the tasks of what is put into it."""

    def __init__(self, directory: Path) -> None:
        """Make an empty spool with keys."""
        self.spool: Spool = a_spool(directory)
        self._numbers = itertools.count(1)

    def add(self, content: bytes, *, uid: str = "", syntax: Uid = EXPLICIT, sop_class: Uid = CT) -> Task:
        """Return the task of a data set that is sealed now."""
        number = next(self._numbers)
        own = Uid(uid or f"1.2.826.0.1.{number}")
        header = replace(a_header(), sop_class_uid=sop_class, sop_instance_uid=own, transfer_syntax_uid=syntax)
        admission = self.spool.admit(header)
        admission.write(content)
        name = admission.commit()
        task = a_task()
        claim = replace(
            task.claim,
            delivery_id=number,
            instance_id=number,
            sop_class_uid=sop_class,
            sop_instance_uid=own,
            transfer_syntax_uid=syntax,
            spool_name=str(name),
            length=len(content),
        )
        return replace(task, claim=claim)

    def add_file(self, path: Path) -> Task:
        """Return the task of a DICOM file's data set."""
        meta, content = part10.split(path.read_bytes())
        return self.add(
            content,
            uid=meta[part10.SOP_INSTANCE],
            syntax=Uid(meta[part10.TRANSFER_SYNTAX]),
            sop_class=Uid(meta[part10.SOP_CLASS]),
        )

    def damage(self, task: Task) -> None:
        """Flip a bit in the last chunk of the task's object, where only its reader comes to it."""
        path = next(self.spool._data.rglob(task.claim.spool_name))
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    def lose(self, task: Task) -> None:
        """Take the task's object out of the spool."""
        name = SpoolName.parse(task.claim.spool_name)
        assert name is not None
        self.spool.remove(name)

    def way(self, url: str, **settings: Any) -> StowTransport:
        """Return the way to a service."""
        waits = dict.fromkeys(("connect_s", "progress_s", "response_s", "hello_s"), PATIENT_S)
        return StowTransport(StowPeer(url, **waits | settings), self.spool.open)

    def open(self, url: str, **settings: Any) -> StowChannel:
        """Return an open channel to a service."""
        return self.way(url, **settings).open(WANTED)

    def send(self, url: str, *tasks: Task, **settings: Any) -> list[Outcome]:
        """Send these together and return how each ended."""
        channel = self.open(url, **{"instances": len(tasks)} | settings)
        try:
            return channel.send_together(tasks)
        finally:
            channel.release()


def trusting(authority: Authority, identity: Identity | None = None, *, name: str = "127.0.0.1") -> TlsRequest:
    """Return how to speak TLS with a server that this authority vouches for, showing `identity`."""
    own = None if identity is None else Credentials(identity.certificate, identity.key)
    recipe = Recipe(
        is_acceptor=False, profile=Profile.BCP195, check=Check.CERTIFICATE_AND_NAME, credentials=own, authorities=(authority.path,)
    )
    return TlsRequest(_remembered(recipe), name)


def serving(identity: Identity, *, asks: Authority | None = None) -> ssl.SSLContext:
    """Return the context of a server that shows `identity` and, with `asks`, demands a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    if asks is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks.path)
    return context


def _remembered(recipe: Recipe) -> Callable[[], ssl.SSLContext]:
    context = make_context(recipe)
    return lambda: context
