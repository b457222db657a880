"""The whole box over TLS: a scanner and an archive that show certificates, a certificate of the box's own, and an impostor."""

from __future__ import annotations

import json
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dcmtk, part10, samples
from tests.support.box import Box, BoxMaker
from tests.support.certificates import Authority, Identity
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import Table, a_site, a_source, an_archive
from tests.support.tls_client import client_context, shake

_LISTEN: Table = {"dicom_tls": ["127.0.0.1:0"], "workers": 1}


@pytest.fixture
def hospital(tmp_path: Path) -> Authority:
    """The authority that everybody trusts."""
    return Authority(tmp_path / "hospital")


def settings(authority: Authority, identity: Identity | None = None, **more: object) -> Table:
    """Return a `[tls]` that trusts an authority, with a certificate of the box's where one is given."""
    own = {} if identity is None else {"certificate": str(identity.certificate), "key": str(identity.key)}
    return {"authorities": [str(authority.path)], **own, **more}


def served_certificate(box: Box) -> bytes:
    """Return the certificate (DER) that the next caller gets."""
    return shake(box.tls_port, client_context()).certificate


def examined(box: Box) -> list[dict[str, object]]:
    """Return the steps of a test of the archive, whatever it finds."""
    steps: list[dict[str, object]] = json.loads(box.command("destinations", "test", "archive", "--json").stdout)["steps"]
    return steps


def test_images_go_through_with_certificates_on_both_sides(
    make_box: BoxMaker, make_archive: ArchiveMaker, hospital: Authority, tmp_path: Path
) -> None:
    """Scanner and archive demand and show certificates, a plain scanner is served beside them, all arrives when the archive is there."""
    archive = make_archive(options=[*dcmtk.tls_options(hospital.issue("pacs"), hospital), "-rc"])
    box = make_box(
        a_site(
            sources=[a_source("CT1", certificate="ct1"), a_source("CR1")],
            destinations=[an_archive(archive.port, tls="mutual")],
            listen=_LISTEN,
            tls=settings(hospital, hospital.issue("box"), client_certificates="required"),
        )
    ).start()
    scanner = hospital.issue("ct1", names=())
    files = samples.ct(64).write(tmp_path / "files", 3)

    secure = dcmtk.storescu(box.tls_port, files[:2], calling="CT1", options=dcmtk.tls_options(scanner, hospital))
    plain = dcmtk.storescu(box.port, files[2:], calling="CR1")
    impostor = dcmtk.storescu(box.port, files[:1], calling="CT1")
    eventually(lambda: box.cli("status")["destinations"][0]["state"] == "dead", within=20, message="the archive to be missed")
    archive.start()
    box.wait_until_delivered()

    assert [dcmtk.successes(output) for output in (secure, plain, impostor)] == [2, 1, 0]
    assert archive.identities() == {part10.read(file).identity for file in files}
    diagnosis = box.cli("destinations", "test", "archive")
    assert [(step["phase"], step["ok"]) for step in diagnosis["steps"]][2:4] == [("tcp", True), ("tls", True)]


@pytest.fixture(scope="module")
def own_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box with a certificate of its own, for the tests that look at that."""
    with Box(tmp_path_factory.mktemp("own"), a_site(listen=_LISTEN)) as box:
        yield box


def test_the_box_makes_a_certificate_and_has_it_signed(own_box: Box, hospital: Authority) -> None:
    """The box has a key and certificate of its own; signed by the hospital's authority it is in use without a restart."""
    box = own_box
    made = box.cli("tls", "show")
    first = served_certificate(box)

    request = box.cli("tls", "request", "--name", "edge.example.org", "--name", "127.0.0.1")["pem"]
    signed = box.work / "signed.pem"
    signed.write_text(hospital.path.read_text(encoding="ascii") + hospital.sign(request), encoding="ascii")
    installed = box.cli("tls", "install", str(signed))
    second = shake(box.tls_port, client_context(trusts=hospital.path))

    assert made["own"]
    assert "test-box" in made["certificates"][0]["names"]
    assert ssl.PEM_cert_to_DER_cert(made["pem"]) == first
    assert (installed["subject"], installed["issuer"]) == ("CN=edge.example.org", "CN=Hospital CA")
    assert second.refused is None
    assert second.certificate != first
    assert [one["subject"] for one in box.cli("tls", "show")["certificates"]] == ["CN=edge.example.org", "CN=Hospital CA"]


