"""Verifying the spool: every flipped bit is found and named, the sound objects are not touched, and subsets cover everything (F-16)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.keys.generations import Recipients
from appliance.retain.verify import Condition, Extent, Subset, SubsetInvalidError, Verified, Verifier
from appliance.spool.inventory import Inventory
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.unit.spool.builders import DIGEST_KEY, OTHER_PRIVATE, PRIVATE, a_header, a_spool, files_under, public_of

RECOVERY = bytes([11]) * 32


def _boxed_and_escrowed(data: Path) -> Spool:
    """Return a spool that seals to a recovery key too, as a hospital's does."""
    spool = Spool(
        data,
        recipients=lambda: Recipients(1, public_of(PRIVATE), public_of(RECOVERY)),
        digest_key=DIGEST_KEY,
        identities={1: PRIVATE},
    )
    spool.prepare()
    return spool


def _received(spool: Spool, content: bytes = b"data set") -> SpoolName:
    with spool.admit(a_header()) as admission:
        admission.write(content)
        return admission.commit()


def _stored(spool: Spool, content: bytes = b"data set") -> SpoolName:
    name = _received(spool, content)
    spool.move_to_store([name])
    return name


def _place(data: Path, name: SpoolName) -> Path:
    return data / "spool" / "store" / name.store_directory() / str(name)


def _flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (value,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([value ^ 1 << bit % 8]))


def _verifier(
    spool: Spool, data: Path, *, mark: Callable[[SpoolName], None] | None = None, clock: FakeClock | None = None, pace: float | None = None
) -> Verifier:
    return Verifier(spool, Inventory(data), clock or FakeClock(), bytes_per_s=pace, mark_quarantined=mark)


def _by_condition(verified: list[Verified], condition: Condition) -> set[SpoolName | None]:
    return {one.name for one in verified if one.condition is condition}


def test_300_single_bit_flips_are_each_found_and_named(tmp_path: Path) -> None:
    """A random flip in each of 300 objects, wherever it is, is found and named; the 60 others are well (F-16)."""
    random_ = random.Random(16)
    spool = _boxed_and_escrowed(tmp_path)
    names = [_stored(spool, random_.randbytes(random_.choice((0, 10, 5000, 70_000)))) for _ in range(360)]
    hit = set(random_.sample(names, 300))
    for name in hit:
        place = _place(tmp_path, name)
        _flip(place, random_.randrange(8 * place.stat().st_size))

    verified = list(_verifier(spool, tmp_path).verify())

    assert hit == _by_condition(verified, Condition.DAMAGED)
    assert set(names) - hit == _by_condition(verified, Condition.OK)
    assert {f"store/{name.store_directory()}/{name}" for name in names} == {one.where for one in verified}


def test_no_bit_of_an_object_goes_unwatched(tmp_path: Path) -> None:
    """Every byte of a small object, its key stanzas and its header included, is flipped in turn and found."""
    spool = _boxed_and_escrowed(tmp_path)
    _stored(spool)
    name = _stored(spool, b"x" * 100)
    place = _place(tmp_path, name)
    sound = place.read_bytes()
    verifier = _verifier(spool, tmp_path)
    unseen = []

    for at in range(len(sound)):
        place.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
        if {name} != _by_condition(list(verifier.verify()), Condition.DAMAGED):
            unseen.append(at)

    assert [] == unseen


@pytest.mark.parametrize("content", [b"", b"age-encryption.org/v1\n", b"\0" * 4096])
def test_an_emptied_or_overwritten_object_is_damaged(tmp_path: Path, content: bytes) -> None:
    """What a sick file system leaves of an object, nothing or zeros, is damage."""
    spool = a_spool(tmp_path)
    name = _stored(spool)
    _place(tmp_path, name).write_bytes(content)

    (verified,) = _verifier(spool, tmp_path).verify()

    assert (name, Condition.DAMAGED) == (verified.name, verified.condition)


def test_truncation_and_additions_are_damage(tmp_path: Path) -> None:
    """A byte more or less at the end, also at the border of a chunk, is found."""
    spool = a_spool(tmp_path)
    names = [_stored(spool, bytes(length)) for length in (100, 64_000, 200_000, 0)]
    for name, change in zip(names, (-1, 1, -65_552, 1), strict=True):
        place = _place(tmp_path, name)
        content = place.read_bytes()
        place.write_bytes(content[:change] if change < 0 else content + bytes(change))

    verified = list(_verifier(spool, tmp_path).verify())

    assert set(names) == _by_condition(verified, Condition.DAMAGED)


