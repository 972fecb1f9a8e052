"""Distributions of whole paths: their relative entropy, and the likelihood ratios behind it.

An error of a sampler is a relative entropy between the paths that it should take and those that it
takes: it bounds the error of the samples (data processing), and it is a sum over the steps, which
the error of the samples is not.
"""

from pushforward.path_space.chains import (
    chain_relative_entropy,
    gaussian_chain_relative_entropy,
    jump_relative_entropy,
)
from pushforward.path_space.entropy import PathEntropy, total_variation_bound
from pushforward.path_space.gaussian import gaussian_girsanov
from pushforward.path_space.girsanov import girsanov, log_likelihood_ratio
from pushforward.path_space.sde import SDE, forward_sde, reverse_sde

__all__ = [
    "SDE",
    "PathEntropy",
    "chain_relative_entropy",
    "forward_sde",
    "gaussian_chain_relative_entropy",
    "gaussian_girsanov",
    "girsanov",
    "jump_relative_entropy",
    "log_likelihood_ratio",
    "reverse_sde",
    "total_variation_bound",
]
