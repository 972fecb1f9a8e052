"""Log-densities of a model of a process: by its probability flow, or a bound by its reversal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pushforward import samplers, state
from pushforward._random import RowNoise, fresh_seed
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LikelihoodKind, LogProb
from pushforward.models.batch_size import rows_at_once
from pushforward.models.model import Progress, parts_of, with_density
from pushforward.models.ode_likelihood import ode_log_prob
from pushforward.models.simulation import times_of
from pushforward.processes import GenerativeProcess
from pushforward.protocols import Together, follows

if TYPE_CHECKING:
    from pushforward.models.diffusion import Diffusion

__all__ = ["about_density", "density_kind", "process_log_prob"]


def density_kind(process: GenerativeProcess) -> LikelihoodKind:
    """What log-densities a model of a process has.

    >>> from pushforward import processes, spaces
    >>> density_kind(processes.Gaussian()), density_kind(processes.Masking(spaces.Tokens(3)))
    ('ode', 'bound')
    """
    if "density" in process.supports:
        return "ode"
    return "bound" if "bound" in process.supports else "none"


def about_density(process: GenerativeProcess, end: float) -> str | None:
    """What whoever asks for log-densities should know, in a line."""
    if follows(process, Together) and density_kind(process) == "bound":
        return "a lower bound: the mean of what each block costs given those before it, exactly"
    if density_kind(process) == "bound":
        return (
            f"a lower bound: the integral from the prior to t = {end:g}, and the data at once from "
            "there, so that nothing is left out"
        )
    return f"density of the model at t = {end:g}, where its path ends"


def process_log_prob(
    model: Diffusion,
    x: Any,
    c: Any,
    *,
    steps: int,
    draws: int,
    stop: float | None,
    generator: torch.Generator,
    batch_size: int | None,
    progress: Progress | None,
    **options: Any,
) -> LogProb:
    """Log-densities of data, of the kind that the process has; see `Diffusion.log_prob`.

    Raises `CapabilityError` for a process that has none.
    """
    process, kind = model.process, density_kind(model.process)
    if kind == "none":
        raise CapabilityError(
            f"{process} has no log-densities: Gaussian processes have them, Masking, BlockMasking "
            "and Jumps a bound"
        )
    z = model.inward(x)
    z = with_density(z) if kind == "ode" else z
    transport = model._transport(model.condition.required(c, state.rows(z), model.device), 1.0)
    if kind == "ode":
        times = times_of(process, process.grid, steps, None, stop)[::-1]
        with model.evaluating():
            return ode_log_prob(
                model, transport, process.prior(state.event_shape(z), times[-1]), z, times,
                generator=generator, batch_size=batch_size, progress=progress, **options,
            )  # fmt: skip
    together = follows(process, Together)
    if together and stop is not None:
        raise InputError(
            f"the bound of {type(process).__name__} has no time at which it ends: leave out "
            f"stop={stop:g}"
        )
    start, end = process.interval[0], process.interval[1] if stop is None else stop
    seed, parts = fresh_seed(None, generator), []
    at_once = batch_size or rows_at_once(
        lambda x: transport(slice(0, state.rows(x))).model((x, x) if together else x, end), z
    )
    rows = parts_of(state.rows(z), at_once)
    with model.evaluating():
        for k, part in enumerate(rows, start=1):
            noise = RowNoise(seed, part, state.device(z))
            own = state.take(z, part)
            if together:
                found = samplers.block_evidence_bound(
                    transport(part), own, draws=draws, generator=noise
                )
            else:
                found = samplers.evidence_bound(
                    transport(part), own, start, end, draws=draws, generator=noise
                )
            parts.append(found)
            if progress is not None:
                progress(k, len(rows))
    shift = model.known_units().log_volume(z)
    return LogProb(
        torch.cat([p.value for p in parts]) + shift.double(),
        torch.cat([p.stderr for p in parts]),
        "bound",
        max(p.nfe for p in parts),
    )
