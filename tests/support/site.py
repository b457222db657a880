"""`site.toml` for tests: what every test needs, with what this test is about given as plain values.

Promises: `a_site` returns text that `config check` takes, with short delivery timings and the kernel choosing the port.
Failures: `TypeError` for a value that TOML does not know.
Limits: writes the few TOML types that the configuration uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Table = Mapping[str, object]

# A site in trouble is tried again at once, so that a test of recovery takes seconds; the rules stay the same (semantics.md 1.4).
QUICK_DELIVERY: Table = {
    "connect": 5,
    "associate": 5,
    "progress": 20,
    "probe": 0.3,
    "dead_hello": 0.3,
    "throttled": [0.3, 2],
    "refusing": 2,
    "soft": [0.3, 2],
    "site_rule": [5, 2, 2],
}

# As --demo sets it: a test machine may have a fuller disk than an appliance would accept.
SMALL_RETENTION: Table = {"refuse_at": 1.0, "reserve": "16 MiB"}

ANY_SOURCE: Table = {"name": "loopback", "ae_title": "*", "address": "127.0.0.1"}


def a_source(name: str, **settings: object) -> Table:
    """Return a `[[source]]` of this title that calls from this machine."""
    return {"name": name, "ae_title": name, "address": "127.0.0.1"} | settings


def an_archive(port: int, **settings: object) -> Table:
    """Return a `[[destination]]` named "archive" on this machine."""
    return {"name": "archive", "kind": "dicom", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "calling_ae": "box"} | settings


def a_route(*to: str, **settings: object) -> Table:
    """Return a `[[route]]` of everything to these destinations."""
    return {"name": "everything", "to": list(to)} | settings


def a_site(
    *,
    sources: Sequence[Table] = (ANY_SOURCE,),
    destinations: Sequence[Table] = (),
    routes: Sequence[Table] = (),
    local_ae: Sequence[Table] = (),
    box: Table | None = None,
    listen: Table | None = None,
    tls: Table | None = None,
    admission: Table | None = None,
    retention: Table | None = None,
    delivery: Table | None = None,
) -> str:
    """Return the text of a `site.toml`; without routes, everything goes to the first destination."""
    if not routes and destinations:
        routes = [a_route(str(destinations[0]["name"]))]
    tables: list[tuple[str, Table]] = [
        ("[box]", {"name": "test-box", "ae_title": "EDGE"} | dict(box or {})),
        # Without the pages a box starts faster and is lighter; their tests ask for web = "127.0.0.1:0".
        ("[listen]", {"dicom": ["127.0.0.1:0"], "workers": 2, "web": "off"} | dict(listen or {})),
        ("[tls]", dict(tls or {})),
        ("[admission]", dict(admission or {})),
        ("[retention]", {**SMALL_RETENTION, **(retention or {})}),
        ("[delivery]", {**QUICK_DELIVERY, **(delivery or {})}),
    ]
    tables += [("[[local_ae]]", table) for table in local_ae]
    tables += [("[[source]]", table) for table in sources]
    tables += [("[[destination]]", table) for table in destinations]
    tables += [("[[route]]", table) for table in routes]
    return "\n".join(_table(head, table) for head, table in tables)


def _table(head: str, values: Table) -> str:
    return "\n".join([head, *(f"{key} = {_value(value)}" for key, value in values.items())]) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    raise TypeError(type(value).__name__)
