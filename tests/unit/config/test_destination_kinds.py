"""Destinations of every kind: the keys that each has, what does not fit together, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.check import check
from appliance.config.destination_ids import identify, known_destinations
from appliance.config.load import to_json, to_toml
from appliance.config.model import DicomDestination, FolderDestination, SftpDestination, Site, StowDestination
from appliance.config.rendering import plain_values
from tests.unit.config.texts import (
    HOST_KEY,
    a_destination,
    a_folder_destination,
    a_route,
    an_sftp_destination,
    errors_of,
    notices_of,
    site_of,
    the_error_of,
)


def a_stow_destination(*lines: str, url: str = "http://10.1.0.7/dicom-web") -> str:
    """Return a `[[destination]]` that is a web service, with these lines added."""
    return "\n".join(["[[destination]]", 'name = "web"', 'kind = "stow"', f'url = "{url}"', *lines]) + "\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with a secret that nobody else can read."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("hunter2\n", encoding="utf-8")
    return path


def test_each_kind_is_a_shape_of_its_own(secret: Path) -> None:
    """The kind decides which keys there are, and what a destination is."""
    site = site_of(a_destination() + a_stow_destination() + an_sftp_destination(key_file=secret) + a_folder_destination())

    kinds = [type(destination) for destination in site.destinations]

    assert kinds == [DicomDestination, StowDestination, SftpDestination, FolderDestination]


def test_every_kind_is_the_same_after_any_journey(secret: Path) -> None:
    """Written as TOML or JSON and read again, destinations of all kinds are what they were."""
    text = a_destination() + a_stow_destination() + an_sftp_destination('path = "in"', key_file=secret)
    site = site_of(text + a_folder_destination('layout = "{study}/{instance}"'))

    assert site_of(to_toml(site)) == site
    assert Site.model_validate_json(to_json(site)) == site


def test_addresses_are_for_people(secret: Path) -> None:
    """Each kind says where it is."""
    site = site_of(a_destination() + a_stow_destination() + an_sftp_destination(key_file=secret) + a_folder_destination())

    addresses = [destination.address for destination in site.destinations]

    assert addresses == ["PACS1@10.1.0.5:104", "http://10.1.0.7/dicom-web", "edge@10.1.0.6:22:.", "/mnt/archive"]


@pytest.mark.parametrize(
    ("text", "where", "problem", "advice"),
    [
        (a_folder_destination("pat = 1"), "pat", "is not a known key", "Did you mean path?"),
        (a_folder_destination('host = "h"'), "host", "is not a known key of this section", 'It belongs to kind = "dicom".'),
        (
            a_destination('layout = "x"'),
            "layout",
            "is not a known key of this section",
            'It belongs to kind = "sftp".',
        ),
        (a_destination('kind = "sftp"'), "ae_title", "is not a known key of this section", 'It belongs to kind = "dicom".'),
        (a_folder_destination(path="mnt"), "path", '"mnt" is not the whole path of a folder', "/mnt/archive"),
        (a_folder_destination(path="/mnt/../etc"), "path", '"/mnt/../etc" cannot be the path of a place of its own', "/mnt/archive"),
        (a_folder_destination('layout = "{study}.dcm"'), "layout", '"{study}.dcm" would give many images one name', "{instance}"),
        (a_folder_destination('layout = "{instnace}"'), "layout", '"{instnace}" stands for nothing', "Did you mean {instance}?"),
        (a_folder_destination('layout = "../{instance}"'), "layout", 'has a part that is no good name: ".."', "letters, digits"),
        (a_folder_destination('layout = "/{instance}"'), "layout", 'has a part that is no good name: ""', "letters, digits"),
        (a_folder_destination('layout = "a b/{instance}"'), "layout", 'has a part that is no good name: "a b"', "letters, digits"),
        (a_folder_destination('proof = "query"'), "proof", 'must be "delivered", not "query"', "Copy one of these words"),
        (an_sftp_destination('password_file = "/x"'), "key_file", "cannot be used together with password_file", "Name one file"),
        (an_sftp_destination(key_file="hunter2"), "key_file", "is not the whole path of a file", "chmod 600"),
        (an_sftp_destination().replace(HOST_KEY, "MD5:aa"), "host_key", '"MD5:aa" does not begin with SHA256:', "ssh-keygen -lf"),
        (an_sftp_destination().replace(HOST_KEY, "SHA256:aa"), "host_key", '"SHA256:aa" is not a fingerprint', "ssh-keygen -lf"),
        (a_stow_destination(url="https://u:hunter2@h"), "url", "holds a user or a password", "own keys"),
        (a_stow_destination(url="ftp://h"), "url", "does not begin with https:// or http://", "dicom-web"),
        (a_stow_destination(url="https://h:99999/"), "url", "is not a web address", "dicom-web"),
        (a_stow_destination(url="https://h/x?y=1"), "url", "holds a ? or #", "dicom-web"),
        (a_stow_destination('user = "u"'), "password_file", "is missing, and user is set", "Name both"),
        (a_stow_destination('token_file = "/x"'), "token_file", "needs a connection that nobody can read", 'url with "https://"'),
        (a_stow_destination('proxy = "https://p:1"'), "proxy", "is not name and port of an HTTP proxy", "3128"),
        (a_stow_destination('proxy = "http://p"'), "proxy", "is not name and port of an HTTP proxy", "3128"),
        (
            a_stow_destination(url="https://h"),
            "authorities",
            "has nothing to check the server's certificate against",
            "ca-certificates.crt",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(text: str, where: str, problem: str, advice: str) -> None:
    """A key of another kind, a value that means nothing and half an identity are refused in words that help, and never with a secret."""
    errors = errors_of(text)

    found = next(error for error in errors if error.where == f"destination[0].{where}")
    assert problem in found.problem
    assert advice in found.advice
    assert all("hunter2" not in f"{error}{error.advice}" for error in errors)


def test_a_kind_keeps_its_own_word() -> None:
    """The keys of one kind are not those of another, also where code says so."""
    with pytest.raises(ValueError, match="kind"):
        FolderDestination.model_validate({"name": "a", "kind": "sftp", "path": "/mnt"})


def test_a_secret_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """It is found when the configuration is checked, not when the first image waits."""
    error = the_error_of(an_sftp_destination(key_file=tmp_path / "nowhere"))

    assert error.where == "destination[0].key_file"
    assert error.problem.startswith("there is no file ")


def test_two_destinations_in_one_folder_are_pointed_at() -> None:
    """Routes to both would write every image twice."""
    text = a_folder_destination() + a_folder_destination(name="again") + a_route('to = ["share", "again"]')

    notices = notices_of(text)

    assert ("destination[1]", "is the same peer as destination[0]") in [(notice.where, notice.problem) for notice in notices]


def test_a_folder_that_is_renamed_keeps_its_id() -> None:
    """A new name for the folder in which deliveries are put is no new destination."""
    before, after = site_of(a_folder_destination()), site_of(a_folder_destination(name="depot"))

    found = identify(after, known_destinations(plain_values(before)), ())

    assert [destination.id for destination in found.site.destinations] == ["share"]


@pytest.mark.parametrize("other", [a_folder_destination(name="b", path="/mnt/Archive"), a_destination(name="b")], ids=["path", "kind"])
def test_another_folder_is_another_destination(other: str) -> None:
    """A folder whose path differs in capitals, or a peer of another kind, is not taken for a new name."""
    before, after = site_of(a_folder_destination()), site_of(other)

    found = identify(after, known_destinations(plain_values(before)), ())

    assert [destination.id for destination in found.site.destinations] == ["b"]


def test_a_hostile_file_never_shows_a_secret() -> None:
    """A password where a path belongs is not repeated in any problem, however it is spelled."""
    checked = check(an_sftp_destination(key_file="hunter2 is my password"), where="site.toml")

    assert checked.site is None
    assert "hunter2" not in "".join(f"{problem}{problem.advice}" for problem in checked.problems)
