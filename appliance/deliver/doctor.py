"""The connection doctor: goes the way an image would go, phase by phase, and says in words where it ends and what to try next.

Promises: an examination stops at the first phase that fails, and sends nothing but association requests and a C-ECHO, and a test image of
no patient and the question whether it is there where that is asked for; it leaves no association open. The titles and contexts are those in
use, so that what it finds well is well for what waits.
Failures: none; a fault of the peer is what it is looking for.
Limits: takes up to a connect and an associate deadline a title; names are resolved by the system, with its own time-outs. That an archive
takes an association and a context does not prove that it will store.
Standard: PS3.8 9.3.2 to 9.3.4, PS3.7 9.1.5; house.md section 10 ("destinations test").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from appliance.config.model import Delivery, DicomDestination
from appliance.core.identity import AETitle, Uid
from appliance.deliver import remedies, synthetic
from appliance.deliver.diagnosis import Diagnosis, Look, Senses, Step, is_address, own_address, refusal, resolve, walk
from appliance.deliver.remedies import Call, Remark
from appliance.deliver.transport import Context
from appliance.deliver.verdict import judge_store
from appliance.dimse.acse import MAX_CONTEXTS
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    AssociationRequest,
    OutgoingAssociation,
    PeerUnreachableError,
    TransferBrokenError,
    VerificationNotAcceptedError,
    associate,
    tcp_hello,
)
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, VERIFICATION
from appliance.dimse.reach import tls_hello
from appliance.dimse.tls import TlsRequest
from appliance.dimse.tls_look import look

__all__ = ["USUAL_CONTEXTS", "Diagnosis", "InUse", "Phase", "Proves", "Senses", "Step", "examine", "own_address", "resolve"]

# What is asked for where nothing is in use yet: CT, MR, CR, US and secondary capture (PS3.6 annex A), uncompressed.
_USUAL_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.7",
)
USUAL_CONTEXTS: tuple[Context, ...] = tuple(
    (Uid(sop_class), syntax) for sop_class in _USUAL_CLASSES for syntax in (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
)

_ECHO: Context = (VERIFICATION, IMPLICIT_LITTLE_ENDIAN)
# An association a title: a department has a handful of scanners, and nobody waits for a hundred associations.
_MOST_TITLES = 8
# How long a peer may take to answer a release before the line is cut: nothing depends on the answer.
_RELEASE_S = 5.0


class Phase(StrEnum):
    """The phases, in their order."""

    NAME = "name"
    ROUTE = "route"
    TCP = "tcp"
    TLS = "tls"
    """Only where the destination is called over TLS."""
    ASSOCIATION = "association"
    CONTEXTS = "contexts"
    ECHO = "echo"
    SEND = "send"
    """Only where somebody asked for it."""
    PROOF = "proof"
    """Only with a test image, where the destination proves what it has."""


Proves = Callable[[synthetic.TestImage], tuple[bool, Remark]]
"""Finds out whether the archive says that it has the image it took (`proof_doctor`); returns whether, and what to say."""


@dataclass(frozen=True, slots=True)
class InUse:
    """What a destination is or will be sent: the titles under which the box calls it, and contexts.

    `waiting` is needed now; `known` was asked for before and is worth asking again.
    """

    titles: tuple[AETitle, ...]
    waiting: tuple[Context, ...] = ()
    known: tuple[Context, ...] = ()

    @property
    def contexts(self) -> tuple[Context, ...]:
        """What to ask for, uncompressed forms of what waits among it; the usual where nothing is in use. Room is left for C-ECHO."""
        converted = [(sop_class, syntax) for sop_class, _ in self.waiting for syntax in (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)]
        asked = dict.fromkeys([*self.waiting, *converted, *self.known] or USUAL_CONTEXTS)
        return tuple(asked)[: MAX_CONTEXTS - 1]


def examine(
    destination: DicomDestination,
    in_use: InUse,
    *,
    box: AETitle,
    settings: Delivery,
    senses: Senses | None = None,
    tls: TlsRequest | None = None,
    sends: bool = False,
    proves: Proves | None = None,
) -> Diagnosis:
    """Examine the way to a destination, over TLS as `tls` says; with `sends` send it a test image too.

    `proves` then finds out whether it is there; None asks nothing. Takes as long as the peer does: call it from a thread that may wait.
    """
    senses = senses or Senses()
    visit = _Visit(destination, in_use, box, settings, senses, tls, sends=sends, proves=proves)
    try:
        steps = walk(visit.phases(), senses)
    finally:
        visit.end()
    return Diagnosis(
        destination.name,
        all(step.ok for step in steps),
        steps,
        any(step.ok and step.phase is Phase.ASSOCIATION for step in steps),
        MappingProxyType(dict(visit.answers)),
    )


class _Visit:
    """One examination; each phase returns whether it went well, and what to say."""

    def __init__(
        self,
        destination: DicomDestination,
        in_use: InUse,
        box: AETitle,
        settings: Delivery,
        senses: Senses,
        tls: TlsRequest | None,
        *,
        sends: bool,
        proves: Proves | None,
    ) -> None:
        self._destination = destination
        self._in_use = in_use
        self._box = box
        self._settings = settings
        self._senses = senses
        self._tls_request = tls
        self._sends = sends
        self._proves = proves
        self._image: synthetic.TestImage | None = None
        self._titles = in_use.titles[:_MOST_TITLES] or (box,)
        self._own_address = ""
        self._association: OutgoingAssociation | None = None
        self.answers: dict[Context, int] = {}

    def phases(self) -> tuple[tuple[Phase, Look], ...]:
        """Return the phases in their order."""
        return (
            (Phase.NAME, self._name),
            (Phase.ROUTE, self._route),
            (Phase.TCP, self._tcp),
            *(((Phase.TLS, self._tls),) if self._tls_request is not None else ()),
            (Phase.ASSOCIATION, self._associations),
            (Phase.CONTEXTS, self._contexts),
            (Phase.ECHO, self._echo),
            *(((Phase.SEND, self._send),) if self._sends else ()),
            *(((Phase.PROOF, self._proof),) if self._sends and self._proves is not None else ()),
        )

    def end(self) -> None:
        """Leave nothing open."""
        association, self._association = self._association, None
        if association is not None:
            association.release(_RELEASE_S)

    def _name(self) -> tuple[bool, Remark]:
        host = str(self._destination.host)
        if is_address(host):
            return True, Remark(f"{host} is an address, no name to look up")
        try:
            addresses = self._senses.resolve(host, self._destination.port)
        except (OSError, UnicodeError):
            return False, remedies.for_unresolved(host)
        return True, Remark(f"{host} is {' and '.join(addresses)}")

    def _route(self) -> tuple[bool, Remark]:
        """See from which of its addresses this machine would call; nothing is sent."""
        self._own_address = self._senses.own_address(str(self._destination.host), self._destination.port)
        return bool(self._own_address), remedies.for_route(str(self._destination.host), self._own_address)

    def _tcp(self) -> tuple[bool, Remark]:
        call = self._call(self._titles[0])
        try:
            tcp_hello(call.host, call.port, self._settings.connect)
        except PeerUnreachableError as error:
            return False, remedies.for_unreachable(error, call)
        return True, Remark(f"{call.where} takes the connection")

    def _tls(self) -> tuple[bool, Remark]:
        """Shake hands, and wait a moment for what a peer says about our certificate only afterwards."""
        call = self._call(self._titles[0])
        assert self._tls_request is not None  # noqa: S101 (else this is no phase)
        try:
            secured = tls_hello(call.host, call.port, self._settings.connect, self._tls_request)
        except PeerUnreachableError as error:
            # Once more without judging, so that whoever has to mend it sees what is there.
            offered = look(call.host, call.port, self._settings.connect) if error.kind in remedies.WORTH_A_LOOK else None
            return False, remedies.with_offer(remedies.for_unreachable(error, call), offered)
        return True, remedies.for_tls(secured, self._senses.wall())

    def _associations(self) -> tuple[bool, Remark]:
        """Call under every title in use; an unknown one does not keep the others from being tried."""
        known: list[AETitle] = []
        unknown: list[AETitle] = []
        for title in self._titles:
            try:
                association = self._associate(title, (*self._in_use.contexts, _ECHO))
            except AssociationRejectedError as error:
                if (error.result, error.source, error.reason) != remedies.UNKNOWN_CALLING:
                    return False, refusal(error, self._call(title))
                unknown.append(title)
            except (PeerUnreachableError, AssociationAbortedError) as error:
                return False, refusal(error, self._call(title))
            else:
                self._note(association)
                known.append(title)
                # One is kept for the C-ECHO, which the box sends under its own name wherever it can.
                if self._association is None or title == self._box:
                    self.end()
                    self._association = association
                else:
                    association.release(_RELEASE_S)
        if unknown:
            return False, remedies.for_unknown_titles(unknown, known, self._call(unknown[0]))
        titles = " and ".join(map(str, known))
        return True, Remark(f"the archive {self._destination.ae_title} lets the box in as {titles}")

    def _note(self, association: OutgoingAssociation) -> None:
        """Take note of the answers; what is refused under one title is refused."""
        for context in association.accepted:
            self.answers.setdefault(context, 0)
        for context, result in association.rejected.items():
            self.answers[context] = result
        self.answers.pop(_ECHO, None)

    def _contexts(self) -> tuple[bool, Remark]:
        return remedies.for_contexts(self.answers, self._in_use.waiting)

    def _echo(self) -> tuple[bool, Remark]:
        """Send a C-ECHO as the box: everything but C-STORE is called under its own title (house.md section 8)."""
        if self._box not in self._titles:
            refusal = self._associate_as_box()
            if refusal is not None:
                # Images do not need it; what proves their arrival does.
                is_needed = self._destination.proof != "delivered"
                return not is_needed, remedies.for_box_title(refusal, self._call(self._box), is_needed=is_needed)
        association = self._association
        if association is None:
            return False, remedies.for_broken_echo("there is no association any more")
        try:
            remark = remedies.for_echo(status := association.echo(self._settings.associate))
        except VerificationNotAcceptedError:
            return True, remedies.NO_ECHO
        except TransferBrokenError as error:
            return False, remedies.for_broken_echo(error.detail)
        return status == 0, remark

    def _send(self) -> tuple[bool, Remark]:
        """Send a test image as deliveries are sent, under the first title in use."""
        self.end()
        try:
            association = self._associate(self._titles[0], synthetic.CONTEXTS)
        except (PeerUnreachableError, AssociationRejectedError, AssociationAbortedError) as error:
            return False, refusal(error, self._call(self._titles[0]))
        self._association = association
        context = next((one for one in synthetic.CONTEXTS if one in association.accepted), None)
        if context is None:
            return False, remedies.for_untaken_image(self._titles[0])
        self._image = image = synthetic.TestImage(context[1], self._senses.wall())
        try:
            response = association.store(
                sop_class_uid=context[0],
                sop_instance_uid=image.sop_instance_uid,
                context_id=association.accepted[context],
                source=image,
                response_s=self._settings.response,
            )
        except TransferBrokenError as error:
            return False, remedies.for_broken_image(error.detail)
        verdict = judge_store(response.status if response.matches else None)
        return remedies.for_image(verdict, response.status, self._titles[0])

    def _proof(self) -> tuple[bool, Remark]:
        """See whether the archive has the image, once the association that brought it has ended."""
        self.end()
        assert self._proves is not None and self._image is not None  # noqa: S101, PT018 (else this is no phase, or is not reached)
        return self._proves(self._image)

    def _associate_as_box(self) -> Remark | None:
        """Open the association for the C-ECHO under the box's own title; return what keeps the box out, or None."""
        self.end()
        try:
            self._association = self._associate(self._box, (_ECHO,))
        except (PeerUnreachableError, AssociationRejectedError, AssociationAbortedError) as error:
            return refusal(error, self._call(self._box))
        return None

    def _associate(self, calling: AETitle, contexts: tuple[Context, ...]) -> OutgoingAssociation:
        settings = self._settings
        return associate(
            AssociationRequest(
                host=str(self._destination.host),
                port=self._destination.port,
                calling=calling,
                called=self._destination.ae_title,
                # One transfer syntax a context, as deliveries ask: the answer says which syntaxes are taken, not which is preferred.
                contexts=tuple((sop_class, (syntax,)) for sop_class, syntax in contexts),
                connect_s=settings.connect,
                associate_s=settings.associate,
                progress_s=settings.progress,
                tls=self._tls_request,
            )
        )

    def _call(self, calling: AETitle) -> Call:
        return Call(str(self._destination.host), self._destination.port, calling, self._destination.ae_title, self._own_address)
