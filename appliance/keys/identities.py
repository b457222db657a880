"""The private keys of a running process, which learns of a new generation when the first object that needs it appears.

Promises: a generation that was made after the process started is found without a restart, and asking for a known one touches no file. What
is wrong with one generation's file never takes away the key of another.
Failures: none when a key is asked for: a generation whose file is missing, damaged or wrapped by another root is not there, and the log
says why, once. Making a `RememberedIdentities` raises what `unlock` raises.
Limits: the root key stays in memory, as it must to open a generation that does not exist yet; a generation whose file is taken away is
known until the process ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.core.errors import ApplianceError
from appliance.keys.generations import generation_numbers, unlock, unlock_generation
from appliance.keys.root import RootKey
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


class RememberedIdentities(Mapping[int, bytes]):
    """`unlock` for whoever opens objects for as long as it lives: generation to 32-byte private key.

    Threads may share it; at worst two of them read the same file.
    """

    def __init__(self, data: Path, root: RootKey) -> None:
        """Open every generation that is there, so that a root key that does not fit shows at the start. Raises what `unlock` raises."""
        self._data = data
        self._root = root
        self._known = unlock(data, root)
        self._unusable: set[int] = set()

    def __getitem__(self, generation: int) -> bytes:
        """Return the generation's private key. Raises `KeyError` where it cannot be had."""
        known = self._known.get(generation)
        if known is not None:
            return known
        # A generation's file is linked into place whole, before anything is sealed to it, and never replaced (keys/generations). So the
        # file's own existence is all there is to watch; the directory's time would miss two changes within one tick of the kernel.
        private = self._read(generation)
        # A copy instead of a change, so that whoever iterates in another thread is not disturbed.
        self._known = {**self._known, generation: private}
        return private

    def __iter__(self) -> Iterator[int]:
        """Iterate over the generations that open, those made since included."""
        for number in generation_numbers(self._data):
            self.get(number)
        return iter(sorted(self._known))

    def __len__(self) -> int:
        """Return how many generations open."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Show which generations, never their keys."""
        return f"RememberedIdentities({sorted(self._known)})"

    def _read(self, generation: int) -> bytes:
        try:
            private = unlock_generation(self._data, self._root, generation)
        except FileNotFoundError:
            raise KeyError(generation) from None
        except (ApplianceError, OSError) as error:
            if generation not in self._unusable:
                self._unusable.add(generation)
                log.error("keys.generation.unusable", generation=generation, error=type(error).__name__)  # noqa: TRY400 (ours, no trace)
            raise KeyError(generation) from None
        log.info("keys.generation.noticed", generation=generation)
        return private
