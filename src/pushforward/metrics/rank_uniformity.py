"""Whether ranks are uniform: an exact test of their distribution function, and its band."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["RankUniformity", "rank_uniformity", "ranks_among"]

_MOST_POINTS = 128
"""Places at which the distribution function is looked at: more would not be told apart."""

_HALVINGS = 30
_SAME = 1 + 1e-9
"""Tail probabilities closer than this are one and the same, rounded differently."""


@dataclass(frozen=True)
class RankUniformity:
    """How far ranks among draws are from uniform.

    Args:
        name: of the quantity that was ranked.
        ranks: how many of the draws are below the truth, `(m,)`, in `0..draws`.
        draws: among how many draws a truth was ranked.
        p_value: the chance of an ECDF at least as far out at its worst point, under uniform ranks.
        alpha: the chance that uniform ranks leave the band anywhere.
        points: where the ECDF is looked at, `(K,)`, in (0, 1).
        ecdf: the share of ranks below each point, `(K,)`.
        low, high: the simultaneous band of level `1 - alpha`, `(K,)`.

    >>> ranks = torch.arange(100) % 20
    >>> print(rank_uniformity(ranks, 19))
    ranks: p = 1, uniform
    >>> print(rank_uniformity(ranks.clamp(5, 14), 19))
    ranks: p = 5.2e-12, truths too central: the draws are too wide
    """

    name: str
    ranks: Tensor = field(repr=False)
    draws: int
    p_value: float
    alpha: float
    points: Tensor = field(repr=False)
    ecdf: Tensor = field(repr=False)
    low: Tensor = field(repr=False)
    high: Tensor = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether the ECDF stays inside of the band."""
        return self.p_value > self.alpha

    @property
    def reading(self) -> str:
        """What the ranks say of the draws, in a few words."""
        if self.passed:
            return "uniform"
        u = (self.ranks.double() + 0.5) / (self.draws + 1)
        # In standard errors under uniform ranks: of the mean, and of the mean square about 1/2.
        shift = float(u.mean() - 0.5) * (12 * len(u)) ** 0.5
        spread = float((u - 0.5).square().mean() - 1 / 12) * (180 * len(u)) ** 0.5
        if abs(shift) >= abs(spread):
            above, below = ("high", "low") if shift > 0 else ("low", "high")
            return f"truths too {above}: the draws are too {below}"
        if spread > 0:
            return "truths too far out: the draws are too narrow"
        return "truths too central: the draws are too wide"

    def __str__(self) -> str:
        return f"{self.name}: p = {self.p_value:.2g}, {self.reading}"


def ranks_among(truth: Tensor, draws: Tensor, *, generator: torch.Generator) -> Tensor:
    """The rank of each truth `(m,)` among its draws `(L, m)`: how many are below, `(m,)`.

    Ties are broken at random: among `k` equal draws the truth has each of the `k + 1` places with
    equal chance. Without that the ranks of a discrete quantity would not be uniform for exact
    draws. Raises `InputError` for values that are not a number.

    >>> g = torch.Generator().manual_seed(0)
    >>> ranks_among(torch.zeros(4), torch.tensor([[-1.0, 1.0, 0.0, 0.0]]), generator=g)
    tensor([1, 0, 0, 1])
    """
    for what, values in (("truths", truth), ("draws", draws)):
        if bool(values.isnan().any()):
            raise InputError(f"{int(values.isnan().sum())} values of {what} are not a number")
    below, ties = (draws < truth).sum(0), (draws == truth).sum(0)
    u = torch.rand(below.shape, generator=generator, dtype=torch.float64)
    return below + (u.to(below.device) * (ties + 1)).long()


