"""What the connection doctor says: for everything that can stand in the way of an image, what it is and what to try next. Pure.

Promises: every answer a peer can give has its words; they name the titles and addresses that were used, and nothing else a peer sent but
numbers and UIDs.
Failures: none.
Limits: advice is the most likely remedy, not the only one.
Standard: PS3.8 9.3.4 (rejections), 9.3.8 (aborts), 9.3.3.2 (context results).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.core.identity import AETitle, Uid
from appliance.deliver.synthetic import PATIENT_ID, PATIENT_NAME, STUDY_DESCRIPTION
from appliance.deliver.transport import Context
from appliance.deliver.verdict import Verdict, Whose
from appliance.dimse.contexts import UNCOMPRESSED, named
from appliance.dimse.conversion import convertible
from appliance.dimse.failures import PeerUnreachableError, Unreachable
from appliance.dimse.tls import Secured


@dataclass(frozen=True, slots=True)
class Remark:
    """What was found, and what to do about it (empty where nothing is to be done)."""

    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """How the archive was called: where, under which titles, and from which of our addresses ("" where that is not known)."""

    host: str
    port: int
    calling: AETitle
    called: AETitle
    own_address: str = ""

    @property
    def where(self) -> str:
        """The address as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def us(self) -> str:
        """The box as it has to be entered in the archive's lists."""
        return f"{self.calling} with the address {self.own_address}" if self.own_address else f"{self.calling} with this box's address"


def for_unresolved(host: str) -> Remark:
    """Return what to say about a name that nobody knows."""
    return Remark(
        f"the name {host} is not known",
        "Is it spelled right? Does this box have a DNS server that knows it? The archive's IP address as host always works.",
    )


def for_route(host: str, own: str) -> Remark:
    """Return what to say about the way that the system would take to a host; `own` is the address it would call from, "" for none."""
    if own:
        return Remark(f"this box calls from {own}")
    return Remark(f"this box knows no way to {host}", "Is the network cable plugged in? Are this box's address, netmask and gateway right?")


def for_tls(secured: Secured, now: float) -> Remark:
    """Return what to say about a handshake that went well at this moment (wall time)."""
    shown = secured.certificate
    if shown is None:
        return Remark(f"{secured.version} with {secured.cipher}")
    certificate = f"its certificate is {shown.subject}, sha256:{shown.sha256}, valid until {_day(shown.not_after)}"
    detail = f"{secured.version} with {secured.cipher}; {certificate}"
    left = shown.not_after - now
    if left < _RENEW_WITHIN_S:
        return Remark(
            detail, f"Its certificate expires in {max(0, round(left / _DAY_S))} days: have it renewed, or nothing is sent from then on."
        )
    return Remark(detail)


def with_offer(remark: Remark, offered: Secured | None) -> Remark:
    """Return the remark on a failed handshake with what the archive offers to somebody who does not judge it."""
    if offered is None:
        return remark
    shown = offered.certificate
    of = "no certificate"
    if shown is not None:
        names = f" for {_listed(shown.names)}" if shown.names else ""
        dates = f"valid from {_day(shown.not_before)} until {_day(shown.not_after)}"
        of = f"the certificate of {shown.subject}{names}, issued by {shown.issuer}, {dates}, sha256:{shown.sha256}"
    return Remark(f"{remark.detail}; it offers {offered.version} with {offered.cipher} and {of}", remark.advice)


WORTH_A_LOOK = frozenset(
    {
        Unreachable.UNTRUSTED,
        Unreachable.WRONG_NAME,
        Unreachable.WRONG_CERTIFICATE,
        Unreachable.EXPIRED,
        Unreachable.NOT_YET_VALID,
        Unreachable.NO_AGREEMENT,
    }
)
"""Failures of a handshake after which it helps to see what the archive offers."""
_DAY_S = 86_400.0
# Hospitals need weeks to have a certificate signed.
_RENEW_WITHIN_S = 30 * _DAY_S


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d")


