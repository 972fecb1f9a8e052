"""Score matching: learn the score `grad log p`, or an energy, from samples of `p` alone.

Every loss is one number per example whose expectation is the Fisher divergence
`E |s - grad log p|^2 / 2` up to a constant that no network can change.
"""

from pushforward.score_matching.energies import Energy, Reconstruction, score_of
from pushforward.score_matching.langevin import annealed_langevin, langevin
from pushforward.score_matching.levels import geometric
from pushforward.score_matching.losses import (
    antithetic,
    denoising,
    denoising_levels,
    implicit,
    sliced,
    sliced_variance_reduced,
)
from pushforward.score_matching.rules import (
    Antithetic,
    Denoising,
    DenoisingLevels,
    Implicit,
    Matching,
    Sliced,
    VarianceReduced,
)
from pushforward.score_matching.untimed import Untimed

__all__ = [
    "Antithetic",
    "Denoising",
    "DenoisingLevels",
    "Energy",
    "Implicit",
    "Matching",
    "Reconstruction",
    "Sliced",
    "Untimed",
    "VarianceReduced",
    "annealed_langevin",
    "antithetic",
    "denoising",
    "denoising_levels",
    "geometric",
    "implicit",
    "langevin",
    "score_of",
    "sliced",
    "sliced_variance_reduced",
]
