"""What a destination was seen to take: (SOP class, transfer syntax) pairs accepted and refused in real associations. Pure.

Promises: the last answer counts, and a whole class that is refused takes its pairs along; the JSON is sorted, so that equal knowledge is
equal text; unreadable JSON is no knowledge.
Failures: none.
Limits: the oldest answers are forgotten beyond `_MOST_ANSWERS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

from appliance.core.identity import Uid
from appliance.dimse.contexts import ABSTRACT_SYNTAX_NOT_SUPPORTED, ACCEPTANCE, TRANSFER_SYNTAXES_NOT_SUPPORTED
from appliance.dimse.learned import Learned, LearnedInvalidError

# All storage classes of the standard times the syntaxes in use are a few thousand; no destination is sent a tenth of that.
_MOST_ANSWERS = 1000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Acceptance:
    """The knowledge about one destination. Not thread-safe."""

    def __init__(self, text: str = "{}") -> None:
        """Start from what was kept."""
        learned = _read(text)
        # Both in the order of the answers, the oldest first.
        self._pairs: dict[tuple[str, str], bool] = {}
        self._pairs.update(dict.fromkeys(sorted(learned.taken), True))
        self._pairs.update(dict.fromkeys(sorted(learned.refused), False))
        self._refused_classes: dict[str, None] = dict.fromkeys(sorted(learned.refused_classes))

    @property
    def learned(self) -> Learned:
        """What is known now."""
        return Learned(
            frozenset((Uid(sop_class), Uid(syntax)) for (sop_class, syntax), taken in self._pairs.items() if taken),
            frozenset((Uid(sop_class), Uid(syntax)) for (sop_class, syntax), taken in self._pairs.items() if not taken),
            frozenset(map(Uid, self._refused_classes)),
        )

    def note(self, pairs: Iterable[tuple[str, str]], *, taken: bool, whole_class: bool = False) -> bool:
        """Take note of an answer for `pairs`; return whether that was news.

        `whole_class`: it was the SOP class that was refused (PS3.8 9.3.3.2 result 3), in whatever transfer syntax.
        """
        news = False
        for pair in pairs:
            news |= self._pairs.pop(pair, None) is not taken
            self._pairs[pair] = taken
            if taken:
                news |= pair[0] in self._refused_classes
                self._refused_classes.pop(pair[0], None)
            elif whole_class:
                news |= self._refuse(pair[0])
        _forget_oldest(self._pairs)
        _forget_oldest(self._refused_classes)
        return news

    def learn(self, results: Mapping[tuple[Uid, Uid], int]) -> bool:
        """Take note of an association's context results (PS3.8 9.3.3.2); return whether anything was news.

        Results 1 and 2 give no reason and may pass: they teach nothing.
        """
        news = self.note(
            [pair for pair, result in results.items() if result == ABSTRACT_SYNTAX_NOT_SUPPORTED], taken=False, whole_class=True
        )
        news |= self.note([pair for pair, result in results.items() if result == TRANSFER_SYNTAXES_NOT_SUPPORTED], taken=False)
        return self.note([pair for pair, result in results.items() if result == ACCEPTANCE], taken=True) or news

    def as_json(self) -> str:
        """Return what is to be kept."""
        return json.dumps(self.learned.as_document())

    def _refuse(self, sop_class: str) -> bool:
        """Take note that a class is refused, and forget in which syntaxes it was taken before; return whether that was news."""
        news = sop_class not in self._refused_classes
        self._refused_classes.pop(sop_class, None)
        self._refused_classes[sop_class] = None
        for pair in [pair for pair, taken in self._pairs.items() if taken and pair[0] == sop_class]:
            del self._pairs[pair]
        return news


def _forget_oldest(answers: dict[_Key, _Value]) -> None:
    while len(answers) > _MOST_ANSWERS:
        del answers[next(iter(answers))]


def _read(text: str) -> Learned:
    try:
        return Learned.of_document(json.loads(text))
    except (ValueError, RecursionError, LearnedInvalidError):
        return Learned()
