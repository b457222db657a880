"""The form in which somebody decides what becomes of what is held."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import Length

# What an order keeps (deliver/orders), and a line of the journal shows.
_REASON_CHARACTERS = 200


class DecisionForm(FlaskForm):
    """Why, for the journal."""

    reason = StringField(_("Why? (for the record)"), [Length(max=_REASON_CHARACTERS)])
