"""What each step costs on each row of data: with the model, and with the exact posterior mean."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.certificates.laws import Law
from pushforward.certificates.level import Level, LowerLevel
from pushforward.certificates.schemes import StepCost
from pushforward.certificates.subjects import Subject

__all__ = ["RowCosts", "row_costs"]


class RowCosts(NamedTuple):
    """The costs of all steps, row by row.

    Args:
        score: what the error of the predictions costs, `(steps, n)`.
        exact: what the exact predictions cost, `(steps, n)`.
        difference: what the predictions cost more than those of another model, in all, `(n,)`.
        information: what the paths tell of the data, `1/2 int mmse dSNR`, `(n,)`.
        level: a lower bound of what the error of the predictions costs, if there is one.
    """

    score: Tensor
    exact: Tensor
    difference: Tensor | None
    information: Tensor
    level: Level | None


def row_costs(
    subject: Subject,
    other: Subject | None,
    steps: list[StepCost],
    law: Law,
    x_0: Tensor,
    seed: int,
    lower: LowerLevel | None = None,
) -> RowCosts:
    """Ask model and law about noised data `(n, d)` at the beginning of every step."""
    generator = resolve(seed, None, x_0.device)
    score, exact = [], []
    difference = None if other is None else torch.zeros_like(x_0[:, 0])
    information = torch.zeros_like(x_0[:, 0])

    def noised(alpha: float, sigma: float) -> Tensor:
        noise = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device=x_0.device)
        return alpha * x_0 + sigma * noise

    for step in steps:
        alpha, sigma, form = step.alpha, step.sigma, _Form(step.form.to(x_0))
        x = noised(alpha, sigma)
        preds = [one.predict(x, step.t) for one in (subject, other) if one is not None]
        more, spread = law.excess(form, x_0, x, preds, alpha, sigma)
        score.append(more[0])
        if difference is not None:
            difference = difference + more[0] - more[1]
        if lower is not None:
            lower.add(step, x, *preds)
        moment, dimension, at_start = step.exact_prediction()
        spent = moment * x_0.square().sum(1) + dimension * x_0.shape[1] + at_start * spread
        told = torch.zeros_like(spent)
        for snr, share in zip(step.nodes.tolist(), step.shares.tolist(), strict=True):
            # Any signal and noise of that ratio will do: the posterior mean is the same.
            signal, rest = math.sqrt(snr / (1 + snr)), math.sqrt(1 / (1 + snr))
            told = told + 0.5 * share * law.spread(x_0, noised(signal, rest), signal, rest)
        exact.append(spent - told)
        information = information + told
    return RowCosts(
        torch.stack(score), torch.stack(exact), difference, information,
        None if lower is None else lower.found(),
    )  # fmt: skip


class _Form:
    """The quadratic form of a step, but for what depends on data and state alone."""

    def __init__(self, form: Tensor) -> None:
        self.on_z, self.on_x, self.square = form[0, 2], form[1, 2], form[2, 2]

    def __call__(self, z: Tensor, x: Tensor, pred: Tensor) -> Tensor:
        linear = 2 * (self.on_z * z + self.on_x * x)
        return (linear * pred + self.square * pred.square()).sum(1)

    def exact(self, z: Tensor, x: Tensor, spread: float) -> Tensor:
        """`E[x_0 . D] = E|D|^2 = E|x_0|^2 - spread`, and `E[x . D] = E[x . x_0]`."""
        squares = (2 * self.on_z + self.square) * (z.square().sum(1) - spread)
        return squares + 2 * self.on_x * (z * x).sum(1)
