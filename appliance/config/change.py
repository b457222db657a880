"""Changes: what differs between two configurations, key by key, for the operator, the audit trail and the history. Pure.

Promises: there is no difference exactly when both would be written the same, the spelling of titles and the order of sections included;
sections are told apart by what they are called, not by where they stand; every change is one printable line; no secret is in it, because
no key of the configuration holds one.
Failures: none.
Limits: a section that is new or gone is one change with all its values, defaults included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from appliance.config.model import Site
from appliance.config.problem import path_of
from appliance.config.rendering import plain_values

Path = tuple[str | int, ...]

# What each section that may be repeated is known by from one configuration to the next.
_KNOWN_BY = {"local_ae": "ae_title", "source": "name", "destination": "id", "route": "name"}
# What a person calls it.
_CALLED = {"local_ae": "ae_title", "source": "name", "destination": "name", "route": "name"}
# What is bound or started once: the receivers inherit their listeners from the supervisor.
_NEEDS_RESTART = "listen."


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `where` is a dotted path such as `destination.archive.port`; None means that it is not there."""

    where: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Return the change in one line."""
        if self.before is None:
            return f"{self.where}: added {self.after}"
        if self.after is None:
            return f"{self.where}: removed {self.before}"
        return f"{self.where}: {self.before} → {self.after}"


def difference(before: Site, after: Site) -> tuple[Change, ...]:
    """Return what changes from `before` to `after`, in the order of the sections."""
    return tuple(_compare((), plain_values(before), plain_values(after)))


def needs_restart(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the paths of the changes that running daemons cannot take over."""
    return tuple(change.where for change in changes if change.where.startswith(_NEEDS_RESTART))


def _compare(path: Path, before: object, after: object) -> Iterator[Change]:
    """Find the changes below `path`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _compare((*path, key), before.get(key), after.get(key))
    elif len(path) == 1 and path[0] in _KNOWN_BY:
        yield from _compare_sections(str(path[0]), _entries(before), _entries(after))
    elif _text(before) != _text(after):
        yield Change(path_of(path), _text(before), _text(after))


def _compare_sections(section: str, before: list[Mapping[str, object]], after: list[Mapping[str, object]]) -> Iterator[Change]:
    """Find the changes in sections that may be repeated."""
    old, new = _by_identity(section, before), _by_identity(section, after)
    if len(old) < len(before) or len(new) < len(after):
        # Only a configuration that no check has seen names something twice: nothing can be told apart in it.
        if before != after:
            yield Change(section, _text(before), _text(after))
        return
    for identity in dict.fromkeys((*old, *new)):
        known = new.get(identity) or old[identity]
        path = (section, str(known[_CALLED[section]]))
        if identity in old and identity in new:
            yield from _compare(path, old[identity], new[identity])
        else:
            yield Change(path_of(path), _text(old.get(identity)), _text(new.get(identity)))
    order = [identity for identity in old if identity in new]
    if order != [identity for identity in new if identity in old]:
        yield Change(
            f"{section} (order)", _text([old[key][_CALLED[section]] for key in old]), _text([new[key][_CALLED[section]] for key in new])
        )


def _entries(value: object) -> list[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _by_identity(section: str, entries: list[Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    return {_identity(section, entry): entry for entry in entries}


def _identity(section: str, entry: Mapping[str, object]) -> str:
    text = str(entry[_KNOWN_BY[section]])
    return text.upper() if section == "local_ae" else text


def _text(value: object) -> str | None:
    """Return a value as it may stand in the file, on one line."""
    match value:
        case None:
            return None
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_text(inner)}" for key, inner in value.items()) + " }"
        case list():
            return "[" + ", ".join(str(_text(entry)) for entry in value) + "]"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return json.dumps(value, ensure_ascii=False)
