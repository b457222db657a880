"""Loading: from the operator's file, from the copy in force, and the two sites that need no file.

Promises: `load_file` reads regular files of at most 1 MiB and nothing else; after `activate` returns, `load_active` gives an equal site
with the same number, and a power cut leaves either the old copy or the new one; where the copy in force is damaged or gone, `load_active`
gives the newest whole generation and says so in the log.
Failures: `ConfigInvalidError` (operator), `ActiveConfigMissingError` and `ActiveConfigDamagedError` (ours), `ActiveConfigUnwritableError`
(operator: disk or permissions).
Limits: `activate` numbers nothing and takes no lock: it is for the supervisor, at its start, and for what is no generation (a demo).
"""

from __future__ import annotations

import ipaddress
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from appliance.config.addresses import ListenAddress
from appliance.config.check import check
from appliance.config.generation_files import GenerationFiles
from appliance.config.model import Admission, AnyDestination, Box, DicomDestination, Listeners, Route, Site, Source
from appliance.config.problem import Problem, printable
from appliance.config.record import GenerationRecord, RecordDamagedError
from appliance.config.rendering import plain_values
from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import AETitle
from appliance.runtime.clock import SystemClock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A file with a thousand sources and a thousand routes has about 150 KiB.
LARGEST_FILE_BYTES = 1 << 20

_DEMO_RESERVE_BYTES = 64 << 20
_DEMO_LISTEN = ListenAddress("127.0.0.1", 11112)
_DEMO_WEB = ListenAddress("127.0.0.1", 8443)
_DEMO_ARCHIVE_TITLE = AETitle("ARCHIVE")
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


class ConfigInvalidError(ApplianceError):
    """The configuration cannot be used. `problems` holds everything that was found; the message is the first error.

    `text` is what was refused, where there was one: whoever asked may need to know what stood where.
    """

    fault = Fault.OPERATOR

    def __init__(self, problems: tuple[Problem, ...], *, text: str = "") -> None:
        """Say the first error, and how many more there are only through `problems`."""
        first = next(problem for problem in problems if problem.severity == "error")
        super().__init__(str(first), advice=first.advice)
        self.problems = problems
        self.text = text


class ActiveConfigMissingError(ApplianceError):
    """No configuration is in force in this data directory."""

    advice = "Start the box with `dicom-edge run`, which puts a configuration in force."


class ActiveConfigDamagedError(ApplianceError):
    """The configuration in force cannot be read."""

    advice = "Start the box again with `dicom-edge run`, which writes it anew from site.toml."


class ActiveConfigUnwritableError(ApplianceError):
    """The configuration could not be put in force."""

    fault = Fault.OPERATOR
    advice = "Check that the disk has room and that the data directory belongs to this user."


def site_path(data: Path) -> Path:
    """Return where the operator's own configuration is in a data directory."""
    return data / "site.toml"


def load_file(path: Path) -> Site:
    """Return the site that the file describes. Raises `ConfigInvalidError`, also for a file that is missing or cannot be read."""
    checked = check(read_text(path), where=printable(path.name))
    if checked.site is None:
        raise ConfigInvalidError(checked.problems)
    return checked.site


def read_text(path: Path) -> str:
    """Return the text of a configuration file. Raises `ConfigInvalidError` for one that is missing, too large, or not UTF-8 text."""
    content = _read_small_file(path)
    if isinstance(content, Problem):
        raise ConfigInvalidError((content,))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"{printable(path.name)} line {line}"
        advice = "Save the file again with the encoding UTF-8, or type this line anew."
        raise ConfigInvalidError((Problem(where, "is not UTF-8 text", advice),)) from None


def _read_small_file(path: Path) -> bytes | Problem:
    """Return the content of a regular file, or why there is none."""
    where = "".join(character if character.isprintable() else "?" for character in str(path))
    try:
        # O_NONBLOCK: a named pipe must not hold the box up; it is refused below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Problem(where, "there is no such file", "Check the name, or leave --config away to use site.toml of the data directory.")
    except PermissionError:
        return Problem(where, "this user may not read the file", "Give read permission to the user that runs the box.")
    except OSError as error:
        return Problem(where, f"cannot be opened ({error.strerror})", "Check the path and the disk.")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return Problem(where, "is not a file", "Name the configuration file itself, not a directory or a device.")
    with os.fdopen(descriptor, "rb") as file:
        try:
            content = file.read(LARGEST_FILE_BYTES + 1)
        except OSError as error:
            return Problem(where, f"cannot be read ({error.strerror})", "Check the disk, and restore the file from a copy.")
    if len(content) > LARGEST_FILE_BYTES:
        return Problem(where, "is larger than 1 MiB", "This cannot be a configuration file: check the name.")
    return content


