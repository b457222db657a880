"""Archives over TLS, good and bad: what the doctor says of each, and that nothing is sent to one that is not the right one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config.model import Delivery, DicomDestination, Tls
from appliance.core.identity import AETitle
from appliance.deliver.doctor import Diagnosis, InUse, Phase, Step, examine
from appliance.deliver.outgoing_tls import OutgoingTls
from tests.support import dcmtk
from tests.support.certificates import DAY, Authority, Identity
from tests.support.dcmtk import ArchiveMaker, StoreScp
from tests.support.openssl_tool import EVERYTHING, PermissiveServer

BOX = AETitle("EDGE")
QUICK = Delivery(connect=2.0, associate=2.0, progress=2.0)

MakeSecure = Callable[..., StoreScp]


@pytest.fixture
def hospital(tmp_path: Path) -> Authority:
    """The authority that everybody trusts."""
    return Authority(tmp_path / "hospital")


@pytest.fixture
def make_secure(make_archive: ArchiveMaker, hospital: Authority) -> MakeSecure:
    """Make archives that listen for TLS; `asks` says whether they demand a certificate."""

    def make(identity: Identity, *, asks: bool = False) -> StoreScp:
        return make_archive(options=[*dcmtk.tls_options(identity, hospital), "-rc" if asks else "-ic"]).start()

    return make


def visit(port: int, tls: Tls, *, host: str = "localhost", mode: str = "on", certificate: str | None = None) -> Diagnosis:
    """Examine what listens at a port of this machine, over TLS."""
    settings = {"name": "archive", "ae_title": "ARCHIVE", "host": host, "port": port, "tls": mode, "certificate": certificate}
    destination = DicomDestination.model_validate({key: value for key, value in settings.items() if value is not None})
    request = OutgoingTls().request(destination, tls)
    return examine(destination, InUse((BOX,)), box=BOX, settings=QUICK, tls=request)


def trusting(authority: Authority, identity: Identity | None = None) -> Tls:
    """Return settings that trust an authority, with a certificate of the box's own where one is given."""
    own = {} if identity is None else {"certificate": str(identity.certificate), "key": str(identity.key)}
    return Tls.model_validate({"authorities": (str(authority.path),), **own})


def tls_step(diagnosis: Diagnosis) -> Step:
    """Return what the handshake led to."""
    return next(step for step in diagnosis.steps if step.phase is Phase.TLS)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_archive_with_a_good_certificate_is_well(make_secure: MakeSecure, hospital: Authority, host: str) -> None:
    """Called by name or by address, an archive whose certificate is for that is well in every phase, and the handshake is described."""
    identity = hospital.issue("pacs")

    diagnosis = visit(make_secure(identity).port, trusting(hospital), host=host)

    assert [(step.phase, step.ok) for step in diagnosis.steps] == [
        (phase, True) for phase in Phase if phase not in {Phase.SEND, Phase.PROOF}
    ]
    assert tls_step(diagnosis).detail.startswith("TLSv1.")
    assert f"CN=pacs, sha256:{identity.sha256}, valid until 20" in tls_step(diagnosis).detail
    assert tls_step(diagnosis).advice == ""


def test_a_certificate_that_will_expire_is_pointed_at(make_secure: MakeSecure, hospital: Authority) -> None:
    """A certificate that ends within a month still does, and somebody has to be asked for another."""
    diagnosis = visit(make_secure(hospital.issue("pacs", ends=10 * DAY)).port, trusting(hospital))

    assert diagnosis.ok
    assert tls_step(diagnosis).advice.startswith("Its certificate expires in 10 days")


def test_the_box_shows_its_certificate_where_the_archive_demands_one(make_secure: MakeSecure, hospital: Authority) -> None:
    """With tls = "mutual" an archive that demands a certificate lets the box in."""
    archive = make_secure(hospital.issue("pacs"), asks=True)

    diagnosis = visit(archive.port, trusting(hospital, hospital.issue("box")), mode="mutual")

    assert diagnosis.ok


def test_an_archive_that_demands_a_certificate_says_so(make_secure: MakeSecure, hospital: Authority) -> None:
    """With tls = "on" an archive that demands a certificate refuses the handshake, and the advice is to show one."""
    archive = make_secure(hospital.issue("pacs"), asks=True)

    step = tls_step(visit(archive.port, trusting(hospital)))

    assert not step.ok
    assert "a certificate is demanded" in step.detail or "it demands a certificate" in step.detail
    assert 'tls = "mutual"' in step.advice


def test_an_archive_that_does_not_trust_the_boxes_certificate_says_so(make_secure: MakeSecure, hospital: Authority, tmp_path: Path) -> None:
    """A certificate of another authority is refused by the archive, and the advice is to make it known there."""
    archive = make_secure(hospital.issue("pacs"), asks=True)
    other = Authority(tmp_path / "elsewhere", "Other CA").issue("box")

    step = tls_step(visit(archive.port, trusting(hospital, other), mode="mutual"))

    assert (step.ok, step.detail) == (False, f"no TLS with localhost:{archive.port}: it does not trust our certificate")
    assert "dicom-edge tls show --pem" in step.advice


