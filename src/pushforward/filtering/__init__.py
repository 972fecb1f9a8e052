"""Filtering: where a hidden state is, given all observations so far (data assimilation).

`run` carries an ensemble through a `StateSpaceModel`, and an analysis takes in each observation:
`EnsembleKalman`, `BootstrapParticles`, or a function of your own, such as one that draws from a
conditional model trained on the forecast.
"""

from pushforward.filtering.bootstrap_particles import BootstrapParticles
from pushforward.filtering.ensemble_kalman import EnsembleKalman
from pushforward.filtering.running import Analysis, Filtered, run
from pushforward.filtering.state_space import StateSpaceModel

__all__ = [
    "Analysis",
    "BootstrapParticles",
    "EnsembleKalman",
    "Filtered",
    "StateSpaceModel",
    "run",
]
