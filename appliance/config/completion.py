"""How long a study must be quiet until it counts as complete, by modality. Pure.

Promises: a time that is set for one modality leaves those of the others as they are; what is written is read back equal.
Failures: a refusal that says what to write instead.
Limits: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError, ValidationInfo

from appliance.config.names import Modality
from appliance.config.problem import kind_of, refusal
from appliance.config.quantities import Duration, duration_text
from appliance.config.section import Section

QUIET_TIMES: tuple[tuple[str, float], ...] = (("CR", 120.0), ("CT", 300.0), ("US", 1800.0), ("XA", 3600.0))
"""Modalities and seconds: a plate is read every half minute, an angiography pauses for as long as the patient needs."""

_MODALITY: TypeAdapter[str] = TypeAdapter(Modality)
_DURATION: TypeAdapter[float] = TypeAdapter(Duration)


def _read_quiet(value: object, info: ValidationInfo) -> tuple[tuple[str, float], ...]:
    """Return the times in order of modality, or refuse."""
    if not isinstance(value, Mapping):
        raise refusal(
            f"must be a group of modalities, not {kind_of(value)}", 'Write it in braces, for example { CT = "5 min", US = "30 min" }.'
        )
    times = dict(QUIET_TIMES)
    for modality, duration in value.items():
        try:
            times[_MODALITY.validate_python(modality)] = _DURATION.validate_python(duration, context=info.context)
        except ValidationError as error:
            said = error.errors()[0]["ctx"]
            raise refusal(said["problem"], said["advice"], key=str(modality)) from None
    return tuple(sorted(times.items()))


QuietTimes = Annotated[
    tuple[tuple[str, float], ...],
    PlainValidator(_read_quiet),
    PlainSerializer(lambda times: {modality: duration_text(seconds) for modality, seconds in times}, return_type=dict[str, str]),
]
"""Seconds by modality."""


class Completion(Section):
    """When a study is complete: `quiet` by modality, `otherwise` for all others, in seconds without anything new of the study."""

    quiet: QuietTimes = QUIET_TIMES
    otherwise: Duration = 600.0
