"""Rendering: a configuration as plain values, with the keys and units of the file. Pure.

Promises: what comes out is read back as the same configuration, be it written as JSON or as TOML.
Failures: none.
Limits: a value that is not set is left out.
Standard: TOML 1.0 (a key after a group of keys belongs to the group, so groups come last).
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.config.model import Site


def plain_values(site: Site) -> dict[str, object]:
    """Return the whole site, defaults included, as mappings, lists, texts, numbers and switches."""
    return groups_last(site.model_dump(mode="json", by_alias=True))


def groups_last(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values that are set, groups after plain keys, in otherwise the same order."""
    present = [(key, _inside(value)) for key, value in values.items() if value is not None]
    return dict(sorted(present, key=lambda item: _is_group(item[1])))


def _inside(value: object) -> object:
    """Return the value with every group in it put in the same order."""
    if isinstance(value, Mapping):
        return groups_last(value)
    if isinstance(value, list):
        return [_inside(entry) for entry in value]
    return value


def _is_group(value: object) -> bool:
    """Say whether TOML writes the value as a section: a group of keys, or a list of groups."""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value))
