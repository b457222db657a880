"""Generations: proposed, applied, looked up, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.change import Change
from appliance.config.generations import GenerationMissingError, Generations
from appliance.config.load import LARGEST_FILE_BYTES, ConfigInvalidError, activate, default_site, demo_site, load_active
from appliance.core.errors import Fault
from tests.fakes.clock import FakeClock
from tests.unit.config.texts import EXAMPLE, a_destination, a_route, a_source, dicom_destination_of, site_of

ONE = "# the first\n[listen]\nworkers = 1\n"
TWO = "# the second\n[listen]\nworkers = 1\n[admission]\nper_source = 8\n"


def _generations(data: Path, *texts: str) -> Generations:
    generations = Generations(data, clock=FakeClock())
    for text in texts:
        generations.apply(text, "anna", "test")
    return generations


def test_the_first_generation_is_number_one(tmp_path: Path) -> None:
    """What is applied is in force with its number, and compared with an empty file."""
    applied = Generations(tmp_path).apply(ONE, "anna", "first start")

    assert (applied.number, applied.is_new) == (1, True)
    assert applied.changed == (Change("listen.workers", "2", "1"),)
    assert (load_active(tmp_path), load_active(tmp_path).generation) == (site_of(ONE), 1)


def test_the_whole_example_can_be_applied(tmp_path: Path) -> None:
    """The configuration of the documentation comes back as it went in, text and all."""
    text = EXAMPLE.read_text(encoding="utf-8")

    generations = _generations(tmp_path, text)

    generation = generations.read(1)
    assert (generation.text, generation.is_original, generation.site) == (text, True, site_of(text))


def test_every_change_is_a_generation(tmp_path: Path) -> None:
    """Numbers rise, and each change says what it changed since the last."""
    generations = _generations(tmp_path, ONE)

    applied = generations.apply(TWO, "ben", "fewer associations")

    assert (applied.number, applied.changed, applied.needs_restart) == (2, (Change("admission.per_source", "16", "8"),), ())
    assert load_active(tmp_path).generation == 2


def test_the_history_says_who_when_and_why(tmp_path: Path) -> None:
    """The newest generation comes first; one of them is active."""
    clock = FakeClock(wall=1_000_000.0)
    generations = Generations(tmp_path, clock=clock)
    generations.apply(ONE, "anna", "first start")
    clock.advance(60)
    generations.apply(TWO, "ben", "fewer associations")

    newest, oldest = generations.history()

    assert (newest.number, newest.state, newest.by, newest.reason, newest.activated_at) == (
        2,
        "active",
        "ben",
        "fewer associations",
        1_000_060.0,
    )
    assert (oldest.number, oldest.state, oldest.by, oldest.activated_at) == (1, "earlier", "anna", 1_000_000.0)
    assert newest.digest != oldest.digest


def test_the_history_of_a_new_box_is_empty(tmp_path: Path) -> None:
    """Before the first generation there is nothing, and asking makes nothing."""
    generations = Generations(tmp_path)

    assert (generations.history(), generations.current(), generations.restore()) == ([], None, None)
    assert not (tmp_path / "config" / "generations").exists()


def test_what_says_nothing_new_is_no_generation(tmp_path: Path) -> None:
    """Another remark, another order of keys or a default spelled out leave the number as it is."""
    generations = _generations(tmp_path, ONE)

    applied = generations.apply(ONE + "# a remark\n[box]\nname = 'dicom-edge'\n", "anna", "again")

    assert (applied.number, applied.is_new, applied.changed) == (1, False, ())
    assert [info.number for info in generations.history()] == [1]


def test_another_spelling_of_a_title_is_new(tmp_path: Path) -> None:
    """Titles are compared without regard to capitals, but sent as spelled: a new spelling is a change."""
    generations = _generations(tmp_path, '[box]\nae_title = "EDGE"\n')

    applied = generations.apply('[box]\nae_title = "Edge"\n', "anna", "spelling")

    assert applied.is_new
    assert load_active(tmp_path).box.ae_title.text == "Edge"


def test_an_invalid_text_leaves_the_last_good_one(tmp_path: Path) -> None:
    """Every problem is said, and nothing changes."""
    generations = _generations(tmp_path, ONE)

    with pytest.raises(ConfigInvalidError) as caught:
        generations.apply("[listen]\nworkers = 0\nwrokers = 2\n", "anna", "typing", where="hospital.toml")

    assert len(caught.value.problems) == 2
    assert load_active(tmp_path).generation == 1
    assert [info.number for info in generations.history()] == [1]


@pytest.mark.parametrize("text", ["#" * (LARGEST_FILE_BYTES + 1), "# \ud800\n"], ids=["too large", "half a character"])
def test_what_could_not_stand_in_a_file_is_refused(tmp_path: Path, text: str) -> None:
    """Texts come by the web too; the limits of a file hold for them."""
    with pytest.raises(ConfigInvalidError):
        Generations(tmp_path).apply(text, "anna", "test")


def test_a_proposal_changes_nothing(tmp_path: Path) -> None:
    """What would change, what needs a restart and which destinations would go are said before anything happens."""
    generations = _generations(tmp_path, a_destination() + a_route('to = ["archive"]'))

    proposal = generations.propose("[listen]\nworkers = 4\n")

    assert [change.where for change in proposal.changed] == ["listen.workers", "destination.archive", "route.everything"]
    assert (proposal.needs_restart, proposal.removed_destinations) == (("listen.workers",), ("archive",))
    assert load_active(tmp_path).generation == 1


def test_notices_come_with_what_was_applied(tmp_path: Path) -> None:
    """What is worth knowing is said, and stands in nobody's way."""
    applied = Generations(tmp_path).apply("", "anna", "first start")

    assert {problem.severity for problem in applied.problems} == {"notice"}
    assert "source" in [problem.where for problem in applied.problems]


