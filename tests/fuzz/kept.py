"""The inputs that are kept: the repository's, which `make test` replays, and what a machine found by itself, in `build/fuzz`.

Promises: a file is named by its content, so that nothing is kept twice and nothing is overwritten by something else.
Failures: `OSError` of the disk.
Limits: an input's target is the name of its folder.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
GROWN = ROOT / "build" / "fuzz"


def load(folder: Path) -> list[bytes]:
    """Return the inputs in a folder, always in the same order: by name, but short ones first."""
    files = [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return sorted(files, key=len)


def name_of(data: bytes) -> str:
    """Return the name that an input has as a file."""
    return sha256(data).hexdigest()[:16]


def save(folder: Path, data: bytes) -> Path:
    """Keep an input and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(data)
    path.write_bytes(data)
    return path
