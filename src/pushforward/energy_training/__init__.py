"""Ways to train an energy `E`, for the density `exp(-E) / Z` whose `Z` is unknown."""

from pushforward.energy_training.divergence import (
    ContrastiveDivergence,
    PersistentContrastiveDivergence,
)
from pushforward.energy_training.matching import ScoreMatching
from pushforward.energy_training.noise_contrastive import NoiseContrastive
from pushforward.energy_training.training import EnergyFunction, Training

__all__ = [
    "ContrastiveDivergence",
    "EnergyFunction",
    "NoiseContrastive",
    "PersistentContrastiveDivergence",
    "ScoreMatching",
    "Training",
]
