"""What the settings of TLS say together: who is checked by what, and whether that can ever succeed. Pure.

Promises: a peer that must show a certificate is asked for one; a destination that is called over TLS can be told from an impostor.
Failures: none are raised.
Limits: what is in the files is for `tls_files`, whether a peer agrees for `destinations test`.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config.model import DicomDestination, Site, StowDestination
from appliance.config.problem import Problem


def tls_inconsistencies(site: Site) -> tuple[Problem, ...]:
    """Return everything about TLS that does not fit together, errors and notices."""
    return (*_listener(site), *_sources(site), *_destinations(site))


def _listener(site: Site) -> Iterator[Problem]:
    if site.tls.client_certificates == "required" and not site.listen.dicom_tls:
        yield Problem(
            "tls.client_certificates",
            "changes nothing, because the box does not listen for TLS",
            'Add listen.dicom_tls = ["0.0.0.0:2762"].',
            "notice",
        )


def _sources(site: Site) -> Iterator[Problem]:
    """Find sources that must show a certificate which nobody asks them for."""
    for index, source in enumerate(site.sources):
        if source.certificate is None:
            continue
        where = f"source[{index}].certificate"
        if not site.listen.dicom_tls:
            yield Problem(where, "cannot be shown, because the box does not listen for TLS", 'Add listen.dicom_tls = ["0.0.0.0:2762"].')
        elif site.tls.client_certificates == "off":
            yield Problem(
                where,
                "is never asked for: tls.client_certificates is off",
                'Set tls.client_certificates = "required", or remove this line.',
            )


def _destinations(site: Site) -> Iterator[Problem]:
    """Find destinations whose certificate nothing could check."""
    for index, destination in enumerate(site.destinations):
        where = f"destination[{index}]"
        if isinstance(destination, StowDestination):
            if destination.url.startswith("https:") and not destination.authorities and not site.tls.authorities:
                yield Problem(
                    f"{where}.authorities",
                    "has nothing to check the server's certificate against",
                    "Name the authority's file; the public ones of this machine are in /etc/ssl/certs/ca-certificates.crt.",
                )
            continue
        if not isinstance(destination, DicomDestination):
            continue
        if destination.tls == "off":
            if destination.certificate is not None:
                yield Problem(f"{where}.certificate", "is not looked at, because tls is off", 'Set tls = "on", or remove this line.')
            continue
        if not site.tls.authorities and not _is_pinned(destination):
            yield Problem(
                f"{where}.{'tls' if destination.certificate is None else 'certificate'}",
                "has nothing to check the archive's certificate against",
                "Name the authority's file in tls.authorities, or give the certificate's fingerprint: certificate = \"sha256:…\".",
            )
        if destination.tls == "mutual" and site.tls.certificate is None:
            yield Problem(
                f"{where}.tls",
                "shows the archive the certificate that the box made itself, unless a signed one was installed",
                "Give the archive what `dicom-edge tls show --pem` prints, or have it signed: `dicom-edge tls request`.",
                "notice",
            )


def _is_pinned(destination: DicomDestination) -> bool:
    return destination.certificate is not None and bool(destination.certificate.sha256)
