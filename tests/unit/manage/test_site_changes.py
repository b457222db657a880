"""Changes of the configuration from the pages: to what was seen, or not at all; and a way back for what could lock somebody out."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from appliance.config.addresses import ListenAddress
from appliance.config.certificates import ExpectedCertificate
from appliance.config.check import check
from appliance.config.edits import Edit, add_table, change_table, remove_table, replace_text, set_values, together
from appliance.config.generations import Generations
from appliance.config.load import ConfigInvalidError, activate, demo_site, load_active
from appliance.config.model import Site, Tls
from appliance.config.unconfirmed import LockOut, UnconfirmedFile
from appliance.manage.lock_outs import lock_outs
from appliance.manage.site_changes import SiteChanges, SiteStaleError, SiteUnconfirmedError, taking_back_unconfirmed
from appliance.runtime.callers import LastCall
from appliance.runtime.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.support.eventually import eventually
from tests.unit.config.texts import a_destination, a_route, a_source, site_of

TEXT = "# the ward\n" + a_source('address = "10.0.0.7"') + a_destination() + a_route('to = ["archive"]')
QUIET = set_values("admission", {"per_source": 8})
"""A change that locks out nobody."""
RENAMED = set_values("box", {"ae_title": "EDGE2"})
"""One that every scanner feels."""


@dataclass
class Ward:
    """A configured box, and its clock."""

    data: Path
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        """Put the first configuration in force."""
        Generations(self.data, clock=self.clock).apply(TEXT, "anna", "first")
        self.changes = SiteChanges(self.data, self.clock)

    def apply(self, edit: Edit, expected: int = 1, by: str = "kim") -> int:
        """Make a change and return its generation."""
        return self.changes.apply(edit, expected=expected, by=by, reason="a test").number

    @property
    def title(self) -> str:
        """The title in force."""
        return load_active(self.data).box.ae_title.text


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Return a box with one scanner and one archive."""
    return Ward(tmp_path)


def test_a_change_is_the_next_generation(ward: Ward) -> None:
    """What a form changes is in force with its number, who and why; the operator's remarks are still in the text."""
    applied = ward.changes.apply(QUIET, expected=1, by="kim", reason="fewer")

    newest = ward.changes.history()[0]
    assert (applied.number, newest.by, newest.reason) == (2, "kim", "fewer")
    assert ward.changes.current().text == f"{TEXT}\n[admission]\nper_source = 8\n"
    assert ward.changes.pending() is None


def test_a_proposal_changes_nothing(ward: Ward) -> None:
    """What would change can be looked at first."""
    proposal = ward.changes.propose(QUIET)

    assert [str(change) for change in proposal.changed] == ["admission.per_source: 16 → 8"]
    assert ward.changes.current().generation == 1


def test_the_second_of_two_is_told_what_the_first_did(ward: Ward) -> None:
    """Two technicians save at once: the first is in force, the second learns who changed what, and nothing of theirs is applied."""
    ward.apply(add_table("source", {"name": "MR1", "ae_title": "MR1"}), by="anna")

    with pytest.raises(SiteStaleError, match=r"anna put generation 2 in force meanwhile: source\.MR1: added"):
        ward.apply(change_table("source", "CT1", {"modality": "CT"}), expected=1)

    assert ward.changes.current().generation == 2
    assert load_active(ward.data).sources[0].modality is None


def test_many_at_once_make_one_change(ward: Ward) -> None:
    """Of eight who saw the same generation and save at the same moment one is taken, and seven are told."""
    outcomes: list[str] = []
    together_now = threading.Barrier(8)
    # In real time: who waits for the lock waits for the others.
    ward.changes = SiteChanges(ward.data, SystemClock())

    def save(number: int) -> None:
        together_now.wait()
        try:
            ward.apply(set_values("admission", {"per_source": number}))
            outcomes.append("taken")
        except SiteStaleError:
            outcomes.append("told")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["taken", *["told"] * 7]
    assert ward.changes.current().generation == 2


def test_who_came_by_another_door_was_faster_too(ward: Ward) -> None:
    """A configuration that somebody applied on the console in the very moment between reading and saving is not overwritten."""

    def edit(text: str) -> str:
        Generations(ward.data, clock=ward.clock).apply(TEXT.replace("CT1", "CT5"), "root", "console")
        return QUIET(text)

    with pytest.raises(SiteStaleError, match="root put generation 2 in force meanwhile"):
        ward.apply(edit)

    assert load_active(ward.data).sources[0].name == "CT5"


def test_going_back_minds_who_was_faster(ward: Ward) -> None:
    """A rollback is judged under the lock of the configuration as well."""
    ward.apply(QUIET)

    with pytest.raises(SiteStaleError):
        Generations(ward.data, clock=ward.clock).rollback(1, "kim", "", expected=1)

    assert ward.changes.current().generation == 2


