"""Short names of every axis, for help and completion without importing torch.

The packages themselves hold the objects; a test keeps the two the same.
"""

from __future__ import annotations

__all__ = ["AXES", "complete"]

AXES: dict[str, tuple[str, ...]] = {
    "bridges": ("dsbm-imf", "dsbm-ipf", "dsb", "dsb-drift"),
    "data": (
        "digits",
        "fashion-mnist",
        "fashion-mnist-test",
        "two_moons",
        "8gaussians",
        "25gaussians",
        "checkerboard",
        "swiss_roll",
        "pinwheel",
    ),
    "models": (
        "diffusion",
        "matching",
        "score",
        "vae",
        "flow",
        "gan",
        "energy",
        "kde",
        "mixture",
        "ppca",
        "bridge",
    ),
    "grids": ("uniform", "quadratic", "log-snr", "karras"),
    "guidance": ("classifier-free", "static-threshold", "dynamic-threshold"),
    "networks": ("mlp", "unet", "dit"),
    "predictions": ("data", "noise", "v", "score", "velocity", "edm"),
    "processes": (
        "gaussian",
        "brownian",
        "geodesic",
        "masking",
        "thinning",
        "jump-diffusion",
        "bridge",
        "ou-bridge",
        "interpolant",
        "linear",
        "trigonometric",
        "scheduled",
        "one-sided",
        "product",
    ),
    "samplers": (
        "euler",
        "sde",
        "tau-leap",
        "ddpm",
        "ddpm-beta",
        "ddim",
        "pinned",
        "heun",
        "edm",
        "edm-sde",
        "exponential",
        "adams",
        "adams4",
        "dpm++2m",
        "dpm++2m-sde",
        "deis",
        "unipc",
        "unipc3",
        "pc",
        "langevin",
        "rk45",
        "adaptive-sde",
    ),
    "schedules": ("vp", "sub-vp", "cosine", "ve", "edm", "rectified", "ou"),
    "times": (
        "uniform",
        "stratified",
        "logit-normal",
        "log-normal",
        "log-snr",
        "steps",
        "importance",
    ),
    "weightings": ("output", "simple", "snr", "min-snr", "likelihood", "edm"),
}


def complete(axis: str) -> list[str]:
    """The names that a shell may offer for an option.

    >>> complete("schedules")[:2]
    ['vp', 'sub-vp']
    """
    return list(AXES[axis])
