"""How chains of an energy model start from its base and come to the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward import mcmc, registry
from pushforward._random import RowNoise, derived_seed, resolve, start_noise
from pushforward.errors import ConvergenceWarning
from pushforward.mcmc import LogDensity
from pushforward.models.batch_size import rows_at_once
from pushforward.models.model import parts_of
from pushforward.protocols import Distribution

__all__ = ["Approach", "Request", "approach"]

_PILOTS = 64
"""Chains that find the step sizes, so that those of a sample do not depend on its batches."""

_WARMUP = 100

_POOL = 128
"""Chains that are resampled together, all of them even if fewer states are wanted: a state is the
same among more others."""

_REST = 10
"""One step in so many comes after resampling, and moves copies of one chain apart."""


@dataclass(frozen=True)
class Request:
    """What is to be drawn: `n` states, or the `rows` of them, in the units of the model.

    Args:
        log_p: the log-density up to a constant, given the labels of its states or `None`.
        base: the distribution that chains start from.
        n: how many states there are.
        labels: of all of them, `(n,)`, or `None`.
        rows: those that are wanted.
        batch_size: chains at a time; `None` for what memory suggests.
        steps: of each chain.
        step: their size, or `None`.
        seed: of all noise.
        device: where the chains are.
        progress: called with the number of finished and of all steps.
    """

    log_p: Callable[[Tensor | None], LogDensity]
    base: Distribution
    n: int
    labels: Tensor | None
    rows: slice
    batch_size: int | None
    steps: int
    step: float | None
    seed: int
    device: torch.device
    progress: Callable[[int, int], None] | None

    def starts(self, chains: int) -> tuple[Tensor, Tensor]:
        """States of the base: pilots, which come first, and the starts of all chains."""
        noise = start_noise(self.seed, slice(0, _PILOTS + chains), self.device)
        drawn = self.base.sample(_PILOTS + chains, generator=noise)
        return drawn[:_PILOTS], drawn[_PILOTS:]

    def at_once(self, start: Tensor) -> int:
        """How many of some chains to move at a time."""
        if self.batch_size is not None:
            return self.batch_size
        one = None if self.labels is None else self.labels[:1]

        def log_p(x: Tensor) -> Tensor:
            return self.log_p(None if one is None else one.expand(len(x)))(x)

        return rows_at_once(log_p, start)

    def pilot_log_p(self) -> LogDensity:
        """The log-density of the pilots, with labels in turn."""
        if self.labels is None:
            return self.log_p(None)
        return self.log_p(self.labels[torch.arange(_PILOTS) % self.n])

    def pilot_noise(self) -> torch.Generator:
        """The noise of the pilots."""
        return resolve(self.seed, None, self.device)

    def some(self, part: slice) -> LogDensity:
        """The log-density of some of the states."""
        return self.log_p(None if self.labels is None else self.labels[part])

    def counter(self, total: int) -> Callable[[], None]:
        """A function to call after each of `total` steps."""
        done = 0

        def report() -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                self.progress(done, total)

        return report


class Approach(Protocol):
    """A way from the base to the model."""

    def draw(self, request: Request) -> Tensor:
        """The states that are wanted, `(rows, *event)`."""


class _Direct(NamedTuple):
    """Chains on the model itself."""

    kernel: mcmc.MarkovKernel

    def draw(self, request: Request) -> Tensor:
        """Where chains end. Warns of those that diverge."""
        pilots, start = request.starts(request.n)
        parts = parts_of(request.n, request.at_once(start), request.rows)
        step, log_p = request.step, request.pilot_log_p()
        if step is None and self.kernel.target is None:
            step = self.kernel.step
        elif step is None:
            run = mcmc.run(
                self.kernel, log_p, pilots, 1, warmup=_WARMUP, generator=request.pilot_noise()
            )
            step = run.step
        more: dict[str, Any] = {"callback": request.counter(len(parts) * request.steps)}
        out = [start[:0]]
        for part in parts:
            noise = RowNoise(request.seed, part, request.device)
            more |= {"generator": noise, "step": step}
            log_p = request.some(part)
            if part.stop > part.start:
                out.append(mcmc.run(self.kernel, log_p, start[part], request.steps, **more).x)
        return torch.cat(out)


class _Pool(NamedTuple):
    """Chains of one label, and the states that are made of them.

    Args:
        chains: their numbers among all chains.
        rows: the numbers of the states, at most as many.
    """

    chains: slice
    rows: Tensor


class _Annealing(NamedTuple):
    """Chains along the geometric path, resampled by their weights on the way and at its end.

    The weights make up for modes that chains could not share out on the way.
    """

    kernel: mcmc.MarkovKernel

    def draw(self, request: Request) -> Tensor:
        """States that stand for the model equally. Warns of weights that degenerate."""
        pools = _pools(request.labels, request.n)
        pilots, start = request.starts(pools[-1].chains.stop)
        size = request.at_once(start)
        parts = parts_of(request.n, size, request.rows)
        first, last = parts[0].start, parts[-1].stop
        if last == first:
            return start[:0]
        wanted = [p for p in pools if bool(((p.rows >= first) & (p.rows < last)).any())]
        # Pools stay together, since their chains take each other's places.
        whole = max(1, size // _POOL) * _POOL
        runs = [part for run in _joined(wanted) for part in _cut(run, whole)]
        moves = request.steps // _REST
        rungs = request.steps - moves
        report = request.counter(len(runs) * rungs + len(parts) * moves)
        sizes = self._sizes(request, pilots, rungs)
        base, labels = request.base.log_prob, _labels_of_chains(pools, request.labels)
        ends, lost = start, dict[int, float]()
        for part in runs:
            firsts = range(part.start, part.stop, _POOL)
            pooled = mcmc.PooledResampling(
                _POOL, [derived_seed(request.seed, 3, first) for first in firsts]
            )
            path = mcmc.anneal(
                self.kernel,
                request.log_p(None if labels is None else labels[part]),
                base,
                start[part],
                rungs,
                steps=sizes,
                resample=pooled,
                generator=RowNoise(request.seed, part, request.device),
                callback=report,
            )
            picks = pooled(path.log_weights, all_pools=True)
            ends[part] = path.x if picks is None else path.x[picks]
            sides = zip(firsts, pooled.lost, pooled.ess, strict=True)
            lost |= {first: ess for first, gone, ess in sides if gone}
        _warn_of_lost(wanted, lost)
        x = ends[_places(wanted, request.n)[first:last].to(ends.device)]
        for part in parts:
            state = mcmc.evaluate(request.some(part), x[part.start - first : part.stop - first])
            noise = RowNoise(derived_seed(request.seed, 2), part, request.device)
            for _ in range(moves):
                state = self.kernel.move(request.some(part), state, sizes[-1], noise).state
                report()
            x[part.start - first : part.stop - first] = state.x
        return x

    def _sizes(self, request: Request, pilots: Tensor, rungs: int) -> Tensor:
        """The size of each step, which a few chains find unless it is given."""
        if request.step is not None:
            return pilots.new_full((rungs,), request.step)
        log_p, noise = request.pilot_log_p(), request.pilot_noise()
        base = request.base.log_prob
        return mcmc.anneal(self.kernel, log_p, base, pilots, rungs, generator=noise).steps


def approach(sampler: str | mcmc.MarkovKernel) -> Approach:
    """The approach called `annealed`, or by the kernel of a name, or by a kernel.

    Raises `InputError` for another name, with the nearest one.
    """
    if sampler == "annealed":
        return _Annealing(mcmc.MALA())
    return _Direct(registry.resolve("kernels", sampler))


def _pools(labels: Tensor | None, n: int) -> list[_Pool]:
    """All pools of a request, whatever part of it is wanted."""
    groups = [torch.arange(n)]
    if labels is not None:
        own = labels.cpu()
        groups = [(own == label).nonzero()[:, 0] for label in own.unique()]
    parts = [rows for group in groups for rows in group.split(_POOL)]
    # By their first states, so that more states leave the chains of the first ones as they are.
    parts.sort(key=lambda rows: int(rows[0]))
    return [_Pool(slice(k * _POOL, (k + 1) * _POOL), rows) for k, rows in enumerate(parts)]


def _labels_of_chains(pools: list[_Pool], labels: Tensor | None) -> Tensor | None:
    if labels is None:
        return None
    return torch.stack([labels[p.rows[0]] for p in pools]).repeat_interleave(_POOL)


def _joined(pools: list[_Pool]) -> list[slice]:
    """The chains of some pools, those that follow each other together."""
    found: list[slice] = []
    for pool in pools:
        if found and found[-1].stop == pool.chains.start:
            found[-1] = slice(found[-1].start, pool.chains.stop)
        else:
            found.append(pool.chains)
    return found


def _cut(run: slice, size: int) -> list[slice]:
    return [slice(at, min(at + size, run.stop)) for at in range(run.start, run.stop, size)]


def _places(pools: list[_Pool], n: int) -> Tensor:
    """The chain that each of `n` states is the end of, as far as these pools hold it, `(n,)`."""
    places = torch.zeros(n, dtype=torch.long)
    for pool in pools:
        places[pool.rows] = pool.chains.start + torch.arange(len(pool.rows))
    return places


def _warn_of_lost(pools: list[_Pool], lost: dict[int, float]) -> None:
    """Warn of pools, by their first chains, whose weights of some effective size degenerate."""
    if lost:
        rows = sum(len(pool.rows) for pool in pools if pool.chains.start in lost)
        total = sum(len(pool.rows) for pool in pools)
        warnings.warn(
            f"the weights of the annealed chains of {rows} of {total} states degenerate (effective "
            f"sample size {min(lost.values()):.1f} of {_POOL}): modes that lie apart may come in "
            "wrong proportions; take more steps",
            ConvergenceWarning,
            stacklevel=4,
        )
