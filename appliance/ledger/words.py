"""Words as people search for them: without accents, capitals and the carets of a DICOM name. Pure.

Promises: `folded` and `words_in` fold alike, so that what was typed in either spelling finds either. A word has no white space, and is
matched as it stands: no character of it means anything but itself.
Failures: none; whatever the text is, something comes out.
Limits: letters that no decomposition turns into a plain one (Cyrillic, Greek, Chinese) stay what they are.
Standard: PS3.5 6.2 (PN: components are parted by a caret, groups by an equals sign).
"""

from __future__ import annotations

import unicodedata

# More words than anybody types; each costs a look at every study.
_MOST_WORDS = 8
# Nothing that is kept of one value is longer (route.attributes).
_MOST_CHARACTERS = 64

# What Unicode does not take apart and people type as a plain letter; `casefold` has dealt with capitals and the sharp s.
_PLAIN = str.maketrans({"đ": "d", "ð": "d", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "\u0131": "i", "^": " ", "=": " "})


def folded(text: str) -> str:
    """Return a text as it is compared: small letters without accents, single spaces between words."""
    if text.isascii():
        return " ".join(text.translate(_PLAIN).lower().split())
    # Twice: what stands for a capital of another alphabet is one only when it has been taken apart.
    apart = text
    for _ in range(2):
        apart = unicodedata.normalize("NFKD", apart.casefold())
    plain = "".join(character for character in apart if unicodedata.category(character) != "Mn")
    return " ".join(plain.translate(_PLAIN).split())


def study_text(patient_name: str, patient_id: str, accession_number: str, study_description: str) -> str:
    """Return what a study is searched in; each value on a line of its own, so that no word is found across two."""
    return "\n".join(folded(value) for value in (patient_name, patient_id, accession_number, study_description))


def words_in(question: str) -> tuple[str, ...]:
    """Return the words that somebody asks for, folded; those beyond the eighth are left out."""
    return tuple(word[:_MOST_CHARACTERS] for word in folded(question).split()[:_MOST_WORDS])