def rank_uniformity(
    ranks: Tensor, draws: int, *, name: str = "ranks", alpha: float = 0.05
) -> RankUniformity:
    r"""Test ranks `(m,)` in `0..draws` for uniformity, by a simultaneous band for their ECDF.

    A truth that is one more draw of the posterior has each rank among `L` draws with chance
    `1 / (L + 1)`. Then the count below the point `z_k = k / (L + 1)` is `Binomial(m, z_k)`, and

        g = min_k 2 min(P(B_k <= c_k), P(B_k >= c_k)),   B_k ~ Binomial(m, z_k)

    is the tail probability at the worst point. The chance of a `g` that small at any point follows
    exactly from the counts, which are a Markov chain in `k`, their increments binomial (Säilynoja
    et al. 2022, the recursion of their appendix). Nothing is simulated, and the p-value is valid
    for any number of pairs: `P(p <= alpha) <= alpha`, close to it if `m` is not small.

    Args:
        ranks: whole numbers, one a pair; pairs are independent.
        draws: `L`. Draws of a Markov chain must be thinned until they are independent.
        name: of the quantity.
        alpha: the chance that uniform ranks leave the band.

    Raises `InputError` for ranks outside `0..draws`, or no ranks.
    """
    draws = checks.whole("draws", draws)
    if not 0 < alpha < 1:
        raise InputError(f"alpha is a chance in (0, 1), not {alpha}")
    ranks = torch.as_tensor(ranks).detach().cpu()
    if ranks.ndim != 1 or len(ranks) < 1 or ranks.is_floating_point() or ranks.is_complex():
        raise InputError(f"ranks are whole numbers (m,), not {ranks.dtype} {tuple(ranks.shape)}")
    low, high = int(ranks.min()), int(ranks.max())
    if low < 0 or high > draws:
        raise InputError(f"ranks among {draws} draws lie in 0..{draws}, not in {low}..{high}")
    m = len(ranks)
    places, table = _table(m, draws + 1)
    counts = (ranks[:, None] < places).sum(0)
    worst = float(table.gather(1, counts[:, None]).min())
    points = places / (draws + 1)
    bottom, top = _edges(table, _critical(m, draws + 1, float(alpha)))
    return RankUniformity(
        name, ranks, draws, _chance(m, points, table, worst), alpha, points, counts / m,
        bottom / m, top / m,
    )  # fmt: skip


@lru_cache(maxsize=16)
def _table(m: int, bins: int) -> tuple[Tensor, Tensor]:
    """Places `k` in `1..bins-1`, `(K,)`, and twice the smaller tail at each count, `(K, m + 1)`."""
    inner = bins - 1
    if inner > _MOST_POINTS:
        places = torch.linspace(1, inner, _MOST_POINTS).round().long().unique()
    else:
        places = torch.arange(1, bins)
    z = (places.double() / bins)[:, None]
    n = torch.arange(m + 1, dtype=torch.float64)
    ways = torch.lgamma(n.new_tensor(m + 1.0)) - torch.lgamma(n + 1) - torch.lgamma(m - n + 1)
    chance = (ways + n * z.log() + (m - n) * (1 - z).log()).exp()
    below = chance.cumsum(1)
    above = chance.flip(1).cumsum(1).flip(1)
    return places, 2 * torch.minimum(below, above)


def _edges(table: Tensor, g: float) -> tuple[Tensor, Tensor]:
    """The least and the largest count at each point whose tail is above `g`, `(K,)` each."""
    inside = table > g * _SAME
    # Tails rise up to the middle and fall after it: what is inside is one interval.
    low = inside.int().argmax(1)
    high = table.shape[1] - 1 - inside.flip(1).int().argmax(1)
    return low, torch.where(inside.any(1), high, low - 1)


def _chance(m: int, points: Tensor, table: Tensor, g: float) -> float:
    """The chance that uniform ranks have a tail of at most `g` at some point."""
    low, high = _edges(table, g)
    log_ways = torch.lgamma(torch.arange(m + 1, dtype=torch.float64) + 1)
    inside, start = torch.ones(1, dtype=torch.float64), torch.tensor([0])
    before = 0.0
    for z, first, last in zip(points.tolist(), low.tolist(), high.tolist(), strict=True):
        if last < first:
            return 1.0
        # Of those not yet below, each falls below the next point with this chance.
        q = torch.tensor((z - before) / (1 - before), dtype=torch.float64)
        end = torch.arange(first, last + 1)
        step = end - start[:, None]
        left, stays = (m - start)[:, None], m - end
        ways = log_ways[left] - log_ways[step.clamp_min(0)] - log_ways[stays]
        log_chance = ways + step * q.log() + stays * torch.log1p(-q)
        inside = inside @ torch.where(step >= 0, log_chance.exp(), 0.0)
        start, before = end, z
    # Below rounding the tail at the worst point is left, whose order of magnitude is right.
    return min(1.0, max(g, 1 - float(inside.sum())))


@lru_cache(maxsize=64)
def _critical(m: int, bins: int, alpha: float) -> float:
    """The largest `g` that still rejects: what is above it leaves the band with chance `alpha`."""
    places, table = _table(m, bins)
    points = places / bins
    low, high = 0.0, alpha
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _chance(m, points, table, middle) <= alpha:
            low = middle
        else:
            high = middle
    return low
