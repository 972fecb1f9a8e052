"""Short names of covariances of random functions."""

from __future__ import annotations

from typing import Any

__all__ = ["COVARIANCES"]

COVARIANCES: dict[str, Any] = {
    "spectral": "spaces.Spectral",
    "matern": "spaces.kernels.Matern",
    "exponential": "spaces.kernels.Exponential",
    "squared-exponential": "spaces.kernels.SquaredExponential",
    "white": "spaces.kernels.White",
    "periodic": "spaces.kernels.Periodic",
}
