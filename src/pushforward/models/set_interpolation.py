"""Sets between two sets."""

from __future__ import annotations

from typing import Any

import torch

from pushforward import checks, registry, state
from pushforward._random import fresh_seed, resolve, uniform_like
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import conditioned
from pushforward.models.simulation import simulate, times_of
from pushforward.processes import JumpDiffusion, Thinning, Trimming
from pushforward.protocols import Sampler, Transport

__all__ = ["between_sets"]


@torch.no_grad()
def between_sets(
    model: Any,
    first: Any,
    second: Any,
    share: float = 0.5,
    *,
    at: float = 0.6,
    c: Any = None,
    sampler: str | Sampler | None = None,
    steps: int = 100,
    seed: int | None = None,
) -> Any:
    """Sets of a model that have something of each of two others: their places, kinds and number.

    Both are taken to the time `at` by the process, noised and thinned. Of what is left of them a
    point of the second is kept with the chance `share`, one of the first with `1 - share`, and the
    model goes back from there. It is the path of the process exactly where sets have independent
    points and a Poisson number of them, and a proposal that the model mends otherwise (as Meng et
    al. 2022 edit pictures).

    Args:
        model: a `Diffusion` with the process `JumpDiffusion` or `Thinning`.
        first: sets in data units, such as `spaces.Points`.
        second: as many.
        share: 0 for sets that look like the first, 1 for the second.
        at: the time; the later it is, the less is left of both.
        c: labels or contexts, as of `sample`.
        sampler: a short name or a sampler, that of the process by default.
        steps: of the sampler.
        seed: row `k` depends on it and on `k` alone.

    Raises `CapabilityError` for another process, `InputError` for numbers out of range or sets of
    other slots.

    >>> import pushforward as pf
    >>> from pushforward.spaces import Points
    >>> x = Points(torch.zeros(4, 3, 2), torch.ones(4, 3).bool())
    >>> data = pf.data.load(x, space=pf.spaces.PointCloud())
    >>> model = pf.Diffusion.for_data(data, process=pf.processes.JumpDiffusion())
    >>> between_sets(model, x, x, steps=2, seed=0).number.shape
    torch.Size([4])
    """
    process = getattr(model, "process", None)
    if not isinstance(process, JumpDiffusion | Thinning):
        raise CapabilityError(
            f"{type(process).__name__} deletes no points: sets lie between two others for the "
            "processes JumpDiffusion and Thinning"
        )
    if isinstance(process, Trimming) or isinstance(getattr(process, "thinning", None), Trimming):
        raise CapabilityError(
            "what is left of two sequences by Trimming makes no third one: sets lie between two "
            "others for Thinning"
        )
    share = checks.number("share", share, least=0)
    start, stop = process.interval
    if share > 1 or not stop < at <= start:
        raise InputError(
            f"share={share:g} lies in 0..1, and at={at:g} above {stop:g} and up to {start:g}"
        )
    if state.event_shape(first) != state.event_shape(second) or len(first.mask) != len(second.mask):
        raise InputError(
            f"there are {len(first.mask)} sets {state.event_shape(first)} and {len(second.mask)} "
            f"sets {state.event_shape(second)}: give as many, with as many slots"
        )
    seed = fresh_seed(seed, None)
    generator = resolve(seed, None, rows=len(first.mask))
    ends = [process.sample(model.inward(x), at, generator) for x in (first, second)]
    kept = [
        end.mask & (uniform_like(end.x[..., 0], generator) < chance)
        for end, chance in zip(ends, (1 - share, share), strict=True)
    ]
    x_t = _together(process.space, ends, kept, generator)
    times = times_of(process, process.grid, steps - 1, at)
    n = len(first.mask)
    context = model.condition.required(c, n, model.device)
    rule = registry.resolve("samplers", sampler or process.sampler)

    def transport(part: slice) -> Transport:
        own = None if context is None else state.take(context, part)
        return Transport(conditioned(model.predictor, model.condition, own), process)

    with model.evaluating():
        x = simulate(rule, transport, x_t, times, seed=seed, finish=True)
    return model.outward(x)


def _together(space: Any, ends: list[Any], kept: list[Any], generator: Any) -> Any:
    """The kept points of both in as many slots as each had; of too many, any are left out."""
    both = state.map_leaves(lambda a, b: torch.cat([a, b], 1), *ends)
    mask = torch.cat(kept, 1)
    slots = kept[0].shape[1]
    keys = uniform_like(both.x[..., 0], generator) + (~mask).to(both.x)
    order = keys.argsort(1)[:, :slots]

    def chosen(a: Any) -> Any:
        index = order.reshape(*order.shape, *(1,) * (a.ndim - 2)).expand(*order.shape, *a.shape[2:])
        return a.gather(1, index)

    found = state.map_leaves(chosen, both._replace(mask=mask))
    return space.nearest(found)