@pytest.mark.parametrize(
    ("kind", "problem", "advice"),
    [
        ("wrong authority", "the certificate is not trusted (unable to get local issuer certificate)", "tls.authorities"),
        ("expired", "the certificate has expired", "The archive needs a new certificate. Is this box's clock right?"),
        ("not yet valid", "the certificate is not valid yet", "Is this box's clock right?"),
        ("wrong name", "the certificate is for another name", "Set the destination's certificate to the name"),
        ("short key", "the certificate is not trusted (EE certificate key too weak)", "tls.authorities"),
    ],
)
def test_a_bad_certificate_is_named(
    make_secure: MakeSecure, hospital: Authority, tmp_path: Path, kind: str, problem: str, advice: str
) -> None:
    """Each way in which an archive's certificate may be bad has its own words and its own advice."""
    identity = {
        "wrong authority": lambda: Authority(tmp_path / "elsewhere", "Other CA").issue("pacs"),
        "expired": lambda: hospital.issue("pacs", begins=-3 * DAY, ends=-DAY),
        "not yet valid": lambda: hospital.issue("pacs", begins=DAY),
        "wrong name": lambda: hospital.issue("pacs", names=("pacs.example.org",)),
        "short key": lambda: hospital.issue("pacs", key="rsa1024"),
    }[kind]()
    if kind == "short key":
        # DCMTK's own OpenSSL refuses to show such a certificate.
        with PermissiveServer(tmp_path, identity, hospital.issue("other"), only_rsa=True) as server:
            step = tls_step(visit(server.port, trusting(hospital)))
            port = server.port
    else:
        archive = make_secure(identity)
        step, port = tls_step(visit(archive.port, trusting(hospital))), archive.port

    found, _, offered = step.detail.partition("; it offers ")
    assert (step.ok, found) == (False, f"no TLS with localhost:{port}: {problem}")
    assert offered.startswith("TLSv1.")
    assert "the certificate of CN=pacs for " in offered
    assert f", sha256:{identity.sha256}" in offered
    assert advice in step.advice


def test_the_name_in_the_certificate_may_be_configured(make_secure: MakeSecure, hospital: Authority) -> None:
    """Where the certificate is for another name than the host, that name can be expected instead; a wrong one is still wrong."""
    archive = make_secure(hospital.issue("pacs", names=("pacs.example.org",)))

    right = visit(archive.port, trusting(hospital), certificate="pacs.example.org")
    wrong = visit(archive.port, trusting(hospital), certificate="mirror.example.org")

    assert right.ok
    assert "the certificate is for another name; it offers TLS" in tls_step(wrong).detail
    assert " for pacs.example.org, issued by CN=Hospital CA" in tls_step(wrong).detail


def test_a_pin_needs_no_authority_and_takes_no_other_certificate(make_secure: MakeSecure, hospital: Authority, tmp_path: Path) -> None:
    """With a fingerprint configured, exactly that certificate is taken, whoever signed it; any other is refused, whoever signed it."""
    identity = Authority(tmp_path / "elsewhere", "Other CA").issue("pacs", names=("pacs.example.org",))
    archive = make_secure(identity)

    right = visit(archive.port, Tls(), certificate=f"sha256:{identity.sha256}")
    wrong = visit(archive.port, trusting(hospital), certificate=f"sha256:{hospital.issue('pacs').sha256}")

    assert right.ok
    assert "shows another certificate than the one that is configured for it; it offers TLS" in tls_step(wrong).detail
    assert f"sha256:{identity.sha256}" in tls_step(wrong).detail
    assert "Ask the archive's administrator" in tls_step(wrong).advice


def test_a_plain_archive_is_no_tls_archive(make_archive: ArchiveMaker, hospital: Authority) -> None:
    """What answers in plain DICOM, or hangs up, is not taken for a bad certificate."""
    archive = make_archive().start()

    step = tls_step(visit(archive.port, trusting(hospital)))

    assert not step.ok
    assert "not TLS" in step.detail or "closed the connection in the handshake" in step.detail
    assert "TLS" in step.advice


def test_an_archive_that_speaks_only_old_tls(tmp_path: Path, hospital: Authority) -> None:
    """TLS 1.1 alone is no TLS in common, and the advice says what is the least."""
    with PermissiveServer(tmp_path, hospital.issue("rsa", key="rsa2048"), hospital.issue("ec"), "-tls1_1", "-cipher", EVERYTHING) as server:
        step = tls_step(visit(server.port, trusting(hospital)))

    assert not step.ok
    assert "TLS version in common" in step.detail
    assert "it offers TLSv1.1 with " in step.detail
    assert step.advice.startswith("TLS 1.2")


def test_a_silent_archive_ends_the_handshake_at_its_deadline(hospital: Authority) -> None:
    """Who takes the connection and never answers the ClientHello is given up after the time for connecting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        step = tls_step(visit(port, trusting(hospital)))

    assert (step.ok, step.detail) == (False, f"localhost:{port} does not finish the TLS handshake")
    assert "Does the archive speak TLS at this port?" in step.advice


def test_files_of_ours_that_cannot_be_used_are_ours(make_secure: MakeSecure, hospital: Authority) -> None:
    """A key that is gone is said to be the box's trouble, not the archive's."""
    archive, identity = make_secure(hospital.issue("pacs"), asks=True), hospital.issue("box")
    settings = trusting(hospital, identity)
    identity.key.unlink()

    step = tls_step(visit(archive.port, settings, mode="mutual"))

    assert not step.ok
    assert "cannot be read" in step.detail
    assert "config check" in step.advice
