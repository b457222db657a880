"""What the checks need of a folder of Part 10 files."""

from __future__ import annotations

from pathlib import Path

from tests.support import part10


def copies_under(folder: Path, sop_instance_uid: str) -> list[str]:
    """Return the digest of every file under the folder, whatever its name, that says it is the instance and is no draft."""
    found = [part10.read(path) for path in sorted(folder.rglob("*.dcm"))]
    return [instance.digest for instance in found if instance.sop_instance_uid == sop_instance_uid]


def drafts_under(folder: Path) -> list[Path]:
    """Return the files that never got their name."""
    return sorted(folder.rglob(".*.part"))