def test_a_key_is_replaced_only_on_purpose(own_box: Box) -> None:
    """`tls generate` keeps a key that peers may know, makes a new one when told to, and the next caller gets its certificate."""
    first = served_certificate(own_box)

    refused = own_box.command("tls", "generate")
    made = own_box.cli("tls", "generate", "--replace", "--name", "edge.example.org")

    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert made["names"] == ["edge.example.org"]
    assert ssl.PEM_cert_to_DER_cert(made["pem"]) == served_certificate(own_box) != first


def test_no_private_key_is_in_clear_anywhere(own_box: Box) -> None:
    """The box's key lies encrypted in one file that only its owner reads, and is in no log and no answer."""
    served_certificate(own_box)
    verbs = (("tls", "show"), ("tls", "show", "--pem"), ("tls", "request"), ("config", "show"))
    answers = [own_box.command(*verb).stdout for verb in verbs]

    identity = own_box.data / "keys" / "tls.pem"
    kept = {path: path.read_bytes() for path in own_box.data.rglob("*") if path.is_file()}

    assert stat.S_IMODE(identity.stat().st_mode) == 0o600
    assert [path for path, content in kept.items() if b"PRIVATE KEY" in content] == [identity]
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in kept[identity]
    assert kept[identity].count(b"PRIVATE KEY") == 2
    assert all("PRIVATE KEY" not in text for text in (*answers, own_box.output()))


def test_nothing_is_sent_to_an_impostor(make_box: BoxMaker, make_archive: ArchiveMaker, hospital: Authority, tmp_path: Path) -> None:
    """An archive with another certificate than the pinned one gets no byte of DICOM; once the pin is right, what waited is delivered."""
    right, wrong = hospital.issue("pacs"), hospital.issue("impostor")
    archive = make_archive(options=[*dcmtk.tls_options(wrong, hospital), "-ic"]).start()

    def site(pin: str) -> str:
        return a_site(destinations=[an_archive(archive.port, tls="on", certificate=pin)], listen=_LISTEN)

    box = make_box(site(f"sha256:{right.sha256}")).start()
    [file] = samples.ct(64).write(tmp_path / "files")
    dcmtk.storescu(box.port, [file], calling="CT1")

    eventually(lambda: box.cli("status")["destinations"][0]["state"] == "refusing", within=20, message="the archive to be distrusted")
    waiting = box.cli("queue", "list")
    step = next(one for one in examined(box) if one["phase"] == "tls")
    heard = archive.log()
    box.configure(site(f"sha256:{wrong.sha256}"))
    box.cli("config", "apply")
    box.wait_until_delivered()

    assert len(waiting) == 1
    assert not step["ok"]
    assert "shows another certificate than the one that is configured for it" in str(step["detail"])
    assert wrong.sha256.replace(":", "").lower() in str(step["detail"])
    assert re.findall(r"Calling Application Name: +\S", heard) == []
    assert archive.identities() == {part10.read(file).identity}


def test_a_box_that_speaks_tls_only(make_box: BoxMaker, hospital: Authority, tmp_path: Path) -> None:
    """Without a plain listener the box serves scanners over TLS, says its TLS port, and `send` reaches it all the same."""
    box = make_box(a_site(listen={"dicom": [], **_LISTEN})).start()
    [file] = samples.ct(64).write(tmp_path / "files")
    scanner = hospital.issue("ct1")

    stored = dcmtk.storescu(box.tls_port, [file], calling="CT1", options=["+tls", str(scanner.key), str(scanner.certificate), "-ic"])
    sent = box.cli("send", str(file))

    assert dcmtk.successes(stored) == 1
    assert [one["ok"] for one in sent] == [True]
    assert f"127.0.0.1:{box.tls_port} (TLS)" in box.stdout_path.read_text(encoding="utf-8")


def test_a_taken_tls_port_is_one_line(make_box: BoxMaker) -> None:
    """A TLS port that another program uses is said in one line with what to do, and the box does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        box = make_box(a_site(listen={"dicom_tls": [f"127.0.0.1:{taken.getsockname()[1]}"]}))

        ended = box.run_refused()

    assert ended.returncode == 1
    assert "another program already uses it" in ended.stderr
    assert "listen.dicom_tls" in ended.stderr
