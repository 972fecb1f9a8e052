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
from pushforward.mcmc.diagnostics import bulk_ess, effective_sample_size, r_hat, tail_ess
from pushforward.mcmc.hmc import HMC, leapfrog
from pushforward.mcmc.kernel import MarkovKernel, Move
from pushforward.mcmc.mala import MALA
from pushforward.mcmc.resampling import PooledResampling, systematic_resampling
from pushforward.mcmc.running import Chains, run
from pushforward.mcmc.target import ChainState, LogDensity, check_states, evaluate
from pushforward.mcmc.ula import ULA, langevin_step

__all__ = [
    "HMC",
    "MALA",
    "ULA",
    "Annealed",
    "AnnealedPath",
    "Chains",
    "MarkovKernel",
    "LogDensity",
    "Move",
    "PooledResampling",
    "ChainState",
    "adapted",
    "anneal",
    "annealed_importance_sampling",
    "bulk_ess",
    "check_states",
    "effective_sample_size",
    "evaluate",
    "langevin_step",
    "leapfrog",
    "r_hat",
    "run",
    "systematic_resampling",
    "tail_ess",
    "temperatures",
]