def test_a_renamed_destination_keeps_its_id_in_force(tmp_path: Path) -> None:
    """Daemons see the old id under the new name, and nothing is said to be removed."""
    generations = _generations(tmp_path, a_destination() + a_route('to = ["archive"]'))

    applied = generations.apply(a_destination(name="pacs") + a_route('to = ["pacs"]'), "anna", "rename")

    (destination,) = load_active(tmp_path).destinations
    assert (destination.name, destination.id) == ("pacs", "archive")
    assert applied.removed_destinations == ()
    assert Change("destination.pacs.name", '"archive"', '"pacs"') in applied.changed


def test_an_id_of_long_ago_is_refused(tmp_path: Path) -> None:
    """Every earlier generation is asked, not only the one in force."""
    generations = _generations(tmp_path, a_destination(), "", TWO)

    with pytest.raises(ConfigInvalidError) as caught:
        generations.apply(a_destination('id = "archive"', name="other", host="10.9.9.9"), "anna", "reuse")

    assert str(caught.value) == 'destination[0].id: "archive" was the id of "archive" at another address'
    assert caught.value.problems[0].severity == "error"


def test_a_rollback_is_a_new_generation_with_the_old_content(tmp_path: Path) -> None:
    """The old text is in force again, remarks included, and the history goes on."""
    generations = _generations(tmp_path, ONE, TWO)

    applied = generations.rollback(1, "ben", "too few")

    assert (applied.number, applied.is_new, applied.changed) == (3, True, (Change("admission.per_source", "8", "16"),))
    assert (generations.read(3).text, load_active(tmp_path)) == (ONE, site_of(ONE))
    assert [(info.number, info.state) for info in generations.history()] == [(3, "active"), (2, "earlier"), (1, "earlier")]


