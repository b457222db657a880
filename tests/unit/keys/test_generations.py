"""Generations: public without a secret, private only with the right root, and never passed off as another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.keys.generations import (
    KeyGenerationDamagedError,
    KeyGenerationMissingError,
    Recipients,
    RememberedRecipients,
    active_recipients,
    create_generation,
    ensure_keys,
    recovery,
    set_recovery,
    unlock,
)
from appliance.keys.recipient import RecipientInvalidError, encode_recipient
from appliance.keys.root import RootKey, RootKeyForeignError
from appliance.runtime.clock import Instant

ROOT = RootKey(bytes(range(32)))
OTHER_ROOT = RootKey(bytes(range(1, 33)))


class _StoppedClock:
    def now(self) -> Instant:
        return Instant(wall=1_767_225_600.0, boottime=1.0, boot_id="boot")

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _file(data: Path, number: int = 1) -> Path:
    return data / "keys" / f"generation-{number}.json"


def _change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_the_first_start_makes_generation_1(tmp_path: Path) -> None:
    """A box with a root and nothing else gets its pair; a second start changes nothing."""
    ensure_keys(tmp_path, ROOT)
    before = _file(tmp_path).read_bytes()
    ensure_keys(tmp_path, ROOT)

    assert list(unlock(tmp_path, ROOT)) == [1]
    assert before == _file(tmp_path).read_bytes()


def test_the_public_half_needs_no_root(tmp_path: Path) -> None:
    """What the receiver reads is the public key of the private key that the others unlock."""
    ensure_keys(tmp_path, ROOT)

    recipients = active_recipients(tmp_path)

    public = _public(unlock(tmp_path, ROOT)[1])
    assert Recipients(generation=1, box=public, recovery=None) == recipients
    assert (public,) == recipients.all


def test_the_newest_generation_seals_and_every_generation_opens(tmp_path: Path) -> None:
    """Rotation keeps the older private keys; 10 comes after 9."""
    made = [create_generation(tmp_path, ROOT) for _ in range(10)]

    keys = unlock(tmp_path, ROOT)

    assert list(range(1, 11)) == made == list(keys)
    assert (10, _public(keys[10])) == (active_recipients(tmp_path).generation, active_recipients(tmp_path).box)


def test_a_generation_file_is_private_and_says_when_it_was_made(tmp_path: Path) -> None:
    """Mode 0600, the moment in ISO 8601, and no private key in clear."""
    create_generation(tmp_path, ROOT, clock=_StoppedClock())

    content = json.loads(_file(tmp_path).read_text())
    private = unlock(tmp_path, ROOT)[1]
    assert _file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert {"generation", "recipient", "wrapped", "created"} == content.keys()
    assert content["created"] == "2026-01-01T00:00:00+00:00"
    assert private not in _file(tmp_path).read_bytes()


def test_another_root_opens_nothing(tmp_path: Path) -> None:
    """The root of another box is told apart, and a start with it makes no new generation."""
    ensure_keys(tmp_path, ROOT)

    with pytest.raises(RootKeyForeignError):
        unlock(tmp_path, OTHER_ROOT)
    with pytest.raises(RootKeyForeignError):
        ensure_keys(tmp_path, OTHER_ROOT)

    assert not _file(tmp_path, 2).exists()


def test_a_generation_renamed_is_refused(tmp_path: Path) -> None:
    """A file under another number is damage, also for who has no root."""
    ensure_keys(tmp_path, ROOT)
    _file(tmp_path).rename(_file(tmp_path, 2))

    with pytest.raises(KeyGenerationDamagedError):
        active_recipients(tmp_path)


def test_a_private_key_cannot_pass_as_another_generations(tmp_path: Path) -> None:
    """The wrapping is bound to the number, so a file with a changed number does not unwrap."""
    ensure_keys(tmp_path, ROOT)
    _file(tmp_path).rename(_file(tmp_path, 2))
    _change(_file(tmp_path, 2), generation=2)

    with pytest.raises(RootKeyForeignError):
        unlock(tmp_path, ROOT)


def test_an_exchanged_recipient_is_found_by_who_has_the_root(tmp_path: Path) -> None:
    """An intruder's recipient in a generation file does not go with the wrapped private key."""
    ensure_keys(tmp_path, ROOT)
    _change(_file(tmp_path), recipient=encode_recipient(_public(bytes([7]) * 32)))

    with pytest.raises(RootKeyForeignError):
        unlock(tmp_path, ROOT)


