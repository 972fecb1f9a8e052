"""Simulated fluids to learn from: two-dimensional turbulence with moisture."""

from pushforward.fluids.budgets import FluidState, fluid_state
from pushforward.fluids.integrating_factor import IntegratingFactor
from pushforward.fluids.moist_flow import MoistFlow, Tendency, published_viscosity
from pushforward.fluids.periodic_grid import PeriodicGrid
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
    "Tendency",
    "fluid_state",
    "published_viscosity",
    "record_fluid",
]
