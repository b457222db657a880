"""The operator's `site.toml` as a proposal: its text is handed out when it is news, and only then.

Promises: `news` gives a text until it is settled or refused; a text that was settled is no news after a restart either, so that an old file
never undoes what was applied by other means since; a text that was refused is news again at the next start, and when another was between.
Failures: `ConfigInvalidError` (operator) from `news` for a file that is no text.
Limits: one user at a time. Where the mark of a settled text cannot be written, the text is news again after a restart.
"""

from __future__ import annotations

from pathlib import Path

from appliance.config.load import read_text, site_path
from appliance.config.private_file import write_private_file
from appliance.config.record import text_digest
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

Signature = tuple[int, int, int, int]


class SiteFile:
    """`DATA/site.toml`, and `DATA/config/proposal`, the digest of the last text that was settled."""

    def __init__(self, data: Path) -> None:
        """Recall what was settled last."""
        self.path = site_path(data)
        self._mark = data / "config" / "proposal"
        try:
            self._known = self._mark.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            self._known = ""

    def news(self) -> str | None:
        """Return the text of the file if it is another than the last; None if not, or if there is no file. Raises `ConfigInvalidError`."""
        if self.signature() is None:
            return None
        text = read_text(self.path)
        return None if text_digest(text) == self._known else text

    def refuse(self, text: str) -> None:
        """Note that the text was not applied: it is no news again in this process."""
        self._known = text_digest(text)

    def settle(self, text: str) -> None:
        """Note that the text was applied: it is no news any more, also after a restart."""
        self._known = text_digest(text)
        try:
            write_private_file(self._mark, self._known.encode() + b"\n")
        except OSError as error:
            log.warning("config.proposal_not_marked", because=error.strerror)

    def signature(self) -> Signature | None:
        """Return what changes whenever the file is replaced or written; None when it is not there."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
