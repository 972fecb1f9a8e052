"""Theory that runs: what is proved about samplers, measured beside them."""

from pushforward.theory.bounds import fitting_bound, langevin_bias_bound, straightness_bound
from pushforward.theory.control import control_cost, riccati
from pushforward.theory.exact_laws import density_of_samples, moments_of_samples
from pushforward.theory.orders import path_errors, variance_errors

__all__ = [
    "control_cost",
    "density_of_samples",
    "fitting_bound",
    "langevin_bias_bound",
    "moments_of_samples",
    "path_errors",
    "riccati",
    "straightness_bound",
    "variance_errors",
]
