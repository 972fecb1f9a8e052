"""Guidance: a model in, a model out, so that any guidance goes with any sampler."""

from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.conditioned import conditioned
from pushforward.guidance.given import Given, given

__all__ = ["ClassifierFree", "Given", "conditioned", "given"]
