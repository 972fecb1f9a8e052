"""Processes: how data turns into noise, and what time reversal asks a model to predict."""

from pushforward.processes.bridge import Bridge, Interpolant, OUBridge, Path, Reference
from pushforward.processes.brownian import Brownian
from pushforward.processes.gaussian import Gaussian, Kernel
from pushforward.processes.geodesic import Geodesic
from pushforward.processes.interpolants import Linear, OneSided, Scheduled, Trigonometric
from pushforward.processes.jump_diffusion import JumpDiffusion, PointPrediction
from pushforward.processes.masking import Masking
from pushforward.processes.motion import Motion
from pushforward.processes.product import Product
from pushforward.processes.thinning import Missing, PointLaw, SharedLaw, Thinning

__all__ = [
    "NAMES",
    "Bridge",
    "Brownian",
    "Gaussian",
    "Geodesic",
    "Interpolant",
    "JumpDiffusion",
    "Kernel",
    "Linear",
    "Masking",
    "Missing",
    "Motion",
    "OneSided",
    "Path",
    "OUBridge",
    "PointLaw",
    "PointPrediction",
    "Product",
    "Reference",
    "Scheduled",
    "SharedLaw",
    "Thinning",
    "Trigonometric",
]

NAMES: dict[str, type] = {
    "gaussian": Gaussian,
    "brownian": Brownian,
    "geodesic": Geodesic,
    "masking": Masking,
    "thinning": Thinning,
    "jump-diffusion": JumpDiffusion,
    "bridge": Bridge,
    "ou-bridge": OUBridge,
    "interpolant": Interpolant,
    "linear": Linear,
    "trigonometric": Trigonometric,
    "scheduled": Scheduled,
    "one-sided": OneSided,
    "product": Product,
}