def test_an_object_under_another_ones_name_is_damaged(tmp_path: Path) -> None:
    """Two sound objects that were exchanged are both found."""
    spool = a_spool(tmp_path)
    first, second = _place(tmp_path, _stored(spool, b"a")), _place(tmp_path, _stored(spool, b"b"))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)

    conditions = [one.condition for one in _verifier(spool, tmp_path).verify()]

    assert [Condition.DAMAGED, Condition.DAMAGED] == conditions


# What is not damage


def test_objects_of_another_box_are_foreign(tmp_path: Path) -> None:
    """When this box's key of a generation opens nothing, the objects are another box's, and none is taken for damaged."""
    names = {_stored(a_spool(tmp_path, private=OTHER_PRIVATE)) for _ in range(3)}
    marked: list[SpoolName] = []

    verified = list(_verifier(a_spool(tmp_path), tmp_path, mark=marked.append).verify())

    assert names == _by_condition(verified, Condition.FOREIGN)
    assert [] == marked


def test_objects_of_a_missing_generation_are_foreign(tmp_path: Path) -> None:
    """Without its generation's key an object cannot be judged; those of other generations are."""
    other = _stored(a_spool(tmp_path, generation=2, private=OTHER_PRIVATE))
    spool = a_spool(tmp_path)
    own = _stored(spool)

    verified = list(_verifier(spool, tmp_path).verify())

    assert ({other}, {own}) == (_by_condition(verified, Condition.FOREIGN), _by_condition(verified, Condition.OK))


def test_a_foreign_file_is_named_by_its_place_only(tmp_path: Path) -> None:
    """A file that is none of ours is foreign; neither what is yielded nor the log holds the name that somebody gave it."""
    spool = a_spool(tmp_path)
    (tmp_path / "spool/incoming/QUARTZVOLE.dcm").touch()

    with capture_logs() as logs:
        (verified,) = _verifier(spool, tmp_path).verify()

    assert (None, Condition.FOREIGN) == (verified.name, verified.condition)
    assert "QUARTZVOLE" not in f"{verified}{logs}"


def test_what_the_disk_does_not_give_is_unreadable(tmp_path: Path) -> None:
    """An object that cannot be read is not called damaged: another cable may bring it back."""
    spool = a_spool(tmp_path)
    name = _stored(spool)
    _place(tmp_path, name).unlink()
    _place(tmp_path, name).mkdir()
    marked: list[SpoolName] = []

    (verified,) = _verifier(spool, tmp_path, mark=marked.append).verify()

    assert (name, Condition.UNREADABLE, "Is a directory") == (verified.name, verified.condition, verified.problem)
    assert [] == marked


def test_an_object_that_goes_meanwhile_is_no_finding(tmp_path: Path) -> None:
    """What is evicted between being seen and being opened is left out."""
    spool = a_spool(tmp_path)
    names = sorted(_stored(spool, b"same") for _ in range(3))
    run = _verifier(spool, tmp_path).verify()

    verified = [next(run)]
    spool.remove(names[1])
    verified += run

    assert [names[0], names[2]] == [one.name for one in verified]


# Quarantine


def test_damage_is_set_apart_when_asked(tmp_path: Path) -> None:
    """A damaged object is marked first and moved then; sound ones stay, and the next run finds nothing wrong."""
    spool = a_spool(tmp_path)
    bad, good = _stored(spool), _stored(spool)
    _flip(_place(tmp_path, bad), 5600)
    marked: list[tuple[SpoolName, bool]] = []
    verifier = _verifier(spool, tmp_path, mark=lambda name: marked.append((name, _place(tmp_path, name).exists())))

    first = {one.name: (one.condition, one.quarantined) for one in verifier.verify()}
    second = [(one.name, one.condition) for one in verifier.verify()]

    assert {bad: (Condition.DAMAGED, True), good: (Condition.OK, False)} == first
    assert [(bad, True)] == marked
    assert [tmp_path / "spool/quarantine" / str(bad)] == files_under(tmp_path / "spool/quarantine")
    assert [(good, Condition.OK)] == second


def test_a_crash_after_the_mark_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    """An object that was marked and not moved is marked again and moved."""
    spool = a_spool(tmp_path)
    name = _stored(spool)
    _flip(_place(tmp_path, name), 5600)

    def crash(_: SpoolName) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(_verifier(spool, tmp_path, mark=crash).verify())
    marked: list[SpoolName] = []
    (verified,) = _verifier(spool, tmp_path, mark=marked.append).verify()

    assert ([name], True) == (marked, verified.quarantined)


def test_damage_that_still_waits_is_reported_and_left(tmp_path: Path) -> None:
    """In incoming the router decides: a damaged object there is named and stays."""
    spool = a_spool(tmp_path)
    name = _received(spool)
    _flip(tmp_path / "spool/incoming" / str(name), 5600)
    marked: list[SpoolName] = []

    (verified,) = _verifier(spool, tmp_path, mark=marked.append).verify()

    assert (Condition.DAMAGED, f"incoming/{name}", False) == (verified.condition, verified.where, verified.quarantined)
    assert [] == marked
    assert [name] == spool.incoming()