def test_what_is_invalid_changes_nothing(ward: Ward) -> None:
    """A refused text says all problems, is kept for the form, and leaves the last good one in force."""
    with pytest.raises(ConfigInvalidError) as refused:
        ward.apply(change_table("destination", "archive", {"port": 0}))

    assert [problem.where for problem in refused.value.problems if problem.severity == "error"] == ["destination[0].port"]
    assert "port = 0" in refused.value.text
    assert ward.changes.current().generation == 1


def test_a_lost_text_is_edited_as_it_is_in_force(ward: Ward) -> None:
    """Where the text of a generation is lost, what it says is what is changed."""
    (ward.data / "config" / "generations" / "1.toml").unlink()

    ward.apply(QUIET)

    site = load_active(ward.data)
    assert (site.admission.per_source, site.sources, site.routes) == (8, site_of(TEXT).sources, site_of(TEXT).routes)


def test_a_demonstration_can_be_changed(tmp_path: Path) -> None:
    """In a demonstration what it shows is what is changed, and nothing waits: there is nothing to go back to."""
    Generations(tmp_path).apply(TEXT, "anna", "first")
    activate(tmp_path, demo_site(site_of(TEXT), archive_port=4104))
    changes = SiteChanges(tmp_path, FakeClock())
    assert changes.current().generation == 0

    applied = changes.apply(RENAMED, expected=0, by="kim", reason="try")

    assert applied.number == 2
    assert [destination.name for destination in load_active(tmp_path).destinations] == ["archive", "archive 2"]
    assert changes.pending() is None


def test_a_box_without_anything_says_what_an_empty_file_says(tmp_path: Path) -> None:
    """Before the first generation a change is one of the defaults."""
    changes = SiteChanges(tmp_path, FakeClock())

    assert changes.apply(QUIET, expected=changes.current().generation, by="kim", reason="").number == 1


def test_what_could_lock_out_waits_for_a_word(ward: Ward) -> None:
    """The change is in force, and says until when somebody must confirm it, and why."""
    number = ward.apply(RENAMED)
    ward.clock.advance(20)

    pending = ward.changes.pending()

    assert pending is not None
    assert (ward.title, number, pending.generation, pending.previous, pending.by) == ("EDGE2", 2, 2, 1, "kim")
    assert pending.lock_outs == (LockOut("title gone", "EDGE"),)
    assert pending.remaining_s == 40


def test_what_nobody_confirms_is_taken_back(ward: Ward) -> None:
    """After a minute the last configuration is in force again, as a new generation that says so."""
    ward.apply(RENAMED)
    ward.clock.advance(59)
    assert not ward.changes.take_back_if_due()
    ward.clock.advance(1)

    assert ward.changes.take_back_if_due()

    newest = ward.changes.history()[0]
    assert (newest.number, newest.by, newest.reason) == (3, "dicom-edge", "back to 1: nobody confirmed it in time")
    assert ward.title == "EDGE"
    assert not ward.changes.take_back_if_due()


def test_looking_changes_nothing(ward: Ward) -> None:
    """A page that is shown after the time says that nothing waits, and takes nothing back: who does that is at work beside it."""
    ward.apply(RENAMED)
    ward.clock.advance(60)

    assert ward.changes.pending() is None

    assert ward.title == "EDGE2"


def test_a_word_lets_it_stay(ward: Ward) -> None:
    """A change that was confirmed is never taken back."""
    ward.apply(RENAMED)

    assert ward.changes.confirm("kim")

    ward.clock.advance(600)
    assert not ward.changes.take_back_if_due()
    assert ward.title == "EDGE2"
    assert not ward.changes.confirm("kim")


def test_a_word_that_comes_too_late_is_none(ward: Ward) -> None:
    """After the minute it cannot be confirmed any more, whoever was first to look."""
    ward.apply(RENAMED)
    ward.clock.advance(60)

    assert not ward.changes.confirm("kim")

    assert ward.changes.take_back_if_due()
    assert ward.title == "EDGE"


def test_a_person_takes_it_back_at_once(ward: Ward) -> None:
    """Nobody has to wait out the minute."""
    ward.apply(RENAMED)

    applied = ward.changes.revert("anna")

    assert applied is not None
    assert (applied.number, ward.title, ward.changes.pending(), ward.changes.revert("anna")) == (3, "EDGE", None, None)


