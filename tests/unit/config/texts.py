"""Texts of `site.toml` for the tests of `config`, with what a test is about given as TOML lines."""

from __future__ import annotations

from pathlib import Path

from appliance.config.check import check
from appliance.config.model import Site
from appliance.config.problem import Problem

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "site.toml"


def a_source(*lines: str, name: str = "CT1", ae_title: str = "CT1") -> str:
    """Return a `[[source]]` with these lines added."""
    return "\n".join(["[[source]]", f'name = "{name}"', f'ae_title = "{ae_title}"', *lines]) + "\n"


def a_destination(*lines: str, name: str = "archive", ae_title: str = "PACS1", host: str = "10.1.0.5") -> str:
    """Return a `[[destination]]` with these lines added."""
    return "\n".join(["[[destination]]", f'name = "{name}"', f'ae_title = "{ae_title}"', f'host = "{host}"', *lines]) + "\n"


def a_route(*lines: str, name: str = "everything") -> str:
    """Return a `[[route]]` with these lines added."""
    return "\n".join(["[[route]]", f'name = "{name}"', *lines]) + "\n"


def site_of(text: str) -> Site:
    """Return the site of a text that has no errors."""
    checked = check(text, where="site.toml")
    assert checked.site is not None, checked.problems
    return checked.site


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
