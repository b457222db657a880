"""The forms of the studies' pages: searching, and giving a reason for what is done to a study."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, Field, HiddenField, SelectField, SelectMultipleField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from webui.vocabulary import MODALITIES

_NEEDED = _("Fill this in.")
# As the box keeps it (deliver.orders); a search is never longer than that either.
_TEXT_CHARACTERS = 200


class SearchForm(FlaskForm):
    """Which studies: everything that is filled in must hold. In the address, so that it can be passed on."""

    class Meta:
        """Nothing is changed by looking."""

        csrf = False

    words = StringField(_("Patient, number or description"), [Length(max=_TEXT_CHARACTERS)])
    modality = SelectField(
        _("Modality"), choices=[SelectChoice("", _("any")), *(SelectChoice(code, code) for code in MODALITIES)], default=""
    )
    since = DateField(_("From"), [Optional()])
    until = DateField(_("To"), [Optional()])
    destination = SelectField(_("Destination"), default="")
    undelivered = BooleanField(_("Not yet delivered"))

    def offer(self, destinations: Iterable[str]) -> None:
        """Offer these destinations."""
        self.destination.choices = [SelectChoice("", _("any")), *(SelectChoice(name, name) for name in destinations)]

    def validate_until(self, field: Field) -> None:
        """Refuse days the wrong way round."""
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError(_("This is before the first day."))


def _printable(_form: FlaskForm, field: Field) -> None:
    if not (field.data or "").isprintable():
        raise ValidationError(_("Use letters, digits and signs only."))


class OrderForm(FlaskForm):
    """Something to be done to a study at one destination; a reason is welcome."""

    destination = HiddenField()
    reason = StringField(_("Reason"), [Length(max=_TEXT_CHARACTERS), _printable])


class ReasonedOrderForm(OrderForm):
    """The same, where a reason must be given."""

    reason = StringField(_("Reason"), [DataRequired(_NEEDED), Length(max=_TEXT_CHARACTERS), _printable])


class ResendForm(FlaskForm):
    """Where a study is to be sent again."""

    destinations = SelectMultipleField(
        _("To"), [DataRequired(_("Choose at least one."))], widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )
    reason = StringField(_("Reason"), [DataRequired(_NEEDED), Length(max=_TEXT_CHARACTERS), _printable])

    def offer(self, destinations: Iterable[str]) -> None:
        """Offer these destinations."""
        self.destinations.choices = [SelectChoice(name, name) for name in destinations]


class ExportForm(FlaskForm):
    """Why images leave the box in clear."""

    reason = StringField(
        _("Reason"),
        [DataRequired(_NEEDED), Length(max=_TEXT_CHARACTERS), _printable],
        description=_("Kept in the journal with your name."),
    )
