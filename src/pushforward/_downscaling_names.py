"""What the short names of downscaling stand for, as in `_names`: nothing is imported here."""

from __future__ import annotations

from typing import Any

__all__ = ["DEBIASINGS", "DOWNSCALERS"]

DEBIASINGS: dict[str, Any] = {
    "mean-shift": "downscaling.MeanShift",
    "moments": "downscaling.MomentMatching",
    "quantiles": "downscaling.QuantileMapping",
    "quantiles-by-cell": ("downscaling.QuantileMapping", {"each_cell": True}),
    "waves": "downscaling.SpectralTransport",
    "samples": "downscaling.EntropicTransport",
}
"""Bias corrections of coarse fields."""

DOWNSCALERS: dict[str, Any] = {
    "persistence": "downscaling.Persistence",
    "random": "downscaling.RandomPairing",
    "mean-shift": ("downscaling.Mapped", {"debiasing": "mean-shift"}),
    "quantiles": ("downscaling.Mapped", {"debiasing": "quantiles"}),
    "quantiles-by-cell": ("downscaling.Mapped", {"debiasing": "quantiles-by-cell"}),
    "noise-bridge": "downscaling.NoiseBridge",
    "constrained-diffusion": "downscaling.ConstrainedDiffusion",
    "learned": "downscaling.LearnedMap",
}
"""What makes fine fields of coarse ones."""
