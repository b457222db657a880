"""Certificates, keys, the commissioning sheet and the support bundle."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest

from appliance.accounts.roles import Role
from appliance.keys.generations import ensure_keys
from appliance.keys.root import RootKey
from appliance.keys.tls_identity import create_identity, own_certificates
from appliance.keys.tls_key import tls_password
from appliance.manage.commissioning import bypasses
from appliance.runtime.asking import NotRunningError, RequestRefusedError
from appliance.runtime.callers import LastCall
from appliance.runtime.page_requests import (
    ActivityReply,
    BacklogReply,
    HeldGroup,
    RecoveryReply,
    SourceActivity,
    ThroughputReply,
    ThroughputRow,
)
from appliance.runtime.questions import LastTest, LastTestsReply
from appliance.runtime.requests import (
    CertificateReply,
    CertificateRequest,
    DestinationReply,
    DestinationsReply,
    FindingReply,
    RotateReply,
    SpoolSpace,
    StatusReply,
)
from tests.support.pages import Said
from tests.unit.config.texts import an_sftp_destination, site_of
from tests.unit.webui.ward import TEXT, Ward, a_ward, text_of

ROOT = RootKey(bytes(range(32)))
# Words that stand for patients: nothing that leaves the hospital may hold them.
PATIENT = "NGUYEN^VAN-PLANTED"
NUMBER = "PID-PLANTED-4711"
UID = "1.2.826.0.1.3680043.8.498.4711"
PLANTED = (PATIENT, NUMBER, UID, "PLANTED")


def a_control(**more: object) -> Said:
    """Return daemons that answer, with patients in every word that may hold one."""
    said = f"{PATIENT} {NUMBER} {UID}"
    destination = DestinationReply("archive", "refusing", 7, 12.0, None, 2, 1, said, "10.1.0.5:104", 0)
    finding = FindingReply("spool_low", "warning", said, said, "2024-02-29T12:00:00+00:00")
    return Said(
        **{
            "ready": frozenset({"router", "sender"}),
            "status": StatusReply("1.2.3", True, "vinh-ct", 1, {"held": 2}, {}, 12.0, SpoolSpace(5, 6, 7), (destination,), (finding,)),
            "destinations": DestinationsReply((destination,)),
            "backlog": BacklogReply((), (HeldGroup("archive", "verdict", "never_sent", said, 2, 1, None),)),
            "last_tests": LastTestsReply((LastTest("archive", "2024-02-29T12:00:00+00:00", False, said, said),)),
            "throughput": ThroughputReply((ThroughputRow("2024-02-29T12:00:00+00:00", 3, 9, {"archive": 1}),)),
            "activity": ActivityReply((SourceActivity("CT1", "10.0.0.7", "2024-02-29T11:00:00+00:00", 3, 1, None),)),
            **more,
        }
    )


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with keys of a box: made once, as making them takes a moment."""
    data = tmp_path_factory.mktemp("keys")
    ensure_keys(data, ROOT)
    create_identity(data, tls_password(ROOT), ("vinh-ct", "10.0.0.2"), now=time.time())
    return data / "keys"


def a_box(data: Path, identity: Path, *, role: Role = Role.ADMINISTRATOR, text: str = TEXT, **answers: object) -> Ward:
    """Return a box with keys."""
    ward = a_ward(data, role=role, control=a_control(**answers), text=text)
    (data / "keys").symlink_to(identity)
    return ward


def test_the_certificate_and_the_keys_are_shown(tmp_path: Path, identity: Path) -> None:
    """Whom the certificate is for, its fingerprint, and the public key; nothing private."""
    ward = a_box(tmp_path, identity)

    page = ward.get("/system/certificates/")

    assert own_certificates(tmp_path)[0].sha256 in page
    assert "vinh-ct, 10.0.0.2" in text_of(page)
    assert "age1" in page
    assert "PRIVATE" not in page


def test_the_certificate_is_downloaded_without_its_key(tmp_path: Path, identity: Path) -> None:
    """What peers shall trust is handed out; the key beside it in the same file is not."""
    answer = a_box(tmp_path, identity, role=Role.VIEWER).pages.client.get("/system/certificates/certificate.pem")

    assert answer.text.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in answer.text


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    """A box whose keys cannot be read shows the page all the same."""
    ward = a_ward(tmp_path, control=a_control())

    said = text_of(ward.get("/system/certificates/"))

    assert "It cannot be shown" in said
    assert "Not known at the moment." in said


