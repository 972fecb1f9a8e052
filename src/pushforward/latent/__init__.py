"""What latent variable models are made of: encoders, decoders, priors, and the laws they give."""

from pushforward.latent.annealing import annealed_log_weights, log_mean, mean
from pushforward.latent.decoders import (
    BernoulliDecoder,
    Decoder,
    GaussianDecoder,
    LogisticDecoder,
)
from pushforward.latent.encoders import (
    DiagonalEncoder,
    Encoder,
    FlowEncoder,
    FullCovarianceEncoder,
)
from pushforward.latent.evidence import Elbo, Evidence
from pushforward.latent.laws import FullNormal, Law, Mixture, Normal, Transformed
from pushforward.latent.linear_gaussian import (
    LinearGaussian,
    LinearGaussianFit,
    expectation_maximization,
)
from pushforward.latent.observations import Bernoulli, Gaussian, Levels, Logistic, Observation
from pushforward.latent.priors import FlowPrior, MixturePrior, Prior, StandardNormal, VampPrior

__all__ = [
    "Bernoulli",
    "BernoulliDecoder",
    "Decoder",
    "DiagonalEncoder",
    "Elbo",
    "Encoder",
    "Evidence",
    "FlowEncoder",
    "FlowPrior",
    "FullCovarianceEncoder",
    "FullNormal",
    "Gaussian",
    "GaussianDecoder",
    "Law",
    "Levels",
    "LinearGaussian",
    "LinearGaussianFit",
    "Logistic",
    "LogisticDecoder",
    "Mixture",
    "MixturePrior",
    "Normal",
    "Observation",
    "Prior",
    "StandardNormal",
    "Transformed",
    "VampPrior",
    "annealed_log_weights",
    "expectation_maximization",
    "log_mean",
    "mean",
]
