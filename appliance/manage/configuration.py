"""Changing the configuration: by the command line, by the operator's file, by the pages (`site_changes`); one door for all.

Promises: what is invalid changes nothing; after a change every daemon is told, and takes it without dropping an association.
Failures: those of `config.generations`.
Limits: the file is watched while a box runs; what was edited while none did is taken at the next start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from appliance.config.generations import Applied, Generations
from appliance.config.load import ConfigInvalidError
from appliance.config.site_file import SiteFile
from appliance.config.site_file_watch import SiteFileWatch
from appliance.core.errors import ApplianceError
from appliance.runtime.logging import get_logger
from appliance.runtime.wakeup import hint

log = get_logger(__name__)

# Who works by the configuration and sleeps on hints; the others look when they are asked.
_TOLD = ("receiver", "router", "sender")


def apply_text(data: Path, text: str, *, by: str, reason: str, where: str, expected: int | None = None) -> Applied:
    """Put the text in force and tell the daemons. Raises what `Generations.apply` raises."""
    return _told(data, Generations(data).apply(text, by, reason, where=where, expected=expected))


def roll_back(data: Path, number: int, *, by: str, reason: str, expected: int | None = None) -> Applied:
    """Put an earlier generation in force again and tell the daemons. Raises what `Generations.rollback` raises."""
    return _told(data, Generations(data).rollback(number, by, reason, expected=expected))


@contextlib.contextmanager
def following_site_file(data: Path) -> Iterator[None]:
    """While the block runs, take what somebody writes into `site.toml` as a proposal: valid, it is put in force; else it is told."""
    file = SiteFile(data)

    def propose(text: str) -> None:
        try:
            apply_text(data, text, by="site.toml", reason="the file was edited", where="site.toml")
        except ConfigInvalidError as error:
            file.refuse(text)
            log.warning("config.proposal_refused", problem=str(error), advice=error.advice)
        except ApplianceError as error:
            log.error("config.proposal_failed", problem=str(error))  # noqa: TRY400 - the line says all; it is tried again at the next change
        else:
            file.settle(text)

    with SiteFileWatch(file, propose):
        yield


def _told(data: Path, applied: Applied) -> Applied:
    if applied.is_new:
        log.info("config.applied", generation=applied.number, changes=len(applied.changed), needs_restart=list(applied.needs_restart))
        for daemon in _TOLD:
            hint(data / "run", daemon)
    return applied
