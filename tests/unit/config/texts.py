"""Texts of `site.toml` for the tests of `config`, with what a test is about given as TOML lines."""

from __future__ import annotations

from pathlib import Path

from appliance.config.check import check
from appliance.config.model import DicomDestination, Site
from appliance.config.problem import Problem

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "site.toml"

HOST_KEY = "SHA256:" + "A" * 43
"""A fingerprint in the form that `ssh-keygen -l` prints."""


def a_source(*lines: str, name: str = "CT1", ae_title: str = "CT1") -> str:
    """Return a `[[source]]` with these lines added."""
    return "\n".join(["[[source]]", f'name = "{name}"', f'ae_title = "{ae_title}"', *lines]) + "\n"


def a_destination(*lines: str, name: str = "archive", ae_title: str = "PACS1", host: str = "10.1.0.5") -> str:
    """Return a `[[destination]]` with these lines added."""
    return "\n".join(["[[destination]]", f'name = "{name}"', f'ae_title = "{ae_title}"', f'host = "{host}"', *lines]) + "\n"


def a_folder_destination(*lines: str, name: str = "share", path: str = "/mnt/archive") -> str:
    """Return a `[[destination]]` that is a folder, with these lines added."""
    return "\n".join(["[[destination]]", f'name = "{name}"', 'kind = "folder"', f'path = "{path}"', *lines]) + "\n"


def an_sftp_destination(*lines: str, name: str = "depot", key_file: Path | str = "/etc/dicom-edge/depot.key") -> str:
    """Return a `[[destination]]` on an SSH server, with these lines added."""
    known = ["[[destination]]", f'name = "{name}"', 'kind = "sftp"', 'host = "10.1.0.6"', 'user = "edge"', f'host_key = "{HOST_KEY}"']
    return "\n".join([*known, f'key_file = "{key_file}"', *lines]) + "\n"


def a_route(*lines: str, name: str = "everything") -> str:
    """Return a `[[route]]` with these lines added."""
    return "\n".join(["[[route]]", f'name = "{name}"', *lines]) + "\n"


def site_of(text: str) -> Site:
    """Return the site of a text that has no errors."""
    checked = check(text, where="site.toml")
    assert checked.site is not None, checked.problems
    return checked.site


def dicom_destination_of(site: Site) -> DicomDestination:
    """Return the first destination of a site in which it is a DICOM one."""
    destination = site.destinations[0]
    assert isinstance(destination, DicomDestination)
    return destination


def errors_of(text: str) -> list[Problem]:
    """Return the errors in a text."""
    return list(check(text, where="site.toml").errors)


def notices_of(text: str) -> list[Problem]:
    """Return the notices about a text that has no errors."""
    checked = check(text, where="site.toml")
    assert checked.errors == ()
    return list(checked.problems)


def the_error_of(text: str) -> Problem:
    """Return the only error in a text."""
    (error,) = errors_of(text)
    return error
