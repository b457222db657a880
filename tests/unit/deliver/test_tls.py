"""Destinations over TLS: what a failed handshake means, what each is called with, and when that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.model import Delivery, DicomDestination, Tls
from appliance.core.identity import AETitle
from appliance.deliver import verdict as verdicts
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms
from appliance.deliver.site_state import SiteState
from appliance.deliver.verdict import Whose
from appliance.dimse.failures import Unreachable
from tests.support.certificates import Authority

NOBODY_THERE = {Unreachable.TIMEOUT, Unreachable.CLOSED, Unreachable.NOT_TLS}
NOT_TRUSTED = {
    Unreachable.UNTRUSTED,
    Unreachable.WRONG_NAME,
    Unreachable.WRONG_CERTIFICATE,
    Unreachable.EXPIRED,
    Unreachable.NOT_YET_VALID,
    Unreachable.CLIENT_CERTIFICATE,
    Unreachable.NO_AGREEMENT,
    Unreachable.OWN_CERTIFICATE,
}


def a_destination(**settings: object) -> DicomDestination:
    """Return a destination at pacs.example.org."""
    return DicomDestination.model_validate({"name": "archive", "ae_title": "PACS1", "host": "pacs.example.org"} | settings)


@pytest.mark.parametrize("kind", sorted(NOBODY_THERE))
def test_who_does_not_shake_hands_is_dead(kind: Unreachable) -> None:
    """No answer, no TLS, a closed line: the site is knocked at every few seconds, and no delivery is charged."""
    verdict = verdicts.judge_unreachable("tls", kind)

    assert (verdict.whose, verdict.site_state) == (Whose.SITE, SiteState.DEAD)


@pytest.mark.parametrize("kind", sorted(NOT_TRUSTED))
def test_who_is_not_trusted_is_waited_for(kind: Unreachable) -> None:
    """A certificate that is not right is somebody's setting: the site is refusing, no delivery is charged, nothing was sent (row 81)."""
    verdict = verdicts.judge_unreachable("tls", kind)

    assert (verdict.whose, verdict.site_state, verdict.hold) == (Whose.SITE, SiteState.REFUSING, None)


def test_every_way_has_its_own_words() -> None:
    """No two failures of a handshake read the same."""
    texts = {verdicts.judge_unreachable("tls", kind).text for kind in NOBODY_THERE | NOT_TRUSTED}

    assert len(texts) == len(NOBODY_THERE) + len(NOT_TRUSTED)


def test_plain_destinations_ask_for_no_tls() -> None:
    """With tls = "off" there is nothing to shake hands with."""
    assert OutgoingTls().request(a_destination(), Tls()) is None


@pytest.mark.parametrize(
    ("certificate", "name", "sha256"),
    [(None, "pacs.example.org", ""), ("mirror.example.org", "mirror.example.org", ""), ("AB" * 32, "pacs.example.org", "ab" * 32)],
    ids=["by its host", "by another name", "by its fingerprint"],
)
def test_what_a_destination_is_known_by(certificate: str | None, name: str, sha256: str) -> None:
    """The name in the certificate is the host, or what is configured; a fingerprint stands beside it."""
    settings = {} if certificate is None else {"certificate": certificate}

    request = OutgoingTls().request(a_destination(tls="on", **settings), Tls())

    assert request is not None
    assert (request.name, request.sha256) == (name, sha256)


def test_a_renewed_authority_makes_a_new_context(tmp_path: Path) -> None:
    """The context is kept while its files stay, and made anew when one was replaced."""
    authority = Authority(tmp_path)
    request = OutgoingTls().request(a_destination(tls="on"), Tls(authorities=(str(authority.path),)))
    assert request is not None

    first, again = request.context(), request.context()
    Authority(tmp_path, "Successor")
    renewed = request.context()

    assert first is again
    assert renewed is not first


def test_settings_of_tls_are_terms_of_those_who_use_it() -> None:
    """A changed [tls] renews the service of destinations over TLS, and leaves the others alone."""
    plain, secure = a_destination(), a_destination(tls="on")
    before, after = Tls(), Tls(profile="modified")

    def text(destination: DicomDestination, tls: Tls) -> str:
        return Terms(destination, Delivery(), AETitle("EDGE"), tls).text

    assert text(plain, before) == text(plain, after)
    assert text(secure, before) != text(secure, after)
