"""What a destination was seen to take, as it is learned and as it is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.core.identity import Uid
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.publication import AcceptancePublication
from appliance.dimse.learned import Learned, decode

CT, MR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.4")
EXPLICIT, J2K = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.90")


def test_a_refused_class_takes_its_syntaxes_along() -> None:
    """When a class is refused altogether, it is no longer taken in any transfer syntax; other classes are as they were."""
    acceptance = Acceptance()
    acceptance.note([(CT, EXPLICIT), (CT, J2K), (MR, EXPLICIT)], taken=True)

    news = [acceptance.note([(CT, EXPLICIT)], taken=False, whole_class=True) for _ in range(2)]

    assert news == [True, False]
    assert acceptance.learned == Learned(frozenset({(MR, EXPLICIT)}), frozenset({(CT, EXPLICIT)}), frozenset({CT}))


def test_a_class_that_is_taken_is_no_longer_refused() -> None:
    """The last answer counts, and that it changed is news."""
    acceptance = Acceptance()
    acceptance.note([(CT, EXPLICIT)], taken=False, whole_class=True)

    assert acceptance.note([(CT, J2K)], taken=True)
    assert acceptance.learned.refused_classes == frozenset()


def test_an_association_teaches_what_it_says_for_good() -> None:
    """Results 0, 3 and 4 are learned; 1 and 2 may pass, and leave what was known."""
    acceptance = Acceptance()
    acceptance.learn({(CT, EXPLICIT): 0})

    news = [
        acceptance.learn({(CT, EXPLICIT): 1, (CT, J2K): 2}),
        acceptance.learn({(CT, EXPLICIT): 0, (CT, J2K): 4, (MR, EXPLICIT): 3}),
        acceptance.learn({(CT, EXPLICIT): 0, (CT, J2K): 4, (MR, EXPLICIT): 3}),
    ]

    assert news == [False, True, False]
    assert acceptance.learned == Learned(frozenset({(CT, EXPLICIT)}), frozenset({(CT, J2K), (MR, EXPLICIT)}), frozenset({MR}))


def test_what_is_kept_is_what_was_learned() -> None:
    """The text that the ledger keeps gives the same knowledge again."""
    acceptance = Acceptance()
    acceptance.note([(CT, EXPLICIT)], taken=True)
    acceptance.note([(CT, J2K)], taken=False)
    acceptance.note([(MR, J2K)], taken=False, whole_class=True)

    assert Acceptance(acceptance.as_json()).learned == acceptance.learned


def test_refused_classes_are_bounded() -> None:
    """The oldest of very many refused classes are forgotten, like pairs."""
    acceptance = Acceptance()

    acceptance.note([(f"1.{number}", "1.3") for number in range(1500)], taken=False, whole_class=True)

    assert len(acceptance.learned.refused_classes) == 1000
    assert Uid("1.1499") in acceptance.learned.refused_classes


def an_acceptance(*pairs: tuple[Uid, Uid]) -> str:
    """Return the text of the knowledge that these pairs are taken."""
    acceptance = Acceptance()
    acceptance.note(pairs, taken=True)
    return acceptance.as_json()


def test_everything_is_published_at_the_start(tmp_path: Path) -> None:
    """What the ledger kept is there for the receivers, of every destination, and nothing of those that are no more."""
    (tmp_path / "acceptance.json").write_bytes(b"rest of an earlier run")

    AcceptancePublication(tmp_path).begin({"archive": an_acceptance((CT, J2K)), "reading": "{}", "broken": "{"})

    assert decode((tmp_path / "acceptance.json").read_bytes()) == {
        "archive": Learned(frozenset({(CT, J2K)})),
        "reading": Learned(),
        "broken": Learned(),
    }


def test_news_of_one_destination_keep_the_others(tmp_path: Path) -> None:
    """A destination's news replace what was known of it, the rest stays; without news nothing is written."""
    publication = AcceptancePublication(tmp_path)
    publication.begin({"archive": an_acceptance((CT, J2K)), "reading": an_acceptance((MR, EXPLICIT))})

    publication.put("archive", an_acceptance((CT, EXPLICIT)))
    written = (tmp_path / "acceptance.json").stat().st_ino
    publication.put("archive", an_acceptance((CT, EXPLICIT)))

    assert decode((tmp_path / "acceptance.json").read_bytes()) == {
        "archive": Learned(frozenset({(CT, EXPLICIT)})),
        "reading": Learned(frozenset({(MR, EXPLICIT)})),
    }
    assert (tmp_path / "acceptance.json").stat().st_ino == written


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sender goes on, says so once, and publishes when it can again."""
    run_dir = tmp_path / "run"
    publication = AcceptancePublication(run_dir)

    publication.begin({"archive": an_acceptance((CT, J2K))})
    publication.put("archive", an_acceptance((CT, EXPLICIT)))
    said = capsys.readouterr()
    run_dir.mkdir()
    publication.put("reading", "{}")

    assert (said.out + said.err).count("acceptance.not_published") == 1
    assert list(json.loads((run_dir / "acceptance.json").read_text(encoding="utf-8"))["destinations"]) == ["archive", "reading"]
