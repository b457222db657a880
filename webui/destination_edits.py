"""What the forms of destinations make of the configuration: proposals to test, and edits to save.

Promises: a destination keeps its id, and with it its queue, whatever is changed; routes follow a new name. Only what differs from what is
in force is written. A secret that is typed goes into a file of its own, and one that is kept stays with the place it was typed for.
Failures: what `typed_secrets` raises.
Limits: without I/O but for the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.config.document import read_document
from appliance.config.edits import Edit, add_table, change_table, remove_table, together
from appliance.config.model import AnyDestination, Site
from appliance.config.problem import Problem
from appliance.manage.typed_secrets import keep_secret, secrets_folder
from webui.forms.destinations import DestinationForm
from webui.services import services

# What says where a destination is: a secret is for there and for nowhere else.
_PLACE = ("url", "host", "port", "user", "proxy")
# Where Debian keeps the authorities that browsers trust.
PUBLIC_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_DEFAULT_PORTS = {"dicom": 104, "sftp": 22}


class SecretMovedError(Exception):
    """A secret would go to another place than the one for which it was typed."""


def find(site: Site, name: str) -> AnyDestination | None:
    """Return the destination of a name, None where there is none."""
    return next((destination for destination in site.destinations if destination.name == name), None)


def plain(destination: AnyDestination) -> dict[str, Any]:
    """Return everything that is configured of a destination under the keys of the file."""
    return {key: value for key, value in destination.model_dump(mode="json").items() if value not in (None, [])}


def blank(kind: str) -> dict[str, Any]:
    """Return what a new destination of a kind is unless somebody says otherwise."""
    kept: dict[str, dict[str, Any]] = {
        "dicom": {"calling_ae": "source", "tls": "off", "proof": "commitment"},
        "stow": {"proof": "delivered", "instances_per_request": 10},
        "sftp": {"path": ".", "layout": "{study}/{series}/{instance}.dcm"},
        "folder": {"layout": "{study}/{series}/{instance}.dcm"},
    }
    port = {"port": _DEFAULT_PORTS[kind]} if kind in _DEFAULT_PORTS else {}
    return {"kind": kind, "lanes": 4, **port, **kept[kind]}


def suggested(kind: str, site: Site) -> dict[str, Any]:
    """Return what the form of a new destination begins with: a web service needs somebody who vouches for it."""
    public = [str(PUBLIC_AUTHORITIES)] if kind == "stow" and not site.tls.authorities and PUBLIC_AUTHORITIES.exists() else []
    return {**blank(kind), **({"authorities": public} if public else {})}


def wanted(form: DestinationForm, known: AnyDestination | None) -> dict[str, Any]:
    """Return every key of the destination that the form describes, typed secrets in files of their own.

    Raises `SecretMovedError`, and what keeping a secret raises.
    """
    before = plain(known) if known is not None else {}
    values = {**form.values(), **_secrets(form, before)}
    kept = {key: value for key, value in before.items() if key not in values}
    return {key: value for key, value in {**kept, **values}.items() if value is not None}


def _secrets(form: DestinationForm, before: Mapping[str, Any]) -> dict[str, str | None]:
    """Return which files hold the secrets. A new secret takes the place of all there were."""
    keys = dict.fromkeys(form.SECRETS.values())
    typed = form.typed_secrets()
    if typed:
        return {**keys, **{key: keep_secret(services().data, secret) for key, secret in typed.items()}}
    values = form.values()
    if "user" in values and values["user"] is None:
        # The password was this account's.
        form_keeps = {key: path for key, path in form.kept_secrets().items() if key != "password_file"}
    else:
        form_keeps = form.kept_secrets()
    folder = f"{secrets_folder(services().data)}/"
    of_others = {
        getattr(other, key, None) for other in services().site().destinations for key in ("password_file", "token_file", "key_file")
    }
    for key, path in form_keeps.items():
        if path == before.get(key):
            if any(_said(before, part) != _said(values, part) for part in _PLACE):
                raise SecretMovedError
        elif not path.startswith(folder) or path in of_others:
            # Not what this form was filled with.
            raise SecretMovedError
    return {**keys, **form_keeps}


def _said(values: Mapping[str, Any], key: str) -> Any:
    value = values.get(key)
    return _DEFAULT_PORTS.get(str(values.get("kind"))) if key == "port" and value is None else value


def proposal_of(values: Mapping[str, Any]) -> str:
    """Return the destination as the text of one section, for the doctor to read."""
    return add_table("destination", values)("")


def values_in(proposal: str) -> dict[str, Any]:
    """Return the keys of the one section in a text; nothing where it holds none."""
    document = read_document(proposal, where="proposal")
    rows = None if isinstance(document, Problem) else document.get("destination")
    return dict(rows[0]) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}


def adding(values: Mapping[str, Any]) -> Edit:
    """Return the edit that adds a destination; what goes without saying is not written."""
    usual = blank(str(values["kind"]))
    said = {key: value for key, value in values.items() if key in {"name", "kind", "host", "port"} or value != usual.get(key)}
    return add_table("destination", said)


def changing(site: Site, known: AnyDestination, values: Mapping[str, Any]) -> Edit:
    """Return the edit that changes a destination in force, and the routes that name it where it gets another name."""
    before = plain(known)
    changed = {key: values.get(key) for key in {**before, **values} if values.get(key) != before.get(key)}
    name = str(values.get("name", known.name))
    if name != known.name:
        # The queue is kept under the id, which is the first name unless it says so.
        changed["id"] = known.id
    edits = [change_table("destination", known.name, changed)] if changed else []
    if name != known.name:
        edits += [
            change_table("route", route.name, {"to": [name if to == known.name else to for to in route.to]})
            for route in site.routes
            if known.name in route.to
        ]
    return together(*edits)


def removing(site: Site, known: AnyDestination) -> Edit:
    """Return the edit that takes a destination away, from routes too; a route that then leads nowhere goes with it."""
    edits = []
    for route in site.routes:
        left = [to for to in route.to if to != known.name]
        if known.name in route.to:
            edits.append(change_table("route", route.name, {"to": left}) if left else remove_table("route", route.name))
    return together(*edits, remove_table("destination", known.name))


def described(values: Mapping[str, Any]) -> str:
    """Return a destination in one line for the journal: its keys, secrets by the name of their file alone."""
    return ", ".join(f"{key}={value}" for key, value in values.items() if value not in (None, [], ""))
