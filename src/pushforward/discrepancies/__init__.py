"""Discrepancies of distributions, estimated by critics from samples, and what smooths these.

These are made to be minimized. `pushforward.divergences` has their values, with errors.
"""

from pushforward.discrepancies.discrepancy import Critic, Discrepancy
from pushforward.discrepancies.f_divergence import (
    KL,
    Alpha,
    FDivergence,
    JensenShannon,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from pushforward.discrepancies.integral import MMD, EnergyDistance, LearnedMMD, Wasserstein
from pushforward.discrepancies.regularizers import (
    R1,
    R1R2,
    GradientPenalty,
    Regularizer,
    SpectralNorm,
    WeightClipping,
)
from pushforward.discrepancies.relativistic import RelativisticPairs
from pushforward.discrepancies.transport import SinkhornDivergence

__all__ = [
    "KL",
    "MMD",
    "R1",
    "R1R2",
    "Alpha",
    "Critic",
    "Discrepancy",
    "EnergyDistance",
    "FDivergence",
    "GradientPenalty",
    "JensenShannon",
    "LearnedMMD",
    "Pearson",
    "Regularizer",
    "RelativisticPairs",
    "ReverseKL",
    "SinkhornDivergence",
    "SpectralNorm",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightClipping",
]
