"""The text of a `site.toml` as blocks of lines, so that one section is changed and every other line stays as it was typed. Pure.

Promises: the blocks, put together, are the text (with a line break at its end); a section goes with the remarks that stand right above it
and with its own sub-sections; remarks that stand apart, or head the file, belong to nobody, and stay.
Failures: none; lines inside a list or a long text that look like the head of a section are taken for one, so whoever uses this compares
what the outcome says with what it should say.
Limits: sections that are written in braces or with dots are no blocks.
Standard: TOML 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_HEAD = re.compile(r"""\s*(?P<open>\[\[?)\s*(?P<path>[A-Za-z0-9_."' -]+?)\s*\]{1,2}\s*(#.*)?""")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines with their line breaks: those of a section called `path` (`is_row`: in double brackets), or of none (`path` is empty)."""

    path: tuple[str, ...]
    is_row: bool
    lines: tuple[str, ...]


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a text, in order."""
    lines = (text if text.endswith("\n") or not text else f"{text}\n").splitlines(keepends=True)
    heads = [index for index, line in enumerate(lines) if _HEAD.fullmatch(line.rstrip("\n"))]
    blocks: list[Block] = []
    begun = 0
    path, is_row = (), False  # type: tuple[str, ...], bool
    for head in heads:
        start = _with_remarks_above(lines, head, begun)
        blocks += _section(path, is_row, lines[begun:start])
        path, is_row = _read_head(lines[head])
        begun = start
    return [*blocks, *_section(path, is_row, lines[begun:])]


def text_of(blocks: Sequence[Block]) -> str:
    """Return the text that the blocks are."""
    return "".join(line for block in blocks for line in block.lines)


def places_of(blocks: Sequence[Block], section: str, *, is_row: bool) -> list[slice]:
    """Return where each section of that name stands, its sub-sections included."""
    places = []
    for start, block in enumerate(blocks):
        if block.path != (section,) or block.is_row is not is_row:
            continue
        end = start + 1
        for index in range(start + 1, len(blocks)):
            other = blocks[index].path
            if other and (other[0] != section or len(other) == 1):
                break
            if other:
                end = index + 1
        places.append(slice(start, end))
    return places


def removed(blocks: Sequence[Block], place: slice) -> list[Block]:
    """Return the blocks without a section, and without the blank lines that set it apart."""
    rest = list(blocks[place.stop :])
    if rest and not rest[0].path:
        lines = rest[0].lines
        blank = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
        rest[0] = replace(rest[0], lines=lines[blank:])
    return [*blocks[: place.start], *rest]


def moved(blocks: Sequence[Block], places: Sequence[slice], old: int, new: int) -> list[Block]:
    """Return the blocks with the section of place `old` at place `new`; what stands between the sections stays where it is."""
    contents = [list(blocks[place]) for place in places]
    contents.insert(new, contents.pop(old))
    outcome = list(blocks[: places[0].start])
    for index, (place, content) in enumerate(zip(places, contents, strict=True)):
        following = places[index + 1].start if index + 1 < len(places) else len(blocks)
        outcome += [*content, *blocks[place.stop : following]]
    return outcome


def added(blocks: Sequence[Block], text: str, *, after: slice | None) -> str:
    """Return the text with a section added behind the place `after`, or at the end; a blank line sets it apart."""
    position = len(blocks) if after is None else after.stop
    before, behind = text_of(blocks[:position]), text_of(blocks[position:])
    gap = "\n" if before.strip() and not before.endswith("\n\n") else ""
    return f"{before}{gap}{text.strip()}\n{behind}"


def _with_remarks_above(lines: Sequence[str], head: int, floor: int) -> int:
    """Return where the remarks right above a head begin, or the head."""
    start = head
    while start > floor and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    # The first lines of a file speak of the whole.
    return start or head


def _section(path: tuple[str, ...], is_row: bool, lines: Sequence[str]) -> list[Block]:  # noqa: FBT001 (a field)
    """Return a section's block, and what stands apart behind it as a block of nobody's."""
    if not lines:
        return []
    last = max((index for index, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), default=-1)
    end = next((index for index in range(last + 1, len(lines)) if not lines[index].strip()), len(lines))
    found = [Block(path, is_row, tuple(lines[:end])), Block((), False, tuple(lines[end:]))]
    return [block for block in found if block.lines]


def _read_head(line: str) -> tuple[tuple[str, ...], bool]:
    match = _HEAD.fullmatch(line.rstrip("\n"))
    if match is None:
        return (), False
    return tuple(part.strip().strip("\"'") for part in match["path"].split(".")), match["open"] == "[["
