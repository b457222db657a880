"""The pages of a running box: announced, served over TLS with the box's own certificate, and no condition of anything else (P6)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.accounts.roles import Permission
from appliance.box import _open_doors
from appliance.keyring import accounts_secret
from appliance.keys.derive import KEY_LENGTH
from appliance.keys.root import load_root
from appliance.manage.accounts import Accounts
from appliance.runtime.clock import SystemClock
from appliance.runtime.listening import PortUnavailableError
from tests.support import dcmtk, samples
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.https import Browser
from tests.support.site import a_site
from tests.unit.config.texts import site_of

_PAGES = {"web": "127.0.0.1:0", "workers": 1}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Run one box with pages for all tests that leave it as it was."""
    with Box(tmp_path_factory.mktemp("pages"), a_site(listen=_PAGES)) as running:
        yield running


def _web(box: Box) -> int:
    """Return the process of the pages."""
    (pid,) = (pid for pid, name in box.daemons().items() if name == "web")
    return pid


def _is_served(box: Box) -> bool:
    try:
        with Browser(box.web_port) as browser:
            return browser.get("/static/house.css").status == 200
    except OSError:
        return False


def _certificate(box: Box) -> bytes:
    with Browser(box.web_port) as browser:
        return browser.socket.getpeercert(binary_form=True) or b""


def test_the_pages_are_announced_behind_ready(box: Box) -> None:
    """`run` prints where they are, with the code of the first start; whoever comes is led to it."""
    lines = box.stdout_path.read_text(encoding="utf-8").splitlines()

    assert [line.startswith("READY") for line in lines[:2]] == [True, False]
    assert re.fullmatch(rf"pages: https://127\.0\.0\.1:{box.web_port}/  set-up code [A-Z0-9]{{4}}-[A-Z0-9]{{4}}", lines[1])
    with Browser(box.web_port) as browser:
        answer = browser.get("/")
    assert (303, "/first-start/") == (answer.status, answer.headers["location"])


def test_the_certificate_is_the_box_s_and_a_new_one_counts_at_once(box: Box) -> None:
    """Browsers see what scanners see; a certificate that is made anew is shown to the next connection, with no restart."""
    before = _certificate(box)
    shown = box.cli("tls", "show")["certificates"][0]["sha256"]
    process = _web(box)

    box.cli("tls", "generate", "--replace")

    assert hashlib.sha256(before).hexdigest() == shown
    eventually(lambda: _certificate(box) != before, message="the new certificate")
    assert _web(box) == process


def test_old_tls_is_refused(box: Box) -> None:
    """TLS 1.1 is not spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(OSError, match=r"(?i)alert|protocol|reset|eof"):
        Browser(box.web_port, context=context)


def test_the_pages_hold_no_key_of_images(box: Box) -> None:
    """Neither the root key nor the spool, the ledger or the digest key is in the pages' environment, descriptors or memory files."""
    process = Path("/proc") / str(_web(box))
    environment = (process / "environ").read_bytes()
    opened = [str(link.readlink()) for link in (process / "fd").iterdir()]

    assert b"DIGEST" not in environment
    assert [name for name in opened if "root.key" in name or "digest" in name or "ledger.db" in name or "/spool/" in name] == []


def test_a_program_with_a_token_is_answered_by_the_daemons(box: Box) -> None:
    """Before anybody administers the box the API says so; afterwards a token gets what `status --json` says, over TLS."""
    code = re.findall(r"set-up code (\S+)", box.stdout_path.read_text(encoding="utf-8"))[0]
    accounts = Accounts(box.data, accounts_secret(load_root(box.data, None))[:KEY_LENGTH], SystemClock())
    with Browser(box.web_port) as browser:
        early = browser.get("/api/v1/status")

    somebody = accounts.create_first(code, "kim", "Kim Nguyen", "correct horse battery staple")
    token = accounts.add_token(somebody, "watcher", frozenset({Permission.SEE}), SystemClock().now().wall + 3600)
    accounts.close()
    with Browser(box.web_port) as browser:
        answer = browser.get("/api/v1/status", f"Authorization: Bearer {token}")

    assert (503, "application/problem+json", 200) == (early.status, early.headers["content-type"], answer.status)
    assert box.cli("status")["box"] == json.loads(answer.body)["box"]


def test_reception_does_not_notice_whether_the_pages_live(box: Box, tmp_path: Path) -> None:
    """With the pages stopped, then killed, images are taken as before; the killed ones are served again with no hand (row 100)."""
    file = samples.ct(64).write(tmp_path)
    process = _web(box)

    os.kill(process, signal.SIGSTOP)
    dcmtk.storescu(box.port, file)
    os.kill(process, signal.SIGKILL)
    dcmtk.storescu(box.port, file)

    eventually(lambda: _is_served(box), within=30, message="the pages of the next process")
    assert _web(box) != process
    assert box.cli("status")["ready"]


def test_the_demonstration_takes_another_port_where_the_usual_one_is_taken() -> None:
    """Somebody who tries the box gets pages at any port; a box in use says that it cannot listen, and where to change it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = site_of(f'[listen]\ndicom = ["127.0.0.1:0"]\nweb = "127.0.0.1:{port}"\n')

        doors = _open_doors(site, demo=True)
        with pytest.raises(PortUnavailableError) as refused:
            _open_doors(site, demo=False)

    assert "listen.web" in refused.value.advice
    assert port != doors.web[0].getsockname()[1]
    for door in (*doors.plain, *doors.web):
        door.close()


def test_a_box_whose_accounts_are_damaged_works_without_them(box: Box, tmp_path: Path) -> None:
    """A damaged database of accounts costs the log-in: the box says so, is ready, and takes images."""
    box.stop()
    for file in (box.data / "accounts").iterdir():
        file.write_bytes(b"not a database" * 1000)

    box.start()
    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path))

    assert "accounts" in box.stderr_path.read_text(encoding="utf-8").splitlines()[0]
