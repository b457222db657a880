"""`check`: the text of a `site.toml` as a `Site`, or everything that is wrong with it.

Promises: never raises for what a file may hold; a `Site` comes back exactly when no problem is an error; notices never stand in the way.
Failures: none are raised; see `load` for the error of a file.
Limits: problems between sections are looked for only when each section is sound; at most 50 problems are listed.
Standard: TOML 1.0; the time zone is looked up in the machine's own zone database, where there is one; the files of [tls] and of secrets
are read.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from appliance.config.consistency import inconsistencies
from appliance.config.document import read_document
from appliance.config.model import Site
from appliance.config.problem import Problem, nearest, quoted
from appliance.config.quantities import FROM_A_FILE
from appliance.config.secret_files import secret_file_problems
from appliance.config.tls_files import tls_file_problems
from appliance.config.translation import problems_of
from appliance.runtime.clock import SystemClock

# A screen or two: who has more than this has loaded the wrong file.
MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome: `site` is None when a problem is an error."""

    site: Site | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stand in the way."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def check(text: str, *, where: str) -> Checked:
    """Return the site that `text` describes and what is wrong or worth knowing; `where` is the name of the file."""
    document = read_document(text, where=where)
    return Checked(None, (document,)) if isinstance(document, Problem) else check_document(document, where=where)


def check_document(document: Mapping[str, object], *, where: str) -> Checked:
    """Return the site that the keys and values of a file describe, and what is wrong or worth knowing."""
    try:
        site = Site.model_validate(document, by_alias=True, by_name=False, context=FROM_A_FILE)
    except ValidationError as error:
        return Checked(None, _at_most(problems_of(error, Site), where))
    problems = (
        *_timezone_problems(site),
        *inconsistencies(site),
        *tls_file_problems(site, SystemClock().now().wall),
        *secret_file_problems(site),
    )
    has_errors = any(problem.severity == "error" for problem in problems)
    return Checked(None if has_errors else site, _at_most(problems, where))


def _at_most(problems: tuple[Problem, ...], where: str) -> tuple[Problem, ...]:
    """Return the problems, errors first, and how many were left out."""
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    if len(ordered) <= MOST_PROBLEMS:
        return tuple(ordered)
    rest = Problem(
        where, f"{len(ordered) - MOST_PROBLEMS} more problems are not listed", "Is this the right file?", ordered[MOST_PROBLEMS].severity
    )
    return (*ordered[:MOST_PROBLEMS], rest)


def _timezone_problems(site: Site) -> tuple[Problem, ...]:
    """Return a problem when the machine has time zones and this is none of them."""
    name = site.box.timezone
    if name == "UTC":
        # Listing all zones reads some six hundred files; most checks are of sites that never set one.
        return ()
    known = zoneinfo.available_timezones()
    if not known or name in known:
        return ()
    # City names are short and many: a vague likeness would suggest another country.
    meant = nearest(name, known, likeness=0.85)
    advice = f"Did you mean {quoted(meant)}?" if meant else 'Write it as region and city, for example "Asia/Ho_Chi_Minh".'
    return (Problem("box.timezone", f"{quoted(name)} is not a time zone", advice),)
