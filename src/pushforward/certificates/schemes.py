r"""Exponential integrators of the reverse SDE, and what each of their steps costs in path space.

A step from `t` to `s` freezes a quantity `F = p D + q x` of the state `x` and the prediction
`D = E[x_0 | x]` at its value at `t`, and solves the rest exactly. By Girsanov's theorem the
relative entropy of the exact paths with respect to its paths grows, per signal-to-noise ratio, by

    1/2 E |D_r + w_r x_r - F_t / p_r|^2,    w = q / p,

for the exact posterior mean `D_r` at all `r` of the step. Along the reverse process `D` is a
martingale, so that with `x_0` in its place the mean is larger by the error of the posterior mean,
`mmse = E |x_0 - D_r|^2`, exactly:

    step = 1/2 int E |x_0 + w_r x_r - F_t / p_r|^2 dSNR - 1/2 int mmse dSNR.

Given `x_0` and `x_t`, `x_r` is normal. What is left of the first integral is a quadratic form of
`(x_0, x_t, prediction)`; it can be estimated with no knowledge of the data but draws of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward import registry
from pushforward.errors import CapabilityError
from pushforward.samplers import Ancestral, Multistep, RelativeScore
from pushforward.schedules import Coefficients, Schedule

__all__ = ["Scheme", "StepCost", "scheme_of", "step_costs"]


@dataclass(frozen=True)
class Scheme:
    """What a sampler freezes during a step.

    Args:
        name: of the quantity.
        weights: `p` and `w = q / p` at a time.
    """

    name: str
    weights: Callable[[Coefficients], tuple[float, float]]


class StepCost(NamedTuple):
    r"""What a step costs: `<form, (x_0, x_t, pred) (x_0, x_t, pred)^T> + noise d - 1/2 int mmse`.

    Args:
        t: the time at which the model is asked.
        alpha: the signal there.
        sigma: the noise there.
        form: the quadratic form, `(3, 3)`.
        noise: what each dimension adds.
        ends: the signal-to-noise ratio at the beginning and at the end.
        nodes: signal-to-noise ratios for quadrature of the last integral, `(m,)`.
        shares: their weights, `(m,)`.
    """

    t: float
    alpha: float
    sigma: float
    form: Tensor
    noise: float
    ends: tuple[float, float]
    nodes: Tensor
    shares: Tensor

    def exact_prediction(self) -> tuple[float, float, float]:
        """What the exact prediction costs, but for the integral: weights of `E |x_0|^2`, of the
        dimension, and of the mmse at the beginning."""
        (aa, ab, ac), (_, bb, bc), (_, _, cc) = self.form.tolist()
        alpha, sigma = self.alpha, self.sigma
        moment = aa + 2 * alpha * ab + alpha**2 * bb + 2 * ac + 2 * alpha * bc + cc
        return moment, sigma**2 * bb + self.noise, -2 * ac - cc


def scheme_of(choice: Any) -> Scheme:
    """The scheme of a sampler, or of its short name: what its certificate is about.

    Raises `CapabilityError` for a sampler that has none: of the probability flow, of an order above
    one, or with noise of another size than that of the reverse SDE.

    >>> scheme_of("ddpm").name
    'data prediction'
    >>> scheme_of(Ancestral(churn=0.5))
    Traceback (most recent call last):
    ...
    pushforward.errors.CapabilityError: Ancestral(churn=0.5, variance='posterior') earns no \
