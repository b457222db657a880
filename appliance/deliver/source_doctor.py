"""The doctor of sources: whether a scanner has called, what it was answered and why, and whether the box could call it back.

Promises: nothing is sent but a TCP connection and, where a reply address is configured, an association for C-ECHO; no association stays
open. A scanner that need not be called back is not unwell because it does not answer.
Failures: none; a fault of the source is what is looked for.
Limits: the last call is known as long as the run directory is (`runtime.callers`). Most scanners answer nothing at all: silence says
little.
Standard: house.md section 10 ("sources test").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from appliance.config.model import Delivery, Reply, Source
from appliance.config.sources import read_address
from appliance.core.identity import AETitle
from appliance.deliver import remedies
from appliance.deliver.diagnosis import Senses, Step, is_address, refusal
from appliance.deliver.remedies import Call, Remark
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    AssociationRequest,
    PeerUnreachableError,
    TransferBrokenError,
    VerificationNotAcceptedError,
    associate,
    tcp_hello,
)
from appliance.dimse.contexts import IMPLICIT_LITTLE_ENDIAN, VERIFICATION
from appliance.dimse.failures import Unreachable
from appliance.runtime.callers import LastCall

_DICOM_PORT = 104
_RELEASE_S = 5.0

NEVER_CALLED = Remark(
    "it has not called since this box was started",
    "Send an image or a C-ECHO from it. If nothing appears here, it calls another address, or a firewall is in the way.",
)


class SourcePhase(StrEnum):
    """The phases, in their order; those of the reply only where one is configured."""

    CALLED = "called"
    ADDRESS = "address"
    REPLY_NAME = "reply name"
    REPLY_TCP = "reply tcp"
    REPLY_ECHO = "reply echo"


@dataclass(frozen=True, slots=True)
class SourceDiagnosis:
    """What was found: a step a phase, and `ok` when all went well."""

    source: str
    ok: bool
    steps: tuple[Step, ...]


def examine_source(
    source: Source, calls: Sequence[LastCall], *, box: AETitle, settings: Delivery, senses: Senses | None = None
) -> SourceDiagnosis:
    """Examine a source; `calls` are the last calls of everybody, the latest first. Takes as long as the source does."""
    senses = senses or Senses()
    phases: list[tuple[SourcePhase, Callable[[], tuple[bool, Remark]]]] = [
        (SourcePhase.CALLED, lambda: _called(source, calls)),
        (SourcePhase.ADDRESS, lambda: _address(source, calls, settings)),
    ]
    if source.reply is not None:
        reply = source.reply
        phases += [
            (SourcePhase.REPLY_NAME, lambda: _reply_name(reply, senses)),
            (SourcePhase.REPLY_TCP, lambda: _reply_tcp(reply, box, settings, senses)),
            (SourcePhase.REPLY_ECHO, lambda: _reply_echo(reply, box, settings, senses)),
        ]
    steps: list[Step] = []
    for phase, look in phases:
        # What it was answered says nothing of its address, and both say nothing of where replies go.
        if phase in (SourcePhase.REPLY_TCP, SourcePhase.REPLY_ECHO) and not steps[-1].ok:
            steps.append(Step(phase, ok=False, detail="not reached"))
            continue
        started = senses.monotonic()
        ok, remark = look()
        steps.append(Step(phase, ok, remark.detail, remark.advice, round((senses.monotonic() - started) * 1000)))
    return SourceDiagnosis(source.name, all(step.ok for step in steps), tuple(steps))


def calls_of(source: Source, calls: Sequence[LastCall]) -> list[LastCall]:
    """Return the calls that were this source's, or may have been meant to be: of its title, or else from its own address."""
    return [call for call in calls if call.source == source.name or _is_alike(source, call)]


def _is_alike(source: Source, call: LastCall) -> bool:
    if call.source:
        return False
    title = source.ae_title
    if title is not None and call.calling.strip(" ").upper() == title.key:
        return True
    address = read_address(call.address)
    return address is not None and source.address is not None and address in source.address


def _called(source: Source, calls: Sequence[LastCall]) -> tuple[bool, Remark]:
    own = calls_of(source, calls)
    if not own:
        return False, NEVER_CALLED
    last = own[0]
    when = datetime.fromtimestamp(last.at, UTC).isoformat(timespec="seconds")
    who = f"as {last.calling} from {last.address}, calling {last.called}, at {when}"
    if not last.answer:
        return True, Remark(f"its last call was accepted: {who}")
    return False, Remark(f"its last call was refused ({last.answer}: {last.why}): {who}", _advice(source, last))


