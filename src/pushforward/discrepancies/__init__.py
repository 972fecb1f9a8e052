"""Discrepancies of distributions, estimated by critics from samples, and what smooths these."""

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
from pushforward.discrepancies.transport import SinkhornDivergence

__all__ = [
    "KL",
    "MMD",
    "NAMES",
    "R1",
    "REGULARIZERS",
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
    "SinkhornDivergence",
    "SpectralNorm",
    "SquaredHellinger",
    "TotalVariation",
    "Wasserstein",
    "WeightClipping",
]

NAMES: dict[str, type] = {
    "jensen-shannon": JensenShannon,
    "kl": KL,
    "reverse-kl": ReverseKL,
    "total-variation": TotalVariation,
    "pearson": Pearson,
    "hellinger": SquaredHellinger,
    "alpha": Alpha,
    "wasserstein": Wasserstein,
    "mmd": MMD,
    "learned-mmd": LearnedMMD,
    "energy": EnergyDistance,
    "sinkhorn": SinkhornDivergence,
}

REGULARIZERS: dict[str, type] = {
    "r1": R1,
    "gradient-penalty": GradientPenalty,
    "weight-clipping": WeightClipping,
    "spectral-norm": SpectralNorm,
}
