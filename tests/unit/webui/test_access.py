"""Every page at once: who gets it, that looking changes nothing, and that nothing is taken from elsewhere (rows 86 and 92)."""

from __future__ import annotations

from typing import Any, cast

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Rule

from appliance.accounts.person import Machine, Person
from appliance.accounts.roles import SCOPES, Permission, Role, may, permissions_of
from appliance.manage.accounts import Accounts
from appliance.manage.control import Control
from appliance.manage.site_changes import Current, SiteChanges
from tests.support.blank import Blank
from tests.support.pages import OnePerson, Pages, pages_of
from webui.access import access_of, insist_on_decisions, own_path
from webui.pages.home import index as home_view
from webui.services import _KEY

_BASE = "https://localhost"
# What nobody needs to be signed in for. Another one is a decision, and stands here.
_OPEN = {
    "static", "bootstrap.static", "account.log_in", "account.log_in_now", "account.log_out", "account.language",
    "wizard.index", "wizard.code", "wizard.administrator",
    # What the API can be asked: nothing of this box.
    "api.openapi",
}  # fmt: skip
# Of everything that pages may ask, what only looks. Whatever is not here changes something, and no GET may ask for it.
_LOOKING = {
    # the accounts
    "session", "sessions", "people", "person", "named", "tokens", "token", "journal", "needs_setup", "wizard", "check_setup_code",
    # the daemons
    "activity", "backlog", "delivery", "destinations", "last_tests", "objects", "preview", "queue", "read", "ready", "search_studies",
    "status", "studies", "study", "test_progress", "throughput", "today",
    # the configuration
    "current", "difference", "history", "pending", "propose", "revert_expired",
}  # fmt: skip
# An address of an API answers machines, in another way: its own tests walk it.
_MACHINES = "/api/"


class _Anybody(OnePerson):
    """Accounts that answer with nothing, in which whoever the test says is signed in."""

    def __init__(self) -> None:
        super().__init__(None)
        self.blank = Blank(Accounts, needs_setup=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blank, name)

    def be(self, role: Role | None) -> None:
        """Let somebody with the role be signed in, or nobody."""
        self._person = Person(1, "kim", "Kim Nguyen", role) if role else None


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Return the pages of a box that answers everything with nothing."""
    return pages_of(tmp_path_factory.mktemp("box"), control=cast("Any", Blank(Control)))


@pytest.fixture
def anybody(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> _Anybody:
    """Return accounts, of which one says who is signed in."""
    accounts = _Anybody()
    services = pages.app.extensions[_KEY]
    changes = Blank(SiteChanges, current=Current(1, "", services.site()), pending=None)
    control = Blank(Control)
    for name, value in (("accounts", accounts), ("changes", changes), ("control", control)):
        monkeypatch.setitem(vars(services), name, value)
    return accounts


def _rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ()) and not rule.rule.startswith(_MACHINES)]


def _address(app: Flask, rule: Rule, method: str) -> str:
    values = {name: "1" if type(converter).__name__ == "IntegerConverter" else "x" for name, converter in rule._converters.items()}
    with app.test_request_context(base_url=_BASE):
        return str(app.url_map.bind("localhost").build(rule.endpoint, values, method))


def test_every_open_page_is_a_decision(pages: Pages) -> None:
    """Nothing is open to everybody but what the table says."""
    open_to_all = {endpoint for endpoint, view in pages.app.view_functions.items() if access_of(view) == "open"}

    assert open_to_all - _OPEN == set()


def test_a_page_that_says_nothing_is_not_served() -> None:
    """An application with a view that has no access rule does not start."""
    app = Flask("forgetful")
    app.add_url_rule("/", endpoint="forgotten", view_func=lambda: "")

    with pytest.raises(RuntimeError, match="forgotten"):
        insist_on_decisions(app)


@pytest.mark.parametrize("role", [None, *Role])
def test_every_page_is_for_whom_the_table_says(role: Role | None, pages: Pages, anybody: _Anybody) -> None:
    """At every address nobody is led to the log-in page, who may not gets 403 and stands in the journal, and who may is served."""
    anybody.be(role)
    wrong = []
    for method in ("GET", "POST"):
        for rule in _rules(pages.app, method):
            needs = access_of(pages.app.view_functions[rule.endpoint])
            if not isinstance(needs, Permission):
                continue
            address = _address(pages.app, rule, method)
            refusals = len(anybody.refusals)
            answer = pages.client.open(address, method=method, base_url=_BASE)
            is_log_in = answer.status_code == 302 and (answer.location or "").startswith("/account/log-in")
            if role is None:
                fits = is_log_in
            elif may(role, needs):
                fits = answer.status_code not in {401, 403} and not is_log_in
            else:
                fits = answer.status_code == 403 and anybody.refusals[refusals:] != []
            if not fits:
                wrong.append(f"{method} {address} ({needs}) answered {answer.status_code}")
    assert wrong == []


def test_row_86_looking_changes_nothing(pages: Pages, anybody: _Anybody) -> None:
    """No GET of any page asks for anything that changes the box, its configuration or its accounts; of an empty box all are there."""
    anybody.be(Role.ADMINISTRATOR)
    services = pages.app.extensions[_KEY]
    wrong: dict[str, object] = {}
    for rule in _rules(pages.app, "GET"):
        behind = (services.control.called, services.changes.called, anybody.blank.called)
        for called in behind:
            called.clear()
        address = _address(pages.app, rule, "GET")
        answer = pages.client.get(address, base_url=_BASE)
        answer.get_data()
        asked = {name for called in behind for name in called} - _LOOKING
        if asked or answer.status_code >= 500:
            wrong[address] = sorted(asked) or answer.status_code
    assert wrong == {}


def test_row_86_every_form_needs_its_token(pages: Pages, anybody: _Anybody) -> None:
    """A POST without the token of its browser's session gets 403 at every address, and reaches nothing behind the pages."""
    anybody.be(Role.ADMINISTRATOR)
    services = pages.app.extensions[_KEY]
    pages.app.config["WTF_CSRF_ENABLED"] = True
    wrong = []
    try:
        for rule in _rules(pages.app, "POST"):
            address = _address(pages.app, rule, "POST")
            answer = pages.client.post(address, base_url=_BASE, data={"csrf_token": "forged"}, headers={"Referer": f"{_BASE}/"})
            if answer.status_code != 403:
                wrong.append(f"{address} answered {answer.status_code}")
    finally:
        pages.app.config["WTF_CSRF_ENABLED"] = False
    changed = {name for called in (services.control.called, services.changes.called, anybody.blank.called) for name in called} - _LOOKING
    assert wrong == []
    assert changed == set()


