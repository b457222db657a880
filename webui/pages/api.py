"""The API's place among the pages: it is served beside them, under `/api/v1`, and linked from no navigation."""

from __future__ import annotations

from webui.api.routes import blueprint

__all__ = ["blueprint"]
