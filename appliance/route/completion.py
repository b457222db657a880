"""When a study is complete: for how long nothing of it must have come. Pure.

Promises: `quiet_s` is a function of settings and modalities: the longest time of any modality of the study that has images.
Failures: none.
Limits: nobody knows what a scanner has still to send; a study that comes after its time opens the study again.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.config.completion import Completion

ACCOMPANYING = frozenset({"SR", "PR", "KO", "DOC", "REG", "SEG", "RWV", "PLAN", "AU", "FID"})
"""Modalities of objects that come with images (PS3.3 C.7.3.1.1.1): how long to wait is for the images to say."""


def quiet_s(settings: Completion, modalities: Sequence[str]) -> float:
    """Return for how many seconds nothing must have come of a study of these modalities until it is complete."""
    times = dict(settings.quiet)
    asked = [modality.upper() for modality in modalities]
    # A site may have set a time for reports: then it counts.
    counting = [modality for modality in asked if modality not in ACCOMPANYING or modality in times]
    return max((times.get(modality, settings.otherwise) for modality in counting), default=settings.otherwise)
