"""The forms for people and tokens, and the words for roles and scopes."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, Field, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from appliance.accounts.faults import AccountInvalidError
from appliance.accounts.roles import SCOPES, Permission, Role

_NEEDED = _("This is needed.")
_LONGEST_NAME = 64
_LONGEST_FULL_NAME = 80
_LONGEST_REASON = 200

ROLES: dict[Role, LazyString] = {
    Role.VIEWER: _("viewer"),
    Role.TECHNICIAN: _("technician"),
    Role.ADMINISTRATOR: _("administrator"),
    Role.VENDOR: _("engineer of a vendor"),
    Role.MONITOR: _("monitor"),
}
_ROLE_CHOICES: dict[Role, LazyString] = {
    Role.TECHNICIAN: _("Technician: scanners, destinations, studies, pictures"),
    Role.VIEWER: _("Viewer: looks at everything, changes nothing"),
    Role.ADMINISTRATOR: _("Administrator: everything"),
    Role.VENDOR: _("Engineer of a vendor: sets up and tests, sees no patients, for two weeks at most"),
}
SCOPE_WORDS: dict[Permission, LazyString] = {
    Permission.SEE: _("See states, counts and the configuration"),
    Permission.SEE_PATIENTS: _("See patients' names and numbers"),
    Permission.OPERATE: _("Retry, hold, release, resend and test"),
    Permission.SET_UP: _("Change the configuration"),
}
_WORDS: dict[str, LazyString] = {
    "name": _("Up to 64 letters and digits without accents; dots, dashes, underscores and @ are good too."),
    "full_name": _("1 to 80 characters."),
    "role": _("Nobody logs in with this role."),
    "scopes": _("Choose at least one."),
    "expires_at": _("Choose a day between tomorrow and then: two weeks for an engineer of a vendor, two years for a token."),
}


class PersonForm(FlaskForm):
    """What an account is; a field that is not here cannot be set by who sends it."""

    full_name = StringField(_("Full name"), [InputRequired(_NEEDED), Length(max=_LONGEST_FULL_NAME)])
    role = SelectField(_("Role"), choices=[SelectChoice(role.value, word) for role, word in _ROLE_CHOICES.items()])
    ends = DateField(
        _("Last day"),
        [Optional()],
        description=_("Left empty, the account has no end. An engineer's needs one, two weeks from now at most."),
    )


class AddPersonForm(PersonForm):
    """A new account."""

    name = StringField(
        _("Name for logging in"),
        [InputRequired(_NEEDED), Length(max=_LONGEST_NAME)],
        description=_("Letters and digits without accents, for example kim.nguyen"),
        render_kw={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"},
    )


class ChangePersonForm(PersonForm):
    """Another role, another end, or shut."""

    is_enabled = BooleanField(_("May log in"))
    reason = StringField(_("Why (for the record)"), [Length(max=_LONGEST_REASON)])


class TokenForm(FlaskForm):
    """A token for a program."""

    name = StringField(_("Who uses it"), [InputRequired(_NEEDED), Length(max=_LONGEST_NAME)])
    scopes = SelectMultipleField(
        _("What it is for"),
        choices=[SelectChoice(scope.value, SCOPE_WORDS[scope]) for scope in Permission if scope in SCOPES],
        default=[Permission.SEE.value],
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    ends = DateField(_("Last day"), [InputRequired(_NEEDED)], description=_("Two years from now at most."))


def role_word(role: Role) -> str:
    """Return the word for a role."""
    return str(ROLES[role])


def put_at_its_field(form: FlaskForm, error: AccountInvalidError) -> None:
    """Say at the field that it concerns what is wrong."""
    field: Field = form["ends" if error.field == "expires_at" else error.field]
    field.errors = [str(_WORDS[error.field])]
