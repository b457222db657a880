"""What the API takes and gives about the configuration; more of `models`.

Promises: as there.
Failures: pydantic's.
Limits: a configuration is its text; what is in it is checked as any site file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from webui.api.models import Given, Reason, Taken

# `config.load`: what is longer is no configuration.
Text = Annotated[str, Field(max_length=1 << 20)]


class Pending(Given):
    """A change that could lock somebody out: it is taken back unless it is confirmed in time."""

    generation: int
    previous: int
    by: str
    remaining_s: float


class Configuration(Given):
    """What is in force: `generation` is what a change must name as `expected`; `text` is the site file."""

    generation: int
    text: str
    pending: Pending | None = None


class Proposal(Taken):
    """A site file to look at."""

    text: Text


class Remark(Given):
    """Something worth knowing of a configuration."""

    where: str
    problem: str
    advice: str


class Proposed(BaseModel):
    """What a site file would change."""

    changes: list[str]
    needs_restart: list[str]
    removed_destinations: list[str]
    remarks: list[Remark]


class Activation(Taken):
    """A site file to put in force, if generation `expected` still is."""

    text: Text
    expected: Annotated[int, Field(ge=0, le=2**63 - 1, description="The generation that was read, and is to be replaced.")]
    reason: Reason = ""


class Activated(Proposed):
    """What was changed; where `pending` is not null, it must be confirmed in time."""

    generation: int
    is_new: bool
    pending: Pending | None


class Generation(BaseModel):
    """A line of the history."""

    number: int
    state: Literal["active", "earlier", "unfinished", "damaged"]
    activated_at: float | None
    by: str
    reason: str


class Generations(BaseModel):
    """Every generation, the newest first."""

    rows: list[Generation]


class Confirmed(BaseModel):
    """Whether a change was waiting to be confirmed."""

    confirmed: bool