certificate: churn = 0.5 is not the noise of the reverse SDE. Certified are ddpm, exponential and \
relative-score: samplers.Ancestral(), samplers.Multistep(order=1, churn=1) and \
samplers.RelativeScore()
    """
    sampler = registry.resolve("samplers", choice)
    if isinstance(sampler, Ancestral) and sampler.churn == 1 and sampler.variance == "posterior":
        return _SCHEMES["data"]
    if isinstance(sampler, RelativeScore):
        return _SCHEMES["relative score"]
    first = isinstance(sampler, Multistep) and sampler.order == 1 and not sampler.corrector
    if first and sampler.churn == 1:
        return _SCHEMES[sampler.predict]
    raise CapabilityError(
        f"{registry.called('samplers', choice)} earns no certificate: {_refusal(sampler)}. "
        "Certified are ddpm, "
        "exponential and relative-score: samplers.Ancestral(), samplers.Multistep(order=1, "
        "churn=1) and samplers.RelativeScore()"
    )


def _refusal(sampler: Any) -> str:
    churn = getattr(sampler, "churn", 0.0)
    if churn == 0:
        return (
            "it follows the probability flow, whose error the loss of the score does not bound "
            "(certificates.flow_certificate bounds it by a Lipschitz constant; log_prob measures "
            "it)"
        )
    if churn != 1:
        return f"churn = {churn:g} is not the noise of the reverse SDE"
    return "its paths are not those of an SDE with one frozen quantity a step"


def _relative_score(k: Coefficients) -> tuple[float, float]:
    scale = k.alpha**2 + k.sigma**2
    return float(k.alpha * scale**0.5 / k.sigma**2), float(-k.alpha / scale)


_SCHEMES = {
    "data": Scheme("data prediction", lambda k: (1.0, 0.0)),
    "noise": Scheme("noise prediction", lambda k: (float(-k.alpha / k.sigma), float(-1 / k.alpha))),
    "relative score": Scheme("relative score", _relative_score),
}

_LONGEST = 0.7
"""Stretches of the log signal-to-noise ratio that one rule of quadrature spans."""
_FORM, _MMSE = (np.polynomial.legendre.leggauss(n) for n in (16, 3))


def step_costs(scheme: Scheme, schedule: Schedule, times: Sequence[float]) -> list[StepCost]:
    """The cost of every step of falling times of a schedule, none of them without noise.

    >>> from pushforward.schedules import OU
    >>> (cost,) = step_costs(_SCHEMES["data"], OU(horizon=1.0), [0.5, 0.25])
    >>> cost.form[0, 0] == -cost.form[0, 2]  # 1/2 |x_0 - pred|^2 times the change of the ratio
    tensor(True)
    """
    schedule.tabulate(tuple(times))
    log_snr = [float(schedule.log_snr(t)) for t in times]
    return [
        _cost(scheme, schedule, t, ends) for t, ends in zip(times, pairwise(log_snr), strict=False)
    ]


def _cost(scheme: Scheme, schedule: Schedule, t: float, ends: tuple[float, float]) -> StepCost:
    now = schedule.at(t)
    p, w = scheme.weights(now)
    lam, dsnr = _quadrature(ends, _FORM)
    # Two integrals, so that the one over the frozen data prediction has no error at all.
    form, noise = torch.zeros(3, 3, dtype=torch.float64), 0.0
    if scheme.name == "data prediction":
        total = 0.5 * (math.exp(ends[1]) - math.exp(ends[0]))
        u = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
        form = total * torch.outer(u, u)
    else:
        clock = schedule.time_at_log_snr(torch.from_numpy(lam)).tolist()
        schedule.tabulate(tuple(clock))
        for r, share in zip(clock, dsnr.tolist(), strict=True):
            then = schedule.at(r)
            p_r, w_r = scheme.weights(then)
            decay = now.alpha * then.sigma / (then.alpha * now.sigma)
            keep = decay * then.sigma / now.sigma
            gain = then.alpha * (1 - decay**2)
            u = torch.tensor(
                [1 + w_r * gain, w_r * keep - w * p / p_r, -p / p_r], dtype=torch.float64
            )
            form = form + 0.5 * share * torch.outer(u, u)
            noise += 0.5 * share * (w_r * then.sigma) ** 2 * (1 - decay**2)
    lam, dsnr = _quadrature(ends, _MMSE)
    return StepCost(
        t, float(now.alpha), float(now.sigma), form, float(noise),
        (math.exp(ends[0]), math.exp(ends[1])), torch.from_numpy(lam).exp(), torch.from_numpy(dsnr),
    )  # fmt: skip


def _quadrature(ends: tuple[float, float], rule: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes in the log signal-to-noise ratio, and weights of the ratio itself."""
    first, last = ends
    edges = np.linspace(first, last, 1 + max(1, math.ceil((last - first) / _LONGEST)))
    half, middle = np.diff(edges)[:, None] / 2, (edges[:-1] + edges[1:])[:, None] / 2
    lam = (middle + half * rule[0]).ravel()
    return lam, (half * rule[1]).ravel() * np.exp(lam)
