"""A running box follows its configuration: an archive moves, goes and returns, and no process is started anew."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.script import Welcome, open_door, welcome
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import part10, samples, senders
from tests.support.box import Box, BoxMaker
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, an_archive

CT = "1.2.840.10008.5.1.4.1.1.2"


def _apply(box: Box, site: str) -> None:
    """Put a configuration in force, as a hospital engineer does."""
    path = box.work / "changed.toml"
    path.write_text(site, encoding="utf-8")
    result = box.command("config", "apply", str(path))
    assert result.returncode == 0, result.stderr


def _sent(box: Box, directory: Path) -> set[str]:
    """Send an image to the box and return its UID."""
    files = samples.ct(16).write(directory)
    assert set(senders.send_once(box.port, files).values()) == {0}
    return {part10.read(path).sop_instance_uid for path in files}


def test_an_archive_that_moves_and_goes_is_followed(make_box: BoxMaker, tmp_path: Path) -> None:
    """What is sent after a change goes where the change says; a removed archive's images are held, and go when it returns."""
    with ScriptedArchive() as old, ScriptedArchive() as new, ScriptedArchive() as other:
        bystander = an_archive(other.port, name="other")
        routes = [a_route("archive", "other")]
        box = make_box(a_site(destinations=[an_archive(old.port), bystander], routes=routes)).start()
        # The keeper comes with the start and goes by itself.
        daemons = {pid: name for pid, name in box.daemons().items() if name != "keeper"}
        first = _sent(box, tmp_path / "first")
        eventually(lambda: set(old.kept) == first, within=10)

        _apply(box, a_site(destinations=[an_archive(new.port), bystander], routes=routes))
        second = _sent(box, tmp_path / "second")
        eventually(lambda: set(new.kept) == second, within=10)

        new.stop()
        third = _sent(box, tmp_path / "third")
        eventually(lambda: set(other.kept) == first | second | third, within=10)
        _apply(box, a_site(destinations=[bystander], routes=[a_route("other")]))
        eventually(lambda: box.count("held") == 1, within=10)
        _apply(box, a_site(destinations=[an_archive(old.port), bystander], routes=routes))
        eventually(lambda: set(old.kept) == first | third, within=10)

        assert daemons.items() <= box.daemons().items()
        assert set(other.kept) == first | second | third


def test_an_examination_ends_a_refusal(make_box: BoxMaker, tmp_path: Path) -> None:
    """An archive that did not know the box is tried again at once when `destinations test` was let in, not a quarter of an hour later."""
    with ScriptedArchive(greeting=welcome(Welcome(reject=(1, 1, 3)))) as archive:
        box = make_box(a_site(destinations=[an_archive(archive.port)], delivery={"refusing": 900})).start()
        sent = _sent(box, tmp_path / "scanner")
        eventually(lambda: box.cli("destinations")[0]["state"] == "refusing", within=10)

        refused = box.command("destinations", "test", "archive", "--json")
        archive.greeting = open_door
        allowed = box.cli("destinations", "test", "archive")
        eventually(lambda: set(archive.kept) == sent, within=5)

    assert refused.returncode == 1
    assert allowed["ok"]


def test_a_class_that_is_never_sent_there(make_box: BoxMaker, tmp_path: Path) -> None:
    """What waits of a class when it is put on the list is held; what comes later is not owed; off the list, what waited goes."""
    with ScriptedArchive(greeting=welcome(Welcome(reject=(2, 3, 1)))) as archive:
        box = make_box(a_site(destinations=[an_archive(archive.port)], routes=[a_route("archive")])).start()
        waiting = _sent(box, tmp_path / "first")
        eventually(lambda: box.count("queued") == 1, within=10)

        _apply(box, a_site(destinations=[an_archive(archive.port, never=[CT])], routes=[a_route("archive")]))
        archive.greeting = open_door
        eventually(lambda: box.count("held") == 1, within=20)
        _sent(box, tmp_path / "second")
        eventually(lambda: box.count("cancelled") == 1, within=10)
        codes = [row["code"] for state in ("held", "cancelled") for row in box.cli("queue", "list", "--state", state)]
        before = dict(archive.kept)
        _apply(box, a_site(destinations=[an_archive(archive.port)], routes=[a_route("archive")]))
        eventually(lambda: set(archive.kept) == waiting, within=20)

        assert (codes, before) == (["never_sent", "never_sent"], {})


def test_what_is_owed_to_a_removed_destination_can_be_given_up(make_box: BoxMaker, tmp_path: Path) -> None:
    """A destination that is gone from the configuration is still known by its id to those who look at, and cancel, what it is owed."""
    with ScriptedArchive(greeting=welcome(Welcome(reject=(2, 3, 1)))) as archive, ScriptedArchive() as other:
        bystander = an_archive(other.port, name="other")
        box = make_box(a_site(destinations=[an_archive(archive.port), bystander], routes=[a_route("archive", "other")])).start()
        _sent(box, tmp_path / "first")
        eventually(lambda: box.count("queued") == 1, within=10)
        _apply(box, a_site(destinations=[bystander], routes=[a_route("other")]))
        eventually(lambda: box.count("held") == 1, within=20)

        listed = box.cli("queue", "list", "--destination", "archive")
        cancelled = box.cli("queue", "cancel", "--destination", "archive")

        assert [(row["code"], row["held_since"] is not None) for row in listed] == [("destination_removed", True)]
        assert (cancelled["moved"], box.count("held")) == (1, 0)
