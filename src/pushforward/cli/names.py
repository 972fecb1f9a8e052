"""Short names of every axis, for help and completion without importing torch.

The packages themselves hold the objects; a test keeps the two the same.
"""

from __future__ import annotations

__all__ = ["AXES", "complete"]

AXES: dict[str, tuple[str, ...]] = {
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
    "families": ("diffusion", "score"),
    "grids": ("uniform", "log-snr", "karras"),
    "guidance": ("classifier-free",),
    "networks": ("mlp", "unet"),
    "predictions": ("data", "noise", "v", "score", "velocity", "edm"),
    "processes": (
        "gaussian",
        "brownian",
        "geodesic",
        "masking",
        "thinning",
        "jump-diffusion",
        "bridge",
        "interpolant",
        "product",
    ),
    "samplers": ("euler", "sde", "tau-leap", "ddpm", "ddim", "pinned", "heun", "dpm++2m"),
    "schedules": ("vp", "cosine", "ve", "rectified", "ou"),
    "times": ("uniform", "stratified", "logit-normal", "log-normal"),
}


def complete(axis: str) -> list[str]:
    """The names that a shell may offer for an option.

    >>> complete("schedules")[:2]
    ['vp', 'cosine']
    """
    return list(AXES[axis])
