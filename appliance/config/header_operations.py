"""Header operations in the configuration: what a destination may have changed in the headers of what it is sent. Pure.

Promises: a value fits its element and holds no control character; a prefix is in letters that every character set has. No operation names a
UID, and no key takes a tag.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: whether the character set of an object can hold a value is seen when it is sent; then it is held.
Standard: PS3.5 6.2 (lengths), PS3.3 C.12.1.1.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, PlainValidator, model_validator

from appliance.config.names import choose
from appliance.config.problem import kind_of, quoted, refusal
from appliance.config.section import Section

HEADER_OPERATIONS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "prefix-patient-id": 32,
        "set-patient-id": 64,
        "set-patient-id-issuer": 64,
        "prefix-accession-number": 8,
        "prefix-study-description": 32,
        "set-institution-name": 64,
        "set-institution-address": 1024,
        "set-department-name": 64,
        "set-station-name": 16,
        "set-timezone-offset": 5,
    }
)
"""Every operation, and the most characters of its value: a prefix leaves half of the element to what is there."""

# In any character set that DICOM has, these are the same bytes.
_PREFIX = re.compile(r"[A-Za-z0-9 ._:/+-]+")
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4])[0-5][0-9]")
_ISSUER_CHARACTERS = 64
_WITH_ISSUER = frozenset({"prefix-patient-id", "set-patient-id"})
# Twice what there is: more is a mistake.
_MOST_OPERATIONS = 20
_ADVICE = 'Write it as it shall stand in the images, for example "KH-".'


def _read_operation(value: object) -> str:
    return choose(value, tuple(HEADER_OPERATIONS))


def _read_text(value: object) -> str:
    """Return a text that an element can hold, or refuse."""
    if not isinstance(value, str):
        raise refusal(f"must be a text in quotes, not {kind_of(value)}", _ADVICE)
    if not value.strip():
        raise refusal("is blank", _ADVICE)
    if "\\" in value or not value.isprintable():
        raise refusal(f"{quoted(value)} holds a backslash, or a character that cannot be printed", _ADVICE)
    return value


_Text = Annotated[str, PlainValidator(_read_text)]


class HeaderOperation(Section):
    """One operation with its value; `issuer` is who gave out the Patient ID that it makes."""

    do: Annotated[str, PlainValidator(_read_operation)]
    value: _Text
    issuer: _Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse a value that its element cannot hold."""
        most = HEADER_OPERATIONS[self.do]
        if len(self.value) > most:
            raise refusal(f"has {len(self.value)} characters, and with {self.do} it has at most {most}", "Shorten it.", key="value")
        if self.do.startswith("prefix-") and not _PREFIX.fullmatch(self.value):
            advice = "Use letters without accents, digits, spaces and . _ : / + -"
            raise refusal(f"{quoted(self.value)} holds a character that not every image can hold", advice, key="value")
        if self.do == "set-timezone-offset" and not _OFFSET.fullmatch(self.value):
            raise refusal(
                f"{quoted(self.value)} is not an offset from UTC", 'Write sign, hours and minutes, for example "+0700".', key="value"
            )
        if self.issuer is not None and self.do not in _WITH_ISSUER:
            raise refusal(f"does not belong to {self.do}", "Remove it, or use set-patient-id-issuer.", key="issuer")
        if self.issuer is not None and len(self.issuer) > _ISSUER_CHARACTERS:
            raise refusal(f"has more than {_ISSUER_CHARACTERS} characters", "Shorten it.", key="issuer")
        return self


HeaderOperations: TypeAlias = Annotated[tuple[HeaderOperation, ...], Field(max_length=_MOST_OPERATIONS)]
"""Operations in the order in which they are done."""
