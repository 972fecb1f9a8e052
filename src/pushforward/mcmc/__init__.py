"""Markov chain Monte Carlo: batched chains on a log-density that is known up to a constant.

Kernels are pure steps of an explicit state; `run` runs them, the diagnostics judge them, and
annealed importance sampling finds the constant.
"""

from pushforward.mcmc.adaptation import adapted
from pushforward.mcmc.annealed import (
    Annealed,
    AnnealedPath,
    anneal,
    annealed_importance_sampling,
    temperatures,
)
from pushforward.mcmc.baoab import BAOAB
from pushforward.mcmc.barker import Barker
from pushforward.mcmc.chain_draws import ChainDraws, ChainSummary
from pushforward.mcmc.diagnostics import (
    bulk_ess,
    effective_sample_size,
    energy_fraction,
    r_hat,
    tail_ess,
)
from pushforward.mcmc.hmc import HMC, leapfrog
from pushforward.mcmc.kernel import MarkovKernel, Move
from pushforward.mcmc.mala import MALA
from pushforward.mcmc.metric import Metric, Whitened
from pushforward.mcmc.nuts import NUTS
from pushforward.mcmc.random_walk import RandomWalk
from pushforward.mcmc.resampling import PooledResampling, systematic_resampling
from pushforward.mcmc.running import Chains, run
from pushforward.mcmc.sampling import sample_chains
from pushforward.mcmc.target import ChainState, LogDensity, check_states, evaluate, valued
from pushforward.mcmc.tempering import TemperedChains, exchanged, parallel_tempering
from pushforward.mcmc.ula import ULA, langevin_step
from pushforward.mcmc.underdamped import Underdamped
from pushforward.mcmc.windowed import DualAveraging, Warmed, warm_up, windows

__all__ = [
    "Annealed",
    "AnnealedPath",
    "BAOAB",
    "Barker",
    "ChainDraws",
    "ChainState",
    "ChainSummary",
    "Chains",
    "DualAveraging",
    "HMC",
    "LogDensity",
    "MALA",
    "MarkovKernel",
    "Metric",
    "Move",
    "NUTS",
    "PooledResampling",
    "RandomWalk",
    "TemperedChains",
    "ULA",
    "Underdamped",
    "Warmed",
    "Whitened",
    "adapted",
    "anneal",
    "annealed_importance_sampling",
    "bulk_ess",
    "check_states",
    "effective_sample_size",
    "energy_fraction",
    "evaluate",
    "exchanged",
    "langevin_step",
    "leapfrog",
    "parallel_tempering",
    "r_hat",
    "run",
    "sample_chains",
    "systematic_resampling",
    "tail_ess",
    "temperatures",
    "valued",
    "warm_up",
    "windows",
]