_TLS_ADVICE: Mapping[Unreachable, str] = {
    Unreachable.TIMEOUT: "Does the archive speak TLS at this port? Some archives have another port for it, often 2762.",
    Unreachable.CLOSED: "Does the archive speak TLS at this port? If so, its log says what it did not like.",
    Unreachable.NOT_TLS: 'This is no port for DICOM over TLS: use the archive\'s TLS port, or set tls = "off".',
    Unreachable.UNTRUSTED: "Name the file of the authority that signed the archive's certificate in tls.authorities, or give the "
    "certificate's fingerprint as the destination's certificate, once the archive's administrator has confirmed it.",
    Unreachable.WRONG_NAME: "Set the destination's certificate to the name that stands in the archive's certificate, once its "
    "administrator has confirmed it; else have the archive's certificate made for this host.",
    Unreachable.WRONG_CERTIFICATE: "Ask the archive's administrator whether its certificate was renewed. If so, set the destination's "
    "certificate to the new fingerprint; if not, something else answers at this address.",
    Unreachable.EXPIRED: "The archive needs a new certificate. Is this box's clock right?",
    Unreachable.NOT_YET_VALID: "Is this box's clock right? Else the archive's certificate was made for later.",
    Unreachable.CLIENT_CERTIFICATE: 'Set tls = "mutual" if it is not, and give the archive this box\'s certificate '
    "(`dicom-edge tls show --pem`) or that of the authority which signed it.",
    Unreachable.NO_AGREEMENT: "TLS 1.2 with AEAD ciphers is the least: is the archive older than that? Or it demands a certificate: "
    'then set tls = "mutual".',
    Unreachable.OWN_CERTIFICATE: "`dicom-edge config check` says what is wrong with the files of [tls].",
}


def for_unreachable(error: PeerUnreachableError, call: Call) -> Remark:
    """Return what to say about an archive that cannot be reached, or does not answer."""
    where, port = call.where, call.port
    match error.phase, error.kind:
        case "name", _:
            return for_unresolved(call.host)
        case "tls", kind:
            return Remark(str(error), _TLS_ADVICE.get(kind, _ASK_ITS_LOG))
        case "associate", Unreachable.TIMEOUT:
            return Remark(
                f"{where} takes the connection and does not answer",
                f"Is {port} the port of the archive's DICOM service, and not that of another program? If it is, restart that service.",
            )
        case "associate", _:
            return Remark(
                f"{where} closes the connection instead of answering",
                f"Is {port} the DICOM port, and not one for TLS or the web? Some archives also hang up on addresses that they do not know: "
                f"enter {call.us} in the archive's list.",
            )
        case _, Unreachable.REFUSED:
            return Remark(f"nobody listens at {where}", "Is the archive running? Is the port right?")
        case _, Unreachable.TIMEOUT:
            return Remark(
                f"{where} does not answer",
                f"Is the archive switched on, and is the address right? Does a firewall on the way let port {port} pass?",
            )
        case _, Unreachable.CLOSED:
            return Remark(
                f"{where} closes the connection at once",
                f"Something between this box and the archive, or the archive itself, does not want it: enter {call.us} in its list, and "
                "look at the firewall.",
            )
        case _:
            return Remark(f"there is no way to {where}", "Is this box's network cable plugged in? Are its address and its gateway right?")


def for_rejection(result: int, source: int, reason: int, call: Call) -> Remark:
    """Return what to say about an association that was refused."""
    if (result, source, reason) == UNKNOWN_CALLING:
        return for_unknown_titles([call.calling], [], call)
    words = _REJECTIONS.get((result, source, reason))
    if words is None:
        kind = "for good" if result == 1 else "for now"
        return Remark(f"the archive refuses associations {kind} ({result}/{source}/{reason})", _ASK_ITS_LOG)
    names = {"calling": call.calling, "called": call.called, "us": call.us, "port": call.port, "where": call.where}
    detail, advice = words
    return Remark(detail.format_map(names), advice.format_map(names))


