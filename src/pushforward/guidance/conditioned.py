"""A model in one context, guided or not: what a sampler is given."""

from __future__ import annotations

from typing import Any

from pushforward.condition import Condition
from pushforward.errors import CapabilityError
from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.given import given
from pushforward.protocols import Model

__all__ = ["conditioned"]


def conditioned(model: Model, condition: Condition, c: Any, guidance: float = 1.0) -> Model:
    """The model closed over rows of a context, with classifier-free guidance of some strength.

    Raises `CapabilityError` for guidance without a context, or of a model that never trained
    without one.
    """
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
    return given(ClassifierFree(model, guidance), c)
