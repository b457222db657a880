"""The settings of TLS: what is taken, what is refused, and what is wrong with the files that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.load import to_json, to_toml
from tests.support.certificates import DAY, Authority, Identity
from tests.unit.config.texts import a_destination, a_source, errors_of, notices_of, site_of, the_error_of

PIN = "sha256:" + "0a" * 32


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with its file."""
    return Authority(tmp_path)


def tls(*lines: str) -> str:
    """Return a `[tls]` with these lines, and a listener for it."""
    return "\n".join(['[listen]\ndicom_tls = ["0.0.0.0:2762"]', "[tls]", *lines]) + "\n"


def files(identity: Identity) -> tuple[str, str]:
    """Return the lines that name an identity."""
    return f'certificate = "{identity.certificate}"', f'key = "{identity.key}"'


def test_by_default_no_tls_port_is_open() -> None:
    """A file without a line listens in plain only."""
    site = site_of("")

    assert site.listen.dicom_tls == ()
    assert (site.tls.profile, site.tls.client_certificates) == ("bcp195", "off")


def test_a_box_may_listen_for_tls_alone() -> None:
    """One kind of listener is enough; none is not."""
    assert site_of('[listen]\ndicom = []\ndicom_tls = ["0.0.0.0:2762"]').listen.dicom == ()
    assert the_error_of("[listen]\ndicom = []").where == "listen.dicom"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (PIN, PIN),
        ("SHA256:" + ":".join(["0A"] * 32), PIN),
        (":".join(["0A"] * 32), PIN),
        ("0a" * 32, PIN),
        (" pacs.example.org ", "pacs.example.org"),
        ("10.0.0.7", "10.0.0.7"),
        ("CT Room 4", "CT Room 4"),
    ],
)
def test_a_certificate_is_a_fingerprint_or_a_name(authority: Authority, text: str, shown: str) -> None:
    """A fingerprint is understood in every form in which tools print it, and comes out in one."""
    site = site_of(tls('client_certificates = "required"', f'authorities = ["{authority.path}"]') + a_source(f'certificate = "{text}"'))

    assert str(site.sources[0].certificate) == shown
    assert f'"certificate": "{shown}"' in to_json(site)
    assert site_of(to_toml(site)) == site


@pytest.mark.parametrize("text", ["sha256:0a0b", "", "-", "a\\u0007b", "sha256:" + "0g" * 32, "x" * 200])
def test_what_is_neither_is_refused(text: str) -> None:
    """What is no fingerprint and cannot stand in a certificate is an error with advice."""
    error = the_error_of(a_destination('tls = "on"', f'certificate = "{text}"'))

    assert error.where == "destination[0].certificate"
    assert error.advice


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (tls('certificate = "/x.pem"'), "tls.key", "is missing, and certificate is set"),
        (tls('key = "/x.key"'), "tls.certificate", "is missing, and key is set"),
        (tls('client_certificates = "required"'), "tls.authorities", "is needed to check the certificates that are required"),
        (tls('client_certificates = "maybe"'), "tls.client_certificates", 'must be "off" or "required", not "maybe"'),
        (tls('profile = "tls1"'), "tls.profile", 'must be "bcp195" or "modified", not "tls1"'),
        (tls('authorities = ["ca.pem"]'), "tls.authorities[0]", '"ca.pem" is not a whole path'),
        (tls('authorities = "/ca.pem"'), "tls.authorities", 'must be a list, not the text "/ca.pem"'),
        (tls('authority = "/ca.pem"'), "tls.authority", "is not a known key"),
        (a_source(f'certificate = "{PIN}"'), "source[0].certificate", "cannot be shown, because the box does not listen for TLS"),
        (tls() + a_source(f'certificate = "{PIN}"'), "source[0].certificate", "is never asked for: tls.client_certificates is off"),
        (a_destination('tls = "on"'), "destination[0].tls", "has nothing to check the archive's certificate against"),
        (a_destination('tls = "mutual"'), "destination[0].tls", "has nothing to check the archive's certificate against"),
        (
            a_destination('tls = "on"', 'certificate = "pacs.example.org"'),
            "destination[0].certificate",
            "has nothing to check the archive's certificate against",
        ),
        (a_destination(f'certificate = "{PIN}"'), "destination[0].certificate", "is not looked at, because tls is off"),
        (
            '[listen]\ndicom_tls = ["127.0.0.1:2762"]\n'
            + a_destination('tls = "on"', f'certificate = "{PIN}"', "port = 2762", host="localhost"),
            "destination[0].host",
            "is the box itself, which would send images round for ever",
        ),
    ],
)
def test_what_can_never_work_is_an_error(text: str, where: str, problem: str) -> None:
    """Settings that lack their other half are refused, with the place and the way out."""
    error = the_error_of(text)

    assert (error.where, error.problem) == (where, problem)
    assert error.advice


