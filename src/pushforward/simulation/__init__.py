"""SDEs by their probability flow: particles that carry density, entropy and currents with them."""

from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.entropy_rates import EntropyRates
from pushforward.simulation.euler_maruyama import euler_maruyama
from pushforward.simulation.flux import Flux
from pushforward.simulation.kernel_score import KernelScore
from pushforward.simulation.learned_score import LearnedScore
from pushforward.simulation.loading import load
from pushforward.simulation.pair_score import PairScore
from pushforward.simulation.position import SimulationPosition
from pushforward.simulation.sequential_score import ScoreFit, SequentialScore
from pushforward.simulation.simulated import Simulated
from pushforward.simulation.simulation import Simulation

__all__ = [
    "Diffusivity",
    "Flux",
    "KernelScore",
    "LearnedScore",
    "PairScore",
    "EntropyRates",
    "ScoreFit",
    "SequentialScore",
    "Simulated",
    "Simulation",
    "SimulationPosition",
    "euler_maruyama",
    "load",
]
