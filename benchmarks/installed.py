"""The peers as the system installed them.

Limits: looks where Debian puts programs and not on the PATH, because an activated virtual environment brings programs of the same names.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.failures import PeerMissingError

_WHERE = "/usr/sbin:/usr/bin:/usr/local/bin"
_VERSION_S = 10.0


def find(program: str, package: str) -> Path:
    """Return the program; `PeerMissingError` names the Debian package that brings it."""
    found = shutil.which(program, path=_WHERE)
    if found is None:
        raise PeerMissingError(f"{program} is not installed: apt install {package}")
    return Path(found)


def version(program: Path) -> str:
    """Return the version a program says it has."""
    answer = subprocess.run(
        [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_VERSION_S, check=False
    )
    return first_number(answer.stdout.split())


def first_number(words: Iterable[str]) -> str:
    """Return the first word that looks like a version, without a leading v."""
    return next((bare for word in words if (bare := word.lstrip("v"))[:1].isdigit()), "unknown")
