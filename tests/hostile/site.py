"""The box that is attacked: its configuration, and changes of it for one row.

The listed sources are `HONEST` (the oracle's own peer), `CT1` at any address of this machine, `MR1` at one that is not this machine's,
and scanners `S0` to `S9` at 127.0.1.10 and following. Everything else is the product's default, except that receivers that start with
`SHORTENED` on their PYTHONPATH wait 2 s where the product waits 30 and 60.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import honest
from tests.support.box import Box
from tests.support.site import a_site, a_source

SHORTENED = Path(__file__).parent / "shortened"
SCANNERS = {f"S{number}": f"127.0.1.{10 + number}" for number in range(10)}


def a_hostile_site(**settings: object) -> str:
    """Return the configuration of a box that is going to be attacked; `settings` are those of `a_site`."""
    sources = [
        a_source(honest.TITLE, address=honest.ADDRESS),
        a_source("CT1", address="127.0.0.0/8"),
        a_source("MR1", address="10.9.9.9"),
        *(a_source(name, address=address) for name, address in SCANNERS.items()),
    ]
    return a_site(sources=sources, **settings)  # type: ignore[arg-type]


@contextmanager
def reconfigured(box: Box, **settings: object) -> Iterator[None]:
    """Put a changed configuration in force for a while, on the running box."""
    _apply(box, a_hostile_site(**settings))
    try:
        yield
    finally:
        _apply(box, a_hostile_site())


def _apply(box: Box, site: str) -> None:
    path = box.work / "changed.toml"
    path.write_text(site, encoding="utf-8")
    result = box.command("config", "apply", str(path))
    assert result.returncode == 0, result.stderr
