"""The forms of logging in and of what somebody sets for themselves, and the words for passwords that are not taken."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from appliance.accounts.faults import Weakness

_LONGEST_NAME = 64
_LONGEST_PASSWORD = 256
_NEEDED = _("This is needed.")

WEAKNESSES: dict[Weakness, LazyString] = {
    Weakness.SHORT: _("A password has at least 10 characters."),
    Weakness.LONG: _("A password has at most 256 characters."),
    Weakness.COMMON: _("This password is among the first that others would try. Three or four words are a good one."),
    Weakness.NAME: _("A password must not be made of the name."),
}


class LogInForm(FlaskForm):
    """Name and password."""

    name = StringField(
        _("Name"),
        [InputRequired(_NEEDED), Length(max=_LONGEST_NAME)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True},
    )
    password = PasswordField(
        _("Password"), [InputRequired(_NEEDED), Length(max=_LONGEST_PASSWORD)], render_kw={"autocomplete": "current-password"}
    )
    next = HiddenField()


class PasswordForm(FlaskForm):
    """Another password."""

    old = PasswordField(
        _("Password so far"), [InputRequired(_NEEDED), Length(max=_LONGEST_PASSWORD)], render_kw={"autocomplete": "current-password"}
    )
    new = PasswordField(
        _("New password"),
        [InputRequired(_NEEDED), Length(max=_LONGEST_PASSWORD)],
        description=_("At least 10 characters. Three or four words that do not belong together are easy to remember."),
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        _("New password once more"),
        [InputRequired(_NEEDED), EqualTo("new", _("The two are not the same."))],
        render_kw={"autocomplete": "new-password"},
    )
