r"""The f-divergences, `E_q f(p / q)`, of whatever two distributions are given as.

| given | how |
|---|---|
| two normal distributions | closed forms, any dimension |
| two Gaussian mixtures in one or two dimensions | integrals |
| two `Table`s | sums |
| two distributions or models with `sample` and `log_prob` | draws of both, without bias |
| two sets of samples | nearest neighbors for `kl`; for the others a classifier's lower bound |
| two sets of integers | frequencies of kinds: `total_variation`, `squared_hellinger`, \
`jensen_shannon` |

All return a `Divergence`, and raise `InputError` for different dimensions, NaN or infinity, one
distribution beside samples, and values of arguments that are out of range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward.checks import number
from pushforward.discrepancies import (
    KL,
    Alpha,
    FDivergence,
    JensenShannon,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from pushforward.divergences import gaussian, mixture, monte_carlo
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import floor
from pushforward.divergences.given import (
    GaussianPair,
    MixturePair,
    Pair,
    SamplePair,
    TablePair,
    refused,
    understood,
)
from pushforward.divergences.integrand import against_mixture
from pushforward.divergences.neighbors import neighbor_kl
from pushforward.divergences.variational import BOUNDED, variational_bound

__all__ = [
    "alpha_divergence",
    "chi_square",
    "f_divergence",
    "halved",
    "jensen_shannon",
    "kl",
    "squared_hellinger",
    "total_variation",
]

_DRAWS = 20_000

_LIMIT = 50.0


def kl(p: Any, q: Any, *, n: int = _DRAWS, neighbors: int = 5, seed: int = 0) -> Divergence:
    r"""`KL(p || q) = E_p log (p / q)` in nats; `kl(q, p)` is the other one.

    From samples by the distances to the `neighbors`-th nearest (`neighbor_kl`), which is refused in
    more than ten dimensions a neighbor; `variational_bound` is for those.

    Args:
        p, q: two distributions, or samples `(N, *event)` and `(M, *event)`.
        n: draws of each, where two densities are compared by draws.
        neighbors, seed: for samples and draws.

    >>> from pushforward.distributions import Normal
    >>> print(kl(Normal((1,)), Normal((1,), scale=2.0)))
    0.318147 (closed form)
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair) and not pair.kinds:
        return neighbor_kl(pair.x, pair.y, k=neighbors, seed=seed)
    return _found(pair, KL(), n, seed)


def total_variation(p: Any, q: Any, *, n: int = _DRAWS, seed: int = 0) -> Divergence:
    r"""`int |p - q| / 2`, the largest difference of the probabilities of any event: 0 to 1.

    >>> from pushforward.distributions import Table
    >>> total_variation(Table(torch.tensor([0.5, 0.5])), Table(torch.tensor([0.75, 0.25]))).value
    0.25
    """
    return _found(understood(p, q), TotalVariation(), n, seed)


def squared_hellinger(p: Any, q: Any, *, n: int = _DRAWS, seed: int = 0) -> Divergence:
    r"""`int (sqrt p - sqrt q)^2`, from 0 to 2, which others halve.

    >>> from pushforward.distributions import Table
    >>> squared_hellinger(Table(torch.tensor([1.0, 0.0])), Table(torch.tensor([0.0, 1.0]))).value
    2.0
    """
    return _found(understood(p, q), SquaredHellinger(), n, seed)


def chi_square(p: Any, q: Any, *, n: int = _DRAWS, seed: int = 0) -> Divergence:
    r"""Pearson's `int (p - q)^2 / q`; `chi_square(q, p)` is Neyman's.

    >>> from pushforward.distributions import Normal
    >>> chi_square(Normal((1,), scale=1.5), Normal((1,))).value
    inf
    """
    return _found(understood(p, q), Pearson(), n, seed)


def jensen_shannon(p: Any, q: Any, *, n: int = _DRAWS, seed: int = 0) -> Divergence:
    r"""`(KL(p || m) + KL(q || m)) / 2` with `m = (p + q) / 2`, in nats, from 0 to `log 2`.

    >>> from pushforward.distributions import Table
    >>> found = jensen_shannon(Table(torch.tensor([1.0, 0.0])), Table(torch.tensor([0.0, 1.0])))
    >>> print(found)
    0.693147 (sums)
    """
    pair = understood(p, q)
    if isinstance(pair, GaussianPair):
        return Divergence(gaussian.jensen_shannon(*pair.moments), 0.0, "closed form")
    return halved(_found(pair, JensenShannon(), n, seed))


def halved(found: Divergence) -> Divergence:
    """The Jensen-Shannon divergence from that of the original game, whose `f` gives twice as much.

    >>> halved(Divergence(0.5, 0.1, "sums")).value
    0.25
    """
    half = None if found.floor is None else 0.5 * found.floor
    return replace(
        found, value=0.5 * found.value, stderr=0.5 * found.stderr, floor=half,
        floor_spread=0.5 * found.floor_spread,
    )  # fmt: skip


