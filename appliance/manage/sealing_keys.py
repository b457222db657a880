"""The keys that objects are sealed with, for whoever manages the box: public halves only.

Promises: nothing here returns, logs or takes a private key.
Failures: those of `keys.generations`; `RecipientInvalidError` (operator) for a recovery key that is none.
Limits: whether somebody has the private half of the recovery key is not to be known here: try it (docs/formats.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.keys.generations import active_recipients, generation_numbers, recovery, set_recovery
from appliance.keys.recipient import encode_recipient
from appliance.runtime.control import Handler
from appliance.runtime.logging import get_logger
from appliance.runtime.page_requests import RecoveryReply, RecoveryRequest

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """To whom objects are sealed, as `age1…` texts; `recovery` None where the hospital has no key of its own."""

    generation: int
    generations: tuple[int, ...]
    recipient: str
    recovery: str | None


def sealing_keys(data: Path) -> SealingKeys:
    """Return the keys in use. Needs no secret. Raises what `active_recipients` raises."""
    active = active_recipients(data)
    return SealingKeys(active.generation, tuple(generation_numbers(data)), encode_recipient(active.box), recovery(data))


class RecoveryDesk:
    """Sets the recovery key, in the daemon that may write the keys."""

    def __init__(self, data: Path) -> None:
        """Name the directory."""
        self._data = data

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {RecoveryRequest: self.recovery}

    def recovery(self, request: RecoveryRequest) -> RecoveryReply:
        """Seal what comes from now on to the recovery key too. Raises `RecipientInvalidError`."""
        set_recovery(self._data, request.recipient)
        log.info("keys.recovery_set")
        return RecoveryReply(request.recipient.strip())
