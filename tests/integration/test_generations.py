"""The configuration of a running box: put in force as numbered generations, taken back, edited by hand, and never half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, samples, wire
from tests.support.box import Box, BoxMaker
from tests.support.caller import OBJECT, RELEASED, Caller
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, a_source, an_archive

_DONE, _FAILED = 0, 1
# An editor is given a second of rest, and a second more tells a daemon that slept through the hint.
_SECONDS = 8.0
_WITHIN_S = 15.0


def test_a_new_source_and_a_new_destination_work_at_once(make_box: BoxMaker, tmp_path: Path) -> None:
    """`config apply` on a running box admits the new scanner and delivers its images to the new archive; no process is started anew."""
    with ScriptedArchive() as first, ScriptedArchive() as second:
        destinations, sources = [an_archive(first.port)], [a_source("CT1")]
        box = make_box(_a_site(sources=sources, destinations=destinations)).start()
        daemons = box.daemons()
        stranger = _asks(box, "MR1")
        destinations.append(an_archive(second.port, name="second"))
        sources.append(a_source("MR1"))

        applied = _apply(box, _a_site(sources=sources, destinations=destinations, routes=[a_route("archive", "second")]))
        eventually(lambda: _asks(box, "MR1") == wire.ACCEPTED, within=_SECONDS, message="the new source to be admitted")
        sent = _send(box, tmp_path, "MR1")
        box.wait_until_delivered()

        assert stranger == wire.REJECTED
        assert (applied["ok"], applied["generation"], applied["is_new"], applied["needs_restart"]) == (True, 2, True, [])
        assert {"source.MR1", "destination.second"} <= {change["where"] for change in applied["changed"]}
        assert set(first.kept) == set(second.kept) == sent
        assert daemons.items() <= box.daemons().items()
        assert box.cli("status")["generation"] == 2


def test_what_is_owed_to_a_removed_destination_is_held_until_it_is_back(make_box: BoxMaker, tmp_path: Path) -> None:
    """A destination that is taken out keeps what it is owed, held for a setting and shown; with a rollback it gets it with no hand."""
    with ScriptedArchive() as archive:
        archive.stop()
        whole = _a_site(destinations=[an_archive(archive.port)])
        box = make_box(whole).start()
        sent = _send(box, tmp_path, "SCANNER")
        eventually(lambda: box.outstanding() == len(sent), within=_WITHIN_S, message="the images to be owed")

        applied = _apply(box, _a_site())
        rows = eventually(lambda: box.cli("queue", "list", "--state", "held"), within=_WITHIN_S, message="the images to be held")
        back = box.command("config", "rollback", "1", "--reason", "a mistake")
        archive.start()
        eventually(lambda: set(archive.kept) == sent, within=_WITHIN_S, message="the images at the archive")
        box.wait_until_delivered()

        assert applied["removed_destinations"] == ["archive"]
        assert {(row["destination"], row["hold_class"]) for row in rows} == {("archive", "configuration")}
        assert (back.returncode, back.stderr) == (_DONE, "")
        assert "Generation 3 is in force." in back.stdout
        assert box.count("held") == 0


def test_history_says_who_when_and_why(make_box: BoxMaker) -> None:
    """`config history` lists every generation, the newest first, with its hand and reason; a text that says nothing new makes none."""
    box = make_box(_a_site()).start()

    _apply(box, _a_site(box={"name": "renamed"}), "--reason", "a new sign at the door")
    same = _apply(box, _a_site(box={"name": "renamed"}) + "# with a remark\n")
    box.cli("config", "rollback", "1")
    rows = box.cli("config", "history")
    plain = box.command("config", "history")

    assert (same["is_new"], same["generation"]) == (False, 2)
    assert [(row["number"], row["state"]) for row in rows] == [(3, "active"), (2, "earlier"), (1, "earlier")]
    assert [row["reason"] for row in rows] == ["back to 1", "a new sign at the door", "site.toml was changed"]
    assert all(row["by"] and row["activated_at"] for row in rows)
    assert (plain.returncode, plain.stderr) == (_DONE, "")
    assert "a new sign at the door" in plain.stdout
    assert box.cli("config", "show")["box"]["name"] == box.cli("status")["box"] == "test-box"


def test_a_file_edited_by_hand_is_a_proposal(make_box: BoxMaker) -> None:
    """An edited `site.toml` is in force within seconds; an invalid edit changes nothing and is said; the next valid one is taken."""
    box = make_box(_a_site(sources=[a_source("CT1")])).start()

    box.configure(_a_site(sources=[a_source("CT1"), a_source("MR1")]))
    eventually(lambda: _asks(box, "MR1") == wire.ACCEPTED, within=_SECONDS, message="the new source to be admitted")
    box.configure(_a_site(sources=[a_source("US1")]).replace("[admission]", "[admision]"))
    eventually(lambda: "config.proposal_refused" in box.output(), within=_SECONDS, message="the invalid edit to be refused")
    stays = [_asks(box, title) for title in ("CT1", "MR1", "US1")], box.cli("status")["generation"]
    box.configure(_a_site(sources=[a_source("US1")]))
    eventually(lambda: _asks(box, "US1") == wire.ACCEPTED, within=_SECONDS, message="the mended edit to be taken")

    [refused] = [line for line in box.output().splitlines() if "config.proposal_refused" in line]
    assert stays == ([wire.ACCEPTED, wire.ACCEPTED, wire.REJECTED], 2)
    assert "admission" in refused
    assert _asks(box, "CT1") == wire.REJECTED
    assert [(row["number"], row["by"]) for row in box.cli("config", "history")] == [(3, "site.toml"), (2, "site.toml"), (1, "run")]


def test_an_invalid_file_at_the_start_keeps_the_last_good_one(make_box: BoxMaker) -> None:
    """A box whose file was spoilt while it was off starts with the generation before, and says so; the first start ever refuses instead."""
    box = make_box(_a_site(sources=[a_source("CT1")])).start()
    box.stop()
    spoilt = _a_site(sources=[a_source("MR1")]).replace("[delivery]", "[delivry]")
    box.configure(spoilt)

    box.start()
    admitted = [_asks(box, "CT1"), _asks(box, "MR1")]
    said = box.stderr_path.read_text(encoding="utf-8")
    first_start = make_box(spoilt, name="new").run_refused()

    assert admitted == [wire.ACCEPTED, wire.REJECTED]
    assert "Configuration 1 stays in force" in said
    assert "delivery" in said
    assert first_start.returncode == _FAILED
    assert len(first_start.stderr.splitlines()) == 1
    assert "delivry" in first_start.stderr


def test_what_was_applied_is_not_undone_by_an_old_file(make_box: BoxMaker) -> None:
    """After a restart the generation that was applied is still in force, although `site.toml` says what it said before."""
    box = make_box(_a_site(sources=[a_source("CT1")])).start()

    _apply(box, _a_site(sources=[a_source("MR1")]))
    box.restart()

    assert [_asks(box, "CT1"), _asks(box, "MR1")] == [wire.REJECTED, wire.ACCEPTED]
    assert box.cli("status")["generation"] == 2


def test_a_change_of_listening_says_that_it_needs_a_restart(make_box: BoxMaker) -> None:
    """A changed address or number of workers is said to need a restart; the box goes on as it listens, and has it after one."""
    box = make_box(_a_site()).start()
    port = dcmtk.free_port()
    changed = a_site(listen={"workers": 2, "dicom": [f"127.0.0.1:{port}"]}, box={"name": "renamed"})

    plain = box.command("config", "apply", str(_written(box, changed)))
    meanwhile = box.port, sorted(box.daemons().values()).count("receiver"), box.cli("status")["box"]
    echo = dcmtk.echoscu(box.port)
    box.restart()

    assert (plain.returncode, plain.stderr) == (_DONE, "")
    assert "Needs a restart of the box: listen.dicom, listen.workers" in plain.stdout
    assert meanwhile[0] != port
    assert meanwhile[1:] == (1, "renamed")
    assert echo == 0
    assert (box.port, sorted(box.daemons().values()).count("receiver")) == (port, 2)


def test_no_change_drops_an_association(make_box: BoxMaker) -> None:
    """An association that was begun goes on through an apply, a rollback and a hand-edited file, each of which removes its source."""
    with_it, without, other = (_a_site(sources=[a_source(title)]) for title in ("CT1", "MR1", "US1"))
    box = make_box(with_it).start()
    scanner = Caller(box.port)

    statuses = [scanner.store(OBJECT)]
    _apply(box, without)
    eventually(lambda: _asks(box, "CT1") == wire.REJECTED, within=_SECONDS, message="the source to be gone")
    statuses.append(scanner.store(OBJECT))
    box.cli("config", "rollback", "1")
    statuses.append(scanner.store(OBJECT))
    box.configure(other)
    eventually(lambda: _asks(box, "US1") == wire.ACCEPTED, within=_SECONDS, message="the edited file to be in force")
    statuses.append(scanner.store(OBJECT))
    ended = scanner.release()

    assert statuses == [0, 0, 0, 0]
    assert ended == RELEASED
    assert _asks(box, "CT1") == wire.REJECTED


def test_a_renamed_destination_gets_what_it_was_owed(make_box: BoxMaker, tmp_path: Path) -> None:
    """A destination that gets a new name stays the same: what is owed to it is shown under the new name, and delivered."""
    with ScriptedArchive() as archive:
        archive.stop()
        box = make_box(_a_site(destinations=[an_archive(archive.port)])).start()
        sent = _send(box, tmp_path, "SCANNER")
        eventually(lambda: box.outstanding() == len(sent), within=_WITHIN_S, message="the images to be owed")

        applied = _apply(box, _a_site(destinations=[an_archive(archive.port, name="main archive")]))
        shown = {row["destination"] for row in box.cli("queue", "list")}
        archive.start()
        box.wait_until_delivered()

        assert applied["removed_destinations"] == []
        assert any("a new name of" in problem["problem"] for problem in applied["problems"])
        assert shown == {"main archive"}
        assert set(archive.kept) == sent


def _a_site(**sections: Any) -> str:
    # One worker: what one association sees is then what all see, without the second that the other may take.
    return a_site(**({"listen": {"workers": 1}} | sections))


def _written(box: Box, site: str) -> Path:
    path = box.work / "proposal.toml"
    path.write_text(site, encoding="utf-8")
    return path


def _apply(box: Box, site: str, *options: str) -> Any:
    """Put a configuration in force as central IT does, and return what was said."""
    return box.cli("config", "apply", str(_written(box, site)), *options)


def _asks(box: Box, calling: str) -> int:
    """Return how the box answers to an association request of this caller."""
    return wire.associate(box.port, called=b"EDGE", calling=calling.encode("ascii")).pdu_type


def _send(box: Box, directory: Path, calling: str) -> set[str]:
    """Send two new images and return their UIDs."""
    files = samples.ct(16).write(directory / "scanner", 2)
    output = dcmtk.storescu(box.port, files, calling=calling)
    assert dcmtk.successes(output) == len(files)
    return {path.stem for path in files}
