"""A hand-edited `site.toml` is a proposal: once, and never again by a mere restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.config.load import ConfigInvalidError
from appliance.config.site_file import SiteFile

ONE, TWO = "# one\n", "# two\n"


def _write(data: Path, text: str) -> None:
    (data / "site.toml").write_text(text, encoding="utf-8")


def test_no_file_is_no_news(tmp_path: Path) -> None:
    """A box without the file has no proposal."""
    file = SiteFile(tmp_path)

    assert (file.news(), file.signature()) == (None, None)


def test_a_text_is_news_until_it_is_dealt_with(tmp_path: Path) -> None:
    """Looking is not taking: what was read may not have been whole."""
    _write(tmp_path, ONE)
    file = SiteFile(tmp_path)

    assert (file.news(), file.news()) == (ONE, ONE)


def test_what_was_settled_is_no_news_after_a_restart(tmp_path: Path) -> None:
    """An old file does not undo what was applied by other means since."""
    _write(tmp_path, ONE)
    SiteFile(tmp_path).settle(ONE)

    assert SiteFile(tmp_path).news() is None


def test_what_was_refused_is_news_after_a_restart(tmp_path: Path) -> None:
    """The same process says it once; the next start says it again."""
    _write(tmp_path, ONE)
    file = SiteFile(tmp_path)
    file.refuse(ONE)

    assert (file.news(), SiteFile(tmp_path).news()) == (None, ONE)


def test_a_change_is_news_also_back_to_an_earlier_text(tmp_path: Path) -> None:
    """Who puts the old text back wants the old text."""
    file = SiteFile(tmp_path)
    file.settle(ONE)
    file.settle(TWO)

    _write(tmp_path, ONE)

    assert (file.news(), SiteFile(tmp_path).news()) == (ONE, ONE)


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    """What cannot be read is an error with a place, as for any configuration file."""
    (tmp_path / "site.toml").write_bytes(b"# R\xf6ntgen\n")

    with pytest.raises(ConfigInvalidError, match="is not UTF-8 text"):
        SiteFile(tmp_path).news()


def test_a_damaged_mark_is_as_none(tmp_path: Path) -> None:
    """The worst that comes of it is that a text is proposed again."""
    _write(tmp_path, ONE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "proposal").write_bytes(b"\xff\0")

    assert SiteFile(tmp_path).news() == ONE


def test_a_mark_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """The text is settled for this process, and the log says what will come of it."""
    _write(tmp_path, ONE)
    (tmp_path / "config").write_text("in the way", encoding="utf-8")
    file = SiteFile(tmp_path)

    with capture_logs() as logs:
        file.settle(ONE)

    assert file.news() is None
    assert [entry["event"] for entry in logs] == ["config.proposal_not_marked"]