def test_a_rollback_brings_the_old_ids_back(tmp_path: Path) -> None:
    """A destination that was renamed, then moved, is the same one under its first name and address."""
    generations = _generations(
        tmp_path, a_destination('id = "x"'), a_destination(name="pacs"), a_destination(name="pacs", host="10.9.9.9"), ""
    )

    generations.rollback(2, "anna", "back")

    destination = dicom_destination_of(load_active(tmp_path))
    assert (destination.name, destination.id, destination.host) == ("pacs", "x", "10.1.0.5")


def test_a_rollback_to_what_is_in_force_changes_nothing(tmp_path: Path) -> None:
    """Rolling back to the present is no generation."""
    generations = _generations(tmp_path, ONE)

    applied = generations.rollback(1, "anna", "nothing")

    assert (applied.number, applied.is_new) == (1, False)


@pytest.mark.parametrize("number", [0, -1, 2, 99])
def test_a_generation_that_is_not_there_is_said(tmp_path: Path, number: int) -> None:
    """A wrong number is the operator's, with advice."""
    generations = _generations(tmp_path, ONE)

    with pytest.raises(GenerationMissingError) as caught:
        generations.rollback(number, "anna", "typing")

    assert (caught.value.fault, str(caught.value)) == (Fault.OPERATOR, f"there is no generation {number} of the configuration")
    assert caught.value.advice


def test_the_changes_of_a_generation_can_be_asked_later(tmp_path: Path) -> None:
    """Each is compared with the one it took the place of, the first with an empty file."""
    generations = _generations(tmp_path, ONE, TWO)
    generations.rollback(1, "anna", "back")

    assert [[change.where for change in generations.changes(number)] for number in (1, 2, 3)] == [
        ["listen.workers"],
        ["admission.per_source"],
        ["admission.per_source"],
    ]


def test_a_configuration_without_a_number_is_what_the_first_is_compared_with(tmp_path: Path) -> None:
    """What was put in force before there were generations keeps its ids, and the same content still gets its number."""
    unnumbered = site_of(a_destination('id = "x"') + a_route('to = ["archive"]'))
    activate(tmp_path, unnumbered)

    applied = Generations(tmp_path).apply(a_destination(name="pacs") + a_route('to = ["pacs"]', name="everything"), "anna", "first")

    assert (applied.number, load_active(tmp_path).destinations[0].id) == (1, "x")


def test_a_demonstration_is_no_generation(tmp_path: Path) -> None:
    """What a demonstration adds is in force until the box starts without it; it is neither compared nor kept."""
    generations = _generations(tmp_path, ONE)
    activate(tmp_path, demo_site(load_active(tmp_path), archive_port=4242))

    assert load_active(tmp_path).destinations != ()
    assert generations.propose(ONE).changed == ()
    restored = generations.restore()

    assert restored is not None
    assert (restored.number, restored.site) == (1, site_of(ONE))
    assert load_active(tmp_path) == site_of(ONE)


def test_everything_is_the_owners_alone(tmp_path: Path) -> None:
    """Files are 0600, folders 0700."""
    _generations(tmp_path, ONE)

    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}

    assert modes == {
        "config": 0o700,
        "config/active.json": 0o600,
        "config/lock": 0o600,
        "config/generations": 0o700,
        "config/generations/1.json": 0o600,
        "config/generations/1.toml": 0o600,
    }


def test_windows_line_ends_come_back_as_they_were(tmp_path: Path) -> None:
    """The text is kept byte for byte, a byte order mark included."""
    text = "\ufeff[box]\r\nname = 'a'\r\n# kept ✓\r\n"

    generations = _generations(tmp_path, text)

    assert (tmp_path / "config" / "generations" / "1.toml").read_bytes() == text.encode()
    assert generations.read(1).text == text


def test_the_number_is_no_part_of_what_is_configured() -> None:
    """Two sites that say the same are equal, whatever their numbers."""
    site = site_of(a_source())

    assert (site.numbered(7).generation, site.generation) == (7, 0)
    assert (site.numbered(7), hash(site.numbered(7))) == (site, hash(site))
    assert site.numbered(7) != default_site().numbered(7)
