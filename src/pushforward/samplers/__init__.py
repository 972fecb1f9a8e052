"""Samplers: rules for one step of a grid, and the one loop that applies them.

A sampler holds its own settings only; the model and the process come in the `Transport` that it
integrates, so any sampler goes with any model, closed form or network, guided or not.
"""

from __future__ import annotations

from pushforward.config import named
from pushforward.protocols import Sampler
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.euler import Euler
from pushforward.samplers.heun import Heun
from pushforward.samplers.likelihood import DivergenceMethod, log_prob
from pushforward.samplers.loop import run, trajectory
from pushforward.samplers.multistep import DPMSolver2M

__all__ = [
    "NAMES",
    "Ancestral",
    "DPMSolver2M",
    "DivergenceMethod",
    "Euler",
    "Heun",
    "log_prob",
    "resolve",
    "run",
    "trajectory",
]

NAMES: dict[str, Sampler] = {
    "euler": Euler(),
    "sde": Euler(churn=1.0),
    "tau-leap": Euler(),
    "ddpm": Ancestral(),
    "ddim": Ancestral(churn=0.0),
    "pinned": Ancestral(),
    "heun": Heun(),
    "dpm++2m": DPMSolver2M(),
}


def resolve(sampler: Sampler | str) -> Sampler:
    """A sampler from its short name, or the sampler itself.

    >>> resolve("ddim")
    Ancestral(churn=0.0)
    """
    return named(sampler, NAMES, "sampler")
