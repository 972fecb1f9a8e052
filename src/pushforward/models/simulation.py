"""Drawing along a process, part by part: the one loop of every model that follows one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pushforward import grids, registry, samplers, state
from pushforward._random import RowNoise
from pushforward.models.batch_size import rows_at_once
from pushforward.models.model import Progress, parts_of
from pushforward.models.trajectory import Moment
from pushforward.processes import GenerativeProcess
from pushforward.protocols import Sampler, State, Transport
from pushforward.samplers.adaptive import Adaptive

__all__ = ["part_of_progress", "simulate", "times_of"]


def times_of(
    process: GenerativeProcess,
    grid: str | grids.Grid,
    steps: int,
    start: float | None = None,
    stop: float | None = None,
) -> list[float]:
    """The times of a grid on the clock of a process, from the prior to the data."""
    first, last = process.interval
    rule = registry.resolve("grids", grid)
    found: list[float] = rule(
        process.clock,
        steps,
        start=first if start is None else start,
        stop=last if stop is None else stop,
    )
    return found


def simulate(
    rule: Sampler,
    transport: Callable[[slice], Transport],
    x: Any,
    times: Sequence[float],
    *,
    seed: int,
    batch_size: int | None = None,
    rows: slice = slice(None),
    finish: bool = False,
    progress: Progress | None = None,
    callback: Callable[[Moment], None] | None = None,
    outward: Callable[[Any], Any] = lambda z: z,
) -> Any:
    """States carried along a grid of times, part by part; what remains of the noise is taken away
    if `finish` says so.

    Args:
        rule: the sampler.
        transport: the model, closed over the context of some rows, and its process.
        x: the states of all rows at the first time.
        times: the grid, in either direction.
        seed: of the noise, which belongs to the rows: that of row `k` follows from seed and `k`.
        batch_size: how many go together; by default what memory suggests (`rows_at_once`), or all
            if somebody watches.
        rows: carry these only.
        finish: take away at once what is left at the last time: one more evaluation.
        progress: called with the number of finished and of all steps.
        callback: called with a `Moment` before the first step and after each one.
        outward: the map to data units, for the moments.
    """
    if isinstance(rule, Adaptive):
        # It finds its own steps between the ends.
        times = [times[0], times[-1]]
    if batch_size is None and callback is None:
        batch_size = rows_at_once(
            lambda z: transport(slice(0, state.rows(z))).model(z, times[0]), x
        )
    parts = parts_of(state.rows(x), batch_size, rows)
    done, total = 0, len(parts) * (len(times) - 1)
    out = []
    for part in parts:
        flow, noise = transport(part), RowNoise(seed, part, state.device(x))

        def report(k: int, t: float, now: State, part: slice = part, flow: Any = flow) -> None:
            nonlocal done
            done += k > 0
            if progress is not None and k > 0:
                progress(done, total)
            if callback is not None:
                callback(Moment(k, t, part, now.x, flow, outward))

        own = state.take(x, part)
        report(0, times[0], State(own))
        own = samplers.run(rule, flow, own, times, generator=noise, callback=report)
        if finish:
            process: Any = flow.process
            own = process.finish(flow.model(own, times[-1]), own, times[-1], noise)
        out.append(own)
    return state.concatenate(out)


def part_of_progress(progress: Progress, k: int, n: int) -> Progress:
    """What the part `k` of `n` equal ones reports to the progress of all."""
    return lambda done, total: progress(k * total + done, n * total)
