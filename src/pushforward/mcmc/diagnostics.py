r"""Whether chains have converged, and how much they know (Vehtari et al. 2021).

Traces have shape `(steps, chains, *event)`; what is found is one number per coordinate, `(*event)`.
Each chain is cut into halves, so that a drift shows too. Draws are replaced by the normal scores of
their ranks, which have moments whatever the tails of the distribution.

A coordinate that never changes, or is not finite, has no diagnostics: they are NaN. So are the
effective sample sizes of a trace with a frozen chain, which knows nothing of its own error; its
R-hat is what the formulas give, infinite if all are frozen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["bulk_ess", "effective_sample_size", "energy_fraction", "r_hat", "tail_ess"]


def r_hat(trace: Tensor) -> Tensor:
    """The rank-normalized, folded split R-hat: near 1 if chains agree with each other.

    With the mean `W` of the variances within half-chains of length `n`, and the variance `B` of
    their means, R-hat is `sqrt((n - 1) / n + B / W)`. It is taken of the normal scores, in which
    differences of location show, and of those of the distances to the median, for differences of
    scale; the larger one counts. Below 1.01 chains may be trusted.

    Raises `InputError` for traces of fewer than four steps.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> round(float(r_hat(trace)), 1)
    1.0
    >>> scales = torch.tensor([[0.1], [10.0], [0.1], [10.0]])
    >>> float(r_hat(scales * trace)) > 1.5
    True
    """
    x = _halves(trace)
    # The mean of the two middle draws, which `median` of torch is not.
    folded = (x - _quantile(x.flatten(0, 1), 0.5)).abs()
    found = torch.maximum(_ratio(_scores(x)), _ratio(_scores(folded)))
    return torch.where(_constant(x), math.nan, found)


def bulk_ess(trace: Tensor) -> Tensor:
    """The effective sample size of normal scores: how well the middle is known.

    Means and medians may be trusted from about 400. Raises `InputError` as `r_hat`.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> 1500 < float(bulk_ess(trace)) < 2500
    True
    """
    x = _halves(trace)
    return torch.where(_frozen(trace), math.nan, _effective(_scores(x)))


def tail_ess(trace: Tensor) -> Tensor:
    """The smaller effective sample size of being below the 5 % and below the 95 % quantile.

    Quantiles and deviations may be trusted from about 400. Raises `InputError` as `r_hat`.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> 1000 < float(tail_ess(trace)) < 2500
    True
    """
    x = _halves(trace)
    flat = x.flatten(0, 1)
    low, high = (_effective((x <= _quantile(flat, end)).to(x)) for end in (0.05, 0.95))
    return torch.where(_frozen(trace), math.nan, torch.minimum(low, high))


def effective_sample_size(trace: Tensor) -> Tensor:
    """The number of independent draws whose mean would be as precise.

    `m n / (1 + 2 sum_t rho_t)` with autocorrelations that also know of differences between the
    `m` half-chains, summed in pairs as long as these are positive and decrease (Geyer 1992). That
    of the mean itself, for draws with a variance: `bulk_ess` needs none.

    Raises `InputError` for traces of fewer than four steps.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> 1500 < float(effective_sample_size(trace)) < 2500
    True
    """
    return torch.where(_frozen(trace), math.nan, _effective(_halves(trace)))


def energy_fraction(energy: Tensor) -> Tensor:
    """The fraction of missing information about energies, of each chain, `(chains,)`.

    `sum (E_n - E_(n-1))^2 / sum (E_n - mean)^2` of energies `(steps, chains)` at the starts of
    trajectories: by how much new momenta change the energy, relative to how much it varies. Below
    0.3 chains cross levels of energy slowly (Betancourt 2017).

    Raises `InputError` for traces of fewer than four steps.

    >>> energy = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> [round(float(fraction)) for fraction in energy_fraction(energy)]
    [2, 2]
    """
    _halves(energy)
    x = energy.detach().cpu().double()
    return x.diff(dim=0).square().sum(0) / (x - x.mean(0)).square().sum(0)


def _quantile(flat: Tensor, q: float) -> Tensor:
    """Of draws `(n, *event)`, of any number of them, which `quantile` of torch does not take."""
    ordered, at = flat.sort(0).values, q * (len(flat) - 1)
    below = math.floor(at)
    above = min(below + 1, len(flat) - 1)
    return torch.lerp(ordered[below], ordered[above], at - below)


def _effective(x: Tensor) -> Tensor:
    """The effective sample size of chains `(n, m, *event)` that are not cut."""
    within, between, n = _variances(x)
    centered = x - x.mean(0)
    power = torch.fft.rfft(centered, n=2 * n, dim=0).abs().square()
    covariance = torch.fft.irfft(power, n=2 * n, dim=0)[:n].mean(1) / n
    total = (n - 1) / n * within + between
    rho = 1 - (within - covariance) / total
    rho[0] = 1.0
    pairs = rho[: n - n % 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cumprod(0)
    time = 2 * (pairs.cummin(0).values * positive).sum(0) - 1
    # Of the first pair that is left out, the even lag may still count.
    ahead = (2 * positive.sum(0, keepdim=True)).clamp(max=n - 1)
    time = time + rho.gather(0, ahead)[0].clamp(min=0)
    draws = x.shape[0] * x.shape[1]
    # Chains that alternate are better than independent draws, but not without limit.
    return draws / time.clamp(min=1 / math.log10(draws))


def _ratio(x: Tensor) -> Tensor:
    within, between, n = _variances(x)
    return ((n - 1) / n + between / within).sqrt()


def _scores(x: Tensor) -> Tensor:
    """Normal scores `Phi^-1((r - 3/8) / (S + 1/4))` of the ranks among all draws, ties shared."""
    flat = x.flatten(0, 1).flatten(1).mT.contiguous()
    ordered = flat.sort(1).values
    below = torch.searchsorted(ordered, flat)
    rank = (below + torch.searchsorted(ordered, flat, right=True) + 1) / 2
    scores = torch.special.ndtri((rank.to(x) - 0.375) / (flat.shape[1] + 0.25))
    return scores.mT.reshape(x.shape)


def _halves(trace: Tensor) -> Tensor:
    """Each chain as two of half the length, in double precision, on the CPU."""
    if trace.ndim < 2 or len(trace) < 4:
        raise InputError(
            f"a trace has shape (steps, chains, *event) with at least 4 steps, not "
            f"{tuple(trace.shape)}"
        )
    half = len(trace) // 2
    return torch.cat([trace[:half], trace[-half:]], 1).detach().cpu().double()


def _constant(x: Tensor) -> Tensor:
    """Coordinates that never change, or are not finite, `(*event)`."""
    flat = x.flatten(0, 1)
    return (flat == flat[0]).all(0) | ~flat.isfinite().all(0)


def _frozen(trace: Tensor) -> Tensor:
    """Coordinates in which some chain never changes, or that are not finite, `(*event)`."""
    x = trace.detach().cpu()
    return (x == x[0]).all(0).any(0) | ~x.isfinite().all(0).all(0)


def _variances(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """The mean variance within chains, the variance of their means, and their length."""
    return x.var(0).mean(0), x.mean(0).var(0), len(x)
