"""Guidance: a model in, a model out, so that any guidance goes with any sampler.

By a measurement `y` of the state, for posteriors (each says when it is `exactness`):

| | takes | network evaluations and derivatives a step | exact for |
|---|---|---|---|
| `DPS` | any operator and noise | 1 + 1 | no data |
| `PiGDM` | linear, Gaussian | 1 + 1 | normal data of equal variances |
| `TMPD` | linear, Gaussian | 1 + 2 | normal data, one measured number |
| `MMPS` | linear, Gaussian | 1 + one per measured number, or two per iteration | normal data |
| `DiffPIR` | linear, Gaussian | 1 | no data |
| `NullSpaceProjection` | linear, no noise | 1 | the constraint, not the rest |

`samplers.TwistedSMC` weighs the draws of any of them but the last, and is exact for many particles.
"""

from pushforward.guidance.autoguidance import Autoguidance
from pushforward.guidance.classifier import ClassifierGuidance, NoisyLogProb
from pushforward.guidance.classifier_free import ClassifierFree
from pushforward.guidance.composition import (
    FactorizedComposition,
    GaussComposition,
    JacobianComposition,
    ScoreComposition,
)
from pushforward.guidance.conditioned import conditioned
from pushforward.guidance.diffpir import DiffPIR
from pushforward.guidance.dps import DPS
from pushforward.guidance.given import Given, given
from pushforward.guidance.given_counts import GivenCounts
from pushforward.guidance.interval import GuidanceInterval
from pushforward.guidance.measured import MeasurementGuidance
from pushforward.guidance.mmps import MMPS, Covariance
from pushforward.guidance.pigdm import PiGDM
from pushforward.guidance.projection import NullSpaceProjection
from pushforward.guidance.tempered_rates import TemperedRates
from pushforward.guidance.thresholding import DynamicThreshold, StaticThreshold
from pushforward.guidance.tmpd import TMPD
from pushforward.guidance.tokens import TokenGuidance

__all__ = [
    "DPS",
    "MMPS",
    "TMPD",
    "Autoguidance",
    "ClassifierFree",
    "ClassifierGuidance",
    "Covariance",
    "DiffPIR",
    "DynamicThreshold",
    "Given",
    "GivenCounts",
    "FactorizedComposition",
    "GaussComposition",
    "GuidanceInterval",
    "JacobianComposition",
    "MeasurementGuidance",
    "NoisyLogProb",
    "NullSpaceProjection",
    "PiGDM",
    "ScoreComposition",
    "StaticThreshold",
    "TemperedRates",
    "TokenGuidance",
    "conditioned",
    "given",
]
