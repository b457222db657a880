"""Hostile words, rows 49 to 52 of hostile-inputs.md: text meant to break whoever decodes, stores, lists or prints it.

The bytes are stored and forwarded as received. What people and programs are shown of them has at most 64 characters, none of which
controls a terminal, a line or a direction, and is text, whatever language it was written in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.hostile.ward import Ward
from tests.support import hostile_data as hostile
from tests.support.hostile_data import words
from tests.support.rogue import CT_STORAGE, IMPLICIT
from tests.support.samples import new_uid
from tests.unit.dimse.building import element

# Control, format (bidirectional, zero width), surrogate, private use, unassigned, line and paragraph separators.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHOWN_CHARACTERS = 64
# Stands in every hostile text, so that it can be looked for where no patient's words may be.
_MARK = b"WORTHEX"


@dataclass(frozen=True)
class Words:
    """One hostile text, what it is said to be written in, and what is shown of it where that is certain."""

    name: str
    text: bytes
    character_set: bytes = b"ISO_IR 192"
    shown: str | None = None

    def data_set_of(self, study: str) -> Callable[[str], bytes]:
        """Return what makes the data set of a study for an instance UID, with the words wherever people read."""
        text, character_set = self.text, self.character_set
        return lambda instance: words(instance, name=text, number=text, accession=text, character_set=character_set, study=study)


WORDS = [
    Words("row-49-300-kb-thrice", _MARK + b"X" * 300_000, shown="WORTHEX" + "X" * 57),
    Words("row-49-10000-values", b"\\".join([_MARK] * 10_000)),
    Words("row-50-korean-unterminated", b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1" + _MARK, b"\\ISO 2022 IR 149"),
    Words("row-50-japanese-unterminated", b"Yamada=\x1b$B;3ED\x1b$B" + _MARK, b"\\ISO 2022 IR 87"),
    Words("row-50-chinese-unterminated", b"Zhang=\x1b$)A\xd0\xa1\xb6" + _MARK, b"\\ISO 2022 IR 58"),
    Words("row-50-escape-at-the-end", _MARK + b"\x1b", b"\\ISO 2022 IR 87"),
    Words("row-50-gb18030-half", _MARK + b"\x81\x30\x81", b"GB18030"),
    Words("row-50-utf-8-overlong", _MARK + b"\xc0\xaf\xe0\x80\xaf"),
    Words("row-50-utf-8-surrogates", _MARK + b"\xed\xa0\x80\xed\xb0\x80"),
    Words("row-50-byte-order-mark", b"\xef\xbb\xbf" + _MARK, shown="WORTHEX"),
    Words("row-50-character-set-is-a-path", _MARK + b"\xfc", b"\\..\\..", shown="WORTHEX\u00fc"),
    Words("row-50-character-set-unknown", _MARK + b"\xfc", b"ISO_IR 999", shown="WORTHEX\u00fc"),
    Words("row-50-character-set-of-python", _MARK + b"\xfc", b"idna\\rot13\\zlib_codec", shown="WORTHEX\u00fc"),
    Words("row-51-bidi-override", _MARK + "\u202egnp.exe\u2066\u200f".encode(), shown="WORTHEXgnp.exe"),
    Words("row-51-zero-width", _MARK + "\u200b\u200d\ufeffA".encode(), shown="WORTHEXA"),
    Words("row-51-ansi", _MARK + b"\x1b[2J\x1b[31mRED\x1b]0;title\x07\x9b2J", b"ISO_IR 100"),
    Words("row-51-emoji", _MARK + "\U0001f9d1\u200d\U0001f680\U0001f3f4".encode()),
    Words("row-52-script", _MARK + b"<script>alert(1)</script>", shown="WORTHEX<script>alert(1)</script>"),
    Words("row-52-template", _MARK + b"{{7*7}}${7*7}<%= 7*7 %>", shown="WORTHEX{{7*7}}${7*7}<%= 7*7 %>"),
    Words("row-52-markup-of-ours", _MARK + b"[bold red]x[/] [link=file:///etc]", shown="WORTHEX[bold red]x[/] [link=file:///etc]"),
    Words("row-52-sql", _MARK + b"'); DROP TABLE instance;--", shown="WORTHEX'); DROP TABLE instance;--"),
    Words("row-52-csv-formula", b"=cmd|'/c calc'!A0" + _MARK, shown="=cmd|'/c calc'!A0WORTHEX"),
    Words("row-52-ldap", _MARK + b"*)(uid=*))(|(uid=*", shown="WORTHEX*)(uid=*))(|(uid=*"),
    Words("row-52-format", _MARK + b"%n%n%s{0}${jndi:ldap://x}", shown="WORTHEX%n%n%s{0}${jndi:ldap://x}"),
    Words("row-52-crlf", _MARK + b'\r\n{"event": "forged"}\nHost: x\x00', shown='WORTHEX{"event": "forged"}Host: x'),
]


@pytest.mark.parametrize(
    "row_id", [pytest.param(row, id=f"{row}-words") for row in dict.fromkeys(case.name[: len("row-00")] for case in WORDS)]
)
def test_hostile_words(ward: Ward, row_id: str) -> None:
    """In name, number and accession they are stored and forwarded as received, found in no file and no log, and shown safely."""
    cases = [case for case in WORDS if case.name.startswith(row_id)]
    studies = {new_uid(): case for case in cases}
    objects = {new_uid(): case.data_set_of(study) for study, case in studies.items()}

    with ward.row() as row, ward.rogue([(CT_STORAGE, IMPLICIT)]) as rogue:
        row.plant(_MARK)
        statuses = [rogue.store(make(instance), instance) for instance, make in objects.items()]
        echo = rogue.echo()
        rogue.release()

        assert ([0] * len(cases), 0) == (statuses, echo)
        for instance, make in objects.items():
            row.acknowledged(instance, make(instance))
            row.expect_log("instance.recorded", sop_instance_uid=instance, at_most=1)
            ward.assert_forwarded(instance, make(instance))
        shown = ward.accessions()
        assert {case.name: shown[study] for study, case in studies.items() if case.shown not in {None, shown[study]}} == {}
        assert {case.name: shown[study] for study, case in studies.items() if len(shown[study]) > _SHOWN_CHARACTERS} == {}
        assert {case.name: bad for study, case in studies.items() if (bad := _unshowable(shown[study]))} == {}
        assert row.log("forged") == []


def test_row_49_a_megabyte_of_name(ward: Ward) -> None:
    """A patient's name of a million bytes is stored and forwarded as received, and hides neither number nor study."""
    instance, study = new_uid(), new_uid()
    data = words(instance, name=_MARK + b"X" * 1_000_000, number=_MARK, accession=_MARK, study=study)

    with ward.row(peak_mib=16) as row, ward.rogue([(CT_STORAGE, IMPLICIT)]) as rogue:
        row.plant(_MARK)
        status = rogue.store(data, instance)
        rogue.release()

        row.acknowledged(instance, data)
        assert status == 0
        ward.assert_forwarded(instance, data)
        assert ward.accessions()[study] == _MARK.decode("ascii")