def test_a_new_certificate_is_made_by_the_daemon_with_the_keys(tmp_path: Path, identity: Path) -> None:
    """Only with the tick is the old one replaced, and it is written down."""
    ward = a_box(tmp_path, identity, certificate=CertificateReply("pem", ("vinh-ct", "edge.example.org")))

    refused = ward.post("/system/certificates/make", more={"make-names": "vinh-ct"})
    made = ward.post("/system/certificates/make", more={"make-names": "vinh-ct, edge.example.org", "make-replace": "y"})

    assert (refused.status_code, made.status_code) == (422, 303)
    asked = [arguments for name, arguments, _ in ward.pages.control.asked if name == "certificate"]
    assert asked == [(CertificateRequest(("vinh-ct", "edge.example.org"), replace=True),)]
    assert ward.journal == [("certificate.made", "vinh-ct, edge.example.org", {})]


def test_a_request_is_downloaded(tmp_path: Path, identity: Path) -> None:
    """What the hospital's authority signs comes as a file."""
    ward = a_box(tmp_path, identity, certificate=CertificateReply("-----BEGIN CERTIFICATE REQUEST-----", ("vinh-ct",)))

    answer = ward.post("/system/certificates/request", more={"ask-names": ""})

    assert answer.text == "-----BEGIN CERTIFICATE REQUEST-----"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="dicom-edge-request.pem"'


def test_a_signed_certificate_is_installed(tmp_path: Path, identity: Path) -> None:
    """Pasted or chosen, it is handed to the daemon; what does not fit is refused at the field with the reason."""
    refusal = RequestRefusedError("the certificate is for another key than the box's")
    ward = a_box(
        tmp_path, identity, certificate=lambda request: CertificateReply("pem", ()) if "GOOD" in request.install else _raise(refusal)
    )
    pem = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"

    pasted = ward.post("/system/certificates/install", more={"install-pem": pem.format("GOOD")})
    chosen = ward.post("/system/certificates/install", more={"install-file": (io.BytesIO(pem.format("GOOD").encode()), "box.pem")})
    misfit = ward.post("/system/certificates/install", more={"install-pem": pem.format("BAD")})
    nothing = ward.post("/system/certificates/install", more={"install-pem": "hello"})

    assert [answer.status_code for answer in (pasted, chosen, misfit, nothing)] == [303, 303, 422, 422]
    assert "the certificate is for another key" in misfit.text
    assert "begins with BEGIN CERTIFICATE" in nothing.text
    assert [action for action, _, _ in ward.journal] == ["certificate.installed"] * 2


def _raise(error: Exception) -> CertificateReply:
    raise error


def test_keys_are_rotated_and_a_recovery_key_is_set(tmp_path: Path, identity: Path) -> None:
    """Both are done by the daemon with the keys, and written down."""
    ward = a_box(tmp_path, identity, rotate_keys=RotateReply(1, 2, "age1two"), set_recovery=RecoveryReply("age1escrow"))

    ward.post("/system/certificates/keys/rotate")
    ward.post("/system/certificates/keys/recovery", more={"recovery-recipient": " age1escrow "})

    assert [(action, thing, more.get("after")) for action, thing, more in ward.journal] == [
        ("keys.rotated", "key generation 2", "age1two"),
        ("keys.recovery_set", "recovery key", "age1escrow"),
    ]
    assert ("set_recovery", ("age1escrow",), {}) in ward.pages.control.asked


def test_a_recovery_key_that_is_none_is_refused_at_its_field(tmp_path: Path, identity: Path) -> None:
    """What the daemon says stands at the field."""
    ward = a_box(tmp_path, identity, set_recovery=RequestRefusedError("this is no age recipient"))

    answer = ward.post("/system/certificates/keys/recovery", more={"recovery-recipient": "age1x"})

    assert (answer.status_code, "this is no age recipient" in answer.text) == (422, True)
    assert ward.journal == []