UNKNOWN_CALLING = (1, 1, 3)
_ASK_ITS_LOG = "Look into the archive's log for the reason."
_REJECTIONS: Mapping[tuple[int, int, int], tuple[str, str]] = {
    (1, 1, 1): (
        "the archive refuses {calling} and gives no reason",
        "Enter {us} in the archive's list of AE titles, and look into its log: it says why. Some answer so when a licence is used up.",
    ),
    (1, 1, 2): (
        "what answers at {where} is not an archive (it refuses DICOM's application context)",
        "Is {port} the port of the archive's DICOM service?",
    ),
    (1, 1, 7): (
        "the archive does not know itself as {called}",
        "Compare the destination's ae_title with the archive's own. Some archives answer so to callers that they do not know: enter {us}.",
    ),
    (1, 2, 1): ("the archive's association control refuses {calling}, without a reason", _ASK_ITS_LOG),
    (1, 2, 2): (
        "what answers at {where} speaks another version of the protocol",
        "Is {port} the port of the archive's DICOM service?",
    ),
    (2, 2, 1): (
        "the archive refuses associations for now and gives no reason",
        "Test again in a minute. If it stays so, look into the archive's log; a login that is asked for (user identity) is one reason.",
    ),
    (2, 3, 1): (
        "the archive is congested",
        "Nothing to do here: the box tries again by itself. If it stays so, the archive may be out of disk space or overloaded.",
    ),
    (2, 3, 2): (
        "the archive has no association left for this box",
        "The box may hold them itself while it is sending: test again later. Else raise the archive's limit, or set fewer lanes.",
    ),
}


def for_unknown_titles(unknown: Sequence[AETitle], known: Sequence[AETitle], call: Call) -> Remark:
    """Return what to say when the archive knows some of the titles that the box calls itself by, and others not."""
    titles = _listed(map(str, unknown))
    address = f"the address {call.own_address}" if call.own_address else "this box's address"
    enter = f"Enter {titles} with {address} in the archive's list of AE titles; capitals count for some archives."
    if known:
        detail = f"the archive knows this box as {_listed(map(str, known))}, but not as {titles}"
        return Remark(detail, f'{enter} Or set calling_ae = "box", so that one title is enough.')
    return Remark(f"the archive does not know this box as {titles}", f"{enter} The box calls itself as the destination's calling_ae says.")


def for_abort(source: int, reason: int, call: Call) -> Remark:
    """Return what to say about an abort instead of an answer."""
    return Remark(
        f"what answers at {call.where} breaks the association off instead of answering (abort {source}/{reason})",
        f"Is {call.port} the port of the archive's DICOM service? If so, enter {call.us} in its list; its log says what it did not like.",
    )


def for_contexts(answers: Mapping[Context, int], needed: Iterable[Context]) -> tuple[bool, Remark]:
    """Return whether everything `needed` can be sent, and what to say.

    `answers`: the result of each context that was asked for, 0 is taken. Where nothing is needed (nothing waits), anything that is taken
    is enough.
    """
    taken = [context for context, result in answers.items() if result == 0]
    missing = [context for context in needed if not _goes(context, taken)]
    detail = "; ".join(_line(sop_class, answers) for sop_class in dict.fromkeys(sop_class for sop_class, _ in answers))
    if not taken:
        return False, Remark(
            f"the archive takes nothing of what was asked for: {detail}",
            "Allow these SOP classes for this box in the archive's settings; is it the archive's storage service that answers here?",
        )
    if not missing:
        return True, Remark(detail)
    classes = dict.fromkeys(named(sop_class) for sop_class, syntax in missing if answers.get((sop_class, syntax)) == _CLASS_REFUSED)
    syntaxes = dict.fromkeys(
        f"{named(syntax)} for {named(sop_class)}" for sop_class, syntax in missing if answers.get((sop_class, syntax)) != _CLASS_REFUSED
    )
    allow = "; ".join(_listed(words) for words in (classes, syntaxes) if words)
    return False, Remark(detail, f"Instances wait that the archive does not take. Allow in the archive's settings: {allow}.")


