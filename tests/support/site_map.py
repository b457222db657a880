"""Every page there is: the rules of the application, and an address of this box for each.

Promises: `every_page` returns an address for each rule that answers GET with a page, found as a person finds it: by following links.
Failures: none; a rule that no link leads to is not in it, which is for a test to say.
Limits: addresses are those that were linked first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from tests.support.browser import Visitor
from tests.support.pages import pages_of

# Files for machines and pieces of pages, which nobody looks at by themselves.
_NO_PAGES = ("/static/", "/bootstrap/", "/api/", "/charts/")
_NO_PAGE_ENDS = (".csv", ".pem", ".toml", ".txt", ".svg", "/now", "/live", "/callers", "/progress", "/state", "/thumbnail", "/unconfirmed")
# Pages that are asked for by choosing in a form, with what the department of `demo_data` has to choose from.
BY_FORMS = {"system.configuration.difference": "/system/configuration/difference?from=1&to=2"}
# A list links to each of its rows; a few of them show what there is.
_MOST_ADDRESSES = 400


@lru_cache(maxsize=1)
def _adapter() -> MapAdapter:
    return pages_of(Path("/nonexistent")).app.url_map.bind("localhost")


def page_endpoints() -> set[str]:
    """Return every endpoint that answers GET with a page for people."""
    rules = _adapter().map.iter_rules()
    return {rule.endpoint for rule in rules if "GET" in (rule.methods or ()) and is_page(rule.rule)}


def is_page(path: str) -> bool:
    """Say whether a path (or the rule of one) is a page for people."""
    return not path.startswith(_NO_PAGES) and not path.endswith(_NO_PAGE_ENDS)


def endpoint_of(path: str) -> str | None:
    """Return the endpoint of a path, None where there is none."""
    try:
        endpoint, _ = _adapter().match(urlsplit(path).path, method="GET")
    except HTTPException:
        return None
    return str(endpoint)


def every_page(visitor: Visitor, look: Callable[[str, str], None] = lambda _endpoint, _path: None, *, start: str = "/") -> dict[str, str]:
    """Return an address for each endpoint that can be reached by links from `start`; `look` is called while each is open."""
    found: dict[str, str] = {}
    waiting = deque([start])
    seen = {start}
    while waiting and len(seen) < _MOST_ADDRESSES:
        path = waiting.popleft()
        endpoint = endpoint_of(path)
        if endpoint is None or endpoint in found or not is_page(urlsplit(path).path):
            continue
        visitor.go(path)
        found[endpoint] = path
        links = [link.partition("#")[0] for link in visitor.paths()]
        look(endpoint, path)
        waiting.extend(link for link in links if link not in seen)
        seen.update(links)
    return found
