"""A model in one context, guided or not: what a sampler is given."""

from __future__ import annotations

from typing import Any

from pushforward.condition import Condition
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.given import given
from pushforward.guidance.interval import GuidanceInterval
from pushforward.protocols import Model

__all__ = ["conditioned"]


def conditioned(
    model: Model,
    condition: Condition,
    c: Any,
    guidance: float = 1.0,
    interval: tuple[float, float] | None = None,
) -> Model:
    """The model closed over rows of a context, with classifier-free guidance of some strength.

    With an `interval` of times, `GuidanceInterval`, it is guided within, and elsewhere as it is.

    Raises `CapabilityError` for guidance without a context, or of a model that never trained
    without one; `InputError` for an interval that is none, or without guidance.
    """
    if interval is not None and guidance == 1.0:
        raise InputError(
            f"guidance_interval={interval!r} says when guidance acts, and guidance=1 is none: give "
            "guidance= too, such as guidance=3"
        )
    if c is None:
        if guidance != 1.0:
            raise CapabilityError(f"guidance {guidance} needs labels to guide towards: give c=")
        return model
    if guidance == 1.0:
        return given(model, c)
    if not condition.conditional:
        raise CapabilityError(
            f"guidance {guidance} needs a model that also trained without its context, but its "
            "network has neither num_classes nor context_size nor an encoder of texts"
        )
    if not condition.learns_without:
        raise CapabilityError(
            "this model never trained without labels (label_dropout=0): leave guidance at 1, or "
            "train it with label_dropout=0.1"
        )
    guided: Model = ClassifierFree(model, guidance)
    if interval is not None:
        guided = GuidanceInterval(guided, model, *_ends(interval))
    return given(guided, c)


def _ends(interval: Any) -> tuple[float, float]:
    """The first and the last time. Raises `InputError` for anything but two."""
    if not isinstance(interval, (tuple, list)) or len(interval) != 2:
        raise InputError(f"guidance_interval= is two times, such as (0.2, 0.7), not {interval!r}")
    return interval[0], interval[1]
