"""Simulation-based calibration: the rank of each true parameter among draws of its posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import derived_seed, resolve
from pushforward.errors import InputError
from pushforward.metrics.posterior_draws import coordinates, posterior_draws, true_parameters
from pushforward.metrics.rank_uniformity import RankUniformity, rank_uniformity, ranks_among

__all__ = ["SBC", "TestQuantity", "sbc"]

TestQuantity = Callable[[Tensor, Any], Tensor]
"""`f(theta, y)`: a number `(m,)` for each parameter `(m, *event)` and its observation."""


@dataclass(frozen=True)
class SBC:
    """Ranks of the coordinates and of test quantities, each tested for uniformity.

    Args:
        quantities: a test each, at the level `alpha / len(quantities)`, so that exact draws fail
            any of them with a chance of at most `alpha`.
        alpha: of all together.
    """

    quantities: tuple[RankUniformity, ...]
    alpha: float

    @property
    def p_value(self) -> float:
        """The least of the p-values, times their number (Bonferroni)."""
        return min(1.0, len(self.quantities) * min(q.p_value for q in self.quantities))

    @property
    def passed(self) -> bool:
        """Whether all quantities are within their bands."""
        return all(q.passed for q in self.quantities)

    def __getitem__(self, name: str) -> RankUniformity:
        """The test of a quantity. Raises `InputError` naming those there are."""
        for q in self.quantities:
            if q.name == name:
                return q
        raise InputError(f"no {name!r}; there are {', '.join(q.name for q in self.quantities)}")

    def __str__(self) -> str:
        lines = "\n".join(f"  {q}" for q in self.quantities)
        return f"SBC: {'passed' if self.passed else 'REJECTED'}, p = {self.p_value:.2g}\n{lines}"


def sbc(
    theta: Tensor,
    draws: Tensor,
    y: Any = None,
    *,
    quantities: Mapping[str, TestQuantity] | None = None,
    names: Sequence[str] = (),
    alpha: float = 0.05,
    seed: int = 0,
) -> SBC:
    r"""Simulation-based calibration (Talts et al. 2018) with test quantities of the data.

    If `theta ~ p(theta)`, `y ~ p(y | theta)` and `L` draws are from the posterior `p(theta | y)`,
    then truth and draws are `L + 1` independent draws of one distribution given `y`. The rank of
    `f(theta, y)` among the `f(draw, y)` is uniform on `0..L`, for every function `f`. Uniformity
    is tested by a simultaneous band for the ECDF (`rank_uniformity`).

    Coordinates alone miss much. A wrong *correlation* leaves the ranks of all coordinates uniform,
    and so does the *prior in the place of the posterior*, which is the posterior of no data. The
    second is seen by a quantity that depends on the data, such as the log-likelihood (Modrák et
    al. 2023), and by `tarp`; the first by the joint log-density of parameter and data. Give them:
    `quantities={"log-likelihood": f, "joint": g}`.

    Args:
        theta: true parameters, `(m, *event)`, drawn from the prior.
        draws: of the posterior of each pair, `(L, m, *event)`.
        y: the observations, a batch of `m`; handed to the quantities.
        quantities: functions `f(theta, y) -> (m,)` by name.
        names: of the coordinates, if there are as many.
        alpha: the chance that exact draws are rejected.
        seed: of the places of ties, and of the projections of parameters with more than 32 numbers.

    Raises `InputError` for shapes that do not fit, or values that are not numbers.

    >>> g = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(200, 1, generator=g)
    >>> y = theta + torch.randn(200, 1, generator=g)
    >>> noise = torch.randn(99, 200, 1, generator=g)
    >>> print(sbc(theta, y / 2 + 0.5**0.5 * noise, y))
    SBC: passed, p = 0.6
      theta[0]: p = 0.6, uniform
    >>> print(sbc(theta, y / 2 + 0.5 * noise, y))
    SBC: REJECTED, p = 6.1e-06
      theta[0]: p = 6.1e-06, truths too far out: the draws are too narrow
    """
    truth, many = true_parameters(theta), posterior_draws(theta, draws)
    found = list(zip(*coordinates(truth, many, seed, names), strict=True))
    for name, quantity in (quantities or {}).items():
        own = _of(name, quantity, theta, y)
        found.append((name, own, torch.stack([_of(name, quantity, draw, y) for draw in draws])))
    generator = resolve(derived_seed(seed, 1))
    tests = [
        rank_uniformity(
            ranks_among(own, others, generator=generator), len(draws), name=name,
            alpha=alpha / len(found),
        )
        for name, own, others in found
    ]  # fmt: skip
    return SBC(tuple(tests), alpha)


def _of(name: str, quantity: TestQuantity, theta: Tensor, y: Any) -> Tensor:
    """A test quantity of each pair, `(m,)`, in double precision."""
    found = quantity(theta, y)
    if not isinstance(found, Tensor) or found.shape != (len(theta),):
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"the quantity {name!r} gives a number for each of {len(theta)}: {what}")
    return found.detach().to("cpu", torch.float64)
