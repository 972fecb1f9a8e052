"""Models that share one contract.

`loss`, `sample`, `log_prob`, `capabilities`, `save`; and `load` for what any of them saved. Each is
imported when it is first used: a program with one of them does not load the others.
"""

from typing import TYPE_CHECKING

from pushforward._lazy import attach

_HOMES = {
    "AmortizedPosterior": "amortized_posterior",
    "AnnealedPosterior": "sampled_posterior",
    "ConditionalSource": "conditional_source",
    "ContextChannels": "context_channels",
    "Denoiser": "denoiser",
    "Diffusion": "diffusion",
    "DirichletProcessMixture": "dirichlet_mixture",
    "EnergyModel": "energy_model",
    "Exactness": "posterior",
    "Expectation": "expectation",
    "FlowMatching": "flow_matching",
    "FrameRegression": "frame_regression",
    "FunctionDiffusion": "function_diffusion",
    "GAN": "gan",
    "GaussianMixtureModel": "baselines",
    "GenerativeModel": "model",
    "GuidedPosterior": "guided_posterior",
    "KernelDensity": "baselines",
    "HeatKernelDensity": "heat_kernel_density",
    "LearnedSampler": "learned_sampler",
    "LikelihoodPosterior": "likelihood_posterior",
    "MarginalError": "marginal_errors",
    "Moment": "trajectory",
    "NoiseLevel": "noise_level",
    "at_points": "other_points",
    "between_sets": "set_interpolation",
    "log_prob_by_noise": "noise_measure",
    "log_prob_given": "given_likelihood",
    "NoiseMap": "noise_mapping",
    "NormalizingFlow": "normalizing_flow",
    "PointMatching": "point_matching",
    "Posterior": "posterior",
    "PosteriorVariance": "posterior_variance",
    "ProbabilisticPCA": "baselines",
    "RegressedSource": "conditional_source",
    "RepaintedPosterior": "sampled_posterior",
    "SchrodingerBridge": "schrodinger_bridge",
    "ScoreModel": "score_model",
    "Bootstrap": "table_baselines",
    "GaussianCopula": "table_baselines",
    "TableDiffusion": "table_diffusion",
    "TableNetwork": "table_network",
    "Trainable": "trainable",
    "Trajectory": "trajectory",
    "TransportMap": "transport_map",
    "UpsampledSource": "conditional_source",
    "TwistedPosterior": "twisted_posterior",
    "VAE": "vae",
    "conditional_sampler": "conditional_draws",
    "estimated_level": "noise_level",
    "load": "saving",
    "noise_map": "noise_mapping",
    "on_domain": "larger_domain",
    "posterior_of": "inferring",
    "recondition": "reconditioning",
}

__all__ = [
    "AmortizedPosterior",
    "AnnealedPosterior",
    "ConditionalSource",
    "ContextChannels",
    "Denoiser",
    "Diffusion",
    "DirichletProcessMixture",
    "EnergyModel",
    "Exactness",
    "Expectation",
    "FlowMatching",
    "FrameRegression",
    "FunctionDiffusion",
    "GAN",
    "GaussianMixtureModel",
    "GenerativeModel",
    "GuidedPosterior",
    "HeatKernelDensity",
    "KernelDensity",
    "LearnedSampler",
    "LikelihoodPosterior",
    "MarginalError",
    "Moment",
    "NoiseLevel",
    "at_points",
    "between_sets",
    "log_prob_by_noise",
    "log_prob_given",
    "NoiseMap",
    "NormalizingFlow",
    "PointMatching",
    "Posterior",
    "PosteriorVariance",
    "ProbabilisticPCA",
    "RegressedSource",
    "RepaintedPosterior",
    "SchrodingerBridge",
    "ScoreModel",
    "Bootstrap",
    "GaussianCopula",
    "TableDiffusion",
    "TableNetwork",
    "Trainable",
    "Trajectory",
    "TransportMap",
    "UpsampledSource",
    "TwistedPosterior",
    "VAE",
    "conditional_sampler",
    "estimated_level",
    "load",
    "noise_map",
    "on_domain",
    "posterior_of",
    "recondition",
]

if TYPE_CHECKING:
    from pushforward.models.amortized_posterior import AmortizedPosterior
    from pushforward.models.baselines import (
        GaussianMixtureModel,
        KernelDensity,
        ProbabilisticPCA,
    )
    from pushforward.models.conditional_draws import conditional_sampler
    from pushforward.models.conditional_source import (
        ConditionalSource,
        RegressedSource,
        UpsampledSource,
    )
    from pushforward.models.context_channels import ContextChannels
    from pushforward.models.denoiser import Denoiser
    from pushforward.models.diffusion import Diffusion
    from pushforward.models.dirichlet_mixture import DirichletProcessMixture
    from pushforward.models.energy_model import EnergyModel
    from pushforward.models.expectation import Expectation
    from pushforward.models.flow_matching import FlowMatching
    from pushforward.models.frame_regression import FrameRegression
    from pushforward.models.function_diffusion import FunctionDiffusion
    from pushforward.models.gan import GAN
    from pushforward.models.given_likelihood import log_prob_given
    from pushforward.models.guided_posterior import GuidedPosterior
    from pushforward.models.heat_kernel_density import HeatKernelDensity
    from pushforward.models.inferring import posterior_of
    from pushforward.models.larger_domain import on_domain
    from pushforward.models.learned_sampler import LearnedSampler
    from pushforward.models.likelihood_posterior import LikelihoodPosterior
    from pushforward.models.marginal_errors import MarginalError
    from pushforward.models.model import GenerativeModel
    from pushforward.models.noise_level import NoiseLevel, estimated_level
    from pushforward.models.noise_mapping import NoiseMap, noise_map
    from pushforward.models.noise_measure import log_prob_by_noise
    from pushforward.models.normalizing_flow import NormalizingFlow
    from pushforward.models.other_points import at_points
    from pushforward.models.point_matching import PointMatching
    from pushforward.models.posterior import Exactness, Posterior
    from pushforward.models.posterior_variance import PosteriorVariance
    from pushforward.models.reconditioning import recondition
    from pushforward.models.sampled_posterior import AnnealedPosterior, RepaintedPosterior
    from pushforward.models.saving import load
    from pushforward.models.schrodinger_bridge import SchrodingerBridge
    from pushforward.models.score_model import ScoreModel
    from pushforward.models.set_interpolation import between_sets
    from pushforward.models.table_baselines import Bootstrap, GaussianCopula
    from pushforward.models.table_diffusion import TableDiffusion
    from pushforward.models.table_network import TableNetwork
    from pushforward.models.trainable import Trainable
    from pushforward.models.trajectory import Moment, Trajectory
    from pushforward.models.transport_map import TransportMap
    from pushforward.models.twisted_posterior import TwistedPosterior
    from pushforward.models.vae import VAE

__getattr__, __dir__ = attach(__name__, _HOMES)
