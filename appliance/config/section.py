"""What all sections of the configuration share, and the validators of switches and of choices between words. Pure.

Promises: a section is frozen and takes no key that it does not have.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PlainValidator

from appliance.config.names import choose
from appliance.config.problem import refusal


class Section(BaseModel):
    """What all sections share: frozen, no unknown key, names of the file and of the code both understood (the file: its own only)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, hide_input_in_errors=True)


def one_of(*words: str) -> PlainValidator:
    """Return the validator of a choice between words."""
    return PlainValidator(lambda value: choose(value, words))


def read_switch(value: object) -> bool:
    """Return true or false, or refuse."""
    if not isinstance(value, bool):
        raise refusal("must be true or false", "Write true or false in small letters and without quotes.")
    return value
