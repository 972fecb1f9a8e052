"""Simulated fluids to learn from: two-dimensional turbulence with moisture, and showers of rain."""

from pushforward.fluids.budgets import FluidState, fluid_state
from pushforward.fluids.integrating_factor import IntegratingFactor
from pushforward.fluids.moist_flow import MoistFlow, Tendency, published_viscosity
from pushforward.fluids.periodic_grid import PeriodicGrid
from pushforward.fluids.rain import Showers
from pushforward.fluids.recorded_showers import record_showers
from pushforward.fluids.recording import record_fluid
from pushforward.fluids.ring_forcing import RingForcing
from pushforward.fluids.simulator import FluidSimulator

__all__ = [
    "FluidSimulator",
    "FluidState",
    "IntegratingFactor",
    "MoistFlow",
    "PeriodicGrid",
    "RingForcing",
    "Showers",
    "Tendency",
    "fluid_state",
    "published_viscosity",
    "record_fluid",
    "record_showers",
]