def test_the_sheet_says_what_to_type_into_a_scanner(tmp_path: Path, identity: Path) -> None:
    """Title, addresses, port, fingerprint, and the way round the box; scanners, destinations and routes with what is known of them."""
    ward = a_box(tmp_path, identity)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "listening.json").write_text(json.dumps({"dicom": [["10.0.0.2", 11112]]}), encoding="utf-8")

    said = text_of(ward.get("/system/papers/commissioning"))

    for words in (
        "EDGE",
        "11112",
        "sha256:",
        "archive PACS1 10.1.0.5 104",
        "CT1 CT1 10.0.0.7",
        "All images go to archive.",
        "failed:",
        "Kim Nguyen",
    ):
        assert words in said
    assert re.search(r"CT1 CT1 10\.0\.0\.7 [^A-Z]*29", said)


def test_the_sheet_is_there_without_daemons(tmp_path: Path) -> None:
    """What no daemon answers is said to be unknown: the sheet is for bad days too."""
    silent = NotRunningError("no")
    ward = a_ward(tmp_path, control=Said(activity=silent, last_tests=silent))

    said = text_of(ward.get("/system/papers/commissioning"))

    assert "archive PACS1 10.1.0.5 104" in said
    assert "not known at the moment" in said


def test_the_way_round_the_box_minds_what_matters() -> None:
    """A title that stays, TLS, and an archive that knows the box only are pointed out; what is not reached by a route is left out."""
    site = site_of(
        TEXT.replace('host = "10.1.0.5"', 'host = "10.1.0.5"\ncalling_ae = "box"\ntls = "on"\ncertificate = "sha256:' + "a" * 64 + '"')
        + '[[local_ae]]\nae_title = "PACS1"\n[[destination]]\nname = "spare"\nae_title = "X"\nhost = "10.1.0.9"\n'
    )

    (one,) = bypasses(site)

    assert (one.destination, one.is_drop_in, one.is_secure, one.knows_scanners) == ("archive", True, True, False)


def test_no_patient_is_in_the_support_bundle(tmp_path: Path, identity: Path) -> None:
    """Whatever daemons, peers and people say with a patient in it, nothing of it is in the bundle."""
    ward = a_box(tmp_path, identity, text=TEXT.replace("# room 3", f"# {PATIENT} came from room 3"))
    ward.changes.roll_back(1, expected=1, by="kim", reason=f"because of {PATIENT}")
    ward.pages.calls.append(LastCall("CT1", "CT1", "EDGE", "10.0.0.7", 1.0, "1/1/3", f"said {PATIENT}"))

    text = ward.pages.client.get("/system/papers/support/bundle.txt").text

    assert [word for word in PLANTED if word in text] == []
    for word in ("1.2.3", "spool_low", "never_sent", "refusing", '"held": 2', "10.1.0.5", "cryptography", 'name = "vinh-ct"', "1/1/3"):
        assert word in text


def test_no_secret_is_in_the_support_bundle(tmp_path: Path, identity: Path) -> None:
    """Of passwords and keys the bundle has the paths that the configuration names, and no more."""
    secret = tmp_path / "secrets" / "password"
    secret.parent.mkdir()
    secret.write_text("sesame-planted", encoding="utf-8")
    secret.chmod(0o600)
    ward = a_box(tmp_path, identity, text=TEXT + an_sftp_destination(key_file=secret))

    text = ward.pages.client.get("/system/papers/support/bundle.txt").text

    assert "sesame-planted" not in text
    assert str(secret) in text
    assert "PRIVATE" not in text


def test_a_part_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    """A box in trouble has a bundle too: what does not answer is named by its error alone."""
    silent = NotRunningError(f"no {PATIENT}")
    names = ("ready", "status", "destinations", "backlog", "last_tests", "throughput")
    ward = a_ward(tmp_path, control=Said(**dict.fromkeys(names, silent)))

    text = text_of(ward.get("/system/papers/support"))

    assert "not to be had: NotRunningError" in text
    assert PATIENT not in text
    assert 'name = "vinh-ct"'.replace('"', "&#34;") in text


def test_the_bundle_is_not_for_everybody(tmp_path: Path) -> None:
    """Who only looks has nothing to send."""
    assert a_ward(tmp_path, role=Role.VIEWER).pages.client.get("/system/papers/support").status_code == 403
