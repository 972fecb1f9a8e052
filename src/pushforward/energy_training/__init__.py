"""Ways to train an energy `E`, for the density `exp(-E) / Z` whose `Z` is unknown."""

from typing import Any

from pushforward import score_matching
from pushforward.config import named
from pushforward.energy_training.divergence import (
    ContrastiveDivergence,
    PersistentContrastiveDivergence,
)
from pushforward.energy_training.matching import ScoreMatching
from pushforward.energy_training.noise_contrastive import NoiseContrastive
from pushforward.energy_training.training import EnergyFunction, Training

__all__ = [
    "NAMES",
    "ContrastiveDivergence",
    "EnergyFunction",
    "NoiseContrastive",
    "PersistentContrastiveDivergence",
    "ScoreMatching",
    "Training",
    "chosen",
]

NAMES: dict[str, type[Training]] = {
    "cd": ContrastiveDivergence,
    "pcd": PersistentContrastiveDivergence,
    "nce": NoiseContrastive,
}


def chosen(training: Any) -> Training:
    """The training that a short name, or an object, stands for.

    The names are those of `NAMES` and of `score_matching.NAMES`. Raises `InputError` for others,
    with the nearest one.

    >>> type(chosen("denoising")).__name__
    'ScoreMatching'
    """
    names = {**dict.fromkeys(score_matching.NAMES, ScoreMatching), **NAMES}
    if isinstance(training, str) and training in score_matching.NAMES:
        return ScoreMatching(training)
    found: Training = named(training, names, "training of energies")
    return found
