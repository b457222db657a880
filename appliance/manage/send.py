"""Sending files to the running box as a scanner would: the test image, and a CD that must get in by hand.

Promises: a file is `ok` only when the box answered 0000 for it, that is, when it is durable there (P1); order is kept.
Failures: `FileNotDicomError` before anything is sent; `NotRunningError` where the box does not listen; a refused
association is said in plain words with the title that was used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config.load import load_active
from appliance.config.model import Site
from appliance.core.identity import AETitle
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    AssociationRequest,
    OutgoingAssociation,
    PeerUnreachableError,
    TransferBrokenError,
    associate,
)
from appliance.dimse.file_source import FileSource
from appliance.dimse.tls import Check, Profile, Recipe, TlsRequest, make_context
from appliance.manage.certificates import shown_certificates
from appliance.runtime.asking import NotRunningError, RequestRefusedError

# Long enough for a 2 GB object on a slow USB stick; no progress for this long means the box is gone.
_PATIENCE_S = 60.0
# PS3.8 9.3.2.2: presentation context ids are odd and below 256, so an association carries at most 128.
_CONTEXTS = 128
_SUCCESS = 0x0000
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file; `status` is the DIMSE status as four hex digits, empty where there was no answer."""

    file: str
    ok: bool
    status: str
    detail: str


def send_files(data: Path, files: Sequence[Path], *, calling: str, called: str | None) -> list[Sent]:
    """Send `files` over as many associations as their contexts need and return what became of each."""
    sources = [FileSource.open(path) for path in files]
    host, port, is_secure = _listener(data)
    site = load_active(data)
    tls = _own_tls(data, site) if is_secure else None
    answers: list[Sent] = []
    for batch in _batches(sources):
        contexts = tuple(dict.fromkeys((source.sop_class_uid, (source.transfer_syntax_uid,)) for source in batch))
        request = AssociationRequest(
            host=host,
            port=port,
            calling=AETitle.parse(calling),
            called=AETitle.parse(called) if called else site.box.ae_title,
            contexts=contexts,
            connect_s=_PATIENCE_S,
            associate_s=_PATIENCE_S,
            progress_s=_PATIENCE_S,
            tls=tls,
        )
        answers.extend(_send_batch(request, batch))
    return answers


def _send_batch(request: AssociationRequest, batch: Sequence[FileSource]) -> list[Sent]:
    try:
        association = associate(request)
    except PeerUnreachableError as error:
        raise NotRunningError(f"the box does not answer at {request.host}:{request.port}") from error
    except AssociationRejectedError as error:
        raise RequestRefusedError(
            f"the box refused the association ({error})",
            advice=f"Is {request.calling} at this machine's address one of its sources, and {request.called} one of its titles?",
        ) from error
    except AssociationAbortedError as error:
        raise RequestRefusedError(f"the box ended the association ({error})", advice="Look at its log.") from error
    try:
        return [_send_one(association, source) for source in batch]
    finally:
        if association.is_open:
            association.release(_PATIENCE_S)


def _send_one(association: OutgoingAssociation, source: FileSource) -> Sent:
    file = str(source.path)
    context = association.accepted.get((source.sop_class_uid, source.transfer_syntax_uid))
    if context is None:
        return Sent(file, ok=False, status="", detail="the box takes this kind of image in no way that the file has it")
    if not association.is_open:
        return Sent(file, ok=False, status="", detail="not sent: the association had ended")
    try:
        response = association.store(
            sop_class_uid=source.sop_class_uid,
            sop_instance_uid=source.sop_instance_uid,
            context_id=context,
            source=source,
            response_s=_PATIENCE_S,
        )
    except TransferBrokenError as error:
        return Sent(file, ok=False, status="", detail=str(error))
    status = "" if response.status is None else f"{response.status:04X}"
    return Sent(file, ok=response.status == _SUCCESS, status=status, detail=response.comment)


def _batches(sources: Sequence[FileSource]) -> list[list[FileSource]]:
    batches: list[list[FileSource]] = []
    contexts: set[tuple[str, str]] = set()
    for source in sources:
        context = (source.sop_class_uid, source.transfer_syntax_uid)
        if not batches or (context not in contexts and len(contexts) == _CONTEXTS):
            batches.append([])
            contexts = set()
        contexts.add(context)
        batches[-1].append(source)
    return batches


def _listener(data: Path) -> tuple[str, int, bool]:
    """Return where the box listens, and whether for TLS, which it is where it listens for nothing else."""
    try:
        listening = json.loads((data / "run" / "listening.json").read_text(encoding="utf-8"))
        host, port = (listening["dicom"] or listening["dicom_tls"])[0]
    except (OSError, ValueError, LookupError):
        raise NotRunningError("the box is not running") from None
    return _ANYWHERE.get(host, host), port, not listening["dicom"]


def _own_tls(data: Path, site: Site) -> TlsRequest:
    """Return how to call this very box over TLS: it must show the certificate that is in its files now."""
    recipe = Recipe(is_acceptor=False, profile=Profile(site.tls.profile), check=Check.NOTHING)
    return TlsRequest(lambda: make_context(recipe), "localhost", shown_certificates(data, site).certificates[0].sha256)
