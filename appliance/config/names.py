"""Names in the file: AE titles, names of sources, destinations and routes, modalities, UIDs, and choices between words. Pure.

Promises: a name is printable, has 1 to 64 characters and no surrounding spaces, and is compared in Unicode's composed form, so that the
same name typed on two keyboards is the same name.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Standard: PS3.5 6.2 (AE, CS) and 9.1 (UID).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator

from appliance.config.problem import kind_of, listed, nearest, quoted, refusal
from appliance.core.identity import AE_TITLE_LENGTH, AETitle, uid_fault

CallingAE = AETitle | Literal["box", "source"]

_ANY_TITLE = "*"
_NAME_LENGTH = 64
_MODALITY = re.compile(r"[A-Z0-9_ ]{1,16}")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")
_TITLE_ADVICE = "An AE title has 1 to 16 letters, digits or signs of plain ASCII and no backslash; write it as the peer's settings do."


def read_title(value: object) -> AETitle:
    """Return the AE title that `value` spells, or refuse."""
    if isinstance(value, AETitle):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be an AE title in quotes, not {kind_of(value)}", _TITLE_ADVICE)
    text = value.strip(" ")
    if not text:
        raise refusal("is a blank AE title", _TITLE_ADVICE)
    if len(text) > AE_TITLE_LENGTH:
        raise refusal(f"{quoted(text)} has {len(text)} characters, and an AE title has at most {AE_TITLE_LENGTH}", _TITLE_ADVICE)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):  # noqa: PLR2004 (ASCII's own limits)
        raise refusal(f"{quoted(text)} holds a control character, such as a tab", _TITLE_ADVICE)
    if not text.isascii():
        raise refusal(f"{quoted(text)} holds a letter outside plain ASCII, such as one with an accent", _TITLE_ADVICE)
    if "\\" in text:
        raise refusal(f"{quoted(text)} holds a backslash", _TITLE_ADVICE)
    if text == _ANY_TITLE:
        raise refusal('"*" stands for any title in the ae_title of a [[source]] only', _TITLE_ADVICE)
    return AETitle(text)


def _read_source_title(value: object) -> AETitle | None:
    """Return a source's AE title, None for any title ("*"), or refuse."""
    if value is None or (isinstance(value, str) and value.strip(" ") == _ANY_TITLE):
        return None
    return read_title(value)


def _read_calling_ae(value: object) -> CallingAE:
    """Return "box", "source" or a literal title, or refuse. A word in capitals is refused: a title and a keyword would look alike."""
    match value:
        case "box" | "source":
            return value
        case str() if value.strip(" ").lower() in ("box", "source"):
            word = value.strip(" ").lower()
            raise refusal(f"{quoted(value)} may mean the word or a title", f'Write "{word}" in small letters for the word.')
        case _:
            return read_title(value)


def _read_name(value: object) -> str:
    """Return a name, or refuse."""
    advice = 'Write a name of 1 to 64 letters, digits and signs in quotes, for example "archive".'
    if not isinstance(value, str):
        raise refusal(f"must be a name in quotes, not {kind_of(value)}", advice)
    if not value.strip():
        raise refusal("is a blank name", advice)
    text = unicodedata.normalize("NFC", value)
    if len(text) > _NAME_LENGTH:
        raise refusal(f"{quoted(text)} has {len(text)} characters, and a name has at most {_NAME_LENGTH}", advice)
    if not text.isprintable():
        raise refusal(f"{quoted(text)} holds a character that cannot be printed, such as a tab or a line break", advice)
    if text != text.strip():
        raise refusal(f"{quoted(text)} begins or ends with a space", advice)
    return text


def _read_modality(value: object) -> str:
    """Return a modality in capitals, or refuse."""
    advice = 'Write the modality as images carry it, for example "CT", "MR", "US" or "DX".'
    if not isinstance(value, str):
        raise refusal(f"must be a modality in quotes, not {kind_of(value)}", advice)
    text = value.strip(" ").upper()
    if not text or not text.isascii() or not _MODALITY.fullmatch(text):
        raise refusal(f"{quoted(value)} is not a modality", advice)
    return text


def _read_uid(value: object) -> str:
    """Return a UID, or refuse."""
    advice = 'Write the UID of the SOP class in quotes, for example "1.2.840.10008.5.1.4.1.1.2" for CT images.'
    if not isinstance(value, str):
        raise refusal(f"must be a UID in quotes, not {kind_of(value)}", advice)
    text = value.strip(" ")
    fault = uid_fault(text)
    if fault is not None:
        raise refusal(f"{quoted(value)} is not a UID ({fault})", advice)
    return text


def _read_timezone(value: object) -> str:
    """Return a name that has the form of a time zone, or refuse."""
    advice = 'Write the name of the time zone as region and city, for example "Asia/Ho_Chi_Minh", or "UTC".'
    if not isinstance(value, str):
        raise refusal(f"must be a time zone in quotes, not {kind_of(value)}", advice)
    if not _TIMEZONE.fullmatch(value):
        raise refusal(f"{quoted(value)} is not a time zone", advice)
    return value


def choose(value: object, words: tuple[str, ...]) -> str:
    """Return `value` if it is one of `words`; refuse it otherwise."""
    if isinstance(value, str) and value in words:
        return value
    meant = nearest(value, words) if isinstance(value, str) else None
    said = quoted(value) if isinstance(value, str) else kind_of(value)
    advice = f"Did you mean {quoted(meant)}?" if meant else "Copy one of these words, in quotes."
    raise refusal(f"must be {listed(quoted(word) for word in words)}, not {said}", advice)


Title = Annotated[AETitle, PlainValidator(read_title), PlainSerializer(str)]
"""An AE title."""
SourceTitle = Annotated[
    AETitle | None, PlainValidator(_read_source_title), PlainSerializer(lambda title: _ANY_TITLE if title is None else str(title))
]
"""An AE title, or None for any ("*")."""
Calling = Annotated[CallingAE, PlainValidator(_read_calling_ae), PlainSerializer(str)]
"""How the box calls itself towards a destination."""
Name = Annotated[str, PlainValidator(_read_name)]
"""The name of a source, destination or route."""
Modality = Annotated[str, PlainValidator(_read_modality)]
"""A modality, in capitals."""
SopClass = Annotated[str, PlainValidator(_read_uid)]
"""The UID of a SOP class."""
Timezone = Annotated[str, PlainValidator(_read_timezone)]
"""The name of a time zone; whether it exists is looked up by `check`."""
