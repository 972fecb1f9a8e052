"""Theory that runs: what is proved about samplers, measured beside them."""

from pushforward.theory.orders import path_errors, variance_errors

__all__ = ["path_errors", "variance_errors"]
