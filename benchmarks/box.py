"""This box, started by its own command and configured for what a row measures.

Promises: like every program of the comparison it starts with an empty directory, or with the data directory that was put there before.
Failures: `RunInvalidError` when it cannot say what it holds.
Limits: one receiver worker a core and every default, as an operator would leave it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import sender
from benchmarks.failures import RunInvalidError
from benchmarks.figures import OURS
from benchmarks.receivers import Place, Receiver
from benchmarks.running import Start

_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """A scanner that the box knows: its title and the address it calls from."""

    ae_title: str
    address: str


SENDER = Source(sender.CALLING, "127.0.0.1")
"""The sender of every row."""


class Box(Receiver):
    """This box: its sources, and no route unless it is told of a destination."""

    name = OURS
    called = "EDGE"

    def __init__(
        self,
        destination: int | None = None,
        sources: Sequence[Source] = (SENDER,),
        *,
        beside: int | None = None,
        transcode: str | None = None,
    ) -> None:
        """Take from these sources; send everything on to this port, if there is one, in this form, and to the port `beside` too."""
        self._site = functools.partial(site, sources=sources, destination=destination, beside=beside, transcode=transcode)

    def version(self) -> str:
        """Return the version of this checkout."""
        return importlib.metadata.version("dicom-edge")

    def prepare(self, place: Place) -> Start:
        """Write its site.toml."""
        (place.data / "site.toml").write_text(self._site(place.port), encoding="utf-8")
        return Start([*command(place), "run"], os.environ, place.output)

    def is_ready(self, place: Place) -> bool:
        """Ready when it says so."""
        return any(line.startswith(b"READY") for line in place.output.read_bytes().splitlines())

    def received(self, place: Place) -> int:
        """Ask its own status: everything is recorded, and nothing was set aside."""
        answer = subprocess.run(
            [*command(place), "--json", "status"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False
        )
        try:
            instances = json.loads(answer.stdout)["instances"]
            return int(instances["stored"]) + int(instances["unrouted"])
        except (ValueError, KeyError) as error:
            raise RunInvalidError(f"the box does not say what it holds, and ended with {answer.returncode}") from error


def site(
    port: int,
    sources: Sequence[Source] = (SENDER,),
    destination: int | None = None,
    *,
    beside: int | None = None,
    transcode: str | None = None,
) -> str:
    """Return the configuration of the box."""
    sections = [_section("box", name="benchmark", ae_title=Box.called), _section("listen", dicom=[f"127.0.0.1:{port}"], web="127.0.0.1:0")]
    sections += [
        _section("[source]", name=f"sender {number}", ae_title=source.ae_title, address=source.address)
        for number, source in enumerate(sources)
    ]
    if destination is not None:
        form = {} if transcode is None else {"transcode": transcode}
        sections.append(_section("[destination]", name="sink", ae_title="SINK", host="127.0.0.1", port=destination, **form))
        if beside is not None:
            sections.append(_section("[destination]", name="beside", ae_title="BESIDE", host="127.0.0.1", port=beside))
        to = ["sink"] if beside is None else ["sink", "beside"]
        sections.append(_section("[route]", name="everything", to=to))
    return "\n".join(sections)


def command(place: Place) -> list[str]:
    """Return the words of the command line with which a box in this place is started and asked."""
    return [str(Path(sys.executable).parent / "dicom-edge"), "--data", str(place.data)]


def _section(header: str, /, **values: Any) -> str:
    # What JSON writes for these texts, numbers and lists is TOML too.
    return f"[{header}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
