"""All checks of calibration of a posterior at once, from pairs of parameters and observations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._notebook import Displayed
from pushforward._random import derived_seed
from pushforward.errors import InputError
from pushforward.metrics.contraction import PosteriorContraction, contraction
from pushforward.metrics.expected_coverage import ExpectedCoverage, expected_coverage
from pushforward.metrics.local_c2st import LocalC2ST, local_c2st
from pushforward.metrics.posterior_draws import posterior_draws
from pushforward.metrics.sbc import SBC, TestQuantity, sbc
from pushforward.metrics.tarp import TARP, tarp

__all__ = ["Calibration", "PosteriorSampler", "calibrate"]

PosteriorSampler = Callable[[Any, int, int], Tensor]
"""`f(y, draws, seed)`: draws of the posterior of each of `m` observations, `(draws, m, *event)`."""

Check = SBC | TARP | ExpectedCoverage | LocalC2ST

_IGNORED = 0.02
"""The share of the variance of draws below which what is given has hardly any part in them."""


@dataclass(frozen=True)
class Calibration(Displayed):
    """What the checks of a posterior found.

    Args:
        sbc: ranks of coordinates and test quantities.
        tarp: ranks of distances from references.
        coverage: of regions of highest density, where there is a density.
        local: the classifier test at observations, where some were given.
        contraction: how much data tell, and z-scores.
        pairs, draws: how many pairs, and posterior draws of each.
        alpha: the chance that each check rejects exact draws.
        seed: of all that is random.
        seconds: that it took.
    """

    sbc: SBC
    tarp: TARP
    coverage: ExpectedCoverage | None
    local: LocalC2ST | None
    contraction: PosteriorContraction
    pairs: int
    draws: int
    alpha: float
    seed: int
    seconds: float = field(compare=False)

    @property
    def checks(self) -> dict[str, Check]:
        """The checks that were made, by name."""
        found: dict[str, Check | None] = {
            "SBC": self.sbc,
            "TARP": self.tarp,
            "coverage": self.coverage,
            "L-C2ST": self.local,
        }
        return {name: check for name, check in found.items() if check is not None}

    @property
    def rejected(self) -> list[str]:
        """The names of the checks that reject."""
        return [name for name, check in self.checks.items() if not check.passed]

    @property
    def passed(self) -> bool:
        """Whether no check rejects: not that the posterior is right, but that none saw it wrong."""
        return not self.rejected

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the draws, in sentences; none if nothing stands out."""
        found = self._ignored()
        if not self.passed:
            said = [f"{q.name}: {q.reading}" for q in self.sbc.quantities if not q.passed]
            words = "; ".join(said or [f"TARP: {self.tarp.reading}"])
            found.append(
                f"Draws for what is given are not calibrated, rejected by "
                f"{', '.join(self.rejected)} ({words})."
            )
        return tuple(found)

    def _ignored(self) -> list[str]:
        """Whether the draws do not depend on the observation, in a sentence."""
        share = float(self.contraction.explained.max())
        if share >= _IGNORED:
            return []
        tells = max(e.value for e in self.contraction.mean_contraction)
        return [
            "The model ignores what is given, or that tells next to nothing: it explains "
            f"{max(share, 0):.1%} of the variance of the draws at most (contraction {tells:.2f})."
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "passed": self.passed,
            "rejected": self.rejected,
            "p_values": {name: check.p_value for name, check in self.checks.items()},
            "quantities": {q.name: q.p_value for q in self.sbc.quantities},
            "contraction": [e.value for e in self.contraction.mean_contraction],
            "explained": self.contraction.explained.tolist(),
            "warnings": list(self.warnings),
            "mean_z": [e.value for e in self.contraction.mean_z],
            "mean_square_z": [e.value for e in self.contraction.mean_square_z],
            "pairs": self.pairs,
            "draws": self.draws,
            "alpha": self.alpha,
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        status = "no check rejects" if self.passed else f"REJECTED by {', '.join(self.rejected)}"
        head = (
            f"calibration over {self.pairs:,} pairs with {self.draws:,} draws each: {status} "
            f"(each at {100 * self.alpha:g} %)"
        )
        parts = [*self.checks.values(), self.contraction]
        return "\n".join([head, *(str(part) for part in parts), *self._ignored()])


def calibrate(
    posterior_sampler: PosteriorSampler,
    pairs: tuple[Tensor, Any],
    *,
    draws: int = 99,
    log_prob: Callable[[Tensor, Any], Tensor] | None = None,
    quantities: Mapping[str, TestQuantity] | None = None,
    names: Sequence[str] = (),
    observed: Any = None,
    nulls: int = 100,
    alpha: float = 0.05,
    batch_size: int | None = None,
    seed: int = 0,
) -> Calibration:
    r"""Check a posterior, of whatever kind, on pairs that the model of the data has made.

    `sbc`, `tarp` and `contraction` always; `expected_coverage` with a `log_prob`; `local_c2st` with
    `observed`. Which fault is seen by which check:

    | fault | coordinates (SBC) | log-likelihood (SBC) | TARP | coverage |
    | --- | --- | --- | --- | --- |
    | draws too narrow, too wide, shifted | yes | yes | yes | yes |
    | wrong correlation of coordinates | **no** | if data see it | weakly | yes |
    | the prior for the posterior | **no** | yes | yes | **no** |
    | wrong noise level | yes | yes | yes | yes |

    Args:
        posterior_sampler: `f(y, draws, seed)` with a batch of `m` observations gives draws of the
            posterior of each, `(draws, m, *event)`: an amortized network, a guided diffusion model,
            a Markov chain, or a closed form.
        pairs: parameters `(m, *event)` drawn from the prior, and their observations, that the
            posterior has not been trained on.
        draws: for each pair; independent ones: chains are thinned. Ranks have `draws + 1` values.
        log_prob: `f(theta, y) -> (m,)`, the log-density of the judged posterior, up to a constant
            for each observation.
        quantities: more functions to rank, `f(theta, y) -> (m,)` by name; the log-likelihood is
            the one to have.
        names: of the coordinates, in place of `theta[0]` and so on.
        observed: a batch of observations at which the posterior is judged by itself.
        nulls: classifiers for that; see `local_c2st`.
        alpha: the chance that a check rejects exact draws.
        batch_size: how many observations go to the sampler at once; all by default.
        seed: of all that is random.

    Raises `InputError` for pairs or draws that do not fit, or are not finite.

    >>> g = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(200, 2, generator=g)
    >>> y = theta + torch.randn(200, 2, generator=g)
    >>> def narrow(y, draws, seed):
    ...     noise = torch.randn(draws, *y.shape, generator=torch.Generator().manual_seed(seed))
    ...     return y / 2 + 0.8 * 0.5**0.5 * noise
    >>> calibrate(narrow, (theta, y)).rejected
    ['SBC', 'TARP']
    """
    theta, y = pairs
    m = len(theta)
    if state.rows(y) != m:
        raise InputError(f"{m} parameters have as many observations, not {state.rows(y)}")
    n = checks.whole("draws", draws, least=5)
    start = time.perf_counter()
    many = _drawn(posterior_sampler, y, n, batch_size, derived_seed(seed, 7))
    posterior_draws(theta, many)
    local = None
    if observed is not None:
        there = _drawn(posterior_sampler, observed, 10 * n, batch_size, derived_seed(seed, 8))
        local = local_c2st(
            theta, many[0], y, observed, there, nulls=nulls, alpha=alpha, seed=seed
        )  # fmt: skip
    coverage = None
    if log_prob is not None:
        coverage = expected_coverage(
            log_prob(theta, y), torch.stack([log_prob(draw, y) for draw in many]),
            alpha=alpha, seed=seed,
        )  # fmt: skip
    return Calibration(
        sbc(theta, many, y, quantities=quantities, names=names, alpha=alpha, seed=seed),
        tarp(theta, many, y, alpha=alpha, seed=seed),
        coverage,
        local,
        contraction(theta, many, names=names, seed=seed),
        m, n, alpha, seed, time.perf_counter() - start,
    )  # fmt: skip


def _drawn(
    sampler: PosteriorSampler, y: Any, draws: int, batch_size: int | None, seed: int
) -> Tensor:
    """Draws of the posterior of all observations, `(draws, m, *event)`, in parts."""
    m = state.rows(y)
    size = m if batch_size is None else checks.whole("batch_size", batch_size)
    parts = []
    for k, part in enumerate(state.split(y, size)):
        found = sampler(part, draws, derived_seed(seed, k))
        if not isinstance(found, Tensor) or found.shape[:2] != (draws, state.rows(part)):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"a posterior sampler f(y, draws, seed) gives (draws, m, *event), here ({draws}, "
                f"{state.rows(part)}, ...), not {shape}"
            )
        parts.append(found)
    return torch.cat(parts, 1)