def _advice(source: Source, last: LastCall) -> str:
    title = source.ae_title
    address = read_address(last.address)
    if title is not None and last.calling.strip(" ").upper() != title.key:
        return f"It calls itself {last.calling}: correct ae_title of this source, or the title that is set in the scanner."
    if source.address is not None and (address is None or address not in source.address):
        moved = "correct address of this source, if the scanner was moved; if not, another machine uses its title"
        return f"It calls from {last.address}: {moved}."
    if last.answer == "1/1/7":
        return f"It calls the box {last.called}: correct that in the scanner, or add the title as a [[local_ae]]."
    return "The reason in brackets says what to change; the box's log has the line `association.refused`."


def _address(source: Source, calls: Sequence[LastCall], settings: Delivery) -> tuple[bool, Remark]:
    """See whether a machine answers at the source's address, be it by refusing: few scanners listen to anything."""
    host = _host(source, calls)
    if host is None:
        return True, Remark("it has no single address to look at")
    port = source.reply.port if source.reply is not None and str(source.reply.host) == host else _DICOM_PORT
    try:
        tcp_hello(host, port, settings.connect)
    except PeerUnreachableError as error:
        if error.kind is Unreachable.REFUSED:
            return True, Remark(f"a machine answers at {host} (it refuses port {port}, as most scanners do)")
        if error.kind is Unreachable.TIMEOUT:
            silent = f"{host} does not answer at port {port}"
            return True, Remark(silent, "Many scanners do not. Is it switched on? Has its address changed?")
        return False, Remark(f"there is no way to {host}", "Is the scanner's network reached from here? Are addresses and gateways right?")
    return True, Remark(f"{host} takes a connection at port {port}")


def _host(source: Source, calls: Sequence[LastCall]) -> str | None:
    if source.address is not None and source.address.num_addresses == 1:
        return str(source.address.network_address)
    own = [call for call in calls if call.source == source.name]
    return own[0].address if own else None


def _reply_name(reply: Reply, senses: Senses) -> tuple[bool, Remark]:
    host = str(reply.host)
    if is_address(host):
        return True, Remark(f"{host} is an address, no name to look up")
    try:
        addresses = senses.resolve(host, reply.port)
    except (OSError, UnicodeError):
        return False, remedies.for_unresolved(host)
    return True, Remark(f"{host} is {' and '.join(addresses)}")


def _reply_tcp(reply: Reply, box: AETitle, settings: Delivery, senses: Senses) -> tuple[bool, Remark]:
    call = _call(reply, box, senses)
    try:
        tcp_hello(call.host, call.port, settings.connect)
    except PeerUnreachableError as error:
        return False, _in_words_of_a_source(remedies.for_unreachable(error, call))
    return True, Remark(f"{call.where} takes the connection")


def _reply_echo(reply: Reply, box: AETitle, settings: Delivery, senses: Senses) -> tuple[bool, Remark]:
    """Call where commitment reports will go, under the title that is used for them."""
    call = _call(reply, box, senses)
    request = AssociationRequest(
        host=call.host,
        port=call.port,
        calling=box,
        called=reply.ae_title,
        contexts=((VERIFICATION, (IMPLICIT_LITTLE_ENDIAN,)),),
        connect_s=settings.connect,
        associate_s=settings.associate,
        progress_s=settings.progress,
    )
    try:
        association = associate(request)
    except (PeerUnreachableError, AssociationRejectedError, AssociationAbortedError) as error:
        return False, _in_words_of_a_source(refusal(error, call))
    try:
        status = association.echo(settings.associate)
    except VerificationNotAcceptedError:
        return True, Remark("it lets the box in, and takes no C-ECHO from it; reports can be sent all the same")
    except TransferBrokenError as error:
        return False, _in_words_of_a_source(remedies.for_broken_echo(error.detail))
    finally:
        association.release(_RELEASE_S)
    return status == 0, _in_words_of_a_source(remedies.for_echo(status))


def _call(reply: Reply, box: AETitle, senses: Senses) -> Call:
    return Call(str(reply.host), reply.port, box, reply.ae_title, senses.own_address(str(reply.host), reply.port))


def _in_words_of_a_source(remark: Remark) -> Remark:
    """Return a remark about an archive as one about a scanner that is called back."""
    words = (
        ("the destination's ae_title", "ae_title of its reply"),
        ("The box calls itself as the destination's calling_ae says.", ""),
        ("Some archives answer so to callers", "Some peers answer so to callers"),
        ("for some archives", "for some peers"),
        ("Some archives", "Some peers"),
        ("archive", "source"),
    )
    detail, advice = remark.detail, remark.advice
    for old, new in words:
        detail, advice = detail.replace(old, new), advice.replace(old, new)
    return Remark(detail, advice)