_CLASS_REFUSED = 3
_RESULTS = {
    1: "refused (user rejection)",
    2: "refused (no reason)",
    _CLASS_REFUSED: "refused (SOP class not supported)",
    4: "refused (transfer syntax not supported)",
}
# Enough for every modality a department has; what is left out is counted.
_MOST_LISTED = 12


def _goes(context: Context, taken: Sequence[Context]) -> bool:
    """Say whether the context is taken, or one that its data sets can be converted to."""
    sop_class, syntax = context
    return context in taken or any((sop_class, target) in taken for target in UNCOMPRESSED if convertible(syntax, target))


def _line(sop_class: Uid, answers: Mapping[Context, int]) -> str:
    """Return one SOP class and what became of its transfer syntaxes, those with the same result together."""
    by_result: dict[int, list[str]] = {}
    for (asked, syntax), result in answers.items():
        if asked == sop_class:
            by_result.setdefault(result, []).append(named(syntax))
    parts = [
        f"taken in {_listed(syntaxes)}" if result == 0 else f"{_RESULTS.get(result, f'refused ({result})')} in {_listed(syntaxes)}"
        for result, syntaxes in sorted(by_result.items())
    ]
    if by_result.keys() == {_CLASS_REFUSED}:
        parts = [_RESULTS[_CLASS_REFUSED]]
    return f"{named(sop_class)}: {', '.join(parts)}"


def for_echo(status: int) -> Remark:
    """Return what to say about the answer to a C-ECHO."""
    if status == 0:
        return Remark("C-ECHO answered")
    return Remark(f"C-ECHO is answered with {status:04X} instead of success", "Look into the archive's log for the reason.")


def for_broken_echo(detail: str) -> Remark:
    """Return what to say when the association ended under a C-ECHO."""
    return Remark(f"C-ECHO was not answered: {detail}", "The archive took the association and then failed: its log says why; restart it.")


NO_ECHO = Remark("the archive does not take C-ECHO from this box; images can be sent all the same")


def for_box_title(remark: Remark, call: Call, *, is_needed: bool) -> Remark:
    """Return what to say when images may be sent, but the box is not let in under its own title."""
    needs = "storage commitment, queries and C-ECHO call" if is_needed else "only queries and C-ECHO call"
    return Remark(f"images can be sent, but {remark.detail}", f"{remark.advice} {needs[0].upper()}{needs[1:]} as {call.calling}.")


def for_untaken_image(calling: AETitle) -> Remark:
    """Return what to say when the archive takes no secondary capture, which the test image is."""
    return Remark(
        f"the archive takes no secondary capture images from {calling}, and the test image is one",
        "That keeps nothing else from being sent. Allow Secondary Capture Image Storage to test this far.",
    )


def for_broken_image(detail: str) -> Remark:
    """Return what to say when the association broke under the test image."""
    return Remark(f"the test image was not answered: {detail}", "The archive's log says why; a firewall that cuts transfers looks so too.")


def for_image(verdict: Verdict, status: int | None, calling: AETitle) -> tuple[bool, Remark]:
    """Return whether the archive took the test image, and what to say about its answer."""
    if verdict.whose is Whose.DELIVERED:
        where = f'patient {PATIENT_NAME}, ID {PATIENT_ID}, study "{STUDY_DESCRIPTION}"'
        return True, Remark(f"the archive took the test image from {calling}: look it up under {where}")
    shown = "" if status is None else f" ({status:04X})"
    return False, Remark(f"{verdict.text}{shown}", "Deliveries would get the same answer: the archive's log says why.")


def _listed(words: Iterable[str]) -> str:
    """Return words as a list in a sentence, not too many of them."""
    every = list(words)
    shown = every[:_MOST_LISTED]
    if len(every) > len(shown):
        return f"{', '.join(shown)} and {len(every) - len(shown)} more"
    return shown[0] if len(shown) == 1 else " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)
