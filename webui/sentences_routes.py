"""A route as a sentence: what goes where, how urgently, and when.

Promises: everything that a route asks for is in its sentence. Without I/O.
Failures: none.
Limits: in languages that bend words by case the names stand as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from babel.lists import format_list
from flask_babel import get_locale, gettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from appliance.config.model import Route, Site
from webui.language import span
from webui.vocabulary import class_words

# By urgency, and whether it waits for the whole study: each a sentence of its own, so that a translator can turn it as it must be.
_GOES: Mapping[tuple[str, bool], LazyString] = {
    ("stat", False): _("%(images)s go to %(destinations)s at once, before everything else."),
    ("routine", False): _("%(images)s go to %(destinations)s."),
    ("bulk", False): _("%(images)s go to %(destinations)s when nothing else waits."),
    ("stat", True): _("%(images)s go to %(destinations)s before everything else, once their study is complete."),
    ("routine", True): _("%(images)s go to %(destinations)s once their study is complete."),
    ("bulk", True): _("%(images)s go to %(destinations)s once their study is complete and nothing else waits."),
}


def route_sentence(route: Route, site: Site) -> str:
    """Return what a route does."""
    images = _images(route, site)
    if not route.to:
        return gettext("%(images)s are kept for %(time)s and sent nowhere.", images=images, time=span(route.keep))
    return str(_GOES[route.priority, route.when_complete]) % {"images": images, "destinations": _listed(route.to)}


def _images(route: Route, site: Site) -> str:
    """Return which images a route is about, with everything that it asks for."""
    when = route.when
    if when.modality and when.sop_class:
        images = gettext(
            "%(modalities)s images that are %(classes)s",
            modalities=_listed(when.modality),
            classes=_listed(class_words(when.sop_class)),
        )
    elif when.modality:
        images = gettext("%(modalities)s images", modalities=_listed(when.modality))
    elif when.sop_class:
        images = _capital(_listed(class_words(when.sop_class)))
    else:
        images = gettext("All images")
    if when.source:
        images = gettext("%(images)s from %(sources)s", images=images, sources=_listed(when.source))
    if when.station:
        images = gettext("%(images)s of the station %(stations)s", images=images, stations=_listed(when.station))
    if when.called:
        images = gettext("%(images)s sent to the title %(titles)s", images=images, titles=_listed(map(str, when.called)))
    limiting = [str(local.ae_title) for local in site.local_ae if local.routes is not None and route.name not in local.routes]
    if limiting and not when.called:
        images = gettext("%(images)s (but not those sent to the title %(titles)s)", images=images, titles=_listed(limiting))
    return images


def _listed(words: Iterable[str]) -> str:
    return format_list(list(words), locale=get_locale() or "en")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
