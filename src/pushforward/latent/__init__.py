"""What latent variable models are made of: encoders, decoders, priors, and what they return."""

from pushforward.latent.annealing import annealed
from pushforward.latent.decoders import (
    BernoulliDecoder,
    Decoder,
    GaussianDecoder,
    LogisticDecoder,
)
from pushforward.latent.distributions import (
    DiagonalNormal,
    FullNormal,
    Mixture,
    Reparametrized,
    Transformed,
)
from pushforward.latent.encoders import (
    DiagonalEncoder,
    Encoder,
    FlowEncoder,
    FullCovarianceEncoder,
)
from pushforward.latent.evidence import Elbo, Evidence
from pushforward.latent.linear_gaussian import (
    LinearGaussian,
    LinearGaussianFit,
    expectation_maximization,
)
from pushforward.latent.observations import Bernoulli, Levels, Logistic
from pushforward.latent.priors import FlowPrior, MixturePrior, Prior, StandardNormal, VampPrior
from pushforward.latent.weighing import weighed

__all__ = [
    "Bernoulli",
    "BernoulliDecoder",
    "Decoder",
    "DiagonalEncoder",
    "DiagonalNormal",
    "Elbo",
    "Encoder",
    "Evidence",
    "FlowEncoder",
    "FlowPrior",
    "FullCovarianceEncoder",
    "FullNormal",
    "GaussianDecoder",
    "Levels",
    "LinearGaussian",
    "LinearGaussianFit",
    "Logistic",
    "LogisticDecoder",
    "Mixture",
    "MixturePrior",
    "Prior",
    "Reparametrized",
    "StandardNormal",
    "Transformed",
    "VampPrior",
    "annealed",
    "expectation_maximization",
    "weighed",
]
