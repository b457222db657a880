"""The forms of the system pages: going back, loading a file, certificates and keys."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, Field, HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

_NEEDED = _("Fill this in.")
_REASON_CHARACTERS = 300
# As large as `config check` takes one.
_FILE_BYTES = 1 << 20
# A chain of certificates has a few KiB.
_PEM_CHARACTERS = 65536
# An age recipient has 62.
_RECIPIENT_CHARACTERS = 100


def expected_in(form: Mapping[str, str], otherwise: int) -> int:
    """Return the generation that a page was about, as its form says; `otherwise` where it does not."""
    text = form.get("generation") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise  # noqa: PLR2004 (nine digits at most)


class Expecting(FlaskForm):
    """A form about the configuration that was shown: it says which generation that was."""

    generation = HiddenField()

    @property
    def expected(self) -> int:
        """The generation that was shown; -1, which never is in force, where the form does not say."""
        return expected_in({"generation": str(self.generation.data or "")}, -1)


class ReasonForm(Expecting):
    """Why something is changed."""

    reason = StringField(
        _("Why"), [DataRequired(_NEEDED), Length(max=_REASON_CHARACTERS)], description=_("For the history, for example a ticket number.")
    )


class LoadForm(Expecting):
    """A site file: chosen, or the text of one that was shown."""

    file = FileField(_("Site file"), description=_("A site.toml, of this box or of another."))
    text = TextAreaField(_("Its text"))
    reason = StringField(_("Why"), [Length(max=_REASON_CHARACTERS)], description=_("For the history, for example a ticket number."))

    content: str = ""

    def validate_file(self, field: Field) -> None:
        """Take the text of the file, or the one in the form."""
        if field.data:
            raw = field.data.read(_FILE_BYTES + 1)
            if len(raw) > _FILE_BYTES:
                raise ValidationError(_("This file is too large for a site file: choose another."))
            try:
                self.content = raw.decode("utf-8")
            except UnicodeDecodeError:
                raise ValidationError(_("This file is no text in UTF-8: choose another, or save it again as UTF-8.")) from None
        else:
            # Browsers send line ends of their own.
            self.content = (self.text.data or "").replace("\r\n", "\n")
        if not self.content.strip():
            raise ValidationError(_("Choose a file."))


class NamesForm(FlaskForm):
    """Names for a certificate."""

    names = StringField(
        _("Names and addresses"),
        [Length(max=_PEM_CHARACTERS)],
        description=_("By which scanners and browsers call the box, with spaces between them. Empty: those it knows."),
    )
    replace = BooleanField(_("Yes: whoever was given the old certificate must be given the new one."))

    @property
    def listed(self) -> tuple[str, ...]:
        """The names, one by one."""
        return tuple((self.names.data or "").replace(",", " ").split())


class InstallForm(FlaskForm):
    """A signed certificate."""

    pem = TextAreaField(_("Signed certificate"), [Length(max=_PEM_CHARACTERS)], description=_("PEM text, with the chain above it."))
    file = FileField(_("or its file"))

    content: str = ""

    def validate_file(self, field: Field) -> None:
        """Take the text of the file, or what was pasted."""
        if field.data:
            raw = field.data.read(_PEM_CHARACTERS + 1)
            # What is not PEM is refused by whoever reads it: nothing is guessed here.
            self.content = raw[:_PEM_CHARACTERS].decode("utf-8", "replace")
        else:
            self.content = self.pem.data or ""
        if "BEGIN CERTIFICATE" not in self.content:
            raise ValidationError(_("This is no certificate in PEM: it begins with BEGIN CERTIFICATE."))


class RecoveryForm(FlaskForm):
    """The hospital's recovery key."""

    recipient = StringField(
        _("Public recovery key"),
        [DataRequired(_NEEDED), Length(max=_RECIPIENT_CHARACTERS)],
        description=_("Begins with age1. age-keygen makes the pair; its private half stays with central IT, away from this box."),
    )
