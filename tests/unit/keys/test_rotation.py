"""Rotation: a new generation is made only by who can open the old ones, and running processes notice it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.core.errors import Fault
from appliance.keys import rotation
from appliance.keys.generations import KeyGenerationMissingError, active_recipients, create_generation, ensure_keys, unlock
from appliance.keys.identities import RememberedIdentities
from appliance.keys.recipient import encode_recipient
from appliance.keys.root import RootKey, RootKeyForeignError
from appliance.keys.rotation import KeyRotationBusyError, Rotated, rotate
from tests.fakes.clock import FakeClock

ROOT = RootKey(bytes(range(32)))
OTHER_ROOT = RootKey(bytes(range(1, 33)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make a box with generation 1."""
    ensure_keys(tmp_path, ROOT)
    return tmp_path


def _key_files(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "keys").iterdir()}


def test_a_rotation_makes_the_next_generation(data: Path) -> None:
    """The answer says which generation it was, which it is, and the recipient that objects are sealed to from now on."""
    rotated = rotate(data, ROOT, clock=FakeClock())

    assert Rotated(1, 2, encode_recipient(active_recipients(data).box)) == rotated
    assert [1, 2] == sorted(unlock(data, ROOT))
    assert json.loads((data / "keys" / "generation-2.json").read_text())["created"] == "2024-02-29T12:00:00+00:00"


def test_a_root_key_that_does_not_fit_rotates_nothing(data: Path) -> None:
    """With another root key the refusal says that nothing was changed and which key is needed, and nothing was changed."""
    before = _key_files(data)

    with pytest.raises(RootKeyForeignError, match="not rotated: the root key does not open") as refused:
        rotate(data, OTHER_ROOT)

    assert Fault.OPERATOR == refused.value.fault
    assert "Nothing was changed" in refused.value.advice
    assert before == _key_files(data)


def test_one_foreign_generation_is_enough_to_refuse(data: Path) -> None:
    """A generation made under another root stops the rotation, although the others open."""
    create_generation(data, OTHER_ROOT)

    with pytest.raises(RootKeyForeignError, match="generation-2"):
        rotate(data, ROOT)


def test_there_must_be_a_generation_to_follow(tmp_path: Path) -> None:
    """A data directory without keys gets none from a rotation: that is the first start's work."""
    with pytest.raises(KeyGenerationMissingError, match="not rotated"):
        rotate(tmp_path, ROOT)

    assert not (tmp_path / "keys").exists()


def test_two_rotations_that_meet_make_one_generation(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower of two rotations is refused in plain words instead of replacing the faster one's key."""
    real = create_generation

    def overtaken(where: Path, root: RootKey, *, clock: FakeClock) -> int:
        real(where, root, clock=clock)
        raise FileExistsError

    monkeypatch.setattr(rotation, "create_generation", overtaken)

    with pytest.raises(KeyRotationBusyError):
        rotate(data, ROOT, clock=FakeClock())

    assert [1, 2] == sorted(unlock(data, ROOT))


# What a running process knows


def test_a_running_process_notices_a_new_generation(data: Path) -> None:
    """A generation made later is there when it is first asked for, and the old one still is."""
    identities = RememberedIdentities(data, ROOT)
    first = identities[1]

    assert identities.get(2) is None
    rotate(data, ROOT)

    assert unlock(data, ROOT) == {1: first, 2: identities[2]} == dict(identities)
    assert len(identities) == 2


def test_a_known_generation_is_read_once(data: Path) -> None:
    """Opening thousands of objects reads no key file again, and goes on while the keys directory cannot be read."""
    identities = RememberedIdentities(data, ROOT)
    (data / "keys" / "generation-1.json").unlink()

    assert identities.get(1) is not None
    assert identities.get(7) is None


def test_another_root_is_refused_at_the_start(data: Path) -> None:
    """A process with the wrong root key ends when it starts, not when it first opens an object."""
    with pytest.raises(RootKeyForeignError):
        RememberedIdentities(data, OTHER_ROOT)


def test_a_bad_file_costs_its_own_generation_only(data: Path) -> None:
    """A generation file that is damaged or foreign is not there, is logged once, and takes nothing away."""
    identities = RememberedIdentities(data, ROOT)
    create_generation(data, OTHER_ROOT)
    (data / "keys" / "generation-3.json").write_text("{}")
    create_generation(data, ROOT)

    with capture_logs() as logs:
        answers = [identities.get(number) for number in (2, 3, 2, 3, 4, 1)]

    assert [False, False, False, False, True, True] == [answer is not None for answer in answers]
    assert [("keys.generation.unusable", 2), ("keys.generation.unusable", 3), ("keys.generation.noticed", 4)] == [
        (entry["event"], entry["generation"]) for entry in logs
    ]


def test_a_bad_file_that_is_repaired_is_read_again(data: Path) -> None:
    """Putting the right file back is enough; the process need not be restarted."""
    identities = RememberedIdentities(data, ROOT)
    path = data / "keys" / "generation-2.json"
    path.write_text("{}")
    assert identities.get(2) is None
    path.unlink()

    rotate(data, ROOT)

    assert identities.get(2) == unlock(data, ROOT)[2]


def test_keys_do_not_show(data: Path) -> None:
    """A representation, as in a traceback, names generations and shows no key."""
    identities = RememberedIdentities(data, ROOT)

    shown = repr(identities)

    assert "RememberedIdentities([1])" == shown


def test_threads_share_one(data: Path) -> None:
    """Several threads that meet a new generation at once all get its key."""
    identities = RememberedIdentities(data, ROOT)
    rotate(data, ROOT)
    found: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: found.append(identities.get(2))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [unlock(data, ROOT)[2]] * 8 == found
