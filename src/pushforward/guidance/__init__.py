"""Guidance: a model in, a model out, so that any guidance goes with any sampler."""

from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.conditioned import conditioned
from pushforward.guidance.given import Given, given
from pushforward.guidance.thresholding import DynamicThreshold, StaticThreshold

__all__ = [
    "ClassifierFree",
    "DynamicThreshold",
    "Given",
    "StaticThreshold",
    "conditioned",
    "given",
]
