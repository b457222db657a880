"""The form of a route, and that of the question what would happen to an image.

Promises: the form says exactly what the configuration says, and `values` gives it back under the keys of the file. What is right is for
`config check` alone.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from appliance.config.model import Route, Site
from webui.forms.lists import COMMON_CLASSES, Ticks, class_choices, lines_of, together, words_of
from webui.vocabulary import MODALITIES

_KEPT = "keep"
_SENT = "send"
# What modalities a department has that are no devices of their own.
_MORE_MODALITIES = ("SR", "PR", "KO", "SC")


class RouteForm(FlaskForm):
    """One route."""

    generation = HiddenField()
    name = StringField(_("Name"), description=_("What people call it, for example everything to the archive."))
    does = RadioField(
        _("Sent or kept"),
        choices=[SelectChoice(_SENT, _("they are sent")), SelectChoice(_KEPT, _("they are kept here, and sent nowhere"))],
    )
    to = Ticks(_("Where to"))
    keep = StringField(_("Kept for"), description=_("Only where they are sent nowhere: at least so long, for example 2 days."))
    priority = SelectField(
        _("How urgent"),
        choices=[
            SelectChoice("routine", _("as it comes")),
            SelectChoice("stat", _("before everything else")),
            SelectChoice("bulk", _("when nothing else waits")),
        ],
    )
    when_complete = BooleanField(_("Only once their study is complete, all together"))
    source = Ticks(_("From these scanners"))
    modality = Ticks(_("Of these modalities"))
    modality_other = StringField(_("Other modalities"), description=_("Divided by commas."))
    called = Ticks(_("Sent to these titles of the box"))
    sop_class = Ticks(_("Of these classes"))
    sop_class_other = TextAreaField(_("Other classes"), description=_("A UID a line."))
    station = TextAreaField(_("Of these stations"), description=_("The station names that images carry, one a line."))
    enabled = BooleanField(_("Switched on"))

    def offer(self, site: Site) -> RouteForm:
        """Offer what there is on this box."""
        self.to.choices = _named([destination.name for destination in site.destinations], self.to.data)
        self.source.choices = _named([source.name for source in site.sources], self.source.data)
        self.called.choices = _named([str(title) for title in site.local_titles], self.called.data)
        self.modality.choices = [SelectChoice(code, code) for code in (*MODALITIES, *_MORE_MODALITIES)]
        self.sop_class.choices = class_choices()
        return self

    @classmethod
    def filled(cls, route: Route | None, *, generation: int) -> RouteForm:
        """Return the form that says what a route says; None is a new one. What was sent with the request counts before that."""
        if route is None:
            return cls(data={"generation": str(generation), "does": _SENT, "priority": "routine", "enabled": True})
        written = route.model_dump(mode="json")
        when = written["when"]
        known, common = {*MODALITIES, *_MORE_MODALITIES}, COMMON_CLASSES
        return cls(
            data={
                "generation": str(generation),
                "name": route.name,
                "does": _SENT if route.to else _KEPT,
                "to": list(route.to),
                "keep": "" if written["keep"] is None else str(written["keep"]),
                "priority": route.priority,
                "when_complete": route.when_complete,
                "enabled": route.enabled,
                "source": when["source"],
                "called": when["called"],
                "modality": [code for code in when["modality"] if code in known],
                "modality_other": ", ".join(code for code in when["modality"] if code not in known),
                "sop_class": [uid for uid in when["sop_class"] if uid in common],
                "sop_class_other": "\n".join(uid for uid in when["sop_class"] if uid not in common),
                "station": "\n".join(when["station"]),
            }
        )

    def values(self) -> dict[str, Any]:
        """Return what the form says under the keys of the file; None is what goes without saying."""
        is_sent = self.does.data != _KEPT
        return {
            "name": (self.name.data or "").strip() or None,
            "enabled": None if self.enabled.data else False,
            "to": (self.to.data or []) if is_sent else [],
            "keep": None if is_sent else (self.keep.data or "").strip() or None,
            "priority": None if self.priority.data == "routine" else self.priority.data,
            "when_complete": True if self.when_complete.data and is_sent else None,
            "when": {
                "source": self.source.data or None,
                "modality": together(self.modality.data, [code.upper() for code in words_of(self.modality_other.data)]),
                "called": self.called.data or None,
                "sop_class": together(self.sop_class.data, lines_of(self.sop_class_other.data)),
                "station": lines_of(self.station.data) or None,
            },
        }


class AskForm(FlaskForm):
    """A file, and who would send it."""

    file = FileField(_("A DICOM file"), description=_("Only its beginning is looked at, and nothing of it is kept."))
    source = SelectField(_("As if it came from"))
    calling = StringField(_("Its AE title"), description=_("Where it is none of the scanners above, or one of any title."))
    called = SelectField(_("Sent to the title"))

    def offer(self, site: Site) -> AskForm:
        """Offer the scanners and titles of this box."""
        self.source.choices = [*(SelectChoice(source.name, source.name) for source in site.sources), SelectChoice("", _("somebody else"))]
        self.called.choices = [SelectChoice(str(title), str(title)) for title in site.local_titles]
        return self


class NeverForm(FlaskForm):
    """A class of images, and where it is never to be sent."""

    generation = HiddenField()
    destination = SelectField(_("Never send to"))
    sop_class = SelectField(_("Images of this class"))

    def offer(self, site: Site) -> NeverForm:
        """Offer the destinations of this box, and the classes that departments know."""
        self.destination.choices = [SelectChoice(destination.name, destination.name) for destination in site.destinations]
        self.sop_class.choices = class_choices()
        return self


def _named(there: list[str], chosen: list[str] | None) -> list[SelectChoice]:
    """Return what can be ticked: what there is, and what is ticked although it is not there any more."""
    return [SelectChoice(name, name) for name in dict.fromkeys([*there, *(chosen or ())])]
