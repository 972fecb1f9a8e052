"""Normalizing constants: `log Z` of a density known up to it, as an interval that covers.

`log_z(target)` is the short way; each method is a function of its own, and `LogZ` says what was
found, by which method, and whether it can be trusted.
"""

from pushforward.evidence.crossing import anneal_back, bennett
from pushforward.evidence.estimating import annealed, crossed, importance, log_z
from pushforward.evidence.intervals import Bound, LogZ, StartRecord, agreed, combined, runs_for
from pushforward.evidence.laplace import NormalStart, fitted_start, laplace_start, rounded
from pushforward.evidence.smc import (
    Ladder,
    Rung,
    TemperedRuns,
    effective_size,
    next_beta,
    temper,
)
from pushforward.evidence.two_starts import tempered

__all__ = [
    "Bound",
    "Ladder",
    "LogZ",
    "NormalStart",
    "Rung",
    "StartRecord",
    "TemperedRuns",
    "agreed",
    "anneal_back",
    "annealed",
    "bennett",
    "combined",
    "crossed",
    "effective_size",
    "fitted_start",
    "importance",
    "laplace_start",
    "log_z",
    "next_beta",
    "rounded",
    "runs_for",
    "temper",
    "tempered",
]
