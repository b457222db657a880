"""What goes wrong with files: every trouble has one verdict, every error number one trouble, and none of them is a delivery."""

from __future__ import annotations

import errno

import pytest

from appliance.deliver.file_verdicts import STORED, TROUBLES, FileTroubleError, Trouble, judge_trouble, trouble_of
from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.verdict import Whose
from appliance.ledger.vocabulary import HoldClass


@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_has_a_verdict_of_its_own_name(trouble: Trouble) -> None:
    """The table is total, its flags are the troubles' words, and no trouble is a delivery."""
    verdict = judge_trouble(trouble)

    assert verdict.flag == trouble.value
    assert verdict.whose is not Whose.DELIVERED
    assert verdict.text
    assert len(TROUBLES) == len(Trouble)


@pytest.mark.parametrize("number", [*errno.errorcode, None, 0, 99999])
def test_every_error_number_means_something(number: int | None) -> None:
    """Whatever the kernel says has a verdict."""
    assert isinstance(trouble_of(number), Trouble)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.ENOSPC, SiteState.THROTTLED),
        (errno.EDQUOT, SiteState.THROTTLED),
        (errno.EIO, SiteState.THROTTLED),
        (errno.EACCES, SiteState.REFUSING),
        (errno.EROFS, SiteState.REFUSING),
        (errno.ENOENT, SiteState.DEAD),
        (errno.ESTALE, SiteState.DEAD),
        (errno.ENOTCONN, SiteState.DEAD),
        (errno.EHOSTDOWN, SiteState.DEAD),
    ],
)
def test_what_the_folder_suffers_is_charged_to_the_site(number: int, state: SiteState) -> None:
    """No room throttles, no permission refuses, a share that vanished is dead; no delivery pays for it."""
    verdict = judge_trouble(trouble_of(number))

    assert (verdict.whose, verdict.site_state) == (Whose.SITE, state)
    assert (verdict.lanes is Lanes.ONE) == (state is SiteState.THROTTLED)


@pytest.mark.parametrize(
    ("number", "hold"),
    [(errno.ENAMETOOLONG, HoldClass.CONFIGURATION), (errno.ENOTDIR, HoldClass.CONFIGURATION), (errno.EFBIG, HoldClass.VERDICT)],
)
def test_what_no_repeat_mends_is_held(number: int, hold: HoldClass) -> None:
    """A name or a size that the folder cannot take holds the one instance."""
    verdict = judge_trouble(trouble_of(number))

    assert (verdict.whose, verdict.hold, verdict.holds_after(1)) == (Whose.INSTANCE, hold, True)


def test_words_of_its_own_change_nothing_else() -> None:
    """More is said, and the same follows."""
    error = FileTroubleError(Trouble.WRONG_HOST_KEY, "both fingerprints")

    assert (error.verdict.text, error.verdict.site_state, str(error)) == ("both fingerprints", SiteState.REFUSING, "both fingerprints")
    assert STORED.whose is Whose.DELIVERED
