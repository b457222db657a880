"""Settings as fields: made from the model of the configuration, filled with what is in force, and read back as the file's own values. Pure.

Promises: every setting of the sections that are there once has a field, or is named in `LEFT_OUT` with the reason; what somebody did not
touch is not sent back; an emptied field is the default.
Failures: none: what cannot be right is handed on as text, and `config check` says what to write instead.
Limits: sources, destinations and routes have pages of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args, get_origin

from flask_babel.speaklater import LazyString

from appliance.config.load import default_site
from appliance.config.model import Section, Site
from appliance.config.rendering import plain_values
from webui.settings_words import SECTIONS, WORDS

LEFT_OUT = {
    # Read and checked, and without effect until images are evicted.
    ("retention", "keep_at_least"),
    ("retention", "requires"),
}
"""Settings without a field."""

_SWITCH = ("true", "false")


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting: what it is called and means, as text what is in force and the default, and the words that may be chosen."""

    key: str
    label: LazyString
    about: LazyString
    value: str
    default: str
    choices: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingSection:
    """The settings of one section; `errors` are those that belong to none of its fields."""

    name: str
    label: LazyString
    fields: tuple[SettingField, ...]
    reason: str = ""
    errors: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Say whether something in it is wrong."""
        return bool(self.errors) or any(field.errors for field in self.fields)

    def refused(self, typed: Mapping[str, str], reason: str, problems: Mapping[str, Sequence[str]]) -> SettingSection:
        """Return the section as somebody typed it, with what is wrong at each field."""
        by_field: dict[str, list[str]] = {}
        for place, said in problems.items():
            by_field.setdefault(place.partition(".")[0], []).extend(said)
        keys = {field.key for field in self.fields}
        fields = [
            replace(field, value=typed.get(field.key, field.value), errors=tuple(by_field.get(field.key, ()))) for field in self.fields
        ]
        elsewhere = [text for key, said in by_field.items() if key not in keys for text in said]
        return replace(self, fields=tuple(fields), reason=reason, errors=tuple(elsewhere))


def sections(site: Site) -> tuple[SettingSection, ...]:
    """Return every section with what is in force."""
    return tuple(section_of(site, name) for name in SECTIONS)


def section_of(site: Site, name: str) -> SettingSection:
    """Return one section with what is in force."""
    values, defaults = (cast("Mapping[str, Any]", plain_values(one)[name]) for one in (site, default_site()))
    fields = [
        SettingField(key, *WORDS[name, key], _text(values.get(key)), _text(defaults.get(key)), _choices(annotation))
        for key, annotation in _settings(name)
        if (name, key) not in LEFT_OUT
    ]
    return SettingSection(name, SECTIONS[name], tuple(fields))


def changed_values(site: Site, name: str, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what was changed of a section, as values of the file; None for what is to be the default again."""
    defaults = cast("Mapping[str, Any]", plain_values(default_site())[name])
    changes: dict[str, Any] = {}
    for field in section_of(site, name).fields:
        text = typed.get(field.key, field.value).strip()
        if text == field.value:
            continue
        if isinstance(defaults.get(field.key), Mapping):
            changes[field.key] = _group_changes(field.value, text)
        else:
            changes[field.key] = _read(text, defaults.get(field.key)) if text else None
    return changes


def _settings(name: str) -> list[tuple[str, Any]]:
    model = cast("type[Section]", Site.model_fields[name].annotation)
    return [(key, field.annotation) for key, field in model.model_fields.items()]


def _choices(annotation: Any) -> tuple[str, ...]:
    if annotation is bool:
        return _SWITCH
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _text(value: Any) -> str:
    """Return a value of the file as somebody would type it in a field."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case Mapping():
            return ", ".join(f"{key} = {_text(inner)}" for key, inner in value.items())
        case list():
            return ", ".join(_text(entry) for entry in value)
        case _:
            return str(value)


def _read(text: str, like: Any) -> Any:
    """Return what was typed as a value of the same sort as `like`, or as text where it is none."""
    match like:
        case bool():
            return text == "true" if text in _SWITCH else text
        case int() | float():
            return _number(text)
        case list():
            entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
            return [_number(entry) for entry in entries] if like and isinstance(like[0], (int, float)) else entries
        case _:
            return text


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # Infinity is a number of TOML's too, and none of the configuration's.
        return number if math.isfinite(number) else text
    return text


def _group_changes(before: str, after: str) -> Any:
    """Return the changes of a group that is typed as "CT = 5 min, US = 30 min"; what was taken out of it is the default again."""
    old, new = _pairs(before), _pairs(after)
    return dict.fromkeys(old) | new


def _pairs(text: str) -> dict[str, str | None]:
    entries = (entry.partition("=") for entry in text.replace("\n", ",").split(",") if entry.strip())
    return {key.strip(): value.strip() for key, _, value in entries}
