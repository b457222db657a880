"""The forms of the first start."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import Field, HiddenField, IntegerField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length, NumberRange, ValidationError

from webui.naming import box_name
from webui.vocabulary import MODALITIES

_HIGHEST_PORT = 65535
# Where DICOM is heard by right (PS3.8 9.1.1).
_DICOM_PORT = 104
_NAME_CHARACTERS = 64
_TITLE_CHARACTERS = 16
_PASSWORD_CHARACTERS = 256
_NEEDED = _("Fill this in.")


class CodeForm(FlaskForm):
    """The code that the console shows."""

    code = StringField(_("Set-up code"), [DataRequired(_NEEDED), Length(max=32)])


class AdministratorForm(FlaskForm):
    """The first person."""

    name = StringField(
        _("Name to log in with"),
        [DataRequired(_NEEDED), Length(max=_NAME_CHARACTERS)],
        description=_("Short, without spaces, for example kim."),
    )
    full_name = StringField(_("Full name"), [DataRequired(_NEEDED), Length(max=_NAME_CHARACTERS)])
    password = PasswordField(
        _("Password"),
        [DataRequired(_NEEDED), Length(max=_PASSWORD_CHARACTERS)],
        description=_("Several words are easier to remember than one with signs in it."),
    )
    again = PasswordField(
        _("The password once more"), [DataRequired(_NEEDED), EqualTo("password", _("This is not the same as the password above."))]
    )


class BoxForm(FlaskForm):
    """Who the box is."""

    hospital = StringField(_("Hospital"), [Length(max=_NAME_CHARACTERS)])
    department = StringField(_("Department"), [Length(max=_NAME_CHARACTERS)])
    modality = StringField(_("What it serves"), [Length(max=_NAME_CHARACTERS)], description=_("For example CT."))
    name = StringField(
        _("Name of the box"),
        [Length(max=_NAME_CHARACTERS)],
        description=_("Left empty, it is put together from the three above."),
    )
    titles = RadioField(
        _("How scanners call the box"),
        choices=[SelectChoice("own", _("By a title of its own")), SelectChoice("drop-in", _("As the archive"))],
    )
    ae_title = StringField(_("AE title of the box"), [DataRequired(_NEEDED), Length(max=_TITLE_CHARACTERS)])
    archive_title = StringField(_("AE title of the archive"), [Length(max=_TITLE_CHARACTERS)])
    timezone = SelectField(_("Time zone"))

    def __init__(self, *arguments: object, **named: object) -> None:
        """Offer every time zone that this machine knows."""
        super().__init__(*arguments, **named)
        known = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
        self.timezone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in ("UTC", *known)]

    def validate_name(self, field: Field) -> None:
        """Put the name together where there is none."""
        field.data = (field.data or "").strip() or box_name(*(part.data or "" for part in (self.hospital, self.department, self.modality)))
        if not field.data:
            raise ValidationError(_("Give the box a name, or say where it stands."))

    def validate_archive_title(self, field: Field) -> None:
        """Ask for the archive's title where it is the one to answer to."""
        if self.titles.data == "drop-in" and not (field.data or "").strip():
            raise ValidationError(_("Under which title do the scanners call the archive now?"))

    @property
    def drop_in(self) -> str:
        """The archive's title, where the box answers to it; else empty."""
        return (self.archive_title.data or "").strip() if self.titles.data == "drop-in" else ""


class TimeForm(FlaskForm):
    """The browser's time, filled in when it is sent."""

    browser = HiddenField()


class ArchiveForm(FlaskForm):
    """Where the archive is."""

    ae_title = StringField(_("AE title of the archive"), [DataRequired(_NEEDED), Length(max=_TITLE_CHARACTERS)])
    host = StringField(_("Address or name"), [DataRequired(_NEEDED), Length(max=253)], description=_("For example 10.1.0.5."))
    port = IntegerField(
        _("Port"),
        [InputRequired(_NEEDED), NumberRange(1, _HIGHEST_PORT, _("A port is a number from 1 to 65535."))],
        default=_DICOM_PORT,
    )
    calling_ae = SelectField(
        _("Images arrive there under the title of"),
        choices=[SelectChoice("source", _("the scanner that made them")), SelectChoice("box", _("this box"))],
        description=_("An archive that knows its scanners by their titles wants the first."),
    )
    proof = SelectField(
        _("An image counts as safe there when"),
        choices=[
            SelectChoice("commitment", _("the archive commits itself to it (storage commitment)")),
            SelectChoice("query", _("the archive lists it when it is asked")),
            SelectChoice("delivered", _("the archive has answered that it took it")),
        ],
    )


class ScannerForm(FlaskForm):
    """Three questions about a scanner, and its name."""

    ae_title = StringField(_("What is its AE title?"), [DataRequired(_NEEDED), Length(max=_TITLE_CHARACTERS)])
    address = StringField(
        _("From which address does it call?"),
        [Length(max=64)],
        description=_("Left empty, a call from any address is taken; an address is safer."),
    )
    modality = SelectField(
        _("What is it?"),
        choices=[SelectChoice(code, word) for code, word in MODALITIES.items()],
    )


class SiteFileForm(FlaskForm):
    """A whole configuration."""

    file = FileField(_("Site file (site.toml)"), [FileRequired(_("Choose a file."))])


def place_problems(form: FlaskForm, problems: Mapping[str, list[str]], names: Mapping[str, str] | None = None) -> list[str]:
    """Put each problem (of `edits.field_problems`) at its field, and return those that belong to none.

    `names` says which field of the form a key of the file is, where it is called otherwise.
    """
    elsewhere = []
    for key, said in problems.items():
        name = (names or {}).get(key, key)
        if name in form:
            form[name].errors = [*form[name].errors, *said]
        else:
            elsewhere += said
    return elsewhere
