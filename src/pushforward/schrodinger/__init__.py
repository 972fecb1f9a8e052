"""Schrödinger bridges: the likeliest way from one law to another, given how things move by chance.

The pieces of the algorithms, without networks or training: the Markovian and the reciprocal
projection, proportional fitting on steps, random paths, schedules of half-iterations, and both
iterations in closed form where all laws are normal.
"""

from pushforward.schrodinger.halves import Half, Halves, Refresh
from pushforward.schrodinger.methods import (
    DSB,
    DSBM,
    Iteration,
    Method,
)
from pushforward.schrodinger.normal import markovian_fitting_gaussian
from pushforward.schrodinger.projections import markovian_projection, reciprocal_projection
from pushforward.schrodinger.proportional_fitting import drift_matching, mean_matching
from pushforward.schrodinger.steering import (
    Heading,
    Headings,
    Steered,
    expected_end,
    reference_heading,
)
from pushforward.schrodinger.stepping import Path, Pinned, Step, follow, simulate

__all__ = [
    "DSB",
    "DSBM",
    "Half",
    "Halves",
    "Heading",
    "Headings",
    "Iteration",
    "Method",
    "Path",
    "Pinned",
    "Refresh",
    "Steered",
    "Step",
    "drift_matching",
    "expected_end",
    "follow",
    "markovian_fitting_gaussian",
    "markovian_projection",
    "mean_matching",
    "reciprocal_projection",
    "reference_heading",
    "simulate",
]
