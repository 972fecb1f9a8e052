"""Fine fields from coarse ones that have no pairs.

Two stores without pairs, `unpaired(coarse, fine)`, are what a downscaler is fitted to. Coarse
fields are first brought to the grid of the fine ones: `refined` does so by the operator that
`refinement` reads off both grids, and that also constrains and judges what comes out. A bridge is
trained by `pushforward bridge --source coarse.zarr --target fine.zarr`; the other downscalers need
a diffusion of the fine fields alone, or nothing learned at all. `judge` measures what any of them
makes.
"""

from pushforward.downscaling.constrained_diffusion import ConstrainedDiffusion
from pushforward.downscaling.debiasing import Debiasing
from pushforward.downscaling.downscaler import Downscaler
from pushforward.downscaling.entropic_transport import EntropicTransport
from pushforward.downscaling.judging import judge
from pushforward.downscaling.learned_map import LearnedMap
from pushforward.downscaling.mapped import Mapped
from pushforward.downscaling.mean_shift import MeanShift
from pushforward.downscaling.moment_matching import MomentMatching
from pushforward.downscaling.noise_bridge import NoiseBridge
from pushforward.downscaling.persistence import Persistence
from pushforward.downscaling.quantile_mapping import QuantileMapping
from pushforward.downscaling.random_pairing import RandomPairing
from pushforward.downscaling.refined import refined, refinement_of
from pushforward.downscaling.refinement import Refinement, refinement
from pushforward.downscaling.shared_noise import SharedNoise, shared_noise
from pushforward.downscaling.spectral_transport import SpectralTransport
from pushforward.downscaling.unpaired import Unpaired, unpaired

__all__ = [
    "ConstrainedDiffusion",
    "Debiasing",
    "Downscaler",
    "EntropicTransport",
    "LearnedMap",
    "Mapped",
    "MeanShift",
    "MomentMatching",
    "NoiseBridge",
    "Persistence",
    "QuantileMapping",
    "RandomPairing",
    "Refinement",
    "SharedNoise",
    "SpectralTransport",
    "Unpaired",
    "judge",
    "refined",
    "refinement",
    "refinement_of",
    "shared_noise",
    "unpaired",
]
