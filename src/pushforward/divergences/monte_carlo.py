r"""f-divergences and the Fisher divergence of two densities, from draws of both."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.discrepancies import FDivergence
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.given import draws_of, log_density
from pushforward.divergences.integrand import against_mixture
from pushforward.errors import CapabilityError, InputError
from pushforward.importance import pareto_shape

__all__ = ["f_divergence", "fisher_divergence"]

_HEAVIEST = 0.5
"""The shape of a tail with a finite variance, which a standard error rests on."""
_HEAVY = "tails so heavy that the standard error is too small"


def f_divergence(p: Any, q: Any, divergence: FDivergence, *, n: int, seed: int) -> Divergence:
    r"""`mean over p and q of g(log p / q)`, from `n` draws of each.

    Draws of both in equal parts are draws of their mixture with less variance (the balance
    heuristic of Veach & Guibas 1995), whose density is never far below either: the mean is unbiased
    and for bounded divergences a mean of bounded numbers. It has converged if the tail of what is
    averaged is light enough for its standard error to mean something (`importance.pareto_shape`).
    """
    values = []
    for k, z in enumerate((p, q)):
        x = draws_of(z, n, seed, k)
        log_p, log_q = (log_density(each, x) for each in (p, q))
        nowhere = int((log_p.isinf() & log_q.isinf()).sum())
        if nowhere:
            raise InputError(f"{nowhere} of {n} draws have no density under either distribution")
        values.append(against_mixture(divergence, log_p - log_q))
    return _mean(values, n)


def fisher_divergence(p: Any, q: Any, *, n: int, seed: int) -> Divergence:
    """`mean over p of |grad log p - grad log q|^2`, from `n` draws.

    The gradients are those of `score`, or of `log_prob` by differentiation.
    """
    x = draws_of(p, n, seed, 0)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise CapabilityError("the Fisher divergence compares gradients in real numbers")
    gap = _score(p, x) - _score(q, x)
    return _mean([gap.flatten(1).double().square().sum(1)], n)


def _score(p: Any, x: Tensor) -> Tensor:
    if hasattr(p, "score"):
        found: Tensor = p.score(x)
        return found.detach().cpu()
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        log_prob = p.log_prob(at)
        if not isinstance(log_prob, Tensor) or not log_prob.requires_grad:
            raise CapabilityError(
                f"the log-density of {type(p).__name__} is not differentiable, and it has no score"
            )
        return torch.autograd.grad(log_prob.sum(), at)[0].cpu()


def _mean(values: list[Tensor], n: int) -> Divergence:
    """The mean of numbers drawn in equal strata, with its standard error."""
    value = float(torch.stack([v.mean() for v in values]).mean())
    if math.isnan(value):
        raise InputError("log-densities at some of the draws are not a number")
    if math.isinf(value):
        return Divergence(value, 0.0, "draws", n=n)
    stderr = math.sqrt(sum(float(v.var()) for v in values) / n) / len(values)
    shapes = [float(pareto_shape(v.log())) for v in values if float(v.max()) > 0]
    # Where most numbers are 0 there is no tail to speak of.
    heavy = any(shape > _HEAVIEST for shape in shapes if not math.isnan(shape))
    return Divergence(value, stderr, "draws", _HEAVY if heavy else "", n=n, converged=not heavy)
