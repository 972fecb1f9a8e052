r"""Girsanov's theorem by simulation: paths of one diffusion, weighed by another.

For `dX = b dt + g dW` with two drifts and one `g`, under `P`,

    log dP/dQ = log p_0/q_0 + int (b_P - b_Q) / g dW + 1/2 int |b_P - b_Q|^2 / g^2 ds,

whose mean is the relative entropy; that of the stochastic integral is zero. On a grid the formula
is exact for the chains of Euler and Maruyama, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import normal_like, resolve
from pushforward._shapes import flatten, per_event_sum
from pushforward.errors import InputError, SamplingError
from pushforward.path_space.entropy import PathEntropy
from pushforward.path_space.sde import SDE
from pushforward.path_space.starts import known_entropy, normal_moments

__all__ = ["common_diffusion", "girsanov", "log_likelihood_ratio"]


def girsanov(
    p: SDE,
    q: SDE,
    times: Sequence[float],
    *,
    n: int = 10_000,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> PathEntropy:
    r"""`KL(P | Q)` of two diffusions with one noise, from `n` simulated paths of `P`.

    The mean of `1/2 int |b_P - b_Q|^2 / g^2 ds` and of `log p_0/q_0` over the paths, with control
    variates taken off: the martingale `int (b_P - b_Q) / g dW` that the likelihood ratio has
    besides, the same and `int X dW` weighted by the time that remains, since what happens early
    is felt longest, and the squared norm of a normal start. Their coefficients are fitted to the
    same paths, at a bias of the order of one over `n`.

    Args:
        p: the diffusion whose paths are drawn.
        q: the other one. Of starts that are normal, or one object, the relative entropy is exact.
        times: increasing, on the clock of both. The `error` that comes back is the distance to the
            integral over every second time: it halves as the steps do.
        n: the number of paths, at least 10.
        seed: or a `generator`.

    Raises `InputError` for times that do not increase and for diffusions that differ, whose paths
    have infinite relative entropy; `SamplingError` for paths that are not finite.

    >>> from pushforward.distributions import Normal
    >>> start = Normal((1,))
    >>> p, q = (SDE(lambda x, s, m=m: m - x, lambda s: 1.0, start) for m in (0.0, 0.5))
    >>> found = girsanov(p, q, [k / 20 for k in range(21)], n=100, seed=0)
    >>> round(found.value, 6), found.stderr < 1e-6  # 1/2 int 0.5^2 ds, the same on all paths
    (0.125, True)
    """
    times = _increasing(times)
    checks.whole("n", n, least=10)
    generator = resolve(seed, generator, rows=n)
    x = p.start.sample(n, generator=generator).double()
    known = known_entropy(p.start, q.start)
    initial = x.new_full((n,), known) if known is not None else _log_ratio(p, q, x)
    moments = normal_moments(p.start)
    begun = torch.zeros_like(initial)
    if moments is not None:
        begun = per_event_sum((x - moments[0]).square()) - moments[1].trace()
    # Over all times, over every second one, and the martingales.
    fine, coarse, ratio, early, moving = (torch.zeros_like(initial) for _ in range(5))
    for k, s in enumerate(times[:-1]):
        h = times[k + 1] - s
        g = common_diffusion(p, q, s)
        drift = p.drift(x, s)
        gap = (drift - q.drift(x, s)) / g
        rate = 0.5 * per_event_sum(gap.square())
        dw = math.sqrt(h) * normal_like(x, generator)
        fine = fine + h * rate
        if k % 2 == 0:
            coarse = coarse + (times[min(k + 2, len(times) - 1)] - s) * rate
        change, left = per_event_sum(gap * dw), times[-1] - s
        ratio, early = ratio + change, early + left * change
        moving = moving + left * per_event_sum(x * dw)
        x = x + h * drift + g * dw
    if not bool((fine.isfinite() & flatten(x).isfinite().all(1)).all()):
        raise SamplingError(
            "paths are not finite: take more times, or stay away from those where a drift is "
            "infinite"
        )
    controls = torch.stack([ratio, early, moving, begun], 1)
    total = initial + fine
    rest = _without(total, controls)
    return PathEntropy(
        float(initial.mean()),
        float(rest.mean() - initial.mean()),
        float(rest.std() / math.sqrt(n)),
        float((fine - coarse).mean().abs()),
    )


def log_likelihood_ratio(p: SDE, q: SDE, paths: Sequence[Tensor], times: Sequence[float]) -> Tensor:
    r"""`log dP/dQ` of given paths, one state `(B, *event)` for each time; in nats, `(B,)`.

    That of the chains of Euler and Maruyama on the times. For paths of `P` its mean is the relative
    entropy, and for paths of `Q` the mean of its exponential is one.

    Raises `InputError` for paths and times that do not fit, or diffusions that differ.

    >>> from pushforward.distributions import Normal
    >>> start = Normal((1,))
    >>> p, q = (SDE(lambda x, s, m=m: 0 * x + m, lambda s: 1.0, start) for m in (1.0, 0.0))
    >>> log_likelihood_ratio(p, q, [torch.zeros(1, 1), torch.ones(1, 1)], [0.0, 1.0])
    tensor([0.5000], dtype=torch.float64)
    """
    times = _increasing(times)
    if len(paths) != len(times):
        raise InputError(f"paths have a state for each time: {len(times)}, not {len(paths)}")
    states = [x.double() for x in paths]
    total = torch.zeros(len(states[0]), dtype=torch.float64)
    if p.start is not q.start:
        total = _log_ratio(p, q, states[0])
    for (s, end), (x, after) in zip(pairwise(times), pairwise(states), strict=True):
        h = end - s
        g = common_diffusion(p, q, s)
        first, second = p.drift(x, s), q.drift(x, s)
        # In units of the noise of the step: the ratio of two normal densities.
        middle = after - x - 0.5 * h * (first + second)
        total = total + per_event_sum((first - second) * middle) / g**2
    return total


def _log_ratio(p: SDE, q: SDE, x: Tensor) -> Tensor:
    """`log p_0/q_0` of states of the start."""
    return (p.start.log_prob(x) - q.start.log_prob(x)).double()


def _without(values: Tensor, controls: Tensor) -> Tensor:
    """Values minus what controls of mean zero explain of them, by least squares."""
    spread = controls.std(0)
    # Controls that do not move explain nothing, and of two that are alike one is enough.
    scaled = controls[:, spread > 0] / spread[spread > 0]
    centered = scaled - scaled.mean(0)
    inverse = torch.linalg.pinv(centered.mT @ centered, rtol=1e-8, hermitian=True)
    return values - scaled @ (inverse @ (centered.mT @ (values - values.mean())))


def common_diffusion(p: SDE, q: SDE, s: float) -> float:
    """The diffusion of both at a time. Raises `InputError` if they have different ones."""
    first, second = p.diffusion(s), q.diffusion(s)
    if not abs(first - second) <= 1e-6 * abs(first):
        raise InputError(
            f"the diffusions are {first:g} and {second:g} at s = {s:g}: paths of different noise "
            "never look alike, their relative entropy is infinite"
        )
    return first


def _increasing(times: Sequence[float]) -> list[float]:
    found = [float(s) for s in times]
    if len(found) < 2 or any(b <= a for a, b in pairwise(found)):
        raise InputError(f"paths need at least two increasing times, not {found[:4]}")
    return found
