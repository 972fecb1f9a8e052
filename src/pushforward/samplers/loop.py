"""The one loop of every sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pushforward import grids
from pushforward._random import resolve
from pushforward.protocols import Sampler, State, Transport
from pushforward.state import device, rows

__all__ = ["run", "trajectory"]

Callback = Callable[[int, float, State], None]


def run(
    sampler: Sampler,
    transport: Transport,
    x: Any,
    grid: Sequence[float],
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Any:
    """Carry a state along a grid of times, in either direction, and return its last state.

    Args:
        sampler: the rule for one step.
        transport: the model and the process.
        x: the state at `grid[0]`, batch first.
        grid: strictly monotone times in [0, 1].
        seed: for the noise of the steps, which a row then has in any batch; or give a `generator`
            on the device of the state.
        callback: called after step `k` (from 1) with `(k, time, state)`.

    Gradients flow through a run unless the caller turns them off. `torch.inference_mode()` around a
    run saves some 2 % more than `torch.no_grad()` with a small network, but its result cannot be
    differentiated later, nor what a network keeps from it.

    Raises `InputError` for a grid that is not monotone or leaves [0, 1].

    >>> from pushforward import Transport, processes, samplers, schedules
    >>> transport = Transport(lambda x, t, c=None: 0 * x, processes.Gaussian(schedules.VP()))
    >>> run(samplers.Ancestral(), transport, torch.ones(1, 2), [1.0, 0.5, 0.0], seed=0).abs()
    tensor([[0., 0.]])
    """
    times = grids.check(grid)
    generator = resolve(seed, generator, device(x), rows=rows(x))
    transport.process.tabulate(times)
    plan = sampler.plan(transport.process, times)
    state = sampler.init(x)
    for k, row in enumerate(plan, start=1):
        state = sampler.step(transport, state, row, generator)
        if callback is not None:
            callback(k, times[k], state)
    return state.x


def trajectory(
    sampler: Sampler,
    transport: Transport,
    x: Any,
    grid: Sequence[float],
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Any]:
    """The states at every time of the grid, the first included; see `run`."""
    states = [x]
    run(
        sampler,
        transport,
        x,
        grid,
        seed=seed,
        generator=generator,
        callback=lambda k, t, state: states.append(state.x),
    )
    return states
