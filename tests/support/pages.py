"""The pages without a server: an application over fakes, and somebody signed in.

Promises: `pages_of` gives a client that is signed in with a role (or nobody), and the services behind it, to say what the box answers.
Failures: `AssertionError` where a view asks for something that the test did not say.
Limits: no gunicorn, no TLS: those are `tests/integration` and `tests/browser`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache

from appliance.accounts.person import Person, SignedIn
from appliance.accounts.roles import Permission, Role
from appliance.config.check import check
from appliance.config.model import Site
from appliance.runtime.callers import LastCall
from appliance.runtime.clock import Clock, SystemClock
from webui.app import create_app
from webui.identity import SESSION_KEY
from webui.services import Services

_SECRET = "a-session-of-the-test"


class Said:
    """Answers what the test told it to: attributes are methods that return the value set for them, and remember what they were asked."""

    def __init__(self, **answers: Any) -> None:
        """Answer each method with its value, or with what its function returns."""
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        """Return the method."""
        if name not in self.answers:
            raise AssertionError(f"the pages asked for {name}, of which the test says nothing")

        def method(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, arguments, named))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments, **named) if callable(answer) else answer

        return method


class _Compiled(BytecodeCache):
    """Templates that this process has compiled: every test makes an application of its own, and they would be most of its time."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what is known."""
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Remember."""
        self._known[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class OnePerson(Said):
    """Accounts in which one session is in force."""

    def __init__(self, person: Person | None, **answers: Any) -> None:
        """Let `person` be signed in."""
        # The first start is over, unless a test is about it.
        super().__init__(**{"needs_setup": False, "wizard": {}} | answers)
        self._person = person
        self.refusals: list[tuple[Person, str, Permission]] = []

    def session(self, secret: str, *, quiet: bool = False) -> SignedIn | None:  # noqa: ARG002 (the signature of the real one)
        """Return the one session there is."""
        return SignedIn(self._person, 1, 0.0) if secret == _SECRET and self._person else None

    def refused(self, person: Person, what: str, permission: Permission) -> None:
        """Remember."""
        self.refusals.append((person, what, permission))

    def changed(self, *_: Any, **__: Any) -> None:
        """Take note of nothing."""


@dataclass
class Pages:
    """The application, a client, and what is behind."""

    app: Flask
    client: FlaskClient
    control: Said
    accounts: OnePerson
    changes: Said
    calls: list[LastCall] = field(default_factory=list)

    def get(self, path: str, **named: Any) -> str:
        """Return the page at `path`, which must be there."""
        answer = self.client.get(path, **named)
        assert answer.status_code == 200, f"{path} answered {answer.status_code}: {answer.text[:2000]}"
        return answer.text


def pages_of(
    data: Path,
    *,
    role: Role | None = Role.ADMINISTRATOR,
    site: str = "",
    control: Said | None = None,
    changes: Said | None = None,
    accounts: dict[str, Any] | None = None,
    calls: list[LastCall] | None = None,
    clock: Clock | None = None,
    is_demo: bool = False,
) -> Pages:
    """Return the pages of a box configured as the text `site` says; without forgery tokens, as a test has no form to take them from."""
    checked = check(site, where="test")
    assert checked.site is not None, checked.problems
    known: Site = checked.site
    person = Person(1, "kim", "Kim Nguyen", role) if role is not None else None
    people, control, changes = OnePerson(person, **(accounts or {})), control or Said(), changes or Said()
    # Every page asks whether a change waits to be confirmed.
    changes.answers.setdefault("pending", None)
    heard = calls if calls is not None else []
    services = Services(
        data=data,
        control=cast("Any", control),
        accounts=cast("Any", people),
        changes=cast("Any", changes),
        site=lambda: known,
        calls=lambda: heard,
        clock=clock or SystemClock(),
        is_demo=is_demo,
    )
    app = create_app(services, secret=b"0" * 32)
    app.jinja_env.bytecode_cache = _COMPILED
    app.config.update(WTF_CSRF_ENABLED=False, TESTING=False)
    client = app.test_client()
    with client.session_transaction(base_url="https://localhost") as cookie:
        cookie[SESSION_KEY] = _SECRET
    client.environ_base["wsgi.url_scheme"] = "https"
    return Pages(app, client, control, people, changes, heard)
