"""The connection doctor for destinations of other kinds than DICOM: name, connection, and whether the box is let in.

Promises: an examination stops at the first phase that fails, stores nothing, and leaves nothing open; what it finds well, the sender finds
well, because it goes by the same transport.
Failures: none; a fault of the destination is what it is looking for.
Limits: takes up to a connect and a login deadline; that a destination lets the box in does not prove that it has room.
Standard: house.md section 10 ("destinations test").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from appliance.config.model import FolderDestination, SftpDestination, StowDestination
from appliance.core.identity import AETitle
from appliance.deliver import remedies
from appliance.deliver.doctor import Diagnosis, Senses, Step
from appliance.deliver.remedies import Remark
from appliance.deliver.transport import AssociationFailedError, Transport, Wanted


class WayPhase(StrEnum):
    """The phases; each kind of destination has some of them, in this order."""

    NAME = "name"
    TCP = "tcp"
    HTTP = "http"
    LOGIN = "login"
    FOLDER = "folder"


ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "folder_gone": "Mount the share, or correct path.",
        "folder_unmarked": "If the share is mounted, and this is the right folder: touch PATH/dicom-edge.here",
        "not_a_folder": "Correct path: it names something else than a folder.",
        "writing_forbidden": "Let the user that runs the box write into the folder.",
        "ssh_not_spoken": "Is this the port of SSH? Is the server very busy?",
        "ssh_hung_up": "The server's log says why: too many failed logins, a locked account, or an address that it does not let in.",
        "ssh_no_agreement": "The server is older than SHA-2 and AES-CTR, or allows less: its log says what it was offered.",
        "ssh_wrong_host_key": "Ask the server's administrator whether its keys were changed. If so, set host_key to what "
        "`ssh-keygen -lf` prints there; if not, something else answers at this address.",
        "ssh_not_admitted": "Is user right? Does the account know this key (authorized_keys), or is this its password?",
        "secret_unusable": "`dicom-edge config check` says what is wrong with the file.",
        "own_credentials": "`dicom-edge config check` says what is wrong with the file.",
        "ssh_no_sftp": "Let the server offer SFTP to this account (Subsystem sftp).",
        "folder_missing": "Make the folder at the server, or correct path.",
        "unreachable_connect_refused": "Is the server running? Is the port right?",
        "unreachable_connect_timeout": "Is the server switched on, and is the address right? Does a firewall on the way let the port pass?",
        "unreachable_connect_unreachable": "Is this box's network cable plugged in? Are its address and its gateway right?",
        "tls_untrusted": "Name the file of the authority that signed the server's certificate in authorities.",
        "tls_wrong_name": "Write the url with the name that stands in the server's certificate.",
        "http_elsewhere": "Write the new address into url, most often https:// instead of http://.",
        "http_unauthorised": "Look into the file that token_file or password_file names: a token may have expired.",
        "http_forbidden": "Let the account, or this box's address, store at the server.",
        "http_not_found": "The url ends where /studies begins: Orthanc /dicom-web, dcm4chee /dcm4chee-arc/aets/NAME/rs.",
        "http_method_not_allowed": "The url ends where /studies begins: Orthanc /dicom-web, dcm4chee /dcm4chee-arc/aets/NAME/rs.",
        "http_protocol": "Is this the port of the web server? Does it want https:// in url?",
        "proxy_refused": "Is the proxy running? Is its port right?",
        "proxy_timeout": "Is the proxy's address right? Does a firewall on the way to it let the port pass?",
        "proxy_name": "Correct the proxy's name, or ask who runs the name server.",
        "proxy_forbidden": "Let the proxy pass connections from this box to the destination's port.",
        "proxy_no_way": "The proxy's log says why it does not reach the destination.",
        "tls_client_certificate": "Name certificate and key that the server knows.",
    }
)
"""What to try next, by the flag of the verdict."""
_ASK = "The destination's own log may say more."

Look = Callable[[], Remark]


def examine_way(
    destination: StowDestination | SftpDestination | FolderDestination, way: Transport, box: AETitle, senses: Senses | None = None
) -> Diagnosis:
    """Examine the way to a destination. Takes as long as the destination does: call it from a thread that may wait."""
    senses = senses or Senses()
    steps: list[Step] = []
    for phase, look in _phases(destination, way, box, senses):
        if steps and not steps[-1].ok:
            steps.append(Step(phase, ok=False, detail="not reached"))
            continue
        started = senses.monotonic()
        try:
            remark, ok = look(), True
        except AssociationFailedError as error:
            remark, ok = Remark(error.verdict.text, ADVICE.get(error.verdict.flag, _ASK)), False
        except _UnresolvedError as error:
            remark, ok = remedies.for_unresolved(str(error)), False
        steps.append(Step(phase, ok, remark.detail, remark.advice, round((senses.monotonic() - started) * 1000)))
    is_well = all(step.ok for step in steps)
    return Diagnosis(destination.name, is_well, tuple(steps), ends_refusal=is_well)


class _UnresolvedError(Exception):
    """Nobody knows the name."""


def _phases(
    destination: StowDestination | SftpDestination | FolderDestination, way: Transport, box: AETitle, senses: Senses
) -> tuple[tuple[WayPhase, Look], ...]:
    """Return the phases in their order."""

    def opened(well: str) -> Look:
        def look() -> Remark:
            way.open(Wanted(box, ())).release()
            return Remark(well)

        return look

    def resolved(host: str, port: int) -> Look:
        def look() -> Remark:
            try:
                return Remark(f"{host} is {' and '.join(senses.resolve(host, port))}")
            except (OSError, UnicodeError):
                raise _UnresolvedError(host) from None

        return look

    def hello() -> Remark:
        way.hello()
        return Remark(f"{destination.address} takes the connection")

    def answered() -> Remark:
        way.echo()
        return Remark("a web server answers")

    def let_in() -> Remark:
        from appliance.deliver.transports.stow import StowTransport

        assert isinstance(way, StowTransport)  # noqa: S101 (`way_to` made it; for the type checker)
        way.admitted()
        return Remark("its STOW-RS service lets the box store")

    match destination:
        case FolderDestination():
            return ((WayPhase.FOLDER, opened(f"{destination.path} is there, and marked")),)
        case SftpDestination():
            return (
                (WayPhase.NAME, resolved(str(destination.host), destination.port)),
                (WayPhase.TCP, hello),
                (WayPhase.LOGIN, opened("the server is the one that is pinned, lets the box in, and has the folder")),
            )
        case StowDestination(proxy=None):
            host = urlsplit(destination.url).hostname or ""
            return (
                (WayPhase.NAME, resolved(host, urlsplit(destination.url).port or 443)),
                (WayPhase.TCP, hello),
                (WayPhase.HTTP, answered),
                (WayPhase.LOGIN, let_in),
            )
        case StowDestination():
            # Its name is the proxy's to look up.
            return ((WayPhase.TCP, hello), (WayPhase.HTTP, answered), (WayPhase.LOGIN, let_in))