def test_another_process_takes_it_back(ward: Ward) -> None:
    """The process that made the change may have died: any other finds the record, and takes it back in a thread of its own."""
    ward.apply(RENAMED)
    ward.clock.advance(60)

    with taking_back_unconfirmed(SiteChanges(ward.data, ward.clock)):
        eventually(lambda: ward.title == "EDGE", message="the last configuration is not back")

    assert ward.changes.history()[0].by == "dicom-edge"


def test_a_power_cut_takes_it_back(ward: Ward) -> None:
    """After a restart of the machine nobody can say how long it was off: the time is over."""
    ward.apply(RENAMED)
    ward.clock.reboot()

    assert ward.changes.take_back_if_due()

    assert ward.title == "EDGE"


def test_a_record_without_its_change_takes_nothing_back(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who died between the record and the change changed nothing, and nothing is taken back."""

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("appliance.manage.site_changes.apply_text", dies)
        patched.setattr(UnconfirmedFile, "clear", lambda _: None)
        with pytest.raises(SystemExit):
            ward.apply(RENAMED)

    assert ward.changes.pending() is None
    ward.clock.advance(60)
    assert not ward.changes.take_back_if_due()
    assert ward.changes.current().generation == 1
    assert not UnconfirmedFile(ward.data).path.exists()


def test_while_one_waits_no_other_is_made(ward: Ward) -> None:
    """Who would change something on top is told to confirm or take back first."""
    ward.apply(RENAMED)

    with pytest.raises(SiteUnconfirmedError):
        ward.apply(QUIET, expected=2)

    ward.changes.confirm("kim")
    assert ward.apply(QUIET, expected=2) == 3


def test_a_change_after_the_time_is_one_of_the_old(ward: Ward) -> None:
    """Whoever saves after the minute is told that the configuration went back meanwhile."""
    ward.apply(RENAMED)
    ward.clock.advance(60)

    with pytest.raises(SiteStaleError, match="dicom-edge put generation 3 in force"):
        ward.apply(QUIET, expected=2)


def test_what_came_by_another_door_is_not_taken_back(ward: Ward) -> None:
    """A configuration that somebody applied on the console meanwhile is theirs: the minute ends nothing of it."""
    ward.apply(RENAMED)
    Generations(ward.data, clock=ward.clock).apply(TEXT.replace("CT1", "CT5"), "root", "console")

    assert ward.changes.pending() is None
    ward.clock.advance(60)
    assert not ward.changes.take_back_if_due()
    assert ward.changes.current().generation == 3


def test_going_back_can_lock_out_too(ward: Ward) -> None:
    """A rollback is a change like any other: to what was seen, and with a way back."""
    ward.apply(RENAMED)
    ward.changes.confirm("kim")
    with pytest.raises(SiteStaleError):
        ward.changes.roll_back(1, expected=1, by="kim", reason="")

    applied = ward.changes.roll_back(1, expected=2, by="kim", reason="")

    pending = ward.changes.pending()
    assert (applied.number, ward.title) == (3, "EDGE")
    assert pending is not None
    ward.clock.advance(60)
    assert ward.changes.take_back_if_due()
    assert ward.title == "EDGE2"


def test_nothing_waits_where_nothing_changed(ward: Ward) -> None:
    """Saving what is in force makes no generation and no waiting."""
    assert ward.apply(replace_text(TEXT)) == 1
    assert ward.changes.pending() is None


def test_a_damaged_record_is_none(ward: Ward) -> None:
    """A record that cannot be read stops no page and no change."""
    ward.apply(RENAMED)
    UnconfirmedFile(ward.data).path.write_text('{"previous": 1, "lock_outs": 7}', encoding="utf-8")

    assert ward.changes.pending() is None
    assert ward.apply(QUIET, expected=2) == 3


def test_what_cannot_be_taken_back_is_tried_no_longer(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last configuration is refused today, the one in force stays, and nobody tries for ever."""
    ward.apply(RENAMED)
    ward.clock.advance(60)

    def refuses(*_: object, **__: object) -> None:
        raise ConfigInvalidError(check("[box]\nname = 1\n", where="site.toml").problems)

    monkeypatch.setattr("appliance.manage.site_changes.roll_back", refuses)

    assert not ward.changes.take_back_if_due()

    assert not UnconfirmedFile(ward.data).path.exists()
    assert ward.title == "EDGE2"


def a_call(source: str = "CT1", address: str = "10.0.0.7", *, at: float = 1000.0, answer: str = "", called: str = "EDGE") -> LastCall:
    """Return a call of a scanner."""
    return LastCall(source, source, called, address, at, answer)


BASE = site_of(TEXT)
EDITS: dict[str, tuple[Edit, tuple[str, str] | None]] = {
    "the pages move": (set_values("listen", {"web": "0.0.0.0:9443"}), ("web moved", "0.0.0.0:9443")),
    "a listener goes": (set_values("listen", {"dicom": ["0.0.0.0:104"]}), ("listener gone", "0.0.0.0:11112")),
    "a listener comes": (set_values("listen", {"dicom": ["0.0.0.0:11112", "0.0.0.0:104"]}), None),
    "workers": (set_values("listen", {"workers": 3}), None),
    "another name": (set_values("box", {"name": "other"}), ("name changed", "dicom-edge")),
    "another title": (RENAMED, ("title gone", "EDGE")),
    "another title, the old one kept": (together(RENAMED, add_table("local_ae", {"ae_title": "edge"})), None),
    "a source that calls goes": (remove_table("source", "CT1"), ("caller refused", "CT1")),
    "a source that calls moves": (change_table("source", "CT1", {"address": "10.0.0.8"}), ("caller refused", "CT1")),
    "its network grows": (change_table("source", "CT1", {"address": "10.0.0.0/24"}), None),
    "the door opens": (set_values("admission", {"unknown_sources": "accept"}), None),
    "another source": (add_table("source", {"name": "MR1", "ae_title": "MR1"}), None),
    "limits": (QUIET, None),
}


@pytest.mark.parametrize("name", EDITS)
def test_the_rules_name_what_locks_out(name: str) -> None:
    """Each rule finds its change and says whom it is about; changes that lock out nobody wait for nobody."""
    edit, expected = EDITS[name]

    found = lock_outs(BASE, site_of(edit(TEXT)), [a_call()], now=1000.0)

    assert [asdict(one) for one in found] == ([] if expected is None else [{"rule": expected[0], "about": expected[1]}])


def changed(edit: Edit) -> Site:
    """Return the ward's configuration after an edit."""
    return site_of(edit(TEXT))


def test_who_must_show_a_certificate_from_now_on_may_have_none() -> None:
    """A source that called today and is bound to a certificate counts as refused, and so do callers over TLS that never needed one."""
    pinned = BASE.sources[0].model_copy(update={"certificate": ExpectedCertificate(sha256="a" * 64)})
    listen = BASE.listen.model_copy(update={"dicom_tls": (ListenAddress("0.0.0.0", 2762),)})  # noqa: S104 (compared, not bound)
    before = BASE.model_copy(update={"listen": listen})
    after = before.model_copy(update={"sources": (pinned,), "tls": Tls.model_construct(client_certificates="required")})

    found = lock_outs(before, after, [a_call()], now=1000.0)

    assert found == (LockOut("certificates required", "0.0.0.0:2762"), LockOut("caller refused", "CT1"))


@pytest.mark.parametrize(
    "call", [a_call(at=1000.0 - 86401), a_call(answer="1/1/3"), a_call("CT9", "10.0.0.9")], ids=["long ago", "was refused", "another"]
)
def test_who_did_not_get_in_today_is_not_locked_out(call: LastCall) -> None:
    """A source that did not call within a day, or was refused anyway, may be removed without a word."""
    assert lock_outs(BASE, changed(remove_table("source", "CT1")), [call], now=1000.0) == ()


def test_strangers_that_were_let_in_are_locked_out() -> None:
    """Closing the door to strangers names those that called today."""
    opened = changed(set_values("admission", {"unknown_sources": "accept"}))

    found = lock_outs(opened, BASE, [a_call("MR7", "10.0.0.9")], now=1000.0)

    assert found == (LockOut("caller refused", "MR7"),)


def test_a_called_title_that_is_demanded_locks_out_who_leaves_it_blank() -> None:
    """Who calls nobody by name is refused once that is not allowed."""
    blank = changed(set_values("admission", {"blank_called": True}))

    assert lock_outs(blank, BASE, [a_call(called="")], now=1000.0) == (LockOut("caller refused", "CT1"),)


def test_a_box_that_nobody_uses_locks_out_nobody() -> None:
    """In the first set-up names and titles change freely; the address of the pages is confirmed all the same."""
    new = site_of("")
    after = site_of('[box]\nname = "other"\nae_title = "X"\n[listen]\nweb = "0.0.0.0:9443"\n')

    assert lock_outs(new, after, [], now=0.0) == (LockOut("web moved", "0.0.0.0:9443"),)


def test_the_callers_are_read_from_the_receivers(ward: Ward) -> None:
    """A scanner that called today is known from what the receivers wrote down."""
    (ward.data / "run").mkdir()
    calls = [asdict(a_call(at=ward.clock.now().wall))]
    (ward.data / "run" / "callers-0.json").write_text(json.dumps(calls), encoding="utf-8")

    ward.apply(remove_table("source", "CT1"))

    pending = ward.changes.pending()
    assert pending is not None
    assert pending.lock_outs == (LockOut("caller refused", "CT1"),)
