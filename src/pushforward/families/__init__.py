"""Families: models that share one contract.

`loss`, `sample`, `log_prob`, `capabilities`, `save`; and `load` for what any of them saved.
"""

from pushforward.families.denoiser import Denoiser
from pushforward.families.diffusion import Diffusion
from pushforward.families.posterior_variance import PosteriorVariance
from pushforward.families.saving import load
from pushforward.families.score_model import ScoreModel
from pushforward.families.trajectory import Moment, Trajectory

__all__ = [
    "NAMES",
    "Denoiser",
    "Diffusion",
    "Moment",
    "PosteriorVariance",
    "ScoreModel",
    "Trajectory",
    "load",
]

NAMES: dict[str, type] = {"diffusion": Diffusion, "score": ScoreModel}
