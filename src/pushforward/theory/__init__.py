"""Theory that runs: what is proved about samplers, measured beside them."""

from pushforward.theory.exact_laws import density_of_samples, moments_of_samples
from pushforward.theory.orders import path_errors, variance_errors

__all__ = ["density_of_samples", "moments_of_samples", "path_errors", "variance_errors"]
