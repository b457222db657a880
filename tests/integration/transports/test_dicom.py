"""The contract of all transports, for DICOM: DCMTK's storescp and Orthanc."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.core.identity import AETitle
from appliance.deliver.transports.dicom import DicomPeer, DicomTransport
from tests.integration.transports import contract
from tests.integration.transports.contract import PIXELS, Bench, OpenObject, digest_of
from tests.support import part10
from tests.support.dcmtk import StoreScp
from tests.support.orthanc import Orthanc


def _way(port: int, open_object: OpenObject) -> DicomTransport:
    peer = DicomPeer("127.0.0.1", port, AETitle("ARCHIVE"), AETitle("EDGE"), 5.0, 10.0, 10.0, 30.0, 5.0)
    return DicomTransport(peer, open_object)


class StoreScpBench:
    """DCMTK's archive."""

    def __init__(self, archive: StoreScp) -> None:
        """Serve."""
        self._archive = archive

    def way(self, open_object: OpenObject) -> DicomTransport:
        """Return the way to it."""
        return _way(self._archive.port, open_object)

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the digests of its copies."""
        whole = [part10.read(path) for path in sorted(self._archive.directory.iterdir()) if _is_whole(path)]
        return [one.digest for one in whole if one.sop_instance_uid == sop_instance_uid]

    def cut(self) -> None:
        """Kill it."""
        self._archive.stop()

    def mend(self) -> None:
        """Start it again."""
        self._archive.start()


def _is_whole(path: Path) -> bool:
    """Say whether the pixels, which end the data set, are all there: the archive keeps what an abort cut off, and does not say so."""
    with path.open("rb") as file:
        head = file.read(2048)
    at = head.find(PIXELS) + len(PIXELS)
    return at > len(PIXELS) and path.stat().st_size == at + 4 + int.from_bytes(head[at : at + 4], "little")


class OrthancBench:
    """Orthanc."""

    def __init__(self, archive: Orthanc) -> None:
        """Serve."""
        self._archive = archive

    def way(self, open_object: OpenObject) -> DicomTransport:
        """Return the way to it."""
        return _way(self._archive.port, open_object)

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the digests of its copies."""
        identifier = self._archive.instances().get(sop_instance_uid)
        return [] if identifier is None else [digest_of(part10.split(self._archive.file(identifier))[1])]

    def cut(self) -> None:
        """Kill it."""
        self._archive.kill()

    def mend(self) -> None:
        """Start it again."""
        self._archive.start()


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[StoreScpBench]:
    """DCMTK's archive, running."""
    with StoreScp(tmp_path / "storescp") as archive:
        yield StoreScpBench(archive)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[OrthancBench]:
    """Orthanc, running."""
    with Orthanc(tmp_path / "orthanc") as archive:
        yield OrthancBench(archive)


@pytest.mark.parametrize("check", contract.CHECKS)
def test_storescp_is_served_as_the_contract_says(check: Callable[[Bench, Path], None], storescp: StoreScpBench, tmp_path: Path) -> None:
    """DCMTK is served as every way out of the box must serve."""
    check(storescp, tmp_path)


@pytest.mark.parametrize("check", contract.CHECKS)
def test_orthanc_is_served_as_the_contract_says(check: Callable[[Bench, Path], None], orthanc: OrthancBench, tmp_path: Path) -> None:
    """Orthanc is served as every way out of the box must serve."""
    check(orthanc, tmp_path)
