"""Under which settings a destination was served last: a mark beside what was learned of it, in the same text. Pure.

Promises: what `with_settings` wrote, `settings_of` reads; what else the text says stays as it is. A text that cannot be read knows none.
Failures: none.
Limits: a mark tells that settings differ, not in what.
"""

from __future__ import annotations

import json
from typing import Any

_KEY = "settings"


def settings_of(learned: str) -> str | None:
    """Return the mark of the settings, None where there is none."""
    mark = _document(learned).get(_KEY)
    return mark if isinstance(mark, str) else None


def with_settings(learned: str, mark: str | None) -> str:
    """Return the text with this mark; None takes away what there is."""
    document = {key: value for key, value in _document(learned).items() if key != _KEY}
    return json.dumps(document | ({} if mark is None else {_KEY: mark}))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
