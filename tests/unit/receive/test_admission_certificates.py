"""A source that is bound to a certificate: who shows it is let in, everybody else is a stranger (hostile-inputs.md row 20)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.config.model import Admission, Listeners, Site, Source, Tls
from appliance.core.identity import AETitle
from appliance.dimse.contexts import VERIFICATION
from appliance.dimse.tls import Secured
from appliance.keys.certificates import CertificateFacts
from appliance.receive.admission import Admitted, AssociationFacts, Refused, admit

CT1 = CertificateFacts("CN=ct1", "CN=CA", "1", 0.0, 1.0, ("ct1.example.org",), "0a" * 32)
MR7 = CertificateFacts("CN=mr7", "CN=CA", "2", 0.0, 1.0, ("mr7.example.org",), "0b" * 32)
FACTS = AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7", (VERIFICATION,))
STRANGER = admit(replace(FACTS, calling=AETitle("NOBODY")), Site())


def a_site(certificate: str | None, *, unknown_sources: str = "refuse") -> Site:
    """Return a site that knows CT1, bound to a certificate or not."""
    return Site(
        listen=Listeners.model_validate({"dicom_tls": ["0.0.0.0:2762"]}),
        tls=Tls.model_validate({"client_certificates": "required", "authorities": ["/ca.pem"]}),
        admission=Admission.model_validate({"unknown_sources": unknown_sources}),
        sources=(Source.model_validate({"name": "ct", "ae_title": "CT1", "certificate": certificate} if certificate else _UNBOUND),),
    )


_UNBOUND = {"name": "ct", "ae_title": "CT1"}


def over_tls(certificate: CertificateFacts | None) -> AssociationFacts:
    """Return the request as it comes over TLS."""
    return replace(FACTS, secured=Secured("TLSv1.3", "TLS_AES_256_GCM_SHA384", certificate))


@pytest.mark.parametrize("expected", ["sha256:" + "0a" * 32, "ct1.example.org"])
def test_the_right_certificate_lets_in(expected: str) -> None:
    """By its fingerprint or by its name."""
    assert isinstance(admit(over_tls(CT1), a_site(expected)), Admitted)


@pytest.mark.parametrize("expected", ["sha256:" + "0a" * 32, "ct1.example.org"])
@pytest.mark.parametrize("facts", [FACTS, over_tls(None), over_tls(MR7)], ids=["in plain", "without one", "with another"])
@pytest.mark.parametrize("unknown_sources", ["refuse", "accept"])
def test_all_others_are_strangers(expected: str, facts: AssociationFacts, unknown_sources: str) -> None:
    """In plain, without a certificate or with another: the numbers are those of a stranger's refusal, even where strangers are let in."""
    judgement = admit(facts, a_site(expected, unknown_sources=unknown_sources))

    assert isinstance(judgement, Refused)
    assert isinstance(STRANGER, Refused)
    assert (judgement.result, judgement.source, judgement.reason) == (STRANGER.result, STRANGER.source, STRANGER.reason)
    assert judgement.detail != STRANGER.detail


@pytest.mark.parametrize("facts", [FACTS, over_tls(None), over_tls(MR7)], ids=["in plain", "without one", "with another"])
def test_who_is_not_bound_needs_none(facts: AssociationFacts) -> None:
    """A source without `certificate` is known by title and address, however it calls."""
    assert isinstance(admit(facts, a_site(None)), Admitted)
