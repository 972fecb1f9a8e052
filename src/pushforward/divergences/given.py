"""What two distributions are given as, which decides how they are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward._random import fresh_seed
from pushforward.checks import whole
from pushforward.distributions import ColoredNormal, GaussianMixture, Normal, Table
from pushforward.divergences.divergence import Divergence
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.metrics._points import pair as point_pair
from pushforward.spaces import Euclidean

__all__ = [
    "DensityPair",
    "GaussianPair",
    "MixturePair",
    "Pair",
    "SamplePair",
    "TablePair",
    "drawn",
    "draws_of",
    "log_density",
    "on_draws",
    "refused",
    "understood",
]


@dataclass(frozen=True)
class GaussianPair:
    """Two normal distributions: `moments` are `(mean_p, cov_p, mean_q, cov_q)`."""

    moments: tuple[Tensor, Tensor, Tensor, Tensor]

    @property
    def mixtures(self) -> MixturePair:
        """The same as mixtures of one component."""
        mean_p, cov_p, mean_q, cov_q = self.moments
        return MixturePair(
            GaussianMixture(mean_p[None], cov_p[None]), GaussianMixture(mean_q[None], cov_q[None])
        )


@dataclass(frozen=True)
class MixturePair:
    """Two Gaussian mixtures on `R^d`, in double precision."""

    p: GaussianMixture
    q: GaussianMixture

    @property
    def dimension(self) -> int:
        """`d`."""
        return self.p.means.shape[1]


@dataclass(frozen=True)
class TablePair:
    """Two distributions on the same finitely many states: probabilities `(K,)` of each."""

    p: Tensor
    q: Tensor


@dataclass(frozen=True)
class DensityPair:
    """Two distributions that can be sampled from, with densities unless they lack `log_prob`."""

    p: Any
    q: Any


@dataclass(frozen=True)
class SamplePair:
    """Two sets of states, `(n, d)` and `(m, d)`; integers are kinds, without distances."""

    x: Tensor
    y: Tensor
    kinds: bool

    @property
    def size(self) -> int:
        """The number of states in the smaller set."""
        return min(len(self.x), len(self.y))


Pair = GaussianPair | MixturePair | TablePair | DensityPair | SamplePair


def understood(p: Any, q: Any) -> Pair:
    """What `p` and `q` are, as the most special kind that both are of.

    Raises `InputError` for a distribution beside samples, for different dimensions or tables, and
    for what is none of these.

    >>> type(understood(Normal((2,)), Normal((2,), scale=2.0))).__name__
    'GaussianPair'
    """
    p, q = (torch.as_tensor(z) if isinstance(z, np.ndarray | list) else z for z in (p, q))
    drawn = [isinstance(z, Tensor) for z in (p, q)]
    if all(drawn):
        kinds = not (p.is_floating_point() or q.is_floating_point())
        left, right = point_pair(p, q)
        return SamplePair(left, right, kinds)
    if any(drawn):
        raise InputError(
            "one side is a distribution and the other are samples: give two distributions, or "
            "draw from the first with .sample(n)"
        )
    if isinstance(p, Table) and isinstance(q, Table):
        if p.probabilities.shape != q.probabilities.shape:
            raise InputError(
                f"tables of shapes {tuple(p.probabilities.shape)} and "
                f"{tuple(q.probabilities.shape)} are not about the same states"
            )
        rows = (t.probabilities.detach().cpu().double().flatten() for t in (p, q))
        return TablePair(*(row / row.sum() for row in rows))
    found = [_mixture(z) for z in (p, q)]
    if found[0] is not None and found[1] is not None:
        pair = MixturePair(found[0], found[1])
        if pair.p.means.shape[1] != pair.q.means.shape[1]:
            raise InputError(
                f"distributions of {pair.p.means.shape[1]} and of {pair.q.means.shape[1]} "
                "dimensions"
            )
        if len(pair.p.means) == len(pair.q.means) == 1:
            return GaussianPair((pair.p.mean, pair.p.covariance, pair.q.mean, pair.q.covariance))
        return pair
    for z in (p, q):
        if not hasattr(z, "sample"):
            raise InputError(
                f"{type(z).__name__} is neither samples nor a distribution with sample and log_prob"
                + ("; from its sample distances can be had" * hasattr(z, "log_prob"))
            )
    return DensityPair(p, q)


def log_density(p: Any, x: Any) -> Tensor:
    """`log p(x)` in double precision, `(n,)`.

    Raises `CapabilityError` for a model whose values are bounds, or not normalized.
    """
    if not hasattr(p, "log_prob"):
        raise CapabilityError(
            f"{type(p).__name__} has no log_prob: draw samples of both with .sample(n), and "
            "compare these"
        )
    found = p.log_prob(x)
    if isinstance(found, LogProb):
        if found.kind not in ("exact", "ode"):
            raise CapabilityError(
                f"the log-densities of {type(p).__name__} are of the kind {found.kind!r}: "
                "divergences of densities need exact ones; compare samples"
            )
        found = found.value
    return found.detach().cpu().double()


def draws_of(p: Any, n: int, seed: int, k: int) -> Any:
    """`n` draws of `p`, the `k`-th of two distributions that may be the same."""
    generator = torch.Generator().manual_seed(fresh_seed(seed))
    seeds = torch.randint(2**31, (2,), generator=generator)
    return p.sample(whole("n", n, least=100), seed=int(seeds[k]))


def drawn(name: str, pair: Pair, n: int, seed: int) -> SamplePair:
    """`n` draws of both distributions, in place of a closed form of the divergence of that name.

    Raises `CapabilityError` for states without distances.
    """
    if isinstance(pair, GaussianPair):
        pair = pair.mixtures
    if isinstance(pair, TablePair | SamplePair):
        raise refused(
            name, pair,
            "kinds have no distances; take total_variation, squared_hellinger or jensen_shannon",
        )  # fmt: skip
    draws = [draws_of(z, n, seed, k) for k, z in enumerate((pair.p, pair.q))]
    for z, x in zip((pair.p, pair.q), draws, strict=True):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise CapabilityError(
                f"{name} compares distances of real numbers, and {type(z).__name__} draws others: "
                "draw samples of both with .sample(n), and give features of them"
            )
    return SamplePair(*point_pair(*draws), kinds=False)


def on_draws(found: Divergence) -> Divergence:
    """An estimate from samples, said to be one from draws of two distributions."""
    return replace(found, method=f"{found.method} on draws")


def refused(name: str, pair: Pair, way_out: str) -> CapabilityError:
    """That a divergence is not to be had from what was given."""
    given = {
        GaussianPair: "two normal distributions",
        MixturePair: "two Gaussian mixtures",
        TablePair: "two tables of probabilities",
        DensityPair: "two densities",
        SamplePair: "two sets of samples",
    }[type(pair)]
    return CapabilityError(f"{name} is not to be had from {given}: {way_out}")


def _mixture(z: Any) -> GaussianMixture | None:
    """A normal distribution or a Gaussian mixture as the latter, in double precision."""
    if isinstance(z, Normal) and isinstance(z.space, Euclidean):
        d = int(np.prod(z.shape))
        return GaussianMixture(torch.zeros(1, d, dtype=torch.float64), z.scale**2)
    if isinstance(z, ColoredNormal):
        mean, covariance = (t.detach().cpu().double() for t in (z.mean, z.covariance))
        return GaussianMixture(mean[None], covariance[None])
    if isinstance(z, GaussianMixture):
        means, weights = (t.detach().cpu().double() for t in (z.means, z.weights))
        return GaussianMixture(
            means, z.component_covariances.detach().cpu().double(), weights / weights.sum()
        )
    return None
