"""The first start in the database of accounts: the hash of its code, and how far its questions were answered.

Promises: what was remembered of the questions is there after a restart.
Failures: none.
Limits: no secret is remembered; the code is good until another is made or there is an administrator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.accounts.lifetimes import SETUP_LONGEST_S, elapsed_s
from appliance.accounts.store import Work
from appliance.runtime.clock import Instant

FINISHED = "finished"
"""The step that ends the first start."""


def code(work: Work) -> str:
    """Return the hash of the code that is good for the first start, "" where there is none."""
    return str(work.rows("SELECT code FROM setup")[0][0])


def set_code(work: Work, hashed: str) -> None:
    """Let another code be the one, or none."""
    work.change("UPDATE setup SET code = ?", (hashed,))


def wizard(work: Work) -> dict[str, Any]:
    """Return what was answered, by step."""
    answered: dict[str, Any] = json.loads(work.rows("SELECT wizard FROM setup")[0][0])
    return answered


def remember(work: Work, step: str, values: Mapping[str, Any], now: Instant) -> None:
    """Keep the answers of a step, in place of what it had."""
    answered = json.dumps({**wizard(work), step: dict(values)})
    work.change("UPDATE setup SET wizard = ?, at = ?, boottime = ?, boot = ?", (answered, now.wall, now.boottime, now.boot_id))


def is_under_way(work: Work, now: Instant) -> bool:
    """Say whether somebody is in the middle of the questions: begun, not finished, and not left lying."""
    answered, *last = work.rows("SELECT wizard, at, boottime, boot FROM setup")[0]
    return answered != "{}" and FINISHED not in json.loads(answered) and elapsed_s(Instant(*last), now) < SETUP_LONGEST_S
