"""Every setting is documented, with its true default, and nothing else is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from appliance.config.model import Destination, Site
from appliance.config.translation import keys_of, models_of, sections_of
from tests.unit.config.texts import EXAMPLE, a_destination, a_folder_destination, a_route, a_source, an_sftp_destination, site_of

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
COLUMNS = ("key", "default", "meaning", "since")

# The least text in which each section stands, the key under test left out where it has a default.
LEAST = {
    "[box]": "[box]\n",
    "[[local_ae]]": '[[local_ae]]\nae_title = "PACS1"\n',
    "[listen]": "[listen]\n",
    "[tls]": "[tls]\n",
    "[admission]": "[admission]\n",
    "[[source]]": a_source(),
    "[source.reply]": a_source() + '[source.reply]\nae_title = "CT1"\nhost = "10.0.0.7"\n',
    "[[destination]]": a_destination(),
    "[[destination.also_calls_from]]": a_destination() + '[[destination.also_calls_from]]\nae_title = "PACS1SC"\n',
    "[[destination.headers]]": a_destination() + '[[destination.headers]]\ndo = "set-station-name"\nvalue = "CT1"\n',
    '[[destination]] with kind = "stow"': '[[destination]]\nname = "web"\nkind = "stow"\nurl = "http://pacs.example.org/dicom-web"\n',
    '[[destination]] with kind = "sftp"': an_sftp_destination(),
    '[[destination]] with kind = "folder"': a_folder_destination(),
    "[[route]]": a_route('keep = "2 days"'),
    "[route.when]": a_route('keep = "2 days"') + "[route.when]\n",
    "[completion]": "[completion]\n",
    "[retention]": "[retention]\n",
    "[delivery]": "[delivery]\n",
}


def documented() -> dict[str, dict[str, dict[str, str]]]:
    """Return the rows of the page's tables, by section and key."""
    sections: dict[str, dict[str, dict[str, str]]] = {}
    name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"### `(\[+[a-z_.]+\]+(?: with kind = \"[a-z]+\")?)`", line):
            name = heading[1]
            sections[name] = {}
        elif line.startswith("## "):
            name = ""
        elif name and (row := re.fullmatch(r"\| `([a-z_]+)` \| (.+) \| (.+) \| (.+) \|", line)):
            sections[name][row[1]] = dict(zip(COLUMNS, row.groups(), strict=True))
    return sections


DEFAULTS = [
    (section, key, row["default"].strip("`"))
    for section, rows in documented().items()
    for key, row in rows.items()
    if row["default"].startswith("`") and not row["since"].endswith("refused")
]
SHARED = frozenset(keys_of(Destination)) - {"kind", "proof"}
"""What the page says of destinations once, for all kinds."""


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    """The tables of the page and the model name the same sections and keys."""
    expected = {(section, key) for section, keys in sections_of(Site) for key in (keys - SHARED if "with kind" in section else keys)}

    found = {(section, key) for section, rows in documented().items() for key in rows}

    assert found == expected


def test_every_section_of_the_file_is_a_section_of_the_model() -> None:
    """At the top of the file stand sections only, so that a table a section holds every key."""
    top = {section.split("]")[0].strip("[") for section, _ in sections_of(Site) if "." not in section.split("]")[0]}

    assert top == set(keys_of(Site))


@pytest.mark.parametrize(("section", "key", "default"), DEFAULTS, ids=[f"{section} {key}" for section, key, _ in DEFAULTS])
def test_a_documented_default_is_the_default(section: str, key: str, default: str, tmp_path: Path) -> None:
    """Writing the documented default changes nothing."""
    # A route needs one of `to` and `keep`; its default is to have neither.
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("a key", encoding="utf-8")
    least = LEAST[section].replace("/etc/dicom-edge/depot.key", str(secret))

    said = site_of(least + f"{key} = {default}\n")

    assert said == site_of(least)


def test_what_is_said_to_be_required_is_required() -> None:
    """A key without a default is marked so, and only such a key."""
    said = {(section, key) for section, rows in documented().items() for key, row in rows.items() if row["default"] == "required"}

    required = {
        (section, key)
        for section, model in models_of(Site)
        for key, is_required in _fields(model)
        if is_required and not ("with kind" in section and key in SHARED)
    }

    assert said == required


def test_each_row_says_since_when() -> None:
    """Each key is of a version, or said not to be in this one."""
    ages = {row["since"] for rows in documented().values() for row in rows.values()}

    assert ages == {"0.1.0", "not in this version yet"}


def test_the_example_of_the_page_is_the_example_file() -> None:
    """What is printed is what is tested."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    assert block == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_shows_every_section() -> None:
    """A reader sees each section at work."""
    shown = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))

    assert set(shown) == set(keys_of(Site))


def _fields(model: type[BaseModel]) -> list[tuple[str, bool]]:
    """Return the keys of a model and whether each is required."""
    return [(key, field.is_required()) for key, field in zip(keys_of(model), model.model_fields.values(), strict=True)]
