"""The product's source, parsed once, for tests that hold its shape.

Promises: every Python file of `appliance` and `webui` is seen, whatever its folder; paths are relative to the repository.
Failures: `SyntaxError` for a file that does not parse.
Limits: sees what is written, not what runs; imports made from strings are not imports here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PRODUCT = ("appliance", "webui")


@dataclass(frozen=True)
class Module:
    """One file of the product."""

    path: Path

    @property
    def where(self) -> str:
        """The path in the repository, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def name(self) -> str:
        """The dotted name as imported."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> list[str]:
        """The source in lines, the first at index 0."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text, self.where)

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield (dotted name, line) of everything imported, wherever in the file it is; `from a import b` yields `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield f"{node.module or ''}.{alias.name}", node.lineno

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@cache
def product() -> tuple[Module, ...]:
    """Return every module of the product, in the order of their paths."""
    return tuple(Module(path) for package in _PRODUCT for path in sorted((ROOT / package).rglob("*.py")))


def tests() -> list[Module]:
    """Return every file of tests."""
    return [Module(path) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