def test_a_pin_needs_no_authority() -> None:
    """A destination known by its fingerprint can be called without any file."""
    assert errors_of(a_destination('tls = "on"', f'certificate = "{PIN}"')) == []


def test_mutual_without_a_certificate_says_which_one_is_shown() -> None:
    """The box then shows the certificate that it made itself, and the archive must be given it."""
    notices = notices_of(a_destination('tls = "mutual"', f'certificate = "{PIN}"'))

    (notice,) = [one for one in notices if one.where == "destination[0].tls"]
    assert "the certificate that the box made itself" in notice.problem
    assert "tls show --pem" in notice.advice


def test_good_files_are_no_problem(authority: Authority) -> None:
    """A certificate with its key, and an authority, all in their time: nothing to say."""
    text = tls(*files(authority.issue("box")), f'authorities = ["{authority.path}"]')

    assert [one for one in notices_of(text) if one.where.startswith("tls")] == []


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    """Each file that is not there is an error of its own."""
    text = tls(f'certificate = "{tmp_path}/a.pem"', f'key = "{tmp_path}/a.key"', f'authorities = ["{tmp_path}/ca.pem"]')

    assert [(one.where, one.problem.startswith("there is no file")) for one in errors_of(text)] == [
        ("tls.authorities[0]", True),
        ("tls.certificate", True),
        ("tls.key", True),
    ]


def test_files_that_hold_something_else_are_named(authority: Authority, tmp_path: Path) -> None:
    """A file without a certificate, a directory, and a key that is none are three different things."""
    identity = authority.issue("box")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing", encoding="ascii")
    identity.key.write_text("nothing", encoding="ascii")

    text = tls(*files(identity), f'authorities = ["{empty}", "{tmp_path}"]')

    assert [(one.where, one.problem.split(" ", 1)[1] if one.problem.startswith("/") else one.problem) for one in errors_of(text)][:2] == [
        ("tls.authorities[0]", "holds no certificate"),
        ("tls.authorities[1]", "is not a file"),
    ]
    assert errors_of(text)[2].where == "tls.key"


def test_a_key_that_is_another_certificates_is_named(authority: Authority) -> None:
    """The key must be the one that the certificate was made for."""
    one, other = authority.issue("one"), authority.issue("other")

    error = the_error_of(tls(f'certificate = "{one.certificate}"', f'key = "{other.key}"'))

    assert (error.where, error.problem) == ("tls.key", "is not the key of tls.certificate")


def test_a_key_that_everybody_reads_is_refused(authority: Authority) -> None:
    """A private key that every user of the machine can read is none."""
    identity = authority.issue("box")
    identity.key.chmod(0o644)

    error = the_error_of(tls(*files(identity)))

    assert (error.where, error.problem) == ("tls.key", "can be read by every user of this machine")


def test_a_certificate_that_has_expired_is_an_error(authority: Authority) -> None:
    """An expired certificate of the box serves nobody; the clock is asked about, because it may be that."""
    error = the_error_of(tls(*files(authority.issue("box", begins=-3 * DAY, ends=-DAY))))

    assert error.where == "tls.certificate"
    assert error.problem.startswith("expired on ")
    assert "Is the box's clock right?" in error.advice


@pytest.mark.parametrize(("begins", "ends", "problem"), [(DAY, 9 * DAY, "is not valid before"), (-DAY, 30 * DAY, "expires on")])
def test_a_certificate_near_its_ends_is_a_notice(authority: Authority, begins: object, ends: object, problem: str) -> None:
    """Not valid yet, or soon no more: worth knowing, and in nobody's way."""
    identity = authority.issue("box", begins=begins, ends=ends)  # type: ignore[arg-type]

    (notice,) = [one for one in notices_of(tls(*files(identity))) if one.where == "tls.certificate"]

    assert notice.problem.startswith(problem)


def test_an_authority_that_has_expired_is_a_notice(authority: Authority) -> None:
    """The others that are trusted still are."""
    expired = authority.issue("old CA", begins=-3 * DAY, ends=-DAY)

    (notice,) = [one for one in notices_of(tls(f'authorities = ["{expired.certificate}"]')) if one.where.startswith("tls")]

    assert notice.where == "tls.authorities[0]"
    assert "CN=old CA expired on" in notice.problem
