"""Schrödinger bridges: the likeliest way from one distribution to another, given how things move by
chance.

The pieces of the algorithms, without networks or training: the Markovian and the reciprocal
projection, iterative proportional fitting on steps, controlled diffusions and their random paths,
outer iterations, and iterative Markovian fitting in closed form where everything is normal.
"""

from pushforward.schrodinger.controlled import (
    Control,
    ControlledDiffusion,
    Controls,
    Step,
    controlled,
    expected_end,
    zero_control,
)
from pushforward.schrodinger.iterations import CouplingCache, HalfBridge, OuterIterations
from pushforward.schrodinger.methods import DSB, DSBM, Method, SimulationTask
from pushforward.schrodinger.normal import markovian_fitting_gaussian
from pushforward.schrodinger.projections import markovian_projection, reciprocal_projection
from pushforward.schrodinger.proportional_fitting import drift_matching, mean_matching
from pushforward.schrodinger.simulation import SimulatedPaths, simulate_ends, simulate_paths

__all__ = [
    "DSB",
    "DSBM",
    "Control",
    "ControlledDiffusion",
    "Controls",
    "CouplingCache",
    "HalfBridge",
    "Method",
    "OuterIterations",
    "SimulatedPaths",
    "SimulationTask",
    "Step",
    "controlled",
    "drift_matching",
    "expected_end",
    "markovian_fitting_gaussian",
    "markovian_projection",
    "mean_matching",
    "reciprocal_projection",
    "simulate_ends",
    "simulate_paths",
    "zero_control",
]
