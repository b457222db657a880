"""Help: first aid by symptom, what to type into a scanner, and what the codes mean; without Internet."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, render_template, request

from appliance import __version__
from appliance.accounts.roles import Permission
from appliance.config.model import Site
from webui.access import requires
from webui.held_words import MEANINGS
from webui.services import services

blueprint = Blueprint("guide", __name__, url_prefix="/help")


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show the help."""
    site = services().site()
    address = own_address(request.environ, request.host)
    return render_template(
        "guide/index.html",
        titles=[title.text for title in site.local_titles],
        address=address,
        ports=ports(services().data / "run", site),
        meanings=_by_meaning(),
        version=__version__,
        generation=site.generation,
    )


def own_address(environment: Mapping[str, object], host: str) -> str:
    """Return the address at which a scanner would reach this box as this browser did, "" where it is for this machine alone.

    The server knows at which of its addresses the browser arrived; without it, what the browser typed has to do.
    """
    connection = environment.get("gunicorn.socket")
    try:
        said = str(connection.getsockname()[0]) if connection is not None else host  # type: ignore[attr-defined]
    except (OSError, LookupError, AttributeError, TypeError):
        said = host
    name = said.rpartition("]")[0].lstrip("[") or (said if said.count(":") > 1 else said.partition(":")[0])
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "" if name.lower() == "localhost" else name
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return "" if address.is_loopback or address.is_unspecified else str(address)


def ports(run_dir: Path, site: Site) -> dict[str, list[int]]:
    """Return the ports that scanners call, plain and with TLS: those that were bound, else those of the settings."""
    try:
        bound = json.loads((run_dir / "listening.json").read_text(encoding="utf-8"))
        return {kind: sorted({int(port) for _, port in bound[kind]}) for kind in ("dicom", "dicom_tls")}
    except (OSError, ValueError, LookupError, TypeError):
        listen = site.listen
        found = {"dicom": listen.dicom, "dicom_tls": listen.dicom_tls}
        return {kind: sorted({one.port for one in addresses if one.port}) for kind, addresses in found.items()}


def _by_meaning() -> list[tuple[list[str], object]]:
    """Return each meaning once, with its codes."""
    found: dict[int, tuple[list[str], object]] = {}
    for code, meaning in MEANINGS.items():
        found.setdefault(id(meaning), ([], meaning))[0].append(code)
    return list(found.values())
