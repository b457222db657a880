"""A ledger in which an order meets trouble, and the kill that is the worst of it."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.ledger.database import Ledger, Row, Value


class Crash(BaseException):
    """The process was killed here."""


class TroubledLedger(Ledger):
    """A ledger in which something happens when a request is to be recorded."""

    trouble: BaseException | None = None

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Raise, if asked to, instead of recording a request."""
        if self.trouble is not None and "INTO request" in sql:
            raise self.trouble
        return super().change(sql, parameters)
