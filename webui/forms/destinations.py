"""The forms of destinations, one a kind: the few questions that matter first, everything else folded away.

Promises: a form says exactly what the configuration says, and `values` gives it back under the keys of the file; a secret that is typed is
never shown again. What is right is for `config check` alone.
Failures: none.
Limits: keys of which a form has no field stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from webui.forms.lists import COMMON_CLASSES, Ticks, class_choices, lines_of, together

_OTHER = "other"
# What divides the parts of a line: no operation, title or address holds it.
_BAR = "|"


class DestinationForm(FlaskForm):
    """What all kinds have. `FIRST` and `FOLDED` name the fields in the order in which they are shown."""

    KIND: ClassVar[str] = ""
    FIRST: ClassVar[tuple[str, ...]] = ()
    FOLDED: ClassVar[tuple[str, ...]] = ()
    SECRETS: ClassVar[Mapping[str, str]] = {}
    """Which field is typed into the file of which key."""

    generation = HiddenField()
    ticket = HiddenField()
    name = StringField(_("Name"), description=_("What people call it here, for example archive."))
    lanes = StringField(_("Associations at one time"), description=_("At most, 1 to 16. There are as many as help."))
    bandwidth = StringField(_("At most this much a second"), description=_("For example 20 Mbit/s. Empty: as fast as it goes."))
    window = StringField(
        _("Hours in which to send"), description=_("For example 22:00-06:00. Empty: at any hour. What is urgent goes always.")
    )
    transcode = SelectField(
        _("Form of the pixels there"),
        choices=[
            SelectChoice("", _("as they came")),
            SelectChoice("jpeg-ls", _("JPEG-LS, without loss (smaller)")),
            SelectChoice("uncompressed", _("uncompressed")),
        ],
    )
    headers = TextAreaField(
        _("Changes in the headers"),
        description=_("One a line: operation | value | issuer, for example prefix-patient-id | KH- | KHANH HOA."),
    )
    never = Ticks(_("Never send there"))
    never_other = TextAreaField(_("Other classes never to send there"), description=_("A UID a line."))

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Offer the common classes by name."""
        super().__init__(*arguments, **named)
        self.never.choices = class_choices()

    @classmethod
    def filled(cls, values: Mapping[str, Any], *, generation: int, ticket: str = "") -> DestinationForm:
        """Return the form that says what the keys of a destination say; what was sent with the request counts before them."""
        data: dict[str, Any] = {key: _shown(key, value) for key, value in values.items() if key in cls._keys()}
        never = list(values.get("never", ()))
        data["never"] = [uid for uid in never if uid in COMMON_CLASSES]
        data["never_other"] = "\n".join(uid for uid in never if uid not in COMMON_CLASSES)
        calling = values.get("calling_ae", "source")
        data["calling_ae"] = calling if calling in {"source", "box"} else _OTHER
        data["calling_title"] = "" if data["calling_ae"] != _OTHER else calling
        kept = {key: str(values.get(key) or "") for key in cls.SECRETS.values()}
        return cls(data={**data, **kept, "generation": str(generation), "ticket": ticket})

    @classmethod
    def _keys(cls) -> Sequence[str]:
        return (*cls.FIRST, *cls.FOLDED)

    def values(self) -> dict[str, Any]:
        """Return what the form says under the keys of the file; None for what is left empty. Secrets are not in it."""
        found = {key: _read(key, self[key].data) for key in self._keys() if key not in self.SECRETS and key not in _PARTS}
        found["never"] = together(self.never.data, lines_of(self.never_other.data))
        if "calling_ae" in found and found["calling_ae"] == _OTHER:
            found["calling_ae"] = _read("calling_title", self["calling_title"].data)
        return {"kind": self.KIND, **found}

    def typed_secrets(self) -> dict[str, str]:
        """Return what was typed as a secret, by the key of the file that will name its file."""
        return {key: self[field].data for field, key in self.SECRETS.items() if (self[field].data or "").strip()}

    def kept_secrets(self) -> dict[str, str]:
        """Return which files the form says are in use already, by key."""
        return {key: self[key].data for key in self.SECRETS.values() if self[key].data}

    def fields(self, names: Sequence[str]) -> list[Field]:
        """Return fields by name, for the page to show."""
        return [self[name] for name in names]


class DicomForm(DestinationForm):
    """A peer that takes C-STORE."""

    KIND = "dicom"
    FIRST = ("name", "ae_title", "host", "port")
    FOLDED = (
        *("calling_ae", "calling_title", "proof", "tls", "certificate", "also_calls_from"),
        *("lanes", "bandwidth", "window", "transcode", "headers", "never", "never_other"),
    )

    ae_title = StringField(_("AE title"), description=_("Its title, as its own settings spell it."))
    host = StringField(_("Address or name"), description=_("For example 10.1.0.5."))
    port = StringField(_("Port"), description=_("Most often 104 or 11112."))
    calling_ae = SelectField(
        _("Images arrive there under the title of"),
        choices=[
            SelectChoice("source", _("the scanner that made them")),
            SelectChoice("box", _("this box")),
            SelectChoice(_OTHER, _("another title")),
        ],
    )
    calling_title = StringField(_("That other title"))
    proof = SelectField(
        _("An image counts as safe there when"),
        choices=[
            SelectChoice("commitment", _("it commits itself to it (storage commitment)")),
            SelectChoice("query", _("it lists it when it is asked")),
            SelectChoice("delivered", _("it has answered that it took it")),
        ],
    )
    tls = SelectField(
        _("Encryption (TLS)"),
        choices=[
            SelectChoice("off", _("off")),
            SelectChoice("on", _("on: its certificate is checked")),
            SelectChoice("mutual", _("on, and this box shows its own certificate")),
        ],
    )
    certificate = StringField(
        _("Its certificate"), description=_("A fingerprint (sha256:…) or the name in it. Empty: it must be for the address above.")
    )
    also_calls_from = TextAreaField(
        _("Other titles it calls this box from"),
        description=_("One a line: title | network, for example PACS1SC | 10.1.0.0/24. Its reports are taken from them too."),
    )


