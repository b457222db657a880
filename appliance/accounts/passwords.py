"""Passwords: which are taken, how they are kept, and how long it takes to try one.

Promises: a password is kept as an argon2id hash with a salt of its own; trying one takes the same work whether or not there is an account;
one is tried at a time, so that many tries at once cost no more memory than one. A one-time password or a setup code has no letters that
look alike.
Failures: `PasswordWeakError`.
Limits: no rules about kinds of characters: they make passwords that people write down. The list of the commonest is short, because who
guesses is slowed down (`lifetimes`).
Standard: RFC 9106 (the second recommended parameters, argon2-cffi's defaults: 64 MiB); NIST SP 800-63B 3.1.1.
"""

from __future__ import annotations

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.accounts.faults import PasswordWeakError, Weakness

SHORTEST = 10
# Longer than any sentence that is typed by hand; a megabyte would only be work.
LONGEST = 256

# Of the lists of what leaked, what has ten characters or more; and what a radiology department would think of.
_COMMONEST_TEXT = """
0123456789 1234567890 0987654321 9876543210 12345678910 123456789a 1234554321 1234512345 1q2w3e4r5t 1qaz2wsx3edc q1w2e3r4t5
qwertyuiop qwerty12345 qwerty1234 qwerty123456 qwertyuiop123 asdfghjkl123 zxcvbnm123 azertyuiop azerty12345 password12
password123 password1234 password12345 password123456 passwordpassword passw0rd123 p@ssw0rd123 p@ssword123 mypassword motdepasse
motdepasse123 administrator administrator1 admin12345 admin123456 adminadmin admin@1234 root123456 changeme12 changeme123
changeit123 letmein123 letmein1234 welcome123 welcome1234 welcome2024 welcome2025 welcome2026 iloveyou123 matkhau123 matkhau1234
matkhau123456 bachkhoa123 benhvien123 hospital12 hospital123 hospital1234 hopital123 radiology1 radiology12 radiology123
radiologie radiologie1 radiologie123 dicomdicom dicomedge1 dicom-edge dicom12345 pacspacs12 pacsadmin1 pacsadmin123 orthanc123
scanner123 technician technician1 abcdefghij abcdefghijk abcd123456 abcde12345 a123456789 aa12345678 football123 dragon12345
sunshine123 princess123 computer123 secret1234 default123 temporary1 temporary123 support123 service123 vendor1234 testtest12
test123456
"""
_COMMONEST = frozenset(_COMMONEST_TEXT.split())
# A repeated character, or two, is no password however long.
_LEAST_DIFFERENT = 5
# No I, L, O, S, Z, B, 0, 1, 2, 5, 8: read from a screen, typed on a tablet.
_CLEAR = "ACDEFGHJKMNPQRTUVWXY34679"
_GROUP = 4


class Passwords:
    """Makes and tries hashes, one at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Take the parameters of RFC 9106, or others (a test has no time)."""
        self._hasher = hasher or PasswordHasher()
        self._turn = threading.Lock()
        self._nobodys = ""

    def hashed(self, password: str) -> str:
        """Return what is kept of a password."""
        with self._turn:
            return self._hasher.hash(_normal(password))

    def fits(self, kept: str | None, password: str) -> bool:
        """Say whether the password is the one that was kept; None, for an account that there is not, takes as long."""
        password = _normal(password)[: LONGEST + 1]
        with self._turn:
            # Made at the first try of all, whoever that names, so that it tells nothing.
            self._nobodys = self._nobodys or self._hasher.hash(secrets.token_urlsafe())
            try:
                return self._hasher.verify(kept or self._nobodys, password) and bool(kept)
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, kept: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)


def insist_on_strength(password: str, name: str) -> None:
    """Return when `password` will do for the account `name`; raise `PasswordWeakError` otherwise."""
    password = _normal(password)
    plain = password.casefold()
    if len(password) < SHORTEST:
        raise PasswordWeakError(Weakness.SHORT)
    if len(password) > LONGEST:
        raise PasswordWeakError(Weakness.LONG)
    if plain in _COMMONEST or len(set(plain)) < _LEAST_DIFFERENT:
        raise PasswordWeakError(Weakness.COMMON)
    # What is left when the name is taken out must be a password itself.
    if name and name.casefold() in plain and len(plain.replace(name.casefold(), "")) < SHORTEST - 2:
        raise PasswordWeakError(Weakness.NAME)


def clear_code(groups: int) -> str:
    """Return a random code of `groups` times four letters and digits, with dashes between: 18 bits a group."""
    return "-".join("".join(secrets.choice(_CLEAR) for _ in range(_GROUP)) for _ in range(groups))


def as_code(typed: str) -> str:
    """Return a code as it was made, however somebody typed it: capitals and dashes do not matter."""
    plain = "".join(character for character in typed.upper() if character.isalnum())[:LONGEST]
    return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))


def _normal(password: str) -> str:
    # The same letters typed on two keyboards can be different characters (a letter with its accent, or the two one after the other).
    return unicodedata.normalize("NFKC", password)
