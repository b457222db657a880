"""Destinations that are only proposed: read as the configuration would be, and looked up once before they are called.

Promises: a proposal is held to every rule of `config check`, beside the other destinations in force. Its name is looked up once, and what
is called afterwards is the address that was judged (`target_guard`). There are so many tests of proposals a minute and no more.
Failures: `ConfigInvalidError`, `ProposalForbiddenError`, `ProposalsTooManyError` (operator).
Limits: what only routes could say of it is not looked at.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from pathlib import Path

from appliance.config.addresses import ListenAddress
from appliance.config.check import check_document
from appliance.config.document import read_document
from appliance.config.load import ConfigInvalidError
from appliance.config.model import AnyDestination, FolderDestination, Site
from appliance.config.problem import Problem
from appliance.config.rendering import plain_values
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver import remedies
from appliance.deliver.diagnosis import Senses
from appliance.deliver.remedies import Remark
from appliance.manage.target_guard import Vicinity, is_in_force, refusal, secret_refusal, target_of
from appliance.manage.typed_secrets import secrets_folder
from appliance.runtime.clock import Clock

# A person who looks for the right port tries one every few seconds; whoever looks for machines wants thousands.
_MOST_A_MINUTE = 12
_MINUTE_S = 60.0
# Room for every key of a destination, headers and all.
_MOST_CHARACTERS = 65536


class ProposalForbiddenError(ApplianceError):
    """A proposal may not be tested as it is."""

    fault = Fault.OPERATOR


class ProposalsTooManyError(ApplianceError):
    """Proposals are tested faster than people do."""

    fault = Fault.OPERATOR
    advice = "Wait a minute, then test again."


class Proposals:
    """Reads and looks up proposals. Threads may share it."""

    def __init__(self, run_dir: Path | None, clock: Clock) -> None:
        """Keep what is needed: in `run_dir` is where the box listens."""
        self._run_dir = run_dir
        self._clock = clock
        self._lock = threading.Lock()
        self._lately: deque[float] = deque()

    def read(self, text: str, site: Site) -> AnyDestination:
        """Return the destination that a text of one `[[destination]]` describes. Raises what the module lists."""
        table = _table_of(text)
        known = next((one for one in site.destinations if table.get("id", one.id) == one.id and _is_named(table, one)), None)
        if known is not None:
            table = {**table, "id": known.id}
        others = [one for one in site.destinations if one is not known]
        # Whether routes find their way to it is not what is asked.
        values = plain_values(site.model_copy(update={"routes": (), "local_ae": (), "destinations": tuple(others)}))
        number = len(others)
        before = values.get("destination", [])
        assert isinstance(before, list)  # noqa: S101 (that is how sections are written; for the type checker)
        checked = check_document({**values, "destination": [*before, table]}, where="proposal")
        if checked.site is None:
            raise ConfigInvalidError(tuple(_of_a_single_one(problem, number) for problem in checked.problems))
        destination = checked.site.destinations[number]
        if self._run_dir is not None:
            refused = secret_refusal(destination, site, str(secrets_folder(self._run_dir.parent)))
            if refused is not None:
                raise ProposalForbiddenError(refused.detail, advice=refused.advice)
        self._count()
        return destination

    def looked_up(self, destination: AnyDestination, site: Site, senses: Senses) -> tuple[AnyDestination, tuple[bool, Remark]]:
        """Look the name of a proposal up; return what may be called, whether it may, and what to say."""
        target = target_of(destination)
        if target is None or isinstance(destination, FolderDestination):
            return destination, (True, Remark("it is a folder of this machine"))
        try:
            addresses = senses.resolve(target.host, target.port)
        except (OSError, UnicodeError):
            return destination, (False, remedies.for_unresolved(target.host))
        if not is_in_force(destination, site):
            refused = refusal(destination, addresses, self._vicinity(site, senses))
            if refused is not None:
                return destination, (False, refused)
        # The first to which there is a way; which one is called does not change any more.
        chosen = next((address for address in addresses if senses.own_address(address, target.port)), addresses[0])
        said = f"{target.host} is {' and '.join(addresses)}" if list(addresses) != [target.host] else f"{target.host} is an address"
        more = f", of which {chosen} is called" if len(addresses) > 1 else ""
        pinned = destination if chosen == target.host else destination.pinned_to(chosen)
        return pinned, (True, Remark(f"{said}{more}"))

    def _vicinity(self, site: Site, senses: Senses) -> Vicinity:
        listening = self._listening()
        listeners = (*site.listen.dicom, *site.listen.dicom_tls, site.listen.web)
        ports = {address.port for address in listeners if isinstance(address, ListenAddress)}
        for places in listening.values():
            ports |= {place[1] for place in places if isinstance(place, list) and len(place) > 1} if isinstance(places, list) else set()
        is_own = lambda address: senses.own_address(address, next(iter(ports), 1)) == address  # noqa: E731 (a closure of one line)
        return Vicinity(frozenset(ports), is_own, is_demo=listening.get("demo") is True)

    def _listening(self) -> dict[str, object]:
        """Return where the box listens, as it wrote it down; nothing where it did not."""
        if self._run_dir is None:
            return {}
        try:
            found = json.loads((self._run_dir / "listening.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _count(self) -> None:
        now = self._clock.now().boottime
        with self._lock:
            while self._lately and now - self._lately[0] >= _MINUTE_S:
                self._lately.popleft()
            if len(self._lately) >= _MOST_A_MINUTE:
                raise ProposalsTooManyError(f"more than {_MOST_A_MINUTE} tests of new destinations in a minute")
            self._lately.append(now)


def _table_of(text: str) -> dict[str, object]:
    if len(text) > _MOST_CHARACTERS:
        raise ConfigInvalidError((Problem("proposal", "is longer than any destination", "Shorten it."),))
    document = read_document(text, where="proposal")
    if isinstance(document, Problem):
        raise ConfigInvalidError((document,))
    tables = document.get("destination")
    if set(document) != {"destination"} or not isinstance(tables, list) or len(tables) != 1 or not isinstance(tables[0], dict):
        raise ConfigInvalidError((Problem("proposal", "is not one [[destination]]", "Write one section and nothing else."),))
    return dict(tables[0])


def _is_named(table: dict[str, object], known: AnyDestination) -> bool:
    return "id" in table or str(table.get("name", "")).casefold() == known.name.casefold()


def _of_a_single_one(problem: Problem, number: int) -> Problem:
    """Return a problem as one of a destination that stands alone."""
    where = problem.where.removeprefix(f"destination[{number}]").lstrip(".") or "destination"
    return Problem(where, problem.problem, problem.advice, problem.severity)
