"""Ways: which transport a destination of which kind is reached by, made from its settings.

Promises: a transport is made without asking the network or the disk; what only a few boxes need is loaded where one of them needs it.
Failures: none here; whatever is wrong with a destination is the verdict of its transport.
Limits: new settings make a new transport.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from appliance.config.model import Delivery, DicomDestination, FolderDestination, SftpDestination, StowDestination
from appliance.deliver.clearing import Queries
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms
from appliance.deliver.transport import Transport
from appliance.deliver.transports.dicom import DicomPeer, DicomTransport
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject

if TYPE_CHECKING:
    from appliance.deliver.transports.stow import StowPeer

OpenObject = Callable[[SpoolName], SealedObject]


def way_to(terms: Terms, open_object: OpenObject, tls: OutgoingTls) -> Transport:
    """Return the way to the destination of `terms`, for what `open_object` opens; over TLS as `tls` says, where that is DICOM."""
    match terms.destination:
        case DicomDestination() as dicom:
            return _dicom(dicom, terms, open_object, tls)
        case FolderDestination() as folder:
            from appliance.deliver.transports.folder import FolderTransport

            return FolderTransport(Path(folder.path), folder.layout, open_object)
        case SftpDestination() as sftp:
            return _sftp(sftp, terms.delivery, open_object)
        case StowDestination() as stow:
            return _stow(stow, terms, open_object, tls)


def _dicom(destination: DicomDestination, terms: Terms, open_object: OpenObject, tls: OutgoingTls) -> Transport:
    settings = terms.delivery
    peer = DicomPeer(
        host=str(destination.host),
        port=destination.port,
        called=destination.ae_title,
        box=terms.box,
        connect_s=settings.connect,
        associate_s=settings.associate,
        progress_s=settings.progress,
        response_s=settings.response,
        hello_s=settings.probe,
        tls=tls.request(destination, terms.tls),
    )
    return DicomTransport(peer, open_object)


def _sftp(destination: SftpDestination, settings: Delivery, open_object: OpenObject) -> Transport:
    # Some seven megabytes of memory, for those who have such a destination.
    from appliance.deliver.transports.sftp import SftpPeer, SftpTransport

    peer = SftpPeer(
        host=str(destination.host),
        port=destination.port,
        user=destination.user,
        password_file=destination.password_file,
        key_file=destination.key_file,
        host_key=destination.host_key,
        path=destination.path,
        connect_s=settings.connect,
        login_s=settings.associate,
        progress_s=settings.progress,
        hello_s=settings.probe,
    )
    return SftpTransport(peer, destination.layout, open_object)


def _stow(destination: StowDestination, terms: Terms, open_object: OpenObject, tls: OutgoingTls) -> Transport:
    from appliance.deliver.transports.stow import StowTransport

    return StowTransport(_stow_peer(destination, terms, tls), open_object)


def web_queries(destination: StowDestination, terms: Terms, tls: OutgoingTls) -> Queries:
    """Return a connection on which the service of `destination` is asked what it has. Raises `ArchiveNotAskableError`."""
    from appliance.deliver.transports.qido import QidoQueries

    return QidoQueries(_stow_peer(destination, terms, tls))


def _stow_peer(destination: StowDestination, terms: Terms, tls: OutgoingTls) -> StowPeer:
    from appliance.config.secret_files import read_secret
    from appliance.deliver.transports.http_credentials import basic, bearer
    from appliance.deliver.transports.http_line import Proxy
    from appliance.deliver.transports.stow import StowPeer

    authorization: Callable[[], str] | None = None
    if destination.token_file is not None:
        token_file = destination.token_file
        authorization = lambda: bearer(read_secret(token_file))  # noqa: E731 (read for each request: a renewed token counts at once)
    elif destination.user is not None and destination.password_file is not None:
        user, password_file = destination.user, destination.password_file
        authorization = lambda: basic(user, read_secret(password_file))  # noqa: E731 (as above)
    proxy = None if destination.proxy is None else urlsplit(destination.proxy)
    settings = terms.delivery
    return StowPeer(
        url=destination.url,
        connect_s=settings.connect,
        progress_s=settings.progress,
        response_s=settings.response,
        hello_s=settings.probe,
        tls=tls.web_request(destination, terms.tls),
        authorization=authorization,
        instances=destination.instances_per_request,
        proxy=None if proxy is None else Proxy(proxy.hostname or "", proxy.port or 0),
        authority=destination.authority,
    )