# Subsets, pace, progress


def test_subsets_cover_everything_once(tmp_path: Path) -> None:
    """The parts 1/7 to 7/7 name every object, each in one part only, also after others have come."""
    spool = a_spool(tmp_path)
    names = [_stored(spool, str(number).encode()) for number in range(70)]
    verifier = _verifier(spool, tmp_path)

    parts = [[one.name for one in verifier.verify(Subset(number, 7))] for number in range(1, 8)]
    _stored(spool)
    again = [one.name for one in verifier.verify(Subset(3, 7))]

    assert sorted(names) == sorted(name for part in parts for name in part if name is not None)
    assert min(len(part) for part in parts) > 0
    assert set(parts[2]) <= set(again)


def test_the_days_of_a_week_cover_everything() -> None:
    """Seven days in a row take seven different parts."""
    days = [Subset.of_day(1_709_208_000.0 + 86_400 * day, 7) for day in range(7)]

    assert {Subset(number, 7) for number in range(1, 8)} == set(days)


def test_a_subset_is_stable_for_ever() -> None:
    """Which part an object is in depends on nothing but its id."""
    assert [False, True, False] == [Subset(number, 3).includes("019b76daa8fa0123456789abcdef0123") for number in (1, 2, 3)]


def test_subsets_are_read_from_text() -> None:
    """A subset is written n/t."""
    assert Subset(2, 7) == Subset.parse(" 2/7 ")


@pytest.mark.parametrize("text", ["", "7", "0/7", "8/7", "1/0", "-1/7", "1/7/2", "a/b", "1/9999999"])
def test_what_is_no_subset_is_wrong_usage(text: str) -> None:
    """Anything else ends with exit code 2 and says how to write one."""
    with pytest.raises(SubsetInvalidError) as refused:
        Subset.parse(text)

    assert refused.value.exit_code == 2


def test_the_pace_is_kept(tmp_path: Path) -> None:
    """At 1 MB/s, ten megabytes take ten seconds, less the second that a run may be ahead."""
    spool = a_spool(tmp_path)
    for _ in range(10):
        _stored(spool, bytes(1_000_000))
    clock = FakeClock()
    began = clock.now().boottime

    conditions = {one.condition for one in _verifier(spool, tmp_path, clock=clock, pace=1_000_000).verify()}

    assert {Condition.OK} == conditions
    assert 8.9 <= clock.now().boottime - began <= 10.1


def test_extent_and_progress_add_up(tmp_path: Path) -> None:
    """What progress counts ends at what the extent announced."""
    spool = a_spool(tmp_path)
    for length in (0, 100, 3_000_000):
        _stored(spool, bytes(length))
    verifier = _verifier(spool, tmp_path)
    read: list[int] = []

    list(verifier.verify(progress=read.append))

    assert Extent(3, 3_000_100) == verifier.extent()
    assert 3_000_100 == sum(read)
    assert len(read) >= 4


def test_a_run_goes_on_where_another_ended(tmp_path: Path) -> None:
    """A run that was stopped is continued behind the last object that it named."""
    spool = a_spool(tmp_path)
    names = {_stored(spool, str(number).encode()) for number in range(10)}
    verifier = _verifier(spool, tmp_path)
    run = verifier.verify()

    first = [next(run) for _ in range(4)]
    rest = list(verifier.verify(after=first[-1].where))

    assert names == {one.name for one in (*first, *rest)}
    assert len(names) == len(first) + len(rest)


def test_what_is_wrong_is_logged_and_what_is_well_is_not(tmp_path: Path) -> None:
    """Each damaged object is one log event that names it."""
    spool = a_spool(tmp_path)
    bad, _ = _stored(spool), _stored(spool)
    _flip(_place(tmp_path, bad), 5600)

    with capture_logs() as logs:
        list(_verifier(spool, tmp_path).verify())

    assert [("spool.verify.failed", "damaged", bad.object_id)] == [(one["event"], one["condition"], one["object_id"]) for one in logs]


def test_a_whole_name_says_nothing_of_the_generation_it_lies(tmp_path: Path) -> None:
    """An object whose name claims another generation than its folder is not in its place."""
    spool = a_spool(tmp_path)
    name = _stored(spool)
    place = _place(tmp_path, name)
    place.rename(place.with_name(str(replace(name, generation=2))))

    (verified,) = _verifier(spool, tmp_path).verify()

    assert (None, Condition.FOREIGN) == (verified.name, verified.condition)
