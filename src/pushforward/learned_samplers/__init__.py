r"""Learned samplers of densities known up to a constant: two path measures on one grid.

A sampler carries draws of a tractable start to the target by Gaussian steps whose drift is learned;
a second chain of steps leads back from the target. The ratio of the two laws of a path is

    log w = log gamma(x_K) - log p(x_0) + sum_k [log b_k(x_k | x_(k+1)) - log f_k(x_(k+1) | x_k)],

and `E_forward w = Z`, `E_backward 1/w = 1/Z` hold exactly at any number of steps, whatever was
learned. So the one number `log w` carries training, bounds and estimates alike.

How the parts fit together, for whoever adds a method:

* `PathPair` (`paths.py`) is a method: a file defines one class with `start`, `forward`, `backward`,
  and `_learned`, which makes its networks. `forward(k, x, density)` and `backward(k, y, density)`
  return kernels of all rows, `Normals(mean, std)` or an object of one's own with `sample` and
  `log_prob`; `k` is a number, or a tensor `(B,)` when a whole path is weighed at once. States with
  momenta are wider than the target: override `width`, `end_log_prob`, `position` and `lifted`. Name
  it in `_names.py`, axis `learned-samplers`; contract tests take it from there.
* `AnnealedPaths` (`annealing.py`) is for methods along annealed densities, with a learned `Ladder`.
  Where what is learned decides which paths are possible, say `fixed_paths = False`; a reference
  with known bridges has the three methods of `BridgedReference` (`adjoint.py`).
* `simulate`, `simulate_back` and `log_weights` (`paths.py`) are the only places where weights are
  added up.
* `Density` (`density.py`) is the target in the coordinates in which paths move, with its gradient.
  What a method clips is its own copy of the gradient: the density never is.
* A loss (`losses.py`) is a function of a pair, a density, a number of rows, and states to replay.
* `models.LearnedSampler` is the model that `fit` trains and that is saved.
"""

from pushforward.learned_samplers.adjoint import BridgedReference, adjoint_matching
from pushforward.learned_samplers.annealing import AnnealedPaths, Ladder
from pushforward.learned_samplers.controlled import ControlledMonteCarlo
from pushforward.learned_samplers.denoising import DenoisingDiffusion
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.estimates import SamplerEstimates, estimates
from pushforward.learned_samplers.hamiltonian_bridge import HamiltonianBridge
from pushforward.learned_samplers.langevin_bridge import LangevinBridge
from pushforward.learned_samplers.losses import (
    LOSSES,
    OFF_POLICY,
    PathLoss,
    log_variance,
    reverse_kl,
    suitable_objective,
    trajectory_balance,
)
from pushforward.learned_samplers.monte_carlo_diffusion import MonteCarloDiffusion
from pushforward.learned_samplers.path_integral import PathIntegral
from pushforward.learned_samplers.paths import (
    Normals,
    PathPair,
    PinnedPoint,
    SampledPaths,
    StepKernel,
    log_weights,
    simulate,
    simulate_back,
)
from pushforward.learned_samplers.replay import ReplayBuffer, explored
from pushforward.learned_samplers.time_reversed import TimeReversed

__all__ = [
    "LOSSES",
    "AnnealedPaths",
    "BridgedReference",
    "ControlledMonteCarlo",
    "OFF_POLICY",
    "DenoisingDiffusion",
    "Density",
    "HamiltonianBridge",
    "Ladder",
    "LangevinBridge",
    "MonteCarloDiffusion",
    "Normals",
    "PathIntegral",
    "PathLoss",
    "PathPair",
    "PinnedPoint",
    "ReplayBuffer",
    "SampledPaths",
    "SamplerEstimates",
    "StepKernel",
    "TimeReversed",
    "adjoint_matching",
    "estimates",
    "explored",
    "log_variance",
    "log_weights",
    "reverse_kl",
    "simulate",
    "simulate_back",
    "suitable_objective",
    "trajectory_balance",
]