class StowForm(DestinationForm):
    """A web service that takes STOW-RS."""

    KIND = "stow"
    FIRST = ("name", "url", "authorities", "user", "password", "token")
    FOLDED = (
        *("proof", "proxy", "instances_per_request", "certificate", "key"),
        *("lanes", "bandwidth", "window", "transcode", "headers", "never", "never_other"),
    )
    SECRETS: ClassVar[Mapping[str, str]] = {"password": "password_file", "token": "token_file"}

    url = StringField(_("Web address"), description=_("Up to where /studies begins, for example https://pacs.example.org/dicom-web."))
    user = StringField(_("Account"), description=_("Empty where it asks for none, or for a token."))
    password = PasswordField(_("Password"), description=_("Empty: as it is now."))
    password_file = HiddenField()
    token_file = HiddenField()
    token = PasswordField(_("Token"), description=_("A bearer token, instead of account and password. Empty: as it is now."))
    proof = SelectField(
        _("An image counts as safe there when"),
        choices=[
            SelectChoice("delivered", _("it has answered that it took it")),
            SelectChoice("query", _("it lists it when it is asked (QIDO-RS)")),
        ],
    )
    proxy = StringField(_("HTTP proxy"), description=_("For example http://proxy.example.org:3128. Empty: none."))
    instances_per_request = StringField(_("Images in one request"), description=_("At most, 1 to 25."))
    authorities = TextAreaField(
        _("Authorities that may vouch for it"),
        description=_("Paths of PEM files on this box, one a line. Empty: those that the box trusts anyway."),
    )
    certificate = StringField(_("Certificate this box shows"), description=_("Path of a PEM file on this box."))
    key = StringField(_("Its private key"), description=_("Path of a PEM file on this box."))


class SftpForm(DestinationForm):
    """An account on an SSH server."""

    KIND = "sftp"
    FIRST = ("name", "host", "port", "user", "password", "private_key", "host_key", "path")
    FOLDED = ("layout", "lanes", "bandwidth", "window", "transcode", "headers", "never", "never_other")
    SECRETS: ClassVar[Mapping[str, str]] = {"password": "password_file", "private_key": "key_file"}

    host = StringField(_("Address or name"))
    port = StringField(_("Port"), description=_("Most often 22."))
    user = StringField(_("Account"))
    password = PasswordField(_("Password"), description=_("Or a private key below. Empty: as it is now."))
    password_file = HiddenField()
    key_file = HiddenField()
    private_key = TextAreaField(_("Private key"), description=_("As OpenSSH writes it, without passphrase. Empty: as it is now."))
    host_key = StringField(_("Fingerprint of the server's key"), description=_("SHA256:…, as ssh-keygen -lf prints it on the server."))
    path = StringField(_("Folder there"), description=_("Empty: where the account begins."))
    layout = StringField(_("Folders and names of files"), description=_("For example {study}/{series}/{instance}.dcm."))


class FolderForm(DestinationForm):
    """A folder of this machine."""

    KIND = "folder"
    FIRST = ("name", "path")
    FOLDED = ("layout", "lanes", "bandwidth", "window", "transcode", "headers", "never", "never_other")

    path = StringField(_("Folder on this box"), description=_("Most often a mounted share. It must hold a file named dicom-edge.here."))
    layout = StringField(_("Folders and names of files"), description=_("For example {study}/{series}/{instance}.dcm."))


FORMS: Mapping[str, type[DestinationForm]] = {form.KIND: form for form in (DicomForm, StowForm, SftpForm, FolderForm)}
"""The form of each kind."""

# Fields that are parts of another key.
_PARTS = frozenset({"never", "never_other", "calling_title"})
_NUMBERS = frozenset({"port", "lanes", "instances_per_request"})
_HEADER_KEYS = ("do", "value", "issuer")
_REPORTER_KEYS = ("ae_title", "address")


def _read(key: str, text: str | None) -> Any:
    """Return what a field says as the file has it: a number that is none stays a text, which `config check` refuses in words."""
    text = (text or "").strip()
    if key == "headers":
        return _rows(text, _HEADER_KEYS)
    if key == "also_calls_from":
        return _rows(text, _REPORTER_KEYS)
    if key == "authorities":
        return lines_of(text) or None
    if key in _NUMBERS and text.isascii() and text.isdigit():
        return int(text)
    return text or None


def _shown(key: str, value: Any) -> str:
    """Return what the file says as a field shows it."""
    if key == "headers":
        return _lines(value, _HEADER_KEYS)
    if key == "also_calls_from":
        return _lines(value, _REPORTER_KEYS)
    if isinstance(value, (list, tuple)):
        return "\n".join(map(str, value))
    return str(value)


def _rows(text: str, keys: Sequence[str]) -> list[dict[str, str]] | None:
    parted = [[part.strip() for part in line.split(_BAR, len(keys) - 1)] for line in lines_of(text)]
    # A line may leave the last parts away.
    return [{key: part for key, part in zip(keys, parts, strict=False) if part} for parts in parted] or None


def _lines(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    return "\n".join(f" {_BAR} ".join(str(row[key]) for key in keys if row.get(key) is not None) for row in rows)
