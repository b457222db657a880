"""The planner's promises, for configurations and facts that nobody thought of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.model import Site
from appliance.config.sources import find_source
from appliance.core.identity import Uid
from appliance.route.planner import plan, routes_for
from appliance.route.rules import RoutingFacts, explain, matches

_NAMES = ("archive", "room", "neuro", "elsewhere")
_MODALITIES = ("CT", "MR", "US")
_TITLES = ("CT1", "MR1", "PACS1", "ROOM")
_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
_URGENCY = {"stat": 0, "routine": 1, "bulk": 2}

_WHEN = st.fixed_dictionaries(
    {},
    optional={
        "source": st.lists(st.sampled_from(_TITLES), unique=True, max_size=2),
        "modality": st.lists(st.sampled_from(_MODALITIES), unique=True, max_size=2),
        "called": st.lists(st.sampled_from(_TITLES), unique=True, max_size=2),
        "sop_class": st.lists(st.sampled_from(_CLASSES), unique=True, max_size=1),
        "station": st.lists(st.sampled_from(("Room 1", "Room 2")), unique=True, max_size=1),
    },
)


@st.composite
def _sites(draw: st.DrawFn) -> Site:
    count = draw(st.integers(0, 5))
    routes = [
        {
            "name": f"route {number}",
            "to": draw(st.lists(st.sampled_from(_NAMES), unique=True, min_size=1)),
            "priority": draw(st.sampled_from(tuple(_URGENCY))),
            "when": draw(_WHEN),
        }
        for number in range(count)
    ]
    allowed = draw(st.none() | st.lists(st.sampled_from([route["name"] for route in routes]), unique=True)) if routes else None
    return Site.model_validate(
        {
            "destination": [{"name": name, "ae_title": name.upper(), "host": "10.1.0.5"} for name in _NAMES],
            "route": routes,
            "local_ae": [{"ae_title": "ROOM"} | ({} if allowed is None else {"routes": allowed})],
            "source": [{"name": "CT1", "ae_title": "CT1"}],
        }
    )


def _either(*known: str) -> st.SearchStrategy[str]:
    """Return texts of which many mean something and some are whatever a peer can send."""
    return st.sampled_from(known) | st.text(max_size=20)


_FACTS = st.builds(
    RoutingFacts,
    source=_either("CT1", "MR1", ""),
    calling_title=_either(*_TITLES),
    called_title=_either("EDGE", "edge", *_TITLES),
    sop_class_uid=_either(*_CLASSES).map(Uid),
    modality=_either(*_MODALITIES, "ct"),
    station_name=_either("Room 1", "ROOM 2"),
)


@given(_sites(), _FACTS)
@settings(max_examples=100, deadline=None)
def test_planned_is_what_applies(site: Site, facts: RoutingFacts) -> None:
    """Destinations are exactly those of the routes that apply, each once, as urgent as the most urgent of them; none gets its own back."""
    planned = plan(site, facts)

    applied = [route for route in routes_for(site, facts.called_title) if matches(route, facts)]
    asked = [
        (name, _URGENCY[route.priority])
        for route in applied
        for name in route.to
        if route.when.source or name.upper() != facts.calling_title.strip(" ").upper()
    ]
    expected = {name: min(urgency for other, urgency in asked if other == name) for name, _ in asked}
    assert tuple(route.name for route in applied) == planned.routes
    assert expected == {delivery.destination_id: int(delivery.priority) for delivery in planned.deliveries}
    assert len(expected) == len(planned.deliveries)


@given(_sites(), _FACTS, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_order_of_routes_changes_nothing_owed(site: Site, facts: RoutingFacts, random: st.DataObject) -> None:
    """The same routes in another order owe the same deliveries, and the same question gets the same answer."""
    routes = list(site.routes)
    random.shuffle(routes)  # type: ignore[attr-defined]
    shuffled = site.model_copy(update={"routes": tuple(routes)})

    answers = [plan(site, facts), plan(site, facts), plan(shuffled, facts)]

    assert answers[0] == answers[1]
    assert set(answers[0].deliveries) == set(answers[2].deliveries)


@given(_sites(), _FACTS)
@settings(max_examples=50, deadline=None)
def test_a_local_title_never_adds(site: Site, facts: RoutingFacts) -> None:
    """Routes of a local title are a part of all routes, so that nothing goes further because of it."""
    open_site = site.model_copy(update={"local_ae": ()})

    restricted, everything = plan(site, facts), plan(open_site, facts)

    assert set(restricted.routes) <= set(everything.routes)


@given(_sites(), _FACTS, st.text(max_size=45))
@settings(max_examples=50, deadline=None)
def test_explanation_and_answer_agree(site: Site, facts: RoutingFacts, address: str) -> None:
    """A route applies exactly when every explained condition holds, and nobody's address breaks the question who it is."""
    find_source(site, facts.calling_title, address)

    for route in site.routes:
        assert matches(route, facts) == all(condition.holds for condition in explain(route, facts))