def test_row_49_bytes_in_a_text_element(ward: Ward) -> None:
    """A patient's name with the VR of bytes, and one with a VR that does not exist, are stored and forwarded as received."""
    with ward.row() as row, ward.rogue() as rogue:
        for vr in ("OB", "ZZ"):
            instance = new_uid()
            name = element(hostile.PATIENT_NAME, b"\x00\x01\xff\xfe" * 50, vr="OB").replace(b"OB", vr.encode())
            data = hostile.identity(instance) + name + element(hostile.PIXELS, b"", vr="OW")
            assert rogue.store(data, instance) == 0
            row.acknowledged(instance, data)
            ward.assert_forwarded(instance, data)
        assert rogue.echo() == 0
        rogue.release()


def test_row_52_what_the_commands_print(ward: Ward) -> None:
    """After all of them, and one more, the commands print every hostile word as text: nothing in it controls a terminal."""
    instance, study = new_uid(), new_uid()
    data = words(instance, name=b"\x1b[2J", number=b"\x1b[2J", accession=_MARK + "\x1b[2J\u202e[red]<b>\r\n".encode(), study=study)

    with ward.row() as row, ward.rogue([(CT_STORAGE, IMPLICIT)]) as rogue:
        assert rogue.store(data, instance) == 0
        row.acknowledged(instance, data)
        rogue.release()
        ward.assert_forwarded(instance, data)
        for question in (("studies",), ("studies", "--json"), ("queue", "list", "--state", "delivered")):
            result = ward.box.command(*question, "--limit", "10000")

            assert (0, []) == (result.returncode, _unshowable(result.stdout.replace("\n", ""))), question
            assert (study if question[0] == "studies" else instance) in result.stdout
            assert ("WORTHEX[2J[red]<b>" in result.stdout) == (question[0] == "studies")


def _unshowable(text: str) -> list[str]:
    return [f"{character!r}" for character in text if unicodedata.category(character) in _UNSHOWABLE]
