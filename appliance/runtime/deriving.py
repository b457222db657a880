"""What sender asks opener: an object in the form that a destination wants it in, and the answer to that.

Promises: values only.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeriveRequest:
    """Make from a stored object what a destination is to get: pixels as `transcode` says ("": as they are), then header steps.

    A step is an operation, its value and an issuer or "". The result is put into the derived place `place`.
    """

    spool_name: str
    transcode: str
    steps: tuple[tuple[str, str, str], ...]
    place: str


@dataclass(frozen=True, slots=True)
class DeriveReply:
    """What became of it, a word of `opener.derivation`; `spool_name` and `transfer_syntax` of what was made; `reason` for people."""

    outcome: str
    spool_name: str = ""
    transfer_syntax: str = ""
    reason: str = ""
