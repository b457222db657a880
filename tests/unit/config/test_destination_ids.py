"""Ids of destinations: kept through a rename, never taken over by another, never there twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.consistency import inconsistencies
from appliance.config.destination_ids import Identified, KnownDestination, identify, known_destinations, last_holders
from appliance.config.model import DicomDestination, Site
from appliance.config.rendering import plain_values
from appliance.core.identity import AETitle
from tests.unit.config.texts import a_destination, site_of


class Past:
    """Generations as they came, the newest last."""

    def __init__(self, *texts: str) -> None:
        """Let each text be a generation."""
        self._generations: list[tuple[KnownDestination, ...]] = []
        for text in texts:
            found = self.propose(text)
            assert _errors(found) == []
            self.accept(found.site)

    def propose(self, text: str) -> Identified:
        """Return what becomes of a text now."""
        return self.identify(site_of(text))

    def identify(self, site: Site) -> Identified:
        """Return what becomes of a site now."""
        in_force = self._generations[-1] if self._generations else ()
        return identify(site, in_force, last_holders(reversed(self._generations)))

    def accept(self, site: Site) -> None:
        """Let the site be the next generation."""
        self._generations.append(known_destinations(plain_values(site)))


def test_a_new_destination_takes_its_name() -> None:
    """Where there is nothing to keep, the name is the id."""
    found = Past().propose(a_destination())

    assert (_ids(found), found.problems) == ({"archive": "archive"}, ())


def test_an_id_of_ones_own_is_taken() -> None:
    """A new destination may say its id."""
    assert _ids(Past().propose(a_destination('id = "pacs-2019"'))) == {"archive": "pacs-2019"}


def test_the_name_keeps_the_id() -> None:
    """Without the line, or moved to another address, the destination in force with this name keeps its id."""
    past = Past(a_destination('id = "pacs-2019"'))

    assert _ids(past.propose(a_destination())) == {"archive": "pacs-2019"}
    assert _ids(past.propose(a_destination(host="10.9.9.9"))) == {"archive": "pacs-2019"}
    assert _ids(past.propose(a_destination(name="Archive"))) == {"Archive": "pacs-2019"}


def test_a_new_name_at_the_same_address_keeps_the_id() -> None:
    """A rename is seen by the address, said in a notice, and holds when it happens again."""
    past = Past(a_destination(), a_destination(name="pacs"))

    found = past.propose(a_destination(name="main", ae_title="pacs1", host="10.1.0.5"))

    assert _ids(found) == {"main": "archive"}
    (notice,) = found.problems
    assert (notice.where, notice.problem, notice.severity) == ("destination[0].name", '"main" is taken for a new name of "pacs"', "notice")


def test_a_rename_may_be_said() -> None:
    """Who writes the id need not rely on the address being seen, and hears no notice."""
    found = Past(a_destination()).propose(a_destination('id = "archive"', name="pacs"))

    assert (_ids(found), found.problems) == ({"pacs": "archive"}, ())


def test_a_second_destination_at_an_address_is_a_new_one() -> None:
    """As long as the old name is there too, nothing was renamed."""
    found = Past(a_destination()).propose(a_destination() + a_destination(name="copy"))

    assert (_ids(found), found.problems) == ({"archive": "archive", "copy": "copy"}, ())


def test_two_of_one_address_are_each_renamed_once() -> None:
    """Of two destinations that are one peer each id is kept by one of the new names."""
    past = Past(a_destination() + a_destination(name="copy"))

    found = past.propose(a_destination(name="one") + a_destination(name="two") + a_destination(name="three"))

    assert sorted(_ids(found).values()) == ["archive", "copy", "three"]


def test_swapped_names_keep_their_ids() -> None:
    """The name decides before the address does."""
    past = Past(a_destination(name="a", host="10.0.0.1") + a_destination(name="b", host="10.0.0.2"))

    found = past.propose(a_destination(name="a", host="10.0.0.2") + a_destination(name="b", host="10.0.0.1"))

    assert (_ids(found), found.problems) == ({"a": "a", "b": "b"}, ())


def test_another_id_for_a_destination_in_force_is_refused() -> None:
    """An id never changes, and the advice says how to keep it."""
    found = Past(a_destination()).propose(a_destination('id = "new"'))

    (error,) = _errors(found)
    assert error == ("destination[0].id", 'the id of "archive" is "archive" and never changes')


def test_an_id_of_another_destination_is_refused() -> None:
    """Nothing that is owed to one destination may go to another: neither by a line nor by a name."""
    past = Past(a_destination(), a_destination(name="pacs"))

    by_line = past.propose(a_destination('id = "archive"', name="other", host="10.9.9.9"))
    by_name = past.propose(a_destination(name="pacs") + a_destination(host="10.9.9.9"))

    expected = '"archive" is the id of "pacs" at another address'
    assert _errors(by_line) == [("destination[0].id", expected)]
    assert _errors(by_name) == [("destination[1].id", expected)]
    assert all("an id that none ever had" in problem.advice for problem in (*by_line.problems, *by_name.problems))


def test_an_id_of_a_removed_destination_is_refused() -> None:
    """What one destination ever had, no other gets, however long ago."""
    past = Past(a_destination('id = "x"'), a_destination(name="b", host="10.0.0.2"), "")

    found = past.propose(a_destination('id = "x"', name="new", host="10.9.9.9"))

    assert _errors(found) == [("destination[0].id", '"x" was the id of "archive" at another address')]


def test_a_removed_destination_may_come_back() -> None:
    """The name that was removed has its id again, and it is said where it is now."""
    past = Past(a_destination('id = "x"'), "")

    same, moved = past.propose(a_destination()), past.propose(a_destination(host="10.9.9.9"))

    assert (_ids(same), _ids(moved)) == ({"archive": "x"}, {"archive": "x"})
    assert [problem.problem for problem in same.problems] == ['"archive" was removed earlier and is back']
    assert [problem.problem for problem in moved.problems] == ['"archive" was removed earlier and is back, now at another address']


def test_a_removed_id_may_be_said_again() -> None:
    """At its old address a removed destination comes back under any name that says its id."""
    past = Past(a_destination('id = "x"'), "")

    assert _ids(past.propose(a_destination('id = "x"', name="pacs"))) == {"pacs": "x"}


def test_an_id_is_never_there_twice() -> None:
    """A new destination at the same address may not take the id of one that was renamed."""
    past = Past(a_destination(), a_destination(name="pacs"))

    found = past.propose(a_destination(name="pacs") + a_destination())

    (error,) = _errors(found)
    assert error == ("destination[1].id", '"archive" is the id of "pacs" (destination[0])')
    assert 'id = "archive 2"' in found.problems[0].advice


def test_the_newcomer_has_to_choose() -> None:
    """Whatever the order of the file, the destination that was there keeps its id."""
    past = Past(a_destination(), a_destination(name="pacs"))

    found = past.propose(a_destination() + a_destination(name="pacs"))

    assert _errors(found) == [("destination[0].id", '"archive" is the id of "pacs" (destination[1])')]


def test_what_another_version_wrote_is_read_for_its_ids() -> None:
    """Only what the rules need is looked at; the rest may be anything."""
    values = {"destination": [{"name": "a", "future": 1}, {"id": "x", "name": "b", "kind": "stow", "host": "B", "port": 1}, {}, "?"]}

    found = known_destinations(values)

    assert found == (KnownDestination("a", "a", ("",) * 7), KnownDestination("x", "b", ("stow", "", "b", "1", "", "", "")))
    assert known_destinations({}) == known_destinations({"destination": "none"}) == ()


_DESTINATIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.sampled_from([None, None, None, "a", "b", "x"])),
    unique_by=lambda entry: entry[0],
    max_size=3,
)


@given(st.lists(_DESTINATIONS, min_size=2, max_size=7))
@settings(max_examples=200, deadline=None)
def test_an_id_is_one_destination_for_good(proposals: list[list[tuple[str, int, str | None]]]) -> None:
    """Through any history: ids are unique, names keep theirs, and who has an id shares name or address with who had it last."""
    past, last = Past(), dict[str, KnownDestination]()
    today: tuple[KnownDestination, ...] = ()
    for proposal in proposals:
        site = Site(destinations=tuple(_destination(*entry) for entry in proposal))
        if any(problem.severity == "error" for problem in inconsistencies(site)):
            continue
        found = past.identify(site)
        if _errors(found):
            continue
        past.accept(found.site)
        now = known_destinations(plain_values(found.site))
        assert len({destination.id for destination in now}) == len(now)
        assert all(new.id == old.id for new in now for old in today if new.name == old.name)
        assert all(last[new.id].name == new.name or last[new.id].peer == new.peer for new in now if new.id in last)
        last |= {destination.id: destination for destination in now}
        today = now


def _destination(name: str, host: int, known: str | None) -> DicomDestination:
    peer = DicomDestination(name=name, ae_title=AETitle("PACS"), host=f"10.0.0.{host}")
    return peer if known is None else peer.model_copy(update={"id": known})


def _ids(found: Identified) -> dict[str, str]:
    return {destination.name: destination.id for destination in found.site.destinations}


def _errors(found: Identified) -> list[tuple[str, str]]:
    return [(problem.where, problem.problem) for problem in found.problems if problem.severity == "error"]
