"""Expected coverage: how often regions of highest posterior density hold the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import derived_seed, resolve
from pushforward.errors import InputError
from pushforward.metrics.rank_uniformity import RankUniformity, rank_uniformity, ranks_among

__all__ = ["ExpectedCoverage", "expected_coverage"]


@dataclass(frozen=True)
class ExpectedCoverage:
    """The share of truths inside regions of highest posterior density, by level.

    Args:
        test: of the ranks of the truths among their draws, from the most to the least likely.
    """

    test: RankUniformity

    @property
    def p_value(self) -> float:
        """That of the ranks."""
        return self.test.p_value

    @property
    def passed(self) -> bool:
        """Whether the coverage is the level everywhere."""
        return self.test.passed

    def at(self, level: float) -> float:
        """The share of truths in the region that holds `level` of the draws; exact ones: `level`.

        Raises `InputError` for a level outside [0, 1].
        """
        if not 0 <= level <= 1:
            raise InputError(f"the level of a region lies in [0, 1], not {level}")
        return float((self.test.ranks < level * (self.test.draws + 1)).double().mean())

    @property
    def reading(self) -> str:
        """What the coverage says of the posterior, in a few words."""
        if self.passed:
            return "as it should be"
        # The mean rank is the integral of one minus the coverage.
        mean = float((self.test.ranks.double() + 0.5).mean()) / (self.test.draws + 1)
        return "overconfident" if mean > 0.5 else "conservative"

    def __str__(self) -> str:
        shares = ", ".join(f"{100 * self.at(q):.0f} % in {100 * q:.0f} %" for q in (0.5, 0.9))
        status = "passed" if self.passed else f"REJECTED, {self.reading}"
        return f"expected coverage: {status}, p = {self.p_value:.2g} ({shares})"


def expected_coverage(
    log_prob: Tensor, draws_log_prob: Tensor, *, alpha: float = 0.05, seed: int = 0
) -> ExpectedCoverage:
    r"""Coverage of the regions of highest density, from densities of truths and of draws.

    The region of level `a` holds the draws of highest density `q(theta | y)` and `a` of the mass.
    The truth is in it if less than `a` of the draws are denser: its rank from the densest one. Over
    pairs the share of truths inside is the expected coverage (Hermans et al. 2022), `a` for the
    exact posterior, less for an overconfident one. The prior passes for the posterior.

    Args:
        log_prob: `log q(theta | y)` of the true parameters, `(m,)`; any constant for each pair may
            be missing.
        draws_log_prob: of the draws of the posterior of each pair, `(L, m)`.
        alpha: the chance that exact draws are rejected.
        seed: of ties.

    Raises `InputError` for shapes that do not fit, or log-densities that are not numbers.

    >>> g = torch.Generator().manual_seed(0)
    >>> normal = torch.distributions.Normal(0.0, 0.7)
    >>> truth, draws = torch.randn(300, generator=g), 0.7 * torch.randn(99, 300, generator=g)
    >>> print(expected_coverage(normal.log_prob(truth), normal.log_prob(draws)))
    expected coverage: REJECTED, overconfident, p = 1.7e-09 (39 % in 50 %, 78 % in 90 %)
    """
    if log_prob.ndim != 1 or draws_log_prob.shape[1:] != log_prob.shape:
        raise InputError(
            f"log-densities of truths (m,) and of draws (L, m), not {tuple(log_prob.shape)} and "
            f"{tuple(draws_log_prob.shape)}"
        )
    generator = resolve(derived_seed(seed, 4))
    own, others = (-p.detach().to("cpu", torch.float64) for p in (log_prob, draws_log_prob))
    ranks = ranks_among(own, others, generator=generator)
    return ExpectedCoverage(rank_uniformity(ranks, len(others), name="density", alpha=alpha))
