"""Passwords: what is taken, how it is kept, and that codes can be read from a screen."""

from __future__ import annotations

import re

import pytest

from appliance.accounts.faults import PasswordWeakError, Weakness
from appliance.accounts.passwords import Passwords, as_code, clear_code, insist_on_strength


@pytest.mark.parametrize(
    ("password", "weakness"),
    [
        ("short", Weakness.SHORT),
        ("x" * 257, Weakness.LONG),
        ("Password123", Weakness.COMMON),
        ("matkhau123", Weakness.COMMON),
        ("aaaaaaaaaaaaaaa", Weakness.COMMON),
        ("abababababababab", Weakness.COMMON),
        ("kim.nguyen1", Weakness.NAME),
        ("KIM.NGUYEN2026", Weakness.NAME),
    ],
)
def test_what_others_would_try_first_is_not_taken(password: str, weakness: Weakness) -> None:
    """Short passwords, the commonest, and those made of the name are refused, each with its reason."""
    with pytest.raises(PasswordWeakError) as refused:
        insist_on_strength(password, "kim.nguyen")

    assert refused.value.weakness is weakness
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", ["four words in a row", "đêm trăng sáng quá", "kim.nguyen likes tea", "nocapitalsnodigits"])
def test_a_password_needs_no_kinds_of_characters(password: str) -> None:
    """Length is what counts: words with spaces and accents are taken."""
    insist_on_strength(password, "kim.nguyen")


def test_a_hash_fits_its_password_however_it_was_typed() -> None:
    """What is kept is an argon2id hash that fits the same letters from any keyboard, and nothing else."""
    passwords = Passwords()

    kept = passwords.hashed("trăng sáng quá")

    assert kept.startswith("$argon2id$")
    assert passwords.fits(kept, "trăng sáng quá")
    assert not passwords.fits(kept, "trăng sáng qua")
    assert not passwords.fits(kept, "x" * 100_000)
    assert not passwords.is_outdated(kept)


def test_nobodys_password_never_fits() -> None:
    """Where there is no account nothing fits, not even nothing, and a hash that cannot be read fits nothing either."""
    passwords = Passwords()
    passwords._nobodys = passwords.hashed("what is tried instead")

    assert not passwords.fits(None, "what is tried instead")
    assert not passwords.fits(None, "")
    assert not passwords.fits("", "anything")
    assert not passwords.fits("no hash", "anything")


def test_codes_have_no_letters_that_look_alike() -> None:
    """A code is groups of four clear letters and digits, and is the same however somebody types it."""
    codes = {clear_code(2) for _ in range(200)}

    assert len(codes) == 200
    assert all(re.fullmatch(r"[ACDEFGHJKMNPQRTUVWXY34679]{4}-[ACDEFGHJKMNPQRTUVWXY34679]{4}", code) for code in codes)
    assert as_code(" acde fgh3\n") == "ACDE-FGH3" == as_code("AcDeFgH3")
