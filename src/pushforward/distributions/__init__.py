"""Distributions to sample from and to evaluate: priors, exact targets, and maps of either.

Every distribution has `sample(n, seed=, generator=)` and, where a density exists, `log_prob(x)`
in nats, shape `(B,)`.
"""

from pushforward.distributions.box import Box
from pushforward.distributions.constant import Constant
from pushforward.distributions.dirichlet import Dirichlet, DirichletMixture, GammaProduct
from pushforward.distributions.discrete import Table
from pushforward.distributions.heat_kernel import HeatKernel
from pushforward.distributions.independent import IndependentProduct
from pushforward.distributions.log_normal import LogNormal
from pushforward.distributions.mixture import GaussianMixture
from pushforward.distributions.normal import ColoredNormal, Normal
from pushforward.distributions.pushforward import Pushforward
from pushforward.distributions.spherical import VonMisesFisher
from pushforward.distributions.support import Supported, bounds_remain, without_bounds
from pushforward.distributions.symbols import IndependentSymbols
from pushforward.distributions.uniform import ManifoldUniform
from pushforward.distributions.wrapped_normal import WrappedNormal
from pushforward.protocols import Distribution

__all__ = [
    "Box",
    "ColoredNormal",
    "Constant",
    "Distribution",
    "Dirichlet",
    "DirichletMixture",
    "GammaProduct",
    "GaussianMixture",
    "HeatKernel",
    "IndependentProduct",
    "IndependentSymbols",
    "LogNormal",
    "Normal",
    "Pushforward",
    "Supported",
    "Table",
    "ManifoldUniform",
    "VonMisesFisher",
    "WrappedNormal",
    "bounds_remain",
    "without_bounds",
]
