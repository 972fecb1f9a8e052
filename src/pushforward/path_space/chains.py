r"""Relative entropies of Markov chains and of jump processes, exact.

By the chain rule that of the paths is that of the starts and, for each step, the mean of that of
the kernels; for jumps in continuous time the mean of `sum_y R log(R / Q) - R + Q` over the rates
`R` and `Q` from the state to all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.divergences import gaussian
from pushforward.errors import InputError
from pushforward.path_space.entropy import PathEntropy
from pushforward.path_space.integration import solved

__all__ = [
    "GaussianKernel",
    "chain_relative_entropy",
    "gaussian_chain_relative_entropy",
    "jump_relative_entropy",
]

Rates = Tensor | Callable[[float], Tensor]
"""Rates `(S, S)` from each state (row) to each other one, constant or at a time; the diagonal is
not looked at."""


class GaussianKernel(NamedTuple):
    """A step `x' ~ N(matrix x + offset, covariance)` of vectors."""

    matrix: Tensor
    offset: Tensor
    covariance: Tensor


def chain_relative_entropy(
    p_start: Tensor, p_kernels: Sequence[Tensor], q_start: Tensor, q_kernels: Sequence[Tensor]
) -> PathEntropy:
    """`KL(P | Q)` of two Markov chains on `S` states, exact.

    Args:
        p_start, q_start: probabilities `(S,)`.
        p_kernels, q_kernels: for each step the probabilities `(S, S)` from each state (row) to
            each.

    Infinite where `P` goes and `Q` cannot. Raises `InputError` for what are no probabilities and
    chains of different lengths.

    >>> fair, loaded = torch.full((2, 2), 0.5), torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    >>> start = torch.tensor([1.0, 0.0])
    >>> found = chain_relative_entropy(start, [fair, fair], start, [loaded, loaded])
    >>> round(found.value, 4)  # 1.5 times that of (0.5, 0.5) from (0.9, 0.1)
    0.7662
    """
    if len(p_kernels) != len(q_kernels):
        raise InputError(f"chains of {len(p_kernels)} and of {len(q_kernels)} steps")
    law, other = _probabilities(p_start), _probabilities(q_start)
    initial, running = float(_divergence(law, other)), 0.0
    for first, second in zip(p_kernels, q_kernels, strict=True):
        a, b = _probabilities(first), _probabilities(second)
        if a.shape != (len(law), len(law)) or b.shape != a.shape:
            raise InputError(
                f"kernels on {len(law)} states are square, not {tuple(a.shape)} and "
                f"{tuple(b.shape)}"
            )
        # States that are never visited count nothing, whatever happens there.
        visited = law > 0
        running += float(law[visited] @ _divergence(a[visited], b[visited]))
        law = law @ a
    return PathEntropy(initial, running)


def gaussian_chain_relative_entropy(
    p_start: tuple[Tensor, Tensor],
    p_kernels: Sequence[GaussianKernel],
    q_start: tuple[Tensor, Tensor],
    q_kernels: Sequence[GaussianKernel],
) -> PathEntropy:
    """`KL(P | Q)` of two chains of linear Gaussian steps, exact.

    Args:
        p_start, q_start: mean `(d,)` and covariance `(d, d)` of the starts.
        p_kernels, q_kernels: the steps.

    That of a DDPM on normal data is its expected variational bound minus the entropy of the data.
    Raises `InputError` for chains of different lengths.

    >>> eye = torch.eye(1)
    >>> start = torch.zeros(1), eye
    >>> p, q = (GaussianKernel(k * eye, torch.zeros(1), eye) for k in (1.0, 0.0))
    >>> gaussian_chain_relative_entropy(start, [p, p], start, [q, q]).value  # (1 + 2) / 2
    1.5
    """
    if len(p_kernels) != len(q_kernels):
        raise InputError(f"chains of {len(p_kernels)} and of {len(q_kernels)} steps")
    mean, cov = p_start
    initial, running = gaussian.kl(mean, cov, *q_start), 0.0
    for a, b in zip(p_kernels, q_kernels, strict=True):
        gap = a.matrix - b.matrix
        away = gap @ mean + a.offset - b.offset
        second = gap @ cov @ gap.mT + torch.outer(away, away)
        zero = torch.zeros_like(mean)
        running += gaussian.kl(zero, a.covariance, zero, b.covariance)
        running += 0.5 * float(torch.linalg.solve(b.covariance, second).trace())
        mean = a.matrix @ mean + a.offset
        cov = a.matrix @ cov @ a.matrix.mT + a.covariance
    return PathEntropy(initial, running)


def jump_relative_entropy(
    p_start: Tensor,
    p_rates: Rates,
    q_start: Tensor,
    q_rates: Rates,
    start: float,
    stop: float,
    *,
    rtol: float = 1e-8,
) -> PathEntropy:
    r"""`KL(P | Q)` of two jump processes on `S` states, to a relative error of `rtol`.

    Args:
        p_start, q_start: probabilities `(S,)`.
        p_rates, q_rates: rates `(S, S)`, or functions of the time.
        start, stop: the first and the last time.
        rtol: the relative error of the integral over the time.

    Infinite where `P` jumps and `Q` cannot. Raises `InputError` for what are no probabilities or
    no rates, `SamplingError` for an integral that does not settle.

    >>> start = torch.tensor([0.5, 0.5])
    >>> p, q = (torch.tensor([[0.0, r], [r, 0.0]]) for r in (1.0, 2.0))
    >>> round(jump_relative_entropy(start, p, start, q, 0.0, 1.0).value, 6)  # 1 - log 2
    0.306853
    """
    law, other = _probabilities(p_start), _probabilities(q_start)
    initial = float(_divergence(law, other))

    def rate(y: Tensor, s: float) -> Tensor:
        now = y[:-1]
        out, allowed = _rates(p_rates, s, len(now)), _rates(q_rates, s, len(now))
        # Rounding may leave a trace below zero where nothing is.
        cost = (now.clamp(min=0).unsqueeze(1) * _cost(out, allowed)).nan_to_num(posinf=math.inf)
        return torch.cat([now @ out - now * out.sum(1), cost.sum()[None]])

    middle = 0.5 * (start + stop)
    out, allowed = _rates(p_rates, middle, len(law)), _rates(q_rates, middle, len(law))
    if bool(_cost(out, allowed)[_reached(law, out)].isinf().any()):
        return PathEntropy(initial, math.inf)
    running = solved(rate, torch.cat([law, law.new_zeros(1)]), start, stop, rtol)
    return PathEntropy(initial, running.value, error=running.error)


def _reached(law: Tensor, rates: Tensor) -> Tensor:
    """The states that a process comes to from some start."""
    found = law > 0
    for _ in law:
        found = found | (found.double() @ rates > 0)
    return found


def _cost(rate: Tensor, other: Tensor) -> Tensor:
    """`R log(R / Q) - R + Q`, `Q` where `R` is zero."""
    return torch.xlogy(rate, rate) - torch.xlogy(rate, other) - rate + other


def _rates(rates: Rates, s: float, states: int) -> Tensor:
    """The rates at a time without their diagonal, in double precision."""
    found = (rates(s) if callable(rates) else rates).double()
    if found.shape != (states, states):
        raise InputError(f"rates on {states} states are square, not {tuple(found.shape)}")
    found = found - torch.diag(found.diagonal())
    if not bool((found.isfinite() & (found >= 0)).all()):
        raise InputError(f"rates are finite and not negative, but for the diagonal; at s = {s:g}")
    return found


def _probabilities(p: Tensor) -> Tensor:
    found = p.double()
    if not bool((found >= 0).all()) or not bool((found.sum(-1) - 1).abs().max() < 1e-5):
        raise InputError(
            "probabilities are not negative and sum to one, "
            f"not to {float(found.sum(-1).flatten()[0]):g}"
        )
    return found / found.sum(-1, keepdim=True)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """`sum p log(p / q)` over the last axis; infinite where `q` alone is zero."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)
