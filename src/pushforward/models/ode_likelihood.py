"""Log-densities by the probability-flow ODE, part by part, for every model that has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pushforward import samplers, state
from pushforward._random import RowNoise, fresh_seed
from pushforward.distributions import Distribution
from pushforward.estimates import LogProb
from pushforward.models.batch_size import rows_in_memory
from pushforward.models.model import GenerativeModel, Progress, parts_of
from pushforward.protocols import Model, Time, Transport
from pushforward.samplers.manifold_ode import velocities

__all__ = ["ode_log_prob", "rows_for_derivatives"]


def ode_log_prob(
    model: GenerativeModel,
    transport: Callable[[slice], Transport],
    prior: Distribution,
    z: Any,
    times: Sequence[float],
    *,
    divergence: samplers.DivergenceMethod,
    probes: int,
    probe_distribution: samplers.ProbeDistribution,
    tolerance: float | None,
    generator: torch.Generator,
    batch_size: int | None,
    progress: Progress | None,
) -> LogProb:
    """Log-densities in data units of states `z`, from the data at `times[0]` to the prior.

    See `samplers.log_prob` for the divergence, a `tolerance` in the place of the steps, and the
    error that comes back. States go through the network by `batch_size`, by default as many as keep
    a GiB for their derivatives.
    """
    size = batch_size or rows_for_derivatives(transport, z)
    # The probes of a state are the same in any batch.
    seed = fresh_seed(None, generator)
    rows, parts = parts_of(state.rows(z), size), []
    # Heun's two evaluations a step, on the grid and on every second time of it. How many an
    # adaptive solver takes is not known before.
    each = 3 * (len(times) - 1) if tolerance is None else 1
    for k, part in enumerate(rows):
        flow = transport(part)
        if progress is not None and tolerance is None:
            counted = _counted(flow.model, progress, k * each, len(rows) * each)
            flow = Transport(counted, flow.process)
        parts.append(
            samplers.log_prob(
                flow, prior, state.take(z, part), times, divergence=divergence, probes=probes,
                probe_distribution=probe_distribution, tolerance=tolerance,
                generator=RowNoise(seed, part, state.device(z)),
            )
        )  # fmt: skip
        if progress is not None:
            progress((k + 1) * each, len(rows) * each)
    return LogProb(
        torch.cat([p.value for p in parts]) + model.known_units().log_volume(z),
        torch.cat([p.stderr for p in parts]),
        "ode",
        max(p.nfe for p in parts),
        torch.cat([p.error for p in parts if p.error is not None]),
    )


def rows_for_derivatives(transport: Callable[[slice], Transport], z: Any) -> int:
    """How many states a batch may have for the derivatives of the velocity to fit into memory."""
    if state.rows(z) < 2:
        return 1

    def velocity(x: Any) -> Any:
        return state.leaves(velocities(transport(slice(0, state.rows(x))).dynamics(x, 0.5)))

    return rows_in_memory(velocity, state.take(z, slice(0, 2)))


def _counted(model: Model, progress: Progress, done: int, total: int) -> Model:
    """A model that reports each of its evaluations."""

    def evaluate(x_t: Any, t: Time, c: Any = None) -> Any:
        nonlocal done
        done += 1
        progress(min(done, total), total)
        return model(x_t, t, c)

    return evaluate
