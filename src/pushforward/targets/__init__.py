"""Densities known up to a constant: your own, and those on which samplers are compared.

`Target` makes one of a function; the others are functions that return one. What is known of each,
and how it was found, is its `reference`.
"""

from pushforward.targets.hierarchical import (
    brownian,
    eight_schools,
    log_volatility,
    seeds,
    stochastic_volatility,
)
from pushforward.targets.particles import double_well_4, lennard_jones_13
from pushforward.targets.point_processes import cox_process
from pushforward.targets.regressions import (
    cancer,
    credit,
    ionosphere,
    logistic_regression,
    sonar,
)
from pushforward.targets.target import Target, TargetReference
from pushforward.targets.toys import (
    banana,
    funnel,
    many_well,
    mixture_of_40,
    multi_well,
    student,
)

__all__ = [
    "TargetReference",
    "Target",
    "banana",
    "brownian",
    "cancer",
    "cox_process",
    "credit",
    "double_well_4",
    "eight_schools",
    "funnel",
    "ionosphere",
    "lennard_jones_13",
    "log_volatility",
    "logistic_regression",
    "many_well",
    "mixture_of_40",
    "multi_well",
    "seeds",
    "sonar",
    "stochastic_volatility",
    "student",
]
