"""What a simulation has left in its folder."""

from __future__ import annotations

from pathlib import Path

import torch

from pushforward.simulation.position import SimulationPosition
from pushforward.simulation.simulated import Simulated
from pushforward.training.newest_checkpoint import read_newest

__all__ = ["load"]


def load(folder: str | Path) -> Simulated:
    """What the newest checkpoint of a folder holds, of a simulation that has ended or not.

    Raises `InputError` for a folder without one, or one that is damaged.
    """
    kept, finished = read_newest(Path(folder))
    return SimulationPosition.of(kept, torch.device("cpu")).found(finished)
