"""Discrepancies of laws estimated from samples, by critics mostly, and what keeps these smooth."""

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
    GradientPenalty,
    Regularizer,
    SpectralNorm,
    WeightClipping,
)
from pushforward.discrepancies.transport import Sinkhorn

__all__ = [
    "KL",
    "MMD",
    "R1",
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
    "ReverseKL",
    "Sinkhorn",
    "SpectralNorm",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightClipping",
]
