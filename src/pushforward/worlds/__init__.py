"""Exact worlds: data laws whose predictions are known in closed form.

Each world has the law of its data, `data`, and `model(process)`, the exact prediction that a
perfect network would make: put in the place of a network, it leaves only the error of the sampler.
They serve the tests, the docs and the benchmarks, and anyone who wants to see a theorem at work.

| world | data | processes |
|---|---|---|
| `MixtureWorld` | a Gaussian mixture on R^d | Gaussian |
| `FunctionWorld` | a Gaussian process on a grid | Gaussian on a Hilbert space |
| `CircleWorld` | a wrapped normal | Brownian, Geodesic on the circle |
| `SphereWorld` | a von Mises-Fisher law | Brownian, Geodesic on the 2-sphere |
| `TokenWorld` | a table of sequences | Masking |
| `CountWorld` | a random number of independent points | Thinning, JumpDiffusion |
| `PairWorld` | a Gaussian pair | Bridge, Interpolant |
"""

from pushforward.worlds.circle import CircleWorld
from pushforward.worlds.counts import CountWorld
from pushforward.worlds.functions import FunctionWorld
from pushforward.worlds.mixture import MixtureWorld
from pushforward.worlds.pair import PairWorld
from pushforward.worlds.sphere import SphereWorld
from pushforward.worlds.tokens import TokenWorld

__all__ = [
    "CircleWorld",
    "CountWorld",
    "FunctionWorld",
    "MixtureWorld",
    "PairWorld",
    "SphereWorld",
    "TokenWorld",
]
