"""Who may import whom, where each library lives, and what pure modules stay away from (house.md section 4)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard

import pytest

from appliance.cli import ASKING
from tests.support import source
from tests.support.source import Module

# From the top; packages of one row are siblings and never import each other. The single modules are composition roots and their parts.
_LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"appliance.__main__"}),
    frozenset({"appliance.cli"}),
    frozenset({"appliance.box"}),
    frozenset({"appliance.daemons"}),
    frozenset({"webui"}),
    frozenset({"appliance.attendants", "appliance.demo"}),
    frozenset({"appliance.keyring"}),
    frozenset({"appliance.manage"}),
    frozenset(f"appliance.{name}" for name in ("receive", "route", "deliver", "opener", "retain", "health", "audit", "host")),
    frozenset(f"appliance.{name}" for name in ("spool", "ledger", "dimse", "config", "accounts")),
    frozenset({"appliance.keys"}),
    frozenset({"appliance.runtime"}),
    frozenset({"appliance.core"}),
)

# One home each, two at most. `webui` is a home of its own kind: the pages.
_HOMES: dict[str, tuple[str, ...]] = {
    "pynetdicom": ("appliance.dimse", "appliance.receive"),
    "pydicom": ("appliance.dimse", "appliance.route.attributes", "appliance.opener"),
    "peewee": ("appliance.ledger",),
    "playhouse": ("appliance.ledger",),
    "sqlcipher3": ("appliance.ledger", "appliance.accounts"),
    "sqlite3": ("appliance.ledger",),
    "cryptography": ("appliance.keys", "appliance.spool.age", "appliance.dimse.tls"),
    "argon2": ("appliance.accounts",),
    "blake3": ("appliance.spool",),
    "numpy": ("appliance.opener.pixels", "appliance.opener.rendering"),
    "PIL": ("appliance.opener.pixels", "appliance.opener.rendering"),
    "jpeg_ls": ("appliance.opener.pixels",),
    "openjpeg": ("appliance.opener.pixels",),
    "rle": ("appliance.opener.pixels",),
    "pydantic": ("appliance.config", "appliance.runtime.control", "webui.api"),
    "tomlkit": ("appliance.config", "appliance.cli"),
    "tomllib": ("appliance.config", "appliance.cli"),
    "click": ("appliance.cli", "appliance.daemons", "appliance.box"),
    "rich": ("appliance.cli",),
    "structlog": ("appliance.runtime.logging",),
    "logging": ("appliance.runtime.logging", "appliance.dimse"),
    "h11": ("appliance.deliver.transports",),
    "paramiko": ("appliance.deliver.transports.sftp", "appliance.deliver.transports.sftp_client"),
    "watchdog": ("appliance.receive.watch_folder", "appliance.config"),
    "psutil": ("appliance.health.checks",),
    "flask": ("webui",),
    "flask_babel": ("webui",),
    "flask_bootstrap": ("webui",),
    "flask_openapi3": ("webui.api",),
    "flask_wtf": ("webui",),
    "gunicorn": ("webui.server", "webui.serving"),
    "pygal": ("webui.charts",),
    "werkzeug": ("webui",),
    "wtforms": ("webui",),
    "flask_login": ("webui",),
    "flask_limiter": ("webui",),
}

# The modules marked with a star: time, randomness and I/O are their arguments.
_PURE = (
    "appliance.core.errors",
    "appliance.core.identity",
    "appliance.keys.derive",
    "appliance.keys.recipient",
    "appliance.accounts.faults",
    "appliance.accounts.lifetimes",
    "appliance.accounts.person",
    "appliance.accounts.roles",
    "appliance.accounts.rules",
    "appliance.config.change",
    "appliance.config.destinations",
    "appliance.config.edits",
    "appliance.config.edits_text",
    "appliance.config.layout",
    "appliance.config.remotes",
    "appliance.config.section",
    "appliance.config.destination_ids",
    "appliance.config.model",
    "appliance.config.record",
    "appliance.config.reporters",
    "appliance.config.sources",
    "appliance.spool.names",
    "appliance.spool.part10",
    "appliance.dimse.commitment",
    "appliance.dimse.contexts",
    "appliance.dimse.conversion",
    "appliance.dimse.learned",
    "appliance.dimse.lossless",
    "appliance.dimse.messages",
    "appliance.ledger.orders",
    "appliance.dimse.statuses",
    "appliance.dimse.prefix",
    "appliance.manage.callers",
    "appliance.manage.lock_outs",
    "appliance.opener.elements",
    "appliance.opener.fragments",
    "appliance.opener.frames",
    "appliance.opener.headers",
    "appliance.opener.rewriting",
    "appliance.receive.admission",
    "appliance.receive.granting",
    "appliance.route.possible",
    "appliance.route.rules",
    "appliance.route.planner",
    "appliance.route.duplicates",
    "appliance.deliver.acceptance",
    "appliance.deliver.file_verdicts",
    "appliance.deliver.layout",
    "appliance.deliver.proof",
    "appliance.deliver.remedies",
    "appliance.deliver.states",
    "appliance.deliver.stow_report",
    "appliance.deliver.stow_verdicts",
    "appliance.deliver.verdict",
    "appliance.deliver.schedule",
    "appliance.manage.target_guard",
)
_IMPURE = {"time", "random", "secrets", "socket", "subprocess", "multiprocessing", "tempfile", "shutil", "fcntl", "select", "mmap"}
# What a pure module may take from `os`: the source of randomness as the default of an argument.
_PURE_ENOUGH = {"urandom", "fspath"}

# The process that faces the network must not even be able to reach these (P8).
_NOT_FOR_THE_RECEIVER = (
    "appliance.ledger", "appliance.route", "appliance.deliver", "appliance.manage", "appliance.accounts", "webui", "peewee", "sqlcipher3",
)  # fmt: skip
# All that the pages may import of the box: they ask, and reach no spool, no ledger, no network and no key themselves.
_FOR_THE_PAGES = (
    "appliance.manage",
    "appliance.config",
    "appliance.accounts",
    "appliance.core",
    "appliance.runtime",
    "appliance.__version__",
)


def test_data_flows_one_way() -> None:
    """No package imports one above it, and siblings never import each other."""
    wrong = []
    for module in source.product():
        own = _package(module.name)
        for name, line in module.imports():
            other = _package(name)
            if other in {None, own} or own is None:
                continue
            if _layer(other) <= _layer(own):
                wrong.append(f"{module.where}:{line} imports {name}")
    assert wrong == []


def test_every_package_has_a_layer() -> None:
    """Every package and module of `appliance` stands in the table of layers, so that none escapes it."""
    assert _without_layer() == []


@pytest.mark.parametrize("library", sorted(_HOMES))
def test_every_library_stays_in_its_home(library: str) -> None:
    """Each third-party library is imported in its home only, so that changing it touches one folder."""
    wrong = [
        f"{module.where}:{line}"
        for module in source.product()
        for name, line in module.imports()
        if _is_within(name, library) and not any(_is_within(module.name, home) for home in _HOMES[library])
    ]
    assert wrong == []


def test_pure_modules_take_time_randomness_and_input_as_arguments() -> None:
    """No module marked as pure imports a clock, a random source, processes or sockets, or calls the operating system."""
    wrong = []
    for module in _modules(_PURE):
        wrong += [f"{module.where}:{line} {name}" for name, line in module.imports() if name.split(".")[0] in _IMPURE]
        wrong += [f"{module.where}:{node.lineno} os.{node.attr}" for node in ast.walk(module.tree) if _asks_the_system(node)]
    assert wrong == []


def test_every_pure_module_is_there() -> None:
    """The table of pure modules names modules that exist, so that a renamed one does not escape it."""
    assert sorted(set(_PURE) - {module.name for module in source.product()}) == []


def test_the_receiver_cannot_reach_the_ledger() -> None:
    """What the receiver imports, directly or not, never leads to the ledger, the router or the sender."""
    known = {module.name: module for module in source.product()}
    reached: set[str] = set()
    waiting = [name for name in known if _is_within(name, "appliance.receive")]
    wrong = []
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for imported, line in known[name].imports():
            if any(_is_within(imported, forbidden) for forbidden in _NOT_FOR_THE_RECEIVER):
                wrong.append(f"{known[name].where}:{line} {imported}")
            waiting += [candidate for candidate in (imported, imported.rpartition(".")[0]) if candidate in known]
    assert reached
    assert wrong == []


def test_the_pages_only_ask() -> None:
    """What the pages import of the box is what asks it, what configures it, and who may."""
    wrong = [
        f"{module.where}:{line} {name}"
        for module in source.product()
        if _is_within(module.name, "webui")
        for name, line in module.imports()
        if _is_within(name, "appliance") and not any(_is_within(name, allowed) for allowed in _FOR_THE_PAGES)
    ]
    assert wrong == []


# What the resident daemons load before anything happens; `status` counts their memory (house.md section 3).
_RESIDENT = (
    "appliance.daemons, appliance.receive.listener, appliance.receive.secure_door, appliance.route.router, appliance.deliver.sender, "
    "appliance.deliver.outgoing_tls, appliance.keys.tls_key, appliance.config.active"
)


def test_what_few_boxes_need_is_not_loaded_by_all() -> None:
    """Reading certificates costs every process nine megabytes, SSH almost as much: no daemon has it in memory before it meets one."""
    asked = f"import {_RESIDENT}, sys; print(any(name in sys.modules for name in ('cryptography.x509', 'paramiko', 'h11')))"

    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)

    assert answer.stdout.strip() == "False"


# What takes longer to load than a short question takes to be answered (the command line answers in 0.5 s, on a busy box too).
_SLOW_TO_LOAD = (
    "asyncio", "cryptography", "flask", "h11", "logging", "numpy", "paramiko", "peewee", "pydantic", "pydicom", "pynetdicom", "rich",
    "sqlcipher3", "structlog", "tomlkit", "watchdog",
)  # fmt: skip


@pytest.mark.parametrize("verb", sorted(ASKING))
def test_asking_the_box_loads_little(verb: str, tmp_path: Path) -> None:
    """A command that only asks the running box runs to its end without the log, the checkers of input, or what talks to the network."""
    nobody = ["--data", str(tmp_path), verb, *{"queue": ["list"], "sources": ["test", "CT1"], "users": ["list"]}.get(verb, [])]
    asked = (
        "import sys; from appliance.cli import main\n"
        "try: main()\n"
        f"finally: print(*(name for name in {_SLOW_TO_LOAD} if name in sys.modules))"
    )

    answer = subprocess.run([sys.executable, "-c", asked, *nobody], capture_output=True, text=True, check=False, timeout=60)

    assert (answer.returncode, answer.stdout.strip()) == (3, ""), answer.stderr


# Foreign code that reads what strangers made: only the locked-in child runs it, and nobody who has a key may even load it.
_CODECS = {
    "appliance.opener.pixels": {
        "appliance.opener.fragments",
        "appliance.opener.rendering",
        "appliance.opener.picture",
        "appliance.opener.rewriting",
        "appliance.opener.child",
    },
    "appliance.opener.fragments": {"appliance.opener.picture", "appliance.opener.rewriting"},
    "appliance.opener.rendering": {"appliance.opener.picture", "appliance.opener.child"},
    "appliance.opener.picture": {"appliance.opener.child"},
    "appliance.opener.rewriting": {"appliance.opener.child"},
    "appliance.opener.child": set(),
}


def test_only_the_child_of_opener_reaches_the_codecs() -> None:
    """No module but the child's own imports what decodes pixels: not the sender, not opener, which have keys."""
    wrong = [
        f"{module.where}:{line} {name}"
        for module in source.product()
        for name, line in module.imports()
        for codec, allowed in _CODECS.items()
        if _is_within(name, codec) and module.name not in allowed
    ]
    assert wrong == []


def _asks_the_system(node: ast.AST) -> TypeGuard[ast.Attribute]:
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return False
    return node.value.id == "os" and node.attr not in _PURE_ENOUGH


def _modules(names: tuple[str, ...]) -> list[Module]:
    return [module for module in source.product() if module.name in names]


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _package(name: str) -> str | None:
    """Return the package of the table that a dotted name belongs to, or None."""
    return next((package for layer in _LAYERS for package in layer if _is_within(name, package)), None)


def _without_layer() -> list[str]:
    inside = (module for module in source.product() if _is_within(module.name, "appliance"))
    return [module.where for module in inside if module.name != "appliance" and _package(module.name) is None]


def _layer(package: str | None) -> int:
    """Return how far down a package is; a sibling's number is the same as one's own."""
    return next(number for number, layer in enumerate(_LAYERS) if package in layer)