@pytest.mark.parametrize(
    "fields",
    [
        {"recipient": "age1"},
        {"recipient": 5},
        {"wrapped": "%%"},
        {"wrapped": ""},
        {"wrapped": None},
        {"generation": "1"},
        {"generation": 3},
    ],
)
def test_a_damaged_field_is_named_as_damage(tmp_path: Path, fields: dict[str, object]) -> None:
    """A field of the wrong kind is neither a crash nor a foreign root."""
    ensure_keys(tmp_path, ROOT)
    _change(_file(tmp_path), **fields)

    with pytest.raises(KeyGenerationDamagedError):
        unlock(tmp_path, ROOT)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"{}", b"\xff"])
def test_a_damaged_file_is_named_as_damage(tmp_path: Path, content: bytes) -> None:
    """What is no JSON object of ours is damage."""
    ensure_keys(tmp_path, ROOT)
    _file(tmp_path).write_bytes(content)

    with pytest.raises(KeyGenerationDamagedError):
        active_recipients(tmp_path)


def test_without_a_generation_nothing_can_be_sealed(tmp_path: Path) -> None:
    """A data directory without keys says so."""
    with pytest.raises(KeyGenerationMissingError):
        active_recipients(tmp_path)

    assert unlock(tmp_path, ROOT) == {}


def test_the_recovery_recipient_is_kept_and_used(tmp_path: Path) -> None:
    """What the hospital gave is a second recipient from then on, and can be exchanged."""
    ensure_keys(tmp_path, ROOT)
    first, second = _public(bytes([3]) * 32), _public(bytes([4]) * 32)
    set_recovery(tmp_path, encode_recipient(first) + "\n")
    set_recovery(tmp_path, encode_recipient(second))

    recipients = active_recipients(tmp_path)

    assert encode_recipient(second) == recovery(tmp_path)
    assert (recipients.box, second) == recipients.all


def test_a_recovery_recipient_that_is_none_is_refused(tmp_path: Path) -> None:
    """A refused text leaves the one in force alone."""
    good = encode_recipient(_public(bytes([3]) * 32))
    set_recovery(tmp_path, good)

    with pytest.raises(RecipientInvalidError):
        set_recovery(tmp_path, good[:-1])

    assert good == recovery(tmp_path)


def test_no_recovery_recipient_is_no_fault(tmp_path: Path) -> None:
    """A hospital may do without."""
    assert recovery(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"age1\n", b"\xff\n", b"two\nlines\n"])
def test_a_damaged_recovery_file_is_never_ignored(tmp_path: Path, content: bytes) -> None:
    """Sealing on without the key that central IT counts on would be silent loss."""
    ensure_keys(tmp_path, ROOT)
    (tmp_path / "keys" / "recovery.recipient").write_bytes(content)

    with pytest.raises(RecipientInvalidError):
        active_recipients(tmp_path)


def test_the_age_tools_own_file_may_be_put_in_place(tmp_path: Path) -> None:
    """Comment lines, as age-keygen writes them, are no part of the recipient."""
    (tmp_path / "keys").mkdir()
    text = encode_recipient(_public(bytes([3]) * 32))
    (tmp_path / "keys" / "recovery.recipient").write_text(f"# created: today\n{text}\n")

    assert text == recovery(tmp_path)


def test_remembered_recipients_follow_the_files(tmp_path: Path) -> None:
    """A new generation and a recovery key are seen at once, without a restart."""
    root = ROOT
    create_generation(tmp_path, root)
    remembered = RememberedRecipients(tmp_path)

    before = remembered()
    create_generation(tmp_path, root)
    after = remembered()

    assert (before.generation, after.generation) == (1, 2)
    assert remembered() is after
