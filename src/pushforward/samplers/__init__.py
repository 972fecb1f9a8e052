"""Samplers: rules for one step of a grid, and the one loop that applies them.

A sampler holds its own settings only; the model and the process come in the `Transport` that it
integrates, so any sampler goes with any model, closed form or network, guided or not.
"""

from __future__ import annotations

from pushforward.config import named
from pushforward.protocols import Sampler
from pushforward.samplers.adaptive import DormandPrince
from pushforward.samplers.adaptive_sde import AdaptiveSDE
from pushforward.samplers.analytic_dpm import Variance, step_variance, tweedie_variance
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.compiled import Compiled
from pushforward.samplers.corrector import AnnealedLangevin, PredictorCorrector
from pushforward.samplers.euler import Euler
from pushforward.samplers.fitting import fit_grid
from pushforward.samplers.flow import ProbabilityFlow
from pushforward.samplers.heun import Heun
from pushforward.samplers.karras import EDMStochastic
from pushforward.samplers.likelihood import DivergenceMethod, log_prob
from pushforward.samplers.loop import run, trajectory
from pushforward.samplers.multistep import Multistep
from pushforward.samplers.rule import Rule
from pushforward.samplers.variational import (
    VariationalBound,
    continuous_bound,
    variational_bound,
)

__all__ = [
    "DEFAULT",
    "NAMES",
    "AdaptiveSDE",
    "Ancestral",
    "AnnealedLangevin",
    "Compiled",
    "DivergenceMethod",
    "DormandPrince",
    "EDMStochastic",
    "Euler",
    "Heun",
    "Multistep",
    "PredictorCorrector",
    "ProbabilityFlow",
    "Rule",
    "Variance",
    "VariationalBound",
    "continuous_bound",
    "fit_grid",
    "log_prob",
    "resolve",
    "run",
    "step_variance",
    "trajectory",
    "tweedie_variance",
    "variational_bound",
]

DEFAULT = Multistep(order=2, predict="noise", corrector=True, clock="time", integral="midpoint")
"""What a model samples with unless told otherwise: see `benchmarks/solver_error.py`."""

NAMES: dict[str, Sampler] = {
    "euler": Euler(),
    "sde": Euler(churn=1.0),
    "tau-leap": Euler(),
    "ddpm": Ancestral(),
    "ddpm-beta": Ancestral(variance="beta"),
    "ddim": Ancestral(churn=0.0),
    "pinned": Ancestral(),
    "heun": Heun(),
    "edm": EDMStochastic(churn=0.0),
    "edm-sde": EDMStochastic(),
    "exponential": Multistep(order=1, predict="noise", churn=1.0),
    "adams": DEFAULT,
    "adams4": Multistep(order=3, corrector=True),
    "dpm++2m": Multistep(order=2, integral="midpoint", published=True),
    "dpm++2m-sde": Multistep(order=2, churn=1.0, integral="midpoint", published=True),
    "deis": Multistep(order=2, predict="noise", final="lower-if-short", published=True),
    "unipc": Multistep(order=2, corrector=True, integral="midpoint", final="lower", published=True),
    "unipc3": Multistep(
        order=3, corrector=True, integral="midpoint", final="lower", published=True
    ),
    "pc": PredictorCorrector(),
    "langevin": AnnealedLangevin(),
    "rk45": DormandPrince(),
    "adaptive-sde": AdaptiveSDE(),
}


def resolve(sampler: Sampler | str) -> Sampler:
    """A sampler from its short name, or the sampler itself.

    >>> resolve("ddim")
    Ancestral(churn=0.0, variance='posterior')
    """
    return named(sampler, NAMES, "sampler")
