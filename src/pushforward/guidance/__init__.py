"""Guidance: a model in, a model out, so that any guidance goes with any sampler."""

from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.given import Given, given

__all__ = ["NAMES", "ClassifierFree", "Given", "given"]

NAMES: dict[str, type] = {"classifier-free": ClassifierFree}
