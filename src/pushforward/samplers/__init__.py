"""Samplers: rules for one step of a grid, and the one loop that applies them.

A sampler holds its own settings only; the model and the process come in the `Transport` that it
integrates, so any sampler goes with any model, closed form or network, guided or not.
"""

from __future__ import annotations

from pushforward.samplers.adaptive import DormandPrince
from pushforward.samplers.adaptive_sde import AdaptiveSDE
from pushforward.samplers.analytic_dpm import Variance, step_variance, tweedie_variance
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.birth_clocks import BirthClocks
from pushforward.samplers.compiled import Compiled
from pushforward.samplers.corrected_bridge import CorrectedBridge
from pushforward.samplers.corrector import AnnealedLangevin, PredictorCorrector
from pushforward.samplers.daps import DAPS
from pushforward.samplers.decoding import ConfidenceOrder
from pushforward.samplers.euler import Euler
from pushforward.samplers.evidence import evidence_bound
from pushforward.samplers.evidence_of_blocks import block_evidence_bound
from pushforward.samplers.first_hitting import FirstHitting
from pushforward.samplers.fitting import fit_grid
from pushforward.samplers.flow import ProbabilityFlow
from pushforward.samplers.gibbs import GibbsCorrector
from pushforward.samplers.heun import Heun
from pushforward.samplers.holding import Holding
from pushforward.samplers.infilling import Infilling
from pushforward.samplers.karras import EDMStochastic
from pushforward.samplers.leaping import TauLeaping
from pushforward.samplers.likelihood import DivergenceMethod, ProbeDistribution, log_prob
from pushforward.samplers.loop import run, trajectory
from pushforward.samplers.multistep import Multistep
from pushforward.samplers.particles import PosteriorParticles
from pushforward.samplers.preconditioned_langevin import PreconditionedLangevin
from pushforward.samplers.relative_score import RelativeScore
from pushforward.samplers.remasking import Remasking
from pushforward.samplers.repaint import RePaint
from pushforward.samplers.rule import Rule
from pushforward.samplers.twisted import TwistedSMC
from pushforward.samplers.uniformization import Uniformization
from pushforward.samplers.variational import (
    VariationalBound,
    continuous_bound,
    variational_bound,
)

__all__ = [
    "Infilling",
    "DAPS",
    "DEFAULT",
    "Uniformization",
    "Remasking",
    "TauLeaping",
    "GibbsCorrector",
    "FirstHitting",
    "ConfidenceOrder",
    "AdaptiveSDE",
    "Ancestral",
    "AnnealedLangevin",
    "BirthClocks",
    "Compiled",
    "CorrectedBridge",
    "DivergenceMethod",
    "DormandPrince",
    "EDMStochastic",
    "Euler",
    "Heun",
    "Holding",
    "Multistep",
    "PosteriorParticles",
    "PreconditionedLangevin",
    "PredictorCorrector",
    "ProbabilityFlow",
    "ProbeDistribution",
    "RePaint",
    "RelativeScore",
    "Rule",
    "TwistedSMC",
    "Variance",
    "VariationalBound",
    "continuous_bound",
    "block_evidence_bound",
    "evidence_bound",
    "fit_grid",
    "log_prob",
    "run",
    "step_variance",
    "trajectory",
    "tweedie_variance",
    "variational_bound",
]

DEFAULT = Multistep(order=2, predict="noise", corrector=True, clock="time", integral="midpoint")
"""What a model samples with unless told otherwise: see `benchmarks/solver_error.py`."""
