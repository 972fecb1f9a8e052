"""Guidance: a model in, a model out, so that any guidance goes with any sampler."""

from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.given import Given, given
from pushforward.guidance.thresholding import DynamicThreshold, StaticThreshold

__all__ = [
    "NAMES",
    "ClassifierFree",
    "DynamicThreshold",
    "Given",
    "StaticThreshold",
    "given",
]

NAMES: dict[str, type] = {
    "classifier-free": ClassifierFree,
    "static-threshold": StaticThreshold,
    "dynamic-threshold": DynamicThreshold,
}
