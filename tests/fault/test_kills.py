"""kill -9, many times, under load: what was acknowledged is at the archive, whole, and nothing else is (house.md P7)."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from tests.support import dcmtk, part10, samples, sealed, senders
from tests.support.box import Box, BoxMaker
from tests.support.dcmtk import ArchiveMaker, StoreScp
from tests.support.senders import Books, PatientSender
from tests.support.site import a_site, a_source, an_archive

_KILLS = int(os.environ.get("KILLS", "60"))
_SEED = int(os.environ.get("KILLS_SEED", str(random.SystemRandom().randrange(10**6))))
# The supervisor is one of the victims, a few times: its restart is a start of the whole box.
_EVERY_NTH_IS_THE_SUPERVISOR = 20
# Between kills: from "in the middle of starting again" to "everything runs".
_PAUSE_S = (0.2, 2.0)
_SENDERS = ("CT1", "CT2", "MR1", "US1")
_LANES = 4
# Pixels a side: 8 KB to 512 KB an image, so that kills fall into the middle of transfers too.
_SIZES = (64, 128, 256, 512)
_SETTLE_S = 60.0


@senders.LEAKS_SOCKETS
def test_kills_at_random_moments_lose_nothing_and_invent_nothing(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """60 SIGKILLs of random daemons under 4 senders: lost, phantom and half-visible are 0, and re-sends stay within the bound."""
    print(f"{_KILLS} kills, seed {_SEED}")
    chance = random.Random(_SEED)
    archive = make_archive().start()
    port = dcmtk.free_port()
    sources = [a_source(title) for title in _SENDERS]
    site = a_site(sources=sources, destinations=[an_archive(archive.port, lanes=_LANES)], listen={"dicom": [f"127.0.0.1:{port}"]})
    box = make_box(site).start()

    with sealed.SealedWatch(box.data) as watch, contextlib.ExitStack() as running:
        scanners = [running.enter_context(_sender(title, port, tmp_path / title)) for title in _SENDERS]
        _kill_at_random(box, chance)
        books = [scanner.finish(_SETTLE_S) for scanner in scanners]
        box.wait_until_delivered(_SETTLE_S)

    _report(books, archive, watch)
    sent = {identity for book in books for identity in book.sent.items()}
    acknowledged = {identity for book in books for identity in book.acknowledged.items()}
    kept = archive.identities()
    # Every copy counts here: one that differs by a byte would be a phantom.
    assert acknowledged - kept == set(), "lost"
    assert kept - sent == set(), "phantom"
    assert watch.faults == [], "half-visible"
    assert sealed.partial_files(box.data) == []
    assert box.count("held") == 0
    assert box.cli("status")["instances"]["quarantined"] == 0
    assert len(archive.arrivals()) - len(kept) <= _KILLS * (_LANES + len(_SENDERS)), "re-sends"


def test_the_watch_sees_what_is_not_whole(make_box: BoxMaker, tmp_path: Path) -> None:
    """The watch that finds nothing half-visible does find an object that was cut short, so that its silence means something."""
    box = make_box(a_site()).start()
    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner", 2))
    box.wait_until_delivered()
    whole, cut = sealed.sealed_files(box.data)
    os.truncate(cut, cut.stat().st_size - 1)
    watch = sealed.SealedWatch(box.data)

    watch.look()

    assert watch.opened == 1
    assert [whole.name in fault for fault in watch.faults] == [False]


def _sender(title: str, port: int, directory: Path) -> PatientSender:
    templates = [samples.ct(size) for size in _SIZES]
    chance = random.Random(title)

    def next_file() -> Path:
        return chance.choices(templates, weights=(8, 4, 2, 1))[0].write(directory)[0]

    return PatientSender(lambda: port, next_file, calling=title, pause_s=0.02)


def _kill_at_random(box: Box, chance: random.Random) -> None:
    for number in range(1, _KILLS + 1):
        time.sleep(chance.uniform(*_PAUSE_S))
        if number % _EVERY_NTH_IS_THE_SUPERVISOR == 0:
            box.kill()
            box.start()
            continue
        daemons = box.daemons()
        assert box.is_running, f"the supervisor ended before kill {number}\n{box.output()[-4000:]}"
        if daemons:
            os.kill(chance.choice(sorted(daemons)), signal.SIGKILL)


def _report(books: list[Books], archive: StoreScp, watch: sealed.SealedWatch) -> None:
    arrivals: list[part10.Instance] = archive.arrivals()
    sent, attempts = sum(len(book.sent) for book in books), sum(book.attempts for book in books)
    distinct = len({arrival.identity for arrival in arrivals})
    print(f"sent {sent} instances in {attempts} attempts; at the archive {distinct}, re-sends {len(arrivals) - distinct}")
    print(f"sealed objects opened while it went on: {watch.opened}")
