r"""The linear Gaussian model, where every quantity of a VAE is exact, learned by EM.

    x = m + W z + s e,    z ~ N(0, I),  e ~ N(0, I)

is probabilistic PCA (Tipping & Bishop 1999). EM (Dempster, Laird & Rubin 1977) maximizes the
evidence lower bound in turns: over all posteriors, which makes it the log-likelihood, and over `W`
and `s`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.latent.distributions import DiagonalNormal, FullNormal
from pushforward.latent.evidence import Elbo

__all__ = ["LinearGaussian", "LinearGaussianFit", "expectation_maximization"]


@dataclass(frozen=True)
class LinearGaussian:
    """`N(m + W z, s^2)` given standard normal latents `z`.

    Args:
        mean: `m`, `(d,)`.
        weight: `W`, `(d, latent)`.
        variance: `s^2`, a scalar.

    >>> model = LinearGaussian(torch.zeros(2), torch.tensor([[1.0], [0.0]]), torch.tensor(1.0))
    >>> x = torch.tensor([[2.0, 0.0]])
    >>> model.posterior(x).mean
    tensor([[1.]])
    >>> bool(torch.isclose(model.elbo(x, model.posterior(x)).value, model.log_prob(x)))
    True
    """

    mean: Tensor
    weight: Tensor
    variance: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-density of states `(B, d)`, `(B,)`."""
        noise = self.variance.expand_as(self.mean)
        found: Tensor = LowRankMultivariateNormal(self.mean, self.weight, noise).log_prob(x)
        return found

    def posterior(self, x: Tensor) -> FullNormal:
        """The exact `p(z | x)` of states `(B, d)`: one covariance, a mean for each."""
        precision = self._inner() / self.variance
        precision = precision + torch.eye(len(precision)).to(precision)
        covariance = torch.linalg.inv(precision)
        mean = (x - self.mean) @ self.weight @ covariance / self.variance
        factor = torch.linalg.cholesky(covariance)
        return FullNormal(mean, factor.expand(len(x), *factor.shape))

    def elbo(self, x: Tensor, posterior: DiagonalNormal | FullNormal) -> Elbo:
        """The evidence lower bound of states `(B, d)`, with no sampling.

        It is the log-density less the divergence of the posterior from the exact one.
        """
        if isinstance(posterior, DiagonalNormal):
            posterior = FullNormal(posterior.mean, torch.diag_embed(posterior.std))
        squares = (x - self.mean - posterior.mean @ self.weight.mT).square().sum(-1)
        spread = (self.weight @ posterior.factor).square().sum((-2, -1))
        scale = len(self.mean) * (2 * math.pi * self.variance).log()
        reconstruction = -0.5 * (scale + (squares + spread) / self.variance)
        return Elbo(reconstruction, posterior.divergence())

    def improved(self, x: Tensor) -> LinearGaussian:
        """The model of greatest bound for data `(N, d)`, with the posterior of this one.

        Raises `InputError` where the noise vanishes.
        """
        posterior, centered = self.posterior(x), x - self.mean
        second = posterior.mean.mT @ posterior.mean
        second = second + (posterior.factor @ posterior.factor.mT).sum(0)
        mixed = centered.mT @ posterior.mean
        weight = torch.linalg.solve(second, mixed.mT).mT
        # At this weight the two terms with it are the same but for the sign.
        variance = (centered.square().sum() - (weight * mixed).sum()) / x.numel()
        if not variance > 1e-10 * centered.square().mean():
            raise InputError(
                f"the data fill no more than {weight.shape[1]} dimensions, and the likelihood has "
                "no bound: take fewer latents"
            )
        return LinearGaussian(self.mean, weight, variance)

    def _inner(self) -> Tensor:
        return self.weight.mT @ self.weight


@dataclass(frozen=True)
class LinearGaussianFit:
    """What EM came to.

    Args:
        model: the last.
        log_likelihood: mean log-likelihoods, before the first step and after each.
        converged: whether the last step gained less than was asked for; false where the precision
            of the data does not tell.
    """

    model: LinearGaussian
    log_likelihood: Tensor
    converged: bool


@torch.no_grad()
def expectation_maximization(
    x: Tensor,
    latent: int,
    steps: int = 1000,
    tolerance: float | None = None,
    seed: int | None = None,
) -> LinearGaussianFit:
    """Maximize the likelihood of data `(N, d)` by EM, in their precision.

    Args:
        x: the data.
        latent: the dimension of the latents, below `d`.
        steps: at most.
        tolerance: nats per data point that a step has to gain to go on; by default 1e-10, or what
            the precision of the data resolves.
        seed: of the first weight.

    Warns if a tolerance is finer than what is resolved: the steps end there, not converged. Raises
    `InputError` for data that are no vectors, not finite, or fill no more dimensions than there are
    latents.

    >>> x = torch.randn(200, 3, dtype=torch.float64, generator=resolve(0))
    >>> fit = expectation_maximization(x, latent=1, seed=0)
    >>> fit.converged, bool((fit.log_likelihood.diff() > -1e-12).all())
    (True, True)
    """
    if x.ndim != 2 or not x.is_floating_point() or not x.isfinite().all():
        raise InputError(f"EM takes finite vectors (N, d), not {tuple(x.shape)} of {x.dtype}")
    d = x.shape[1]
    if not whole("latent", latent) < d or len(x) < 2:
        raise InputError(
            f"{latent} latents need at least two data points of dimension above {latent}, not "
            f"{len(x)} of dimension {d}"
        )
    mean = x.mean(0)
    variance = (x - mean).square().mean()
    generator = resolve(seed)
    weight = torch.randn(d, latent, generator=generator, dtype=x.dtype).to(x.device)
    model = LinearGaussian(mean, weight * variance.sqrt(), variance)
    values = [model.log_prob(x).mean()]
    converged = ended = False
    while not ended and len(values) <= steps:
        model = model.improved(x)
        values.append(model.log_prob(x).mean())
        resolved = torch.finfo(x.dtype).eps * abs(float(values[-1]))
        goal = max(1e-10, resolved) if tolerance is None else tolerance
        gain = float(values[-1] - values[-2])
        converged = gain < goal and goal >= resolved
        # Below rounding no gain is one.
        ended = gain < max(goal, resolved)
    if ended and not converged:
        warnings.warn(
            f"EM has not converged to tolerance={tolerance:g}: its last step gained less than "
            f"{resolved:.1g}, below which {x.dtype} resolves nothing. Take double precision, or a "
            "larger tolerance",
            ConvergenceWarning,
            stacklevel=3,
        )
    return LinearGaussianFit(model, torch.stack(values), converged)
