"""What the receivers know of the destinations: the newest file that could be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core.identity import Uid
from appliance.dimse.contexts import NOTHING_KNOWN, Acceptance
from appliance.dimse.learned import Learned, encode
from appliance.receive.acceptance import KnownAcceptance

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
EXPLICIT, J2K = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.90")


def publish(run_dir: Path, **taken: Uid) -> None:
    """Publish, as the sender does, in which transfer syntax each destination takes CT."""
    draft = run_dir / ".acceptance.json.new"
    draft.write_bytes(encode({name: Learned(frozenset({(CT, syntax)})) for name, syntax in taken.items()}))
    draft.replace(run_dir / "acceptance.json")


def test_nothing_is_known_before_anything_is_published(tmp_path: Path) -> None:
    """A box that has never sent anything takes everything."""
    assert KnownAcceptance(tmp_path).for_destinations({"archive"}) == NOTHING_KNOWN


def test_the_destinations_of_the_association_count(tmp_path: Path) -> None:
    """Only what the destinations that were asked for take is known; one that was never published is unknown."""
    publish(tmp_path, archive=EXPLICIT, reading=J2K)
    known = KnownAcceptance(tmp_path)

    assert known.for_destinations({"archive"}) == Acceptance({CT: frozenset({EXPLICIT})})
    assert known.for_destinations({"archive", "reading"}) == Acceptance({CT: frozenset({EXPLICIT, J2K})})
    assert known.for_destinations({"other"}) == NOTHING_KNOWN
    assert known.for_destinations(()) == NOTHING_KNOWN


def test_news_are_seen_at_the_next_association(tmp_path: Path) -> None:
    """A file that was replaced is read again, without anybody being told."""
    publish(tmp_path, archive=EXPLICIT)
    known = KnownAcceptance(tmp_path)
    before = known.for_destinations({"archive"})

    publish(tmp_path, archive=J2K)

    assert before == Acceptance({CT: frozenset({EXPLICIT})})
    assert known.for_destinations({"archive"}) == Acceptance({CT: frozenset({J2K})})


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"version":9}', b" " * (9 << 20)], ids=["gone", "empty", "torn", "newer", "huge"])
def test_what_was_known_last_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    """A file that is gone or unreadable changes nothing, and is said at most once."""
    publish(tmp_path, archive=EXPLICIT)
    known = KnownAcceptance(tmp_path)
    known.for_destinations({"archive"})

    if content is None:
        (tmp_path / "acceptance.json").unlink()
    else:
        (tmp_path / "acceptance.json").write_bytes(content)
    after = [known.for_destinations({"archive"}) for _ in range(3)]

    said = capsys.readouterr()
    assert after == [Acceptance({CT: frozenset({EXPLICIT})})] * 3
    assert (said.out + said.err).count("acceptance.kept_last_known") == (content is not None)


def test_a_good_file_after_a_bad_one_is_read(tmp_path: Path) -> None:
    """Being unreadable once is not for ever."""
    (tmp_path / "acceptance.json").write_bytes(b"{")
    known = KnownAcceptance(tmp_path)
    known.for_destinations({"archive"})

    publish(tmp_path, archive=J2K)

    assert known.for_destinations({"archive"}) == Acceptance({CT: frozenset({J2K})})


def test_nothing_is_read_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An association costs a look at the file's age, not its content."""
    publish(tmp_path, archive=EXPLICIT)
    known = KnownAcceptance(tmp_path)
    known.for_destinations({"archive"})
    monkeypatch.setattr("appliance.receive.acceptance.decode", lambda _: pytest.fail("read again"))

    assert known.for_destinations({"archive"}) == Acceptance({CT: frozenset({EXPLICIT})})
