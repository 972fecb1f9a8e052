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
