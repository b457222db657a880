"""A generation as it lies on the disk: the configuration with its number, and who put it in force, when and why. Pure.

Promises: what `encode` gives, `decode` takes back exactly; a record of which a byte was changed is refused, not believed; the values of a
record stay readable where a later version no longer takes them as a configuration (`site` then refuses).
Failures: `RecordDamagedError` (ours).
Limits: the digest finds accidents, not an intruder who can write the data directory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pydantic import ValidationError

from appliance.config.model import Site
from appliance.config.rendering import plain_values
from appliance.core.errors import ApplianceError

# A login name, or the name of the machine that central IT applies from.
_BY_CHARACTERS = 100
# A sentence with a ticket number.
_REASON_CHARACTERS = 300


class RecordDamagedError(ApplianceError):
    """A generation of the configuration is damaged, or of another version."""

    advice = "Use an earlier generation: `dicom-edge config history`, then `dicom-edge config rollback`."


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """One generation: `number` 0 is a configuration that was never numbered; `previous` is what it took the place of.

    `activated_at` is in seconds since 1970 (UTC); `values` are the configuration with the keys of the file; `source_digest` is the SHA-256
    of the text it came from, or empty.
    """

    number: int
    previous: int
    activated_at: float
    by: str
    reason: str
    source_digest: str
    values: Mapping[str, object]

    @classmethod
    def of(
        cls, site: Site, *, number: int, activated_at: float, previous: int = 0, by: str = "", reason: str = "", source_digest: str = ""
    ) -> Self:
        """Return the record of `site`; `by` and `reason` are put on one line and cut."""
        # To the second, as it is written: a record is equal to itself read back.
        at = float(int(activated_at))
        by, reason = _one_line(by, _BY_CHARACTERS), _one_line(reason, _REASON_CHARACTERS)
        return cls(number, previous, at, by, reason, source_digest, plain_values(site))

    def site(self) -> Site:
        """Return the configuration with its number. Raises `RecordDamagedError` when this version does not take it."""
        try:
            # By way of JSON: pydantic is as lenient about lists and tuples as with a file.
            site = Site.model_validate_json(json.dumps(self.values), by_alias=True, by_name=False)
        except ValidationError:
            raise RecordDamagedError(f"generation {self.number} of the configuration is damaged or of another version") from None
        return site.numbered(self.number)

    def encode(self) -> bytes:
        """Return the record as JSON text."""
        content: dict[str, object] = {
            "generation": self.number,
            "previous": self.previous,
            "activated_at": datetime.fromtimestamp(self.activated_at, UTC).isoformat(),
            "by": self.by,
            "reason": self.reason,
            "source_digest": self.source_digest,
            "site": self.values,
        }
        return json.dumps({**content, "digest": _digest(content)}, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Return the record that `raw` is. Raises `RecordDamagedError`."""
        try:
            content = json.loads(raw)
            digest = content.pop("digest")
            record = cls(
                int(content["generation"]),
                int(content["previous"]),
                datetime.fromisoformat(content["activated_at"]).timestamp(),
                str(content["by"]),
                str(content["reason"]),
                str(content["source_digest"]),
                dict(content["site"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise RecordDamagedError("a generation of the configuration is damaged or of another version") from None
        if digest != _digest(content):
            raise RecordDamagedError(f"generation {record.number} of the configuration is damaged")
        return record


def text_digest(text: str) -> str:
    """Return the SHA-256 of a configuration's text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(content: Mapping[str, object]) -> str:
    # Over the values, not the bytes: whoever lays the file out anew with a JSON tool has damaged nothing.
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _one_line(text: str, characters: int) -> str:
    cut = text if len(text) <= characters else text[:characters] + "…"
    return "".join(character if character.isprintable() else " " for character in cut).strip()
