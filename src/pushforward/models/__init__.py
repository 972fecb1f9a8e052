"""Families: models that share one contract.

`loss`, `sample`, `log_prob`, `capabilities`, `save`; and `load` for what any of them saved.
"""

from pushforward.models.baselines import (
    GaussianMixtureModel,
    KernelDensity,
    ProbabilisticPCA,
)
from pushforward.models.denoiser import Denoiser
from pushforward.models.diffusion import Diffusion
from pushforward.models.energy_model import EnergyModel
from pushforward.models.gan import GAN
from pushforward.models.matching import FlowMatching
from pushforward.models.normalizing_flow import NormalizingFlow
from pushforward.models.posterior_variance import PosteriorVariance
from pushforward.models.saving import load
from pushforward.models.schrodinger_bridge import MarginalError, SchrodingerBridge
from pushforward.models.score_model import ScoreModel
from pushforward.models.trajectory import Moment, Trajectory
from pushforward.models.two_ended import TwoEnded
from pushforward.models.vae import VAE
from pushforward.models.way import trajectories

__all__ = [
    "Denoiser",
    "Diffusion",
    "EnergyModel",
    "FlowMatching",
    "GAN",
    "GaussianMixtureModel",
    "KernelDensity",
    "MarginalError",
    "Moment",
    "NormalizingFlow",
    "PosteriorVariance",
    "ProbabilisticPCA",
    "SchrodingerBridge",
    "ScoreModel",
    "Trajectory",
    "TwoEnded",
    "VAE",
    "load",
    "trajectories",
]
