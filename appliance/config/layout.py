"""The layout of files at a destination: a template such as `{study}/{series}/{instance}.dcm`, taken apart. Pure.

Promises: a `LayoutTemplate` names the instance, so that no two instances are one file, and has no part that leaves its folder; it prints as
it is read.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: what values become in a path is for `deliver.layout`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from appliance.config.problem import kind_of, listed, nearest, quoted, refusal

FIELDS = ("study", "series", "instance", "modality", "station", "source", "date", "accession", "patient_id", "patient_name")
"""What may stand in braces. Only the last three can tell who the patient is, and only a site that writes them asks for them."""

# A path of a share is limited to some 250 characters on old servers; the values need most of it.
_MOST_CHARACTERS = 200
_MOST_PARTS = 8
_LITERAL = re.compile(r"[A-Za-z0-9._-]*")
_TOKEN = re.compile(r"\{([^{}/]*)\}")
_ADVICE = 'Write folders and file with what is in braces filled in, for example "{study}/{series}/{instance}.dcm".'


@dataclass(frozen=True, slots=True)
class LayoutTemplate:
    """A template as it stands in the file."""

    text: str

    def __str__(self) -> str:
        """Return it as it stands in the file."""
        return self.text

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders, and last the file."""
        return tuple(self.text.split("/"))

    @property
    def fields(self) -> frozenset[str]:
        """What is filled in."""
        return frozenset(_TOKEN.findall(self.text))

    def filled(self, values: dict[str, str]) -> tuple[str, ...]:
        """Return the parts with `values`, which hold every field and are safe in a path, filled in."""
        return tuple(_TOKEN.sub(lambda token: values[token[1]], part) for part in self.parts)


def _read_layout(value: object) -> LayoutTemplate:
    if isinstance(value, LayoutTemplate):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be a layout in quotes, not {kind_of(value)}", _ADVICE)
    template = LayoutTemplate(value)
    if len(value) > _MOST_CHARACTERS or len(template.parts) > _MOST_PARTS:
        raise refusal(f"{quoted(value)} is too long", f"At most {_MOST_CHARACTERS} characters and {_MOST_PARTS} parts.")
    for field in sorted(template.fields - set(FIELDS)):
        meant = nearest(field, FIELDS)
        known = f"Use {listed('{' + known + '}' for known in FIELDS)}."
        raise refusal(f"{quoted('{' + field + '}')} stands for nothing", f"Did you mean {{{meant}}}?" if meant else known)
    for part in template.parts:
        literal = _TOKEN.sub("", part)
        if not part or part.startswith(".") or part.endswith(".") or not _LITERAL.fullmatch(literal):
            raise refusal(
                f"{quoted(value)} has a part that is no good name: {quoted(part)}", f"Use letters, digits, _, - and dots. {_ADVICE}"
            )
    if "instance" not in template.fields:
        raise refusal(f"{quoted(value)} would give many images one name", f"Name {{instance}} in it. {_ADVICE}")
    return template


Layout = Annotated[LayoutTemplate, PlainValidator(_read_layout), PlainSerializer(str)]
"""How files are named at a destination."""
DEFAULT_LAYOUT = LayoutTemplate("{study}/{series}/{instance}.dcm")
"""UIDs only."""
