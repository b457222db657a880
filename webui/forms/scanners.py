"""The form about a scanner: three questions, and the name that this box gives it."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, IntegerField, StringField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import HiddenInput

from appliance.config.addresses import network_text
from appliance.config.model import Source
from webui.forms.wizard import ScannerForm
from webui.vocabulary import MODALITIES

_NAME_CHARACTERS = 64


class SourceForm(ScannerForm):
    """A scanner; `expected` is the configuration that its author saw, `also` a title to answer to besides ("" for none)."""

    name = StringField(
        _("What is it called here?"), [Length(max=_NAME_CHARACTERS)], description=_("Left empty, it is called by its title.")
    )
    expected = IntegerField(widget=HiddenInput(), validators=[InputRequired()])
    also = HiddenField()

    def __init__(self, *arguments: object, **named: object) -> None:
        """Offer the modality of the source too where it is none of the usual ones, and none at all."""
        super().__init__(*arguments, **named)
        self.modality.choices = [*MODALITIES.items(), ("", _("nothing of this list"))]
        if self.modality.data and self.modality.data not in MODALITIES and self.modality.object_data == self.modality.data:
            self.modality.choices.append((self.modality.data, self.modality.data))

    @property
    def values(self) -> dict[str, str | None]:
        """What was filled in, under the keys of the file; what was left empty is None."""
        title = (self.ae_title.data or "").strip()
        return {
            "name": (self.name.data or "").strip() or title,
            "ae_title": title,
            "address": (self.address.data or "").strip() or None,
            "modality": self.modality.data or None,
        }


def filled_from(source: Source) -> dict[str, str]:
    """Return what the form shows of a source."""
    return {
        "name": source.name,
        "ae_title": "*" if source.ae_title is None else source.ae_title.text,
        "address": "" if source.address is None else network_text(source.address),
        "modality": source.modality or "",
    }


def in_words(values: Mapping[str, object]) -> str:
    """Return a source as it stands in the journal."""
    return " ".join(str(values[key]) for key in ("name", "ae_title", "address", "modality") if values.get(key))
