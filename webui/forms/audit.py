"""The form that asks what to look for in the journal."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import DateField, StringField
from wtforms.validators import Length, Optional

_LONGEST = 100


class SearchForm(FlaskForm):
    """Words, a person, a day; sent by GET, so that a search has an address."""

    class Meta:
        """Changes nothing, hence no token."""

        csrf = False

    words = StringField(_("Words"), [Length(max=_LONGEST)])
    who = StringField(_("Person"), [Length(max=_LONGEST)], render_kw={"autocapitalize": "none", "list": "people"})
    day = DateField(_("Day"), [Optional()])
