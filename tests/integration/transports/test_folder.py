"""The contract of all transports, for a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config.layout import DEFAULT_LAYOUT
from appliance.deliver.transports.folder import MARKER, FolderTransport
from tests.integration.transports import contract
from tests.integration.transports.contract import Bench, OpenObject
from tests.integration.transports.files import copies_under, drafts_under


class FolderBench:
    """A share that can be mounted and not: where it is not, an empty folder stands in its place."""

    def __init__(self, directory: Path) -> None:
        """Mount it."""
        self.path, self._away = directory / "mnt", directory / "away"
        self.path.mkdir(parents=True)
        (self.path / MARKER).touch()

    def way(self, open_object: OpenObject) -> FolderTransport:
        """Return the way into it."""
        return FolderTransport(self.path, DEFAULT_LAYOUT, open_object)

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the digests of its copies."""
        return copies_under(self.path, sop_instance_uid)

    def cut(self) -> None:
        """Leave the empty mount point."""
        self.path.rename(self._away)
        self.path.mkdir()

    def mend(self) -> None:
        """Mount it again, which works only where nobody wrote under it."""
        self.path.rmdir()
        self._away.rename(self.path)


@pytest.mark.parametrize("check", contract.CHECKS)
def test_a_folder_keeps_the_contract(check: Callable[[Bench, Path], None], tmp_path: Path) -> None:
    """A folder does what every way out of the box must do, and no draft is left in it."""
    bench = FolderBench(tmp_path / "share")

    check(bench, tmp_path)

    assert drafts_under(bench.path) == []
