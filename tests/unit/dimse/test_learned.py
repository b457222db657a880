"""What is known of destinations: as bytes, and of several together."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.dimse.contexts import NOTHING_KNOWN, Acceptance
from appliance.dimse.learned import Learned, LearnedInvalidError, Pair, decode, encode, together

CT, MR, SR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.4"), Uid("1.2.840.10008.5.1.4.1.1.88.11")
EXPLICIT, J2K, JPEG_LS = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.90"), Uid("1.2.840.10008.1.2.4.80")


def known(*, taken: tuple[Pair, ...] = (), refused: tuple[Pair, ...] = (), classes: tuple[Uid, ...] = ()) -> Learned:
    """Return what is known of one destination."""
    return Learned(frozenset(taken), frozenset(refused), frozenset(classes))


def test_what_is_published_is_read_again() -> None:
    """Every destination comes back as it was, and equal knowledge is equal bytes."""
    destinations = {"archive": known(taken=((CT, EXPLICIT), (CT, J2K)), refused=((MR, J2K),), classes=(SR,)), "reading": Learned()}

    assert decode(encode(destinations)) == destinations
    assert encode(dict(reversed(list(destinations.items())))) == encode(destinations)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version":2,"destinations":{}}',
        '{"version":1,"destinations":[]}',
        '{"version":1,"destinations":{"a":5}}',
        '{"version":1,"destinations":{"a":{"accepted":5}}}',
        '{"version":1,"destinations":{"a":{"accepted":[["1.2"]]}}}',
        '{"version":1,"destinations":{"a":{"refused":[["1.2",3]]}}}',
        '{"version":1,"destinations":{"a":{"refused_classes":[1]}}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_anything_else_is_refused(text: str | bytes) -> None:
    """What is not ours is an error of one kind, whatever it is."""
    with pytest.raises(LearnedInvalidError):
        decode(text if isinstance(text, bytes) else text.encode())


def test_nothing_is_known_of_no_destination_and_of_a_new_one() -> None:
    """An association that leads nowhere, or to a destination that was never called, is free."""
    assert together([]) == NOTHING_KNOWN
    assert together([Learned()]) == NOTHING_KNOWN


def test_one_destination_is_known_as_it_was_learned() -> None:
    """Pairs are sorted by class; a class that is taken in any syntax is not refused."""
    learned = known(taken=((CT, EXPLICIT), (CT, J2K), (MR, EXPLICIT)), refused=((MR, J2K),), classes=(SR, MR))

    assert together([learned]) == Acceptance(
        {CT: frozenset({EXPLICIT, J2K}), MR: frozenset({EXPLICIT})}, frozenset({SR}), {MR: frozenset({J2K})}
    )


def test_several_destinations_take_what_one_takes_and_refuse_what_all_refuse() -> None:
    """What one destination can be given is worth accepting; what one of them was never asked for is not refused."""
    one = known(taken=((CT, EXPLICIT),), refused=((CT, J2K), (CT, JPEG_LS)), classes=(SR, MR))
    other = known(taken=((MR, EXPLICIT),), refused=((CT, J2K),), classes=(SR,))

    assert together([one, other]) == Acceptance(
        {CT: frozenset({EXPLICIT}), MR: frozenset({EXPLICIT})}, frozenset({SR}), {CT: frozenset({J2K})}
    )
    assert together([one, Learned()]) == Acceptance({CT: frozenset({EXPLICIT})})


def test_a_refused_class_refuses_every_syntax() -> None:
    """A destination that refuses a whole class agrees with another one that refuses a syntax of it."""
    one, other = known(classes=(CT,)), known(refused=((CT, J2K),))

    assert together([one, other]) == Acceptance(refused_syntaxes={CT: frozenset({J2K})})