@given(st.builds(str.__add__, st.sampled_from(["", "/", "//", "/\\", "/\t/", "https://"]), st.text(max_size=20)))
def test_a_way_back_never_leaves_the_box(target: str) -> None:
    """Whatever stands in `next`, what is taken of it is a path of this host."""
    taken = own_path(target)

    assert taken in {None, target}
    assert taken is None or (taken[0] == "/" and taken[1:2] not in {"/", "\\"})


@given(st.sampled_from(Role), st.sampled_from(Permission))
def test_a_role_may_what_its_row_says(role: Role, permission: Permission) -> None:
    """What a role may is its row of the table, for people as for the rule itself."""
    assert may(role, permission) is (permission in permissions_of(role)) is Person(1, "kim", "Kim", role).may(permission)


@given(st.sampled_from(Role))
def test_roles_are_nested_where_they_should_be(role: Role) -> None:
    """Whoever may set up may look and operate; whoever sees pictures sees patients; only administrators administer and audit."""
    has = permissions_of(role)

    assert Permission.SEE in has
    assert has <= permissions_of(Role.ADMINISTRATOR)
    assert Permission.SET_UP not in has or Permission.OPERATE in has
    assert Permission.SEE_IMAGES not in has or Permission.SEE_PATIENTS in has
    assert (role is Role.ADMINISTRATOR) == bool(has & {Permission.ADMINISTER, Permission.AUDIT})
    assert Permission.SEE_PATIENTS not in permissions_of(Role.VENDOR) | permissions_of(Role.MONITOR)


@given(st.frozensets(st.sampled_from(Permission)), st.sampled_from(Permission))
def test_a_machine_may_what_its_token_is_for(permissions: frozenset[Permission], permission: Permission) -> None:
    """A token has its scopes and nothing else, and none that only people have."""
    assert Machine(1, "monitoring", permissions, 1.0).may(permission) is (permission in permissions)
    assert not {Permission.ADMINISTER, Permission.AUDIT, Permission.SEE_IMAGES} & SCOPES


def test_the_walk_sees_what_it_looks_for() -> None:
    """The rule that the walk reads is the one that the view was given."""
    assert access_of(home_view) is Permission.SEE
