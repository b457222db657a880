"""The connection doctor for destinations of other kinds than DICOM: name, connection, and whether the box is let in.

Promises: an examination stops at the first phase that fails, stores nothing but a test image of no patient where that is asked for, and
leaves nothing open; what it finds well, the sender finds well, because it goes by the same transport.
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
from appliance.deliver.diagnosis import Diagnosis, Senses, walk
from appliance.deliver.diagnosis import Look as Judged
from appliance.deliver.doctor import Proves
from appliance.deliver.remedies import Remark
from appliance.deliver.synthetic import TestImage
from appliance.deliver.transport import AssociationFailedError, Transport, Wanted
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN


class WayPhase(StrEnum):
    """The phases; each kind of destination has some of them, in this order."""

    NAME = "name"
    TCP = "tcp"
    HTTP = "http"
    LOGIN = "login"
    FOLDER = "folder"
    SEND = "send"
    """Only over STOW-RS, where somebody asked for it."""
    PROOF = "proof"
    """Only with a test image, where the destination proves what it has."""


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
    destination: StowDestination | SftpDestination | FolderDestination,
    way: Transport,
    box: AETitle,
    senses: Senses | None = None,
    *,
    sends: bool = False,
    proves: Proves | None = None,
) -> Diagnosis:
    """Examine the way to a destination. Takes as long as the destination does: call it from a thread that may wait.

    With `sends` a STOW-RS service is sent a test image too, and `proves` finds out whether it is there; None asks nothing.
    """
    senses = senses or Senses()
    phases = [(phase, _judged(look)) for phase, look in _phases(destination, way, box, senses)]
    if sends and isinstance(destination, StowDestination):
        phases += _phases_of_an_image(way, box, senses, proves)
    steps = walk(phases, senses)
    is_well = all(step.ok for step in steps)
    lets_in = all(step.ok for step in steps if step.phase not in (WayPhase.SEND, WayPhase.PROOF))
    return Diagnosis(destination.name, is_well, steps, ends_refusal=lets_in)


def _judged(look: Look) -> Judged:
    """Return a look that says what is wrong instead of raising it."""

    def judged() -> tuple[bool, Remark]:
        try:
            return True, look()
        except AssociationFailedError as error:
            return False, Remark(error.verdict.text, ADVICE.get(error.verdict.flag, _ASK))
        except _UnresolvedError as error:
            return False, remedies.for_unresolved(str(error))

    return judged


def _phases_of_an_image(way: Transport, box: AETitle, senses: Senses, proves: Proves | None) -> list[tuple[WayPhase, Judged]]:
    """Return the phases in which a service is sent a test image, and asked for it."""
    image = TestImage(EXPLICIT_LITTLE_ENDIAN, senses.wall())

    def sent() -> tuple[bool, Remark]:
        from appliance.deliver.transports.stow import StowTransport

        assert isinstance(way, StowTransport)  # noqa: S101 (`way_to` made it; for the type checker)
        try:
            outcome = way.try_image(image, box)
        except AssociationFailedError as error:
            return False, Remark(error.verdict.text, ADVICE.get(error.verdict.flag, _ASK))
        return remedies.for_image(outcome.verdict, outcome.status, box)

    phases: list[tuple[WayPhase, Judged]] = [(WayPhase.SEND, sent)]
    if proves is not None:
        phases.append((WayPhase.PROOF, lambda: proves(image)))
    return phases


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
