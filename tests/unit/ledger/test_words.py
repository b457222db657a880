"""Words: the same in whatever spelling they were typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ledger.words import folded, study_text, words_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NGUYEN^VAN AN", "nguyen van an"),
        ("Nguyễn^Văn An", "nguyen van an"),
        ("Đặng  Thị\tHồng Phượng", "dang thi hong phuong"),
        ("ĐOÀN", "doan"),
        ("Müller-Lüdenscheidt", "muller-ludenscheidt"),
        ("STRAßE", "strasse"),
        ("Łódź Ørsted Æsop \u0131stanbul", "lodz orsted aesop istanbul"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada tarou 山田 太郎 やまた たろう"),
        ("\uff23\uff34\uff11\uff12", "ct12"),
        ("50% of A_1", "50% of a_1"),
        ("", ""),
    ],
)
def test_folding(text: str, expected: str) -> None:
    """Capitals, accents, carets and spaces make no difference; other characters stay what they are."""
    assert expected == folded(text)


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    """What is folded is folded, whatever it was, or a text would not be found by what was kept of it."""
    assert folded(text) == folded(folded(text))


@given(st.text(max_size=30), st.text(max_size=30))
def test_each_word_of_a_text_is_in_it(name: str, description: str) -> None:
    """Whoever types any word of what is kept, as it is kept or in capitals, finds it."""
    text = study_text(name, "", "", description)

    assert all(word[:64] in text for word in (*words_in(name), *words_in(description)))


def test_a_question_is_a_few_words() -> None:
    """Words are separate, folded, and no more than eight."""
    assert ("le", "thi", "a^b"[0], "b") == words_in("  Lê  THỊ a^b ")
    assert 8 == len(words_in("one two three four five six seven eight nine"))
    assert () == words_in(" ^ ")


def test_values_are_on_lines_of_their_own() -> None:
    """No word is found that begins in one value and ends in the next."""
    assert "a b\nid\nacc\nhead" == study_text("A^B", "ID", "ACC", "Head")
