"""Where a simulation stands, as tensors: all that it goes on from, and what it has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.simulation.simulated import COLUMNS, Simulated

__all__ = ["Frame", "SimulationPosition", "Slope"]


class Frame(NamedTuple):
    """Particles that are kept, with their velocities and, where it is known, their density."""

    time: float
    x: Tensor
    velocity: Tensor
    log_density: Tensor | None


class Slope(NamedTuple):
    """Velocities `(n, *event)` and, where the density is known, their divergences `(n,)`."""

    velocity: Tensor
    divergence: Tensor | None


@dataclass
class SimulationPosition:
    """Particles before a step, and what came of the steps so far.

    Args:
        step: time steps taken.
        x: the particles `(n, *event)`.
        log_density: theirs, `(n,)`, or `None`.
        passes: backward passes through the score for a divergence; none without a density.
        slope: of the step before; `None` at the start.
        frames: what was kept.
        history: a row for each time, as `COLUMNS` says.
    """

    step: int
    x: Tensor
    log_density: Tensor | None
    passes: int = 0
    slope: Slope | None = None
    frames: list[Frame] = field(default_factory=list)
    history: list[tuple[float, ...]] = field(default_factory=list)

    def found(self, finished: bool) -> Simulated:
        """The same for whoever asked for the simulation, on the CPU."""
        densities = [f.log_density.cpu() for f in self.frames if f.log_density is not None]
        return Simulated(
            torch.tensor([f.time for f in self.frames], dtype=torch.float64),
            torch.stack([f.x.cpu() for f in self.frames]),
            torch.stack([f.velocity.cpu() for f in self.frames]),
            torch.stack(densities) if densities else None,
            torch.tensor(self.history, dtype=torch.float64),
            finished,
            self.step * (1 + self.passes),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name."""
        kept: dict[str, Tensor] = {
            "step": torch.tensor(self.step),
            "passes": torch.tensor(self.passes),
            "x": self.x,
            "history": torch.tensor(self.history, dtype=torch.float64).reshape(-1, len(COLUMNS)),
            "frames.time": torch.tensor([f.time for f in self.frames], dtype=torch.float64),
        }
        if self.log_density is not None:
            kept["log_density"] = self.log_density
        if self.slope is not None:
            kept["slope.velocity"] = self.slope.velocity
            if self.slope.divergence is not None:
                kept["slope.divergence"] = self.slope.divergence
        for k, frame in enumerate(self.frames):
            kept |= {f"frames.{k}.x": frame.x, f"frames.{k}.velocity": frame.velocity}
            if frame.log_density is not None:
                kept[f"frames.{k}.log_density"] = frame.log_density
        # Copies: what is kept twice is written twice.
        return {name: tensor.detach().cpu().clone() for name, tensor in kept.items()}

    @classmethod
    def of(cls, kept: dict[str, Tensor], device: torch.device) -> SimulationPosition:
        """The position that `tensors` gave. Raises `InputError` for others."""

        def own(name: str) -> Tensor:
            return kept[name].to(device)

        def perhaps(name: str) -> Tensor | None:
            return own(name) if name in kept else None

        try:
            frames = [
                Frame(
                    float(time),
                    own(f"frames.{k}.x"),
                    own(f"frames.{k}.velocity"),
                    perhaps(f"frames.{k}.log_density"),
                )
                for k, time in enumerate(kept["frames.time"])
            ]
            velocity = perhaps("slope.velocity")
            slope = None if velocity is None else Slope(velocity, perhaps("slope.divergence"))
            history = [tuple(row) for row in kept["history"].tolist()]
            density = perhaps("log_density")
            step, passes = (int(kept[name]) for name in ("step", "passes"))
            return cls(step, own("x"), density, passes, slope, frames, history)
        except KeyError as error:
            raise InputError(f"a checkpoint of a simulation has {error}, which is lost") from None
