"""A running box sends a study to one archive at once, and to another when it is complete; it tells of both."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import samples, senders
from tests.support.box import BoxMaker
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, an_archive

# However slow the machine, the study is not complete before the test has looked; then what comes later is waited for for a moment only.
PATIENT = '[completion]\nquiet = { CT = "1 h" }\n'
QUICK = '[completion]\nquiet = { CT = "1 s" }\n'


def test_a_complete_study_is_sent_and_told_of(make_box: BoxMaker, tmp_path: Path) -> None:
    """The waiting route's images are owed and shown at once, arrive when the study is quiet, and both deliveries are told of."""
    with ScriptedArchive() as archive, ScriptedArchive() as room:
        site = a_site(
            destinations=[an_archive(archive.port), an_archive(room.port, name="room", ae_title="ROOM")],
            routes=[a_route("archive"), a_route("room", name="later", when_complete=True)],
        )
        box = make_box(site + PATIENT).start()
        files = samples.ct(16).write(tmp_path / "scanner")

        assert set(senders.send_once(box.port, files).values()) == {0}
        eventually(lambda: archive.kept, within=30)
        waiting = box.cli("queue", "list", "--state", "deferred")
        early = (list(room.kept), [row["complete"] for row in box.cli("studies")])

        changed = tmp_path / "changed.toml"
        changed.write_text(site + QUICK, encoding="utf-8")
        assert box.command("config", "apply", str(changed)).returncode == 0
        assert set(senders.send_once(box.port, files).values()) == {0}
        eventually(lambda: room.kept and set(room.kept) == set(archive.kept), within=60)
        eventually(lambda: box.output().count("study.delivered") == 2, within=60)

        assert [(row["destination"], row["due"], row["reason"]) for row in waiting] == [("room", None, "its study is not complete yet")]
        assert early == ([], [None])
        assert all(row["complete"] for row in box.cli("studies"))
