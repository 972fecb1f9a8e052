"""Simulation-based inference: posteriors of a simulator's parameters, learned from its runs.

A prior and a simulator give `Pairs`; `NPE`, `NPSE` and `FMPE` learn a `SimulatorPosterior` from
them, for all observations at once, and its `calibrate` says how far to trust it. `task` has the
tasks of the benchmark sbibm, and `read_reference` the observations and draws to compare with.
"""

from pushforward.sbi.estimation import FMPE, NPE, NPSE
from pushforward.sbi.independent_observations import normal_form, sample_given_all
from pushforward.sbi.posterior import SimulatorPosterior
from pushforward.sbi.reference import ReferencePosterior, read_reference
from pushforward.sbi.simulating import Pairs, pairs_of, simulate
from pushforward.sbi.tasks import TASKS, Task, task

__all__ = [
    "FMPE",
    "NPE",
    "NPSE",
    "TASKS",
    "Pairs",
    "SimulatorPosterior",
    "ReferencePosterior",
    "Task",
    "normal_form",
    "pairs_of",
    "read_reference",
    "sample_given_all",
    "simulate",
    "task",
]
