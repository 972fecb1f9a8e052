r"""Dirichlet distributions and their mixtures, and independent gamma distributions.

Densities of Dirichlet distributions are per unit of `dx_1 ... dx_{K-1}`, the convention of the
literature: the uniform distribution on the simplex has the density `(K - 1)!`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._draws import log_gamma_draw
from pushforward._precision import in_double
from pushforward._random import categories, resolve
from pushforward._shapes import per_event_sum
from pushforward._softmax import softmax
from pushforward.errors import InputError

__all__ = ["Dirichlet", "DirichletMixture", "GammaProduct"]


class Dirichlet:
    r"""`p(x) = Gamma(sum a) / prod Gamma(a_k) prod x_k^{a_k - 1}` for shares that sum to one.

    Draws are normalized gamma numbers, drawn as logarithms, so that small concentrations give no
    zeros: the least share is the least normal number of the precision. Densities are finite for
    such draws, and so are their gradients.

    Args:
        concentration: positive numbers `a`, `(*several, K)`: independent distributions along the
            first axes.

    Raises `InputError` for numbers that are not positive, or fewer than two.

    >>> Dirichlet(torch.ones(3)).log_prob(torch.tensor([[0.2, 0.3, 0.5]])).exp()
    tensor([2.])
    """

    def __init__(self, concentration: Tensor) -> None:
        self.concentration = _positive(concentration)
        if not concentration.ndim or concentration.shape[-1] < 2:
            raise InputError(
                f"shares have at least two parts, not a concentration of shape "
                f"{tuple(concentration.shape)}"
            )

    @property
    def mean(self) -> Tensor:
        """`a / sum a`."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *several, K)`."""
        a = self.concentration
        generator = resolve(seed, generator, a.device, rows=n)
        return _shares(a.expand(n, *a.shape), generator).to(a.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(n,)`; infinite where a share is zero and its `a` is not one."""
        return per_event_sum(_log_density(x, self.concentration)).to(x)


class DirichletMixture:
    """A mixture of `J` Dirichlet distributions, whose density is known.

    Args:
        concentrations: `(J, K)`.
        weights: `(J,)`, which need not sum to one; equal by default.

    Raises `InputError` for shapes that do not fit, and numbers that are not positive.

    >>> mixture = DirichletMixture(torch.tensor([[8.0, 2.0, 2.0], [2.0, 2.0, 8.0]]))
    >>> mixture.sample(4, seed=0).sum(1).round(decimals=4)
    tensor([1., 1., 1., 1.])
    """

    def __init__(self, concentrations: Tensor, weights: Tensor | None = None) -> None:
        if concentrations.ndim != 2 or concentrations.shape[1] < 2:
            raise InputError(
                f"concentrations have shape (J, K), K at least 2, not {tuple(concentrations.shape)}"
            )
        self.concentrations = _positive(concentrations)
        weights = torch.ones_like(concentrations[:, 0]) if weights is None else weights
        if weights.shape != concentrations.shape[:1]:
            raise InputError(
                f"{len(concentrations)} components have as many weights, not {tuple(weights.shape)}"
            )
        self.weights = _positive(weights) / weights.sum()

    @property
    def mean(self) -> Tensor:
        """The mean, `(K,)`."""
        a = self.concentrations
        return self.weights @ (a / a.sum(1, keepdim=True))

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, K)`."""
        generator = resolve(seed, generator, self.weights.device, rows=n)
        k = categories(self.weights, n, generator)
        return _shares(self.concentrations[k], generator).to(self.weights.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(n,)`."""
        logs = _log_density(x.unsqueeze(1), self.concentrations)
        return torch.logsumexp(logs + in_double(self.weights).to(logs.device).log(), -1).to(x)


class GammaProduct:
    r"""Independent gamma numbers of unit scale, `p(y) = prod y_k^{a_k - 1} e^{-y_k} / Gamma(a_k)`.

    Their shares have the Dirichlet distribution of the same concentrations, and do not depend on
    their sum.

    Args:
        concentration: positive numbers `a` of the shape of an event.

    >>> GammaProduct(torch.ones(2)).log_prob(torch.tensor([[1.0, 2.0]]))
    tensor([-3.])
    """

    def __init__(self, concentration: Tensor) -> None:
        self.concentration = _positive(concentration)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *event)`."""
        a = self.concentration
        generator = resolve(seed, generator, a.device, rows=n)
        drawn = log_gamma_draw(a.expand(n, *a.shape), generator).exp().to(a)
        return drawn.clamp_min(torch.finfo(a.dtype).tiny)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(n,)`."""
        a, y = in_double(self.concentration.to(x.device)), in_double(x)
        return per_event_sum(_power(y, a - 1) - y - torch.lgamma(a)).to(x)


def _positive(a: Tensor) -> Tensor:
    if not (a.is_floating_point() and bool((a > 0).all() & a.isfinite().all())):
        raise InputError(f"concentrations and weights are positive finite numbers, not {a}")
    return a


def _shares(a: Tensor, generator: torch.Generator) -> Tensor:
    """Dirichlet draws of concentrations `(n, ..., K)`, none of them zero."""
    least = torch.finfo(a.dtype).tiny
    return softmax(log_gamma_draw(a, generator)).to(a).clamp_min(least)


def _log_density(x: Tensor, a: Tensor) -> Tensor:
    """The log-density of shares along the last axis, in double precision."""
    a, shares = in_double(a.to(x.device)), in_double(x)
    constant = torch.lgamma(a.sum(-1)) - torch.lgamma(a).sum(-1)
    return constant + _power(shares, a - 1).sum(-1)


def _power(x: Tensor, exponent: Tensor) -> Tensor:
    """`log x^exponent`: zero with a zero gradient for an exponent of zero, at zero too."""
    flat = (exponent == 0).expand(torch.broadcast_shapes(x.shape, exponent.shape))
    safe = torch.where(flat, 1.0, x)
    return torch.where(flat, 0.0, exponent * safe.log())
