"""What a run of sampling passes through on its way from noise to data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from pushforward import state
from pushforward.errors import InputError
from pushforward.protocols import Transport
from pushforward.samplers.adaptive import Adaptive

__all__ = ["Moment", "Trajectory", "filmed"]


@dataclass(frozen=True)
class Moment:
    """The states after one step of a sampler, as a callback sees them.

    Args:
        step: how many steps are done; 0 is the prior.
        time: where the states are.
        rows: which of the states that were asked for these are; all unless there is a `batch_size`.
        state: the states in the units of the process, `(rows, *event)`.
    """

    step: int
    time: float
    rows: slice
    state: Any
    _transport: Transport
    _outward: Callable[[Any], Any]

    @property
    def x(self) -> Any:
        """The states in data units."""
        return self._outward(self.state)

    @torch.no_grad()
    def denoised(self) -> Any:
        """The posterior mean `E[x_0 | x_t]` of the states in data units: one more evaluation."""
        return self._outward(self._transport.model(self.state, self.time))


class Trajectory(NamedTuple):
    """A film strip of the reverse process, in data units.

    Args:
        times: when, from noise to data, `(frames,)`.
        states: the states at these times, `(frames, n, *event)`.
        denoised: the posterior mean of the data at each, `(frames, n, *event)`, where the process
            predicts one.
    """

    times: list[float]
    states: Any
    denoised: Any


def filmed(
    sample: Callable[..., Any],
    n: int,
    c: Any,
    frames: int,
    steps: int,
    denoises: bool,
    **options: Any,
) -> Trajectory:
    """The states that a model's `sample` passes, at `frames` of its steps.

    Raises `InputError` for fewer than two frames, fewer steps than frames, options that belong to
    the strip, or a sampler that chooses its own steps.
    """
    if isinstance(options.get("sampler"), Adaptive):
        raise InputError("an adaptive sampler chooses its own steps: take another to see them")
    for own in {"denoise", "callback"} & options.keys():
        raise InputError(f"{own} is not for trajectories: their last state is not denoised")
    if not 2 <= frames <= steps:
        raise InputError(f"need 2 <= frames <= steps, not {frames} frames of {steps} steps")
    chosen = [round(k * steps / (frames - 1)) for k in range(frames)]
    times: dict[int, float] = {}
    states: dict[int, list[Any]] = {k: [] for k in chosen}
    means: dict[int, list[Any]] = {k: [] for k in chosen}

    def keep(moment: Moment) -> None:
        if moment.step in states:
            times[moment.step] = moment.time
            states[moment.step].append(moment.x)
            if denoises:
                means[moment.step].append(moment.denoised())

    # Batches follow each other, each along all steps.
    sample(n, c, steps=steps, denoise=False, callback=keep, **options)

    def stacked(parts: dict[int, list[Any]]) -> Any:
        return state.stack([state.concatenate(parts[k]) for k in chosen])

    return Trajectory(
        [times[k] for k in chosen], stacked(states), stacked(means) if denoises else None
    )
