"""Processes: how data turns into noise, and what time reversal asks a model to predict."""

from pushforward.processes.block_masking import BlockMasking
from pushforward.processes.bridge import Bridge, OUBridge, Reference
from pushforward.processes.brownian import Brownian
from pushforward.processes.controlled_reference import ControlledReference
from pushforward.processes.cox_ingersoll_ross import CoxIngersollRoss
from pushforward.processes.dirichlet_path import DirichletPath
from pushforward.processes.gaussian import Gaussian, Kernel
from pushforward.processes.gaussian_sets import GaussianSets, SizedNoise
from pushforward.processes.geodesic import Geodesic
from pushforward.processes.held import Held
from pushforward.processes.interpolants import (
    Interpolant,
    Linear,
    OneSided,
    Scheduled,
    Trigonometric,
)
from pushforward.processes.jump_diffusion import JumpDiffusion, PointPrediction
from pushforward.processes.jumps import Jumps, TiltedLogits
from pushforward.processes.manifold_bridge import ManifoldBridge
from pushforward.processes.masking import Masking
from pushforward.processes.missing_point import PointMixtures
from pushforward.processes.missing_reading import Missing
from pushforward.processes.molecule_process import molecule_process
from pushforward.processes.natural import bridge_on, noising_on, path_on
from pushforward.processes.path import Path, StochasticInterpolant
from pushforward.processes.point_interpolant import PointInterpolant
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.product import ProductProcess
from pushforward.processes.rates import (
    BirthDeathRates,
    GaussianRates,
    MatrixRates,
    NeighborRates,
    Rates,
    SiteRates,
    UniformRates,
)
from pushforward.processes.reading import Reading
from pushforward.processes.table import table_process
from pushforward.processes.thinning import Thinning
from pushforward.processes.token_bridge import TokenBridge
from pushforward.processes.token_path import TokenPath
from pushforward.processes.trimming import Trimming
from pushforward.processes.wright_fisher import WrightFisher

__all__ = [
    "BlockMasking",
    "BirthDeathRates",
    "GaussianRates",
    "GaussianSets",
    "MatrixRates",
    "NeighborRates",
    "Rates",
    "SiteRates",
    "UniformRates",
    "Jumps",
    "Bridge",
    "Brownian",
    "ControlledReference",
    "CoxIngersollRoss",
    "DirichletPath",
    "Gaussian",
    "GenerativeProcess",
    "Geodesic",
    "Held",
    "Interpolant",
    "JumpDiffusion",
    "Kernel",
    "Linear",
    "ManifoldBridge",
    "Masking",
    "Missing",
    "OneSided",
    "Path",
    "OUBridge",
    "PointInterpolant",
    "PointMixtures",
    "PointPrediction",
    "ProductProcess",
    "Reading",
    "Reference",
    "Scheduled",
    "SizedNoise",
    "StochasticInterpolant",
    "Thinning",
    "TiltedLogits",
    "TokenBridge",
    "TokenPath",
    "Trigonometric",
    "Trimming",
    "WrightFisher",
    "bridge_on",
    "molecule_process",
    "noising_on",
    "path_on",
    "table_process",
]