def alpha_divergence(p: Any, q: Any, *, alpha: float, n: int = _DRAWS, seed: int = 0) -> Divergence:
    r"""`(int p^a q^(1-a) - 1) / (a (a - 1))`, at 1 and 0 its limits `kl(p, q)` and `kl(q, p)`.

    >>> from pushforward.distributions import Normal
    >>> p, q = Normal((1,)), Normal((1,), scale=2.0)
    >>> alpha_divergence(p, q, alpha=0.5).value == 2 * squared_hellinger(p, q).value
    True
    """
    a = number("alpha", alpha)
    if a == 1:
        return kl(p, q, n=n, seed=seed)
    return kl(q, p, n=n, seed=seed) if a == 0 else _found(understood(p, q), Alpha(alpha=a), n, seed)


def f_divergence(
    p: Any, q: Any, divergence: FDivergence, *, n: int = _DRAWS, seed: int = 0
) -> Divergence:
    """`E_q f(p / q) - f(1)` of any f-divergence of `pushforward.discrepancies`.

    >>> from pushforward import discrepancies
    >>> from pushforward.distributions import Normal
    >>> f_divergence(Normal((1,)), Normal((1,)), discrepancies.ReverseKL()).value
    0.0
    """
    return _found(understood(p, q), divergence, n, seed)


def _found(pair: Pair, divergence: FDivergence, n: int, seed: int) -> Divergence:
    """The same of what was given."""
    if isinstance(pair, GaussianPair):
        closed = _closed_form(divergence)
        if closed is not None:
            return Divergence(closed(*pair.moments), 0.0, "closed form")
        pair = pair.mixtures
    if isinstance(pair, MixturePair):
        integral = mixture.f_divergence(pair, divergence)
        if integral is not None:
            return Divergence(
                integral.value, integral.error, "integral", converged=integral.converged
            )
    elif isinstance(pair, TablePair):
        return Divergence(_sum(pair.p, pair.q, divergence), 0.0, "sums")
    elif isinstance(pair, SamplePair):
        if pair.kinds:
            return _frequencies(pair, divergence, seed)
        return variational_bound(pair.x, pair.y, divergence, seed=seed)
    return monte_carlo.f_divergence(pair.p, pair.q, divergence, n=n, seed=seed)


def _closed_form(divergence: FDivergence) -> Callable[..., float] | None:
    """The function of moments, if there is one."""
    if isinstance(divergence, Alpha):
        return lambda *moments: gaussian.alpha_divergence(*moments, alpha=divergence.alpha)
    return {
        KL: gaussian.kl,
        ReverseKL: lambda mean_p, cov_p, mean_q, cov_q: gaussian.kl(mean_q, cov_q, mean_p, cov_p),
        TotalVariation: gaussian.total_variation,
        SquaredHellinger: gaussian.squared_hellinger,
        Pearson: gaussian.chi_square,
        JensenShannon: lambda *moments: 2 * gaussian.jensen_shannon(*moments),
    }.get(type(divergence))


def _sum(p: Tensor, q: Tensor, divergence: FDivergence) -> float:
    """`sum m g(log p / q)` over states that one of them has."""
    seen = p + q > 0
    p, q = p[seen], q[seen]
    return float((0.5 * (p + q)) @ against_mixture(divergence, p.log() - q.log()))


def _frequencies(pair: SamplePair, divergence: FDivergence, seed: int) -> Divergence:
    """That of the frequencies of kinds, each row of the samples being one."""
    # Where some kinds have not been seen, frequencies estimate only these.
    if not isinstance(divergence, BOUNDED):
        raise refused(
            f"{type(divergence).__name__} of kinds", pair,
            "it is infinite where a kind is missing in one set, as in finite sets some are: take "
            "total_variation, squared_hellinger or jensen_shannon",
        )  # fmt: skip
    both = torch.cat([pair.x, pair.y])
    kinds, codes = torch.unique(both, dim=0, return_inverse=True)
    x, y = codes[: len(pair.x)], codes[len(pair.x) :]

    def shares(codes: Tensor) -> Tensor:
        return torch.bincount(codes, minlength=len(kinds)).double() / len(codes)

    def value(x: Tensor, y: Tensor) -> float:
        return _sum(shares(x), shares(y), divergence)

    # The derivative of the value in each frequency is what a state of that kind adds to it.
    # Kinds that one set lacks are taken at its limit, which is finite for these divergences.
    log_ratio = (shares(x).log() - shares(y).log()).clamp(-_LIMIT, _LIMIT)
    gains = divergence.slope(log_ratio)[x]
    costs = divergence.conjugate(divergence.slope(log_ratio))[y]
    stderr = math.sqrt(float(gains.var()) / len(x) + float(costs.var()) / len(y))
    return Divergence(
        value(x, y), stderr, "frequencies",
        "upwards: finite sets differ by chance, see the floor",
        *floor(value, x, y, seed=seed), pair.size,
    )  # fmt: skip
