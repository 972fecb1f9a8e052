"""Analytic models: distributions of data whose predictions are known in closed form.

Each has `data`, the distribution, and `model(process)`, the exact prediction that a perfect network
would make: put in the place of a network, it leaves only the error of the sampler.
They serve the tests, the docs and the benchmarks, and anyone who wants to see a theorem at work.

| model | data | processes |
|---|---|---|
| `AnalyticMixture` | a Gaussian mixture on R^d | Gaussian |
| `AnalyticFunctions` | a Gaussian process on a grid | Gaussian on a Hilbert space |
| `AnalyticCircle` | a wrapped normal | Brownian, Geodesic on the circle |
| `AnalyticSphere` | a von Mises-Fisher distribution | Brownian, Geodesic on the 2-sphere |
| `AnalyticHeatMixture` | heat kernels on a manifold or a product | Brownian, products |
| `AnalyticCorners` | a table of sequences | DirichletPath |
| `AnalyticLineages` | Dirichlet or gamma mixtures | WrightFisher, CoxIngersollRoss |
| `AnalyticGrasps` | poses given the pose of an object | products of Brownian and Gaussian |
| `AnalyticTokens` | a table of sequences | Masking, Jumps |
| `AnalyticMarkov` | a Markov chain of symbols | Masking, Jumps |
| `AnalyticCounts` | a random number of independent points | Thinning, JumpDiffusion |
| `AnalyticPair` | a Gaussian pair | Bridge, Interpolant |
| `AnalyticAtoms` | two sets of points, or of sequences | ManifoldBridge, TokenBridge |
"""

from pushforward.analytic.circle import AnalyticCircle
from pushforward.analytic.corners import AnalyticCorners
from pushforward.analytic.counts import AnalyticCounts
from pushforward.analytic.entropic import AnalyticAtoms
from pushforward.analytic.functions import AnalyticFunctions
from pushforward.analytic.grasps import AnalyticGrasps
from pushforward.analytic.heat import AnalyticHeatMixture
from pushforward.analytic.lineages import AnalyticLineages
from pushforward.analytic.markov import AnalyticMarkov
from pushforward.analytic.mixture import AnalyticMixture
from pushforward.analytic.pair import AnalyticPair
from pushforward.analytic.sphere import AnalyticSphere
from pushforward.analytic.tokens import AnalyticTokens

__all__ = [
    "AnalyticAtoms",
    "AnalyticCircle",
    "AnalyticCorners",
    "AnalyticCounts",
    "AnalyticFunctions",
    "AnalyticGrasps",
    "AnalyticHeatMixture",
    "AnalyticLineages",
    "AnalyticMarkov",
    "AnalyticMixture",
    "AnalyticPair",
    "AnalyticSphere",
    "AnalyticTokens",
]
