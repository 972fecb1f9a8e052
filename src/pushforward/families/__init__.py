"""Families: models that share one contract.

`loss`, `sample`, `log_prob`, `capabilities`, `save`; and `load` for what any of them saved.
"""

from pushforward.families.baselines import (
    GaussianMixtureModel,
    KernelDensity,
    ProbabilisticPCA,
)
from pushforward.families.denoiser import Denoiser
from pushforward.families.diffusion import Diffusion
from pushforward.families.energy_model import EnergyModel
from pushforward.families.family import Family
from pushforward.families.gan import GAN
from pushforward.families.matching import FlowMatching
from pushforward.families.normalizing_flow import NormalizingFlow
from pushforward.families.posterior_variance import PosteriorVariance
from pushforward.families.saving import load
from pushforward.families.schrodinger_bridge import MarginalError, SchrodingerBridge
from pushforward.families.score_model import ScoreModel
from pushforward.families.trajectory import Moment, Trajectory
from pushforward.families.two_ended import TwoEnded
from pushforward.families.vae import VAE
from pushforward.families.way import trajectories

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
    "NAMES",
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

NAMES: dict[str, type[Family]] = {
    "diffusion": Diffusion,
    "matching": FlowMatching,
    "score": ScoreModel,
    "vae": VAE,
    "flow": NormalizingFlow,
    "energy": EnergyModel,
    "gan": GAN,
    "kde": KernelDensity,
    "mixture": GaussianMixtureModel,
    "ppca": ProbabilisticPCA,
    "bridge": SchrodingerBridge,
}