def unusable(text: str, where: str) -> Problem | None:
    """Return why a text is none that could stand in a file, or None."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return Problem(where, "is not UTF-8 text", "Save the file again with the encoding UTF-8.")
    if size > LARGEST_FILE_BYTES:
        return Problem(where, "is larger than 1 MiB", "This cannot be a configuration file: check the name.")
    return None


def to_json(site: Site) -> str:
    """Return the whole site, defaults included, as JSON with the keys and units of the file."""
    return json.dumps(plain_values(site), indent=2, ensure_ascii=False) + "\n"


def to_toml(site: Site) -> str:
    """Return the whole site, defaults included, as a file that `check` takes."""
    # Only the command line writes TOML: the daemons need not hold the library.
    import tomlkit

    return tomlkit.dumps({key: section for key, section in plain_values(site).items() if section != []})


def activate(data: Path, site: Site) -> None:
    """Put `site` in force under the number it has: durable and whole when this returns, readable by the owner alone.

    Raises `ActiveConfigUnwritableError`.
    """
    record = GenerationRecord.of(site, number=site.generation, activated_at=SystemClock().now().wall)
    try:
        GenerationFiles(data).write_active(record)
    except OSError as error:
        raise ActiveConfigUnwritableError(f"the configuration cannot be written to the data directory ({error.strerror})") from error


def load_active(data: Path) -> Site:
    """Return the configuration in force, or the newest whole generation where it cannot be read.

    Raises `ActiveConfigMissingError`, `ActiveConfigDamagedError` when there is no generation either.
    """
    try:
        return read_active(data)
    except (ActiveConfigMissingError, ActiveConfigDamagedError) as error:
        unusable = error
    whole = GenerationFiles(data).newest_whole()
    if whole is None:
        raise unusable
    log.error("config.fell_back", generation=whole.number, because=str(unusable))
    return whole.site()


def read_active(data: Path) -> Site:
    """Return the configuration in force and no other. Raises `ActiveConfigMissingError`, `ActiveConfigDamagedError`."""
    try:
        return GenerationFiles(data).read_active().site()
    except FileNotFoundError:
        raise ActiveConfigMissingError("no configuration is in force in this data directory") from None
    except OSError as error:
        raise ActiveConfigDamagedError(f"the configuration in force cannot be read ({error.strerror})") from error
    except RecordDamagedError:
        raise ActiveConfigDamagedError("the configuration in force is damaged or of another version") from None


def default_site() -> Site:
    """Return the site of an empty file: the box answers, refuses every source, and delivers nowhere."""
    return Site()


def archive_site() -> Site:
    """Return the site of the demonstration's archive, which takes images from whoever can reach it."""
    return Site(box=Box(name="demo-archive", ae_title=_DEMO_ARCHIVE_TITLE), admission=Admission(unknown_sources="accept"))


def demo_site(base: Site, *, archive_port: int) -> Site:
    """Return `base` with everything that a demonstration on one machine needs.

    Added are a source for any title from this machine, a destination at 127.0.0.1:`archive_port` and a route of everything to it. The
    reserve is small, and reception goes on until the disk is full. The box listens on 127.0.0.1, unless `base` says where, and serves the
    pages there. An archive of an earlier demonstration, which was kept because somebody changed the configuration in it, is this one again.
    """
    kept = tuple(_at_port(destination, archive_port) for destination in base.destinations)
    if any(_is_demo_archive(destination) for destination in kept):
        return _demo_box(base, kept, base.routes)
    archive = DicomDestination(
        name=_free_name("archive", (name for known in base.destinations for name in (known.name, known.id))),
        ae_title=_DEMO_ARCHIVE_TITLE,
        host="127.0.0.1",
        port=archive_port,
        calling_ae="box",
        proof="delivered",
    )
    route = Route(name=_free_name("everything to the archive", (known.name for known in base.routes)), to=(archive.name,))
    return _demo_box(base, (*base.destinations, archive), (*base.routes, route))


def _demo_box(base: Site, destinations: tuple[AnyDestination, ...], routes: tuple[Route, ...]) -> Site:
    """Return `base` with these, and with the doors and the room of a demonstration."""
    listen = base.listen
    if listen.dicom == Listeners().dicom:
        listen = listen.model_copy(update={"dicom": (_DEMO_LISTEN,)})
    if listen.web == Listeners().web:
        listen = listen.model_copy(update={"web": _DEMO_WEB})
    return base.model_copy(
        update={
            "listen": listen,
            "sources": _with_loopback(base.sources),
            "destinations": destinations,
            "routes": routes,
            "retention": base.retention.model_copy(update={"refuse_at": 1.0, "reserve": _DEMO_RESERVE_BYTES}),
        }
    )


def _is_demo_archive(destination: AnyDestination) -> bool:
    return (
        isinstance(destination, DicomDestination)
        and (destination.ae_title, str(destination.host)) == (_DEMO_ARCHIVE_TITLE, "127.0.0.1")
        and destination.calling_ae == "box"
    )


def _at_port(destination: AnyDestination, port: int) -> AnyDestination:
    """Return the demonstration's archive at another port, any other destination as it is."""
    return destination.model_copy(update={"port": port}) if _is_demo_archive(destination) else destination


def _with_loopback(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Return the sources and, unless they hold it, one for any title from this machine."""
    if any(known.ae_title is None and known.address == _LOOPBACK for known in sources):
        return sources
    return (*sources, Source(name=_free_name("loopback", (known.name for known in sources)), ae_title=None, address=_LOOPBACK))


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return `wanted`, or the first variant of it that nobody has."""
    used = {name.casefold() for name in taken}
    number, name = 1, wanted
    while name.casefold() in used:
        number += 1
        name = f"{wanted} {number}"
    return name
