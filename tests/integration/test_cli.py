"""The command line as a contract: what scripts and central IT rely on, in plain text and in JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dcmtk, samples
from tests.support.box import Box, BoxMaker
from tests.support.eventually import eventually
from tests.support.site import a_site, a_source, an_archive

_DONE, _FAILED, _WRONG_USAGE, _NOT_RUNNING = 0, 1, 2, 3
_INSTANCES = 3


@pytest.fixture(scope="module")
def study() -> str:
    """Name the study that the box of this module holds."""
    return samples.new_uid()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, study: str) -> Iterator[Box]:
    """Run a box whose archive is away, owing three instances of one study."""
    work = tmp_path_factory.mktemp("cli")
    sources = [a_source("CT1"), a_source("DICOM-EDGE")]
    with Box(work, a_site(sources=sources, destinations=[an_archive(dcmtk.free_port())])) as running:
        dcmtk.storescu(running.port, samples.ct(64, study=study).write(work / "scanner", _INSTANCES), calling="CT1")
        eventually(lambda: running.cli("status")["instances"]["stored"] == _INSTANCES, within=10, message="the instances to be recorded")
        yield running


def test_status_has_every_key_of_the_contract(box: Box) -> None:
    """`status --json` carries the keys that scripts read."""
    status = box.cli("status")

    assert {"version", "ready", "box", "generation", "deliveries", "instances", "oldest_undelivered_s", "spool"} <= set(status)
    assert {"destinations", "findings"} <= set(status)
    states = {"queued", "sending", "deferred", "held", "delivered", "proved", "cancelled", "expired"}
    assert states <= set(status["deliveries"])
    assert {"incoming", "stored", "unrouted", "quarantined", "evicted"} <= set(status["instances"])
    assert {"bytes", "free_bytes"} <= set(status["spool"])
    assert {"name", "state", "queued", "oldest_s", "last_success"} <= set(status["destinations"][0])
    assert status["box"] == "test-box"
    assert status["ready"] is True
    assert status["spool"]["bytes"] > 0


def test_queue_list_shows_what_is_owed_and_pages(box: Box) -> None:
    """`queue list --json` shows each owed delivery once, in id order, page by page."""
    rows = box.cli("queue", "list")
    first = box.cli("queue", "list", "--limit", "2")
    rest = box.cli("queue", "list", "--limit", "2", "--after", str(first[-1]["id"]))

    keys = {"id", "destination", "state", "hold_class", "priority", "study_instance_uid", "sop_instance_uid", "attempts", "due", "reason"}
    assert keys <= set(rows[0])
    assert len(rows) == _INSTANCES
    assert {row["destination"] for row in rows} == {"archive"}
    assert [row["id"] for row in [*first, *rest]] == sorted(row["id"] for row in rows)


def test_queue_list_of_one_state_shows_that_state_only(box: Box) -> None:
    """`queue list --state held` shows nothing where nothing is held."""
    assert box.cli("queue", "list", "--state", "held") == []


def test_studies_shows_how_far_each_is(box: Box, study: str) -> None:
    """`studies --json` counts what was received and what was delivered of each study."""
    rows = box.cli("studies")

    keys = {"study_instance_uid", "accession_number", "modality", "received", "instances", "delivered", "proved", "destinations"}
    row = next(row for row in rows if row["study_instance_uid"] == study)
    assert keys <= set(row)
    assert (row["modality"], row["instances"], row["delivered"]) == ("CT", _INSTANCES, 0)
    assert "archive" in row["destinations"]


def test_destinations_shows_the_dead_one_with_its_reason(box: Box) -> None:
    """`destinations --json` says that the archive is dead, why, and how much waits for it."""
    eventually(lambda: box.cli("destinations")[0]["state"] == "dead", within=10, message="the archive to be seen as dead")

    row = box.cli("destinations")[0]

    assert (row["name"], row["queued"]) == ("archive", _INSTANCES)
    assert row["reason"]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        (("status",), "test-box"),
        (("queue", "list"), "archive"),
        (("studies",), "CT"),
        (("destinations",), "archive"),
        (("config", "check"), "good"),
        (("config", "show"), "test-box"),
        (("keys", "show"), "age1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_question_has_a_plain_answer(box: Box, question: tuple[str, ...], word: str) -> None:
    """Each question is answered in plain text for people, with exit code 0 and nothing on standard error."""
    result = box.command(*question)

    assert (result.returncode, result.stderr) == (_DONE, "")
    assert word in result.stdout


def test_json_and_data_are_taken_before_or_after_the_verb(box: Box) -> None:
    """`--json` and `--data` mean the same wherever a person types them."""
    data = str(box.data)

    before = box.command("--data", data, "--json", "keys", "show")
    after = box.command("keys", "show", "--json", "--data", data)

    assert json.loads(before.stdout) == json.loads(after.stdout)


def test_config_show_is_a_configuration_that_checks(box: Box, tmp_path: Path) -> None:
    """What `config show` prints is TOML that `config check` takes, so that it can be edited and given back."""
    shown = box.command("config", "show").stdout
    file = tmp_path / "shown.toml"
    file.write_text(shown, encoding="utf-8")

    check = box.cli("config", "check", str(file))

    assert tomllib.loads(shown)["box"]["ae_title"] == "EDGE"
    assert box.cli("config", "show")["box"]["name"] == "test-box"
    assert check["ok"] is True
    assert [problem for problem in check["problems"] if problem["severity"] == "error"] == []


def test_config_check_names_place_problem_and_advice(box: Box, tmp_path: Path) -> None:
    """`config check FILE` says where the mistake is, what it is and what to do, and ends with 1."""
    file = tmp_path / "site.toml"
    file.write_text(a_site().replace("ae_title =", "ae_titel ="), encoding="utf-8")

    result = box.command("config", "check", str(file), "--json")

    answer = json.loads(result.stdout)
    assert result.returncode == _FAILED
    assert answer["ok"] is False
    assert {"where", "problem", "advice"} <= set(answer["problems"][0])
    assert any("ae_titel" in problem["where"] + problem["problem"] for problem in answer["problems"])
    assert any("ae_title" in problem["problem"] + problem["advice"] for problem in answer["problems"])


def test_keys_show_shows_public_halves_only(box: Box) -> None:
    """`keys show --json` gives the generation and the public recipient, and nothing of the root key."""
    answer = box.command("keys", "show", "--json").stdout
    root = (box.data / "keys" / "root.key").read_text(encoding="ascii").strip()

    assert json.loads(answer)["generation"] == 1
    assert json.loads(answer)["recipient"].startswith("age1")
    assert root not in answer
    assert "AGE-SECRET-KEY" not in answer


def test_send_sends_a_file_as_a_scanner_would(make_box: BoxMaker, tmp_path: Path) -> None:
    """`send FILE…` puts files through the front door and says for each what the box answered."""
    box = make_box(a_site()).start()
    files = [*samples.ct(64).write(tmp_path / "files", 2), *samples.compressed()[0].write(tmp_path / "files")]

    answers = box.cli("send", *map(str, files))
    plain = box.command("send", str(files[0]))

    assert [answer["file"] for answer in answers] == [str(path) for path in files]
    assert all(answer["ok"] for answer in answers)
    assert (plain.returncode, plain.stderr) == (_DONE, "")
    # The fourth sending repeats the first file, which the box has: the same bytes are not kept twice.
    eventually(lambda: box.cli("status")["instances"]["unrouted"] == len(files), within=10, message="the sent files to be recorded")


def test_send_as_a_stranger_is_refused_with_advice(box: Box, tmp_path: Path) -> None:
    """`send --calling STRANGER` says that the box does not know the caller, in one line."""
    file = samples.ct(64).write(tmp_path)[0]

    result = box.command("send", "--calling", "STRANGER", str(file))

    assert result.returncode == _FAILED
    assert len(result.stderr.splitlines()) == 1
    assert "STRANGER" in result.stderr


@pytest.mark.parametrize("name", ["missing.dcm", "text.dcm"])
def test_send_of_a_file_that_is_none_says_which(box: Box, tmp_path: Path, name: str) -> None:
    """`send` of a file that is missing or is not DICOM names the file and ends with 1."""
    (tmp_path / "text.dcm").write_text("not an image", encoding="utf-8")

    result = box.command("send", str(tmp_path / name))

    assert result.returncode == _FAILED
    assert name in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("question", [("status",), ("queue", "list"), ("studies",), ("destinations",)], ids=" ".join)
def test_a_box_that_does_not_run_is_said_with_its_own_exit_code(make_box: BoxMaker, question: tuple[str, ...]) -> None:
    """A question to a box that is not running ends with 3 and one line, with and without --json."""
    box = make_box(a_site())

    plain = box.command(*question)
    as_json = box.command(*question, "--json")

    assert (plain.returncode, as_json.returncode) == (_NOT_RUNNING, _NOT_RUNNING)
    assert len(plain.stderr.splitlines()) == 1
    assert "not running" in plain.stderr


def test_send_to_a_box_that_does_not_run_ends_with_three(make_box: BoxMaker, tmp_path: Path) -> None:
    """`send` without a running box ends with 3."""
    box = make_box(a_site())

    result = box.command("send", str(samples.ct(64).write(tmp_path)[0]))

    assert result.returncode == _NOT_RUNNING


@pytest.mark.parametrize(
    "command",
    [
        ("status", "--colour"),
        ("queue", "list", "--limit", "none"),
        ("queue", "list", "--limit", "0"),
        ("send",),
        ("nonsense",),
        ("run", "x"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(make_box: BoxMaker, command: tuple[str, ...]) -> None:
    """A wrong option, value or verb ends with 2 and says what is wrong."""
    result = make_box(a_site()).command(*command)

    assert result.returncode == _WRONG_USAGE
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_verb(make_box: BoxMaker) -> None:
    """`--help` names every verb of this version."""
    result = make_box(a_site()).command("--help")

    assert result.returncode == _DONE
    verbs = ("run", "serve", "status", "queue", "studies", "destinations", "send", "config", "keys")
    assert [verb for verb in verbs if verb not in result.stdout] == []
