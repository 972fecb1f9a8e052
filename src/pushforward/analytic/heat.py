"""Mixtures of heat kernels on a manifold, or on a product of spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import resolve, uniform
from pushforward._shapes import like
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Brownian, Gaussian, GenerativeProcess, ProductProcess
from pushforward.protocols import Model, Time
from pushforward.spaces import LinearSpace, Manifold

__all__ = ["AnalyticHeatMixture"]


@dataclass(frozen=True)
class AnalyticHeatMixture:
    r"""`sum_k w_k k_{v_k}(mean_k, .)`, whose scores at any noise are known.

    Brownian motion adds its variance to that of each component, so that the score is a mean of heat
    scores, weighted by the chances of the components at `x_t`. On a product the components have a
    mean in each factor and weights in common: the factors depend on each other. A factor of R^d has
    normal components, and its prediction is the posterior mean. As exact as the heat kernel of the
    space is.

    Args:
        process: `Brownian`, `Gaussian`, or a `ProductProcess` of these.
        means: the `K` centers, a batch of states.
        variances: of each component in each direction, `(K,)`, or a tuple of these for factors.
        weights: of the components, `(K,)`; equal by default.

    Raises `InputError` for sizes that differ, `CapabilityError` for other processes.

    >>> from pushforward.processes import Brownian
    >>> from pushforward.spaces import SO3
    >>> process = Brownian(SO3())
    >>> world = AnalyticHeatMixture(process, torch.eye(3).unsqueeze(0), torch.tensor([0.1]))
    >>> world.model(process)(world.sample(2, seed=0), 0.5).shape
    torch.Size([2, 3, 3])
    """

    process: GenerativeProcess
    means: Any
    variances: Any
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        k = state.rows(self.means)
        sizes = {len(v) for v in self._tuple(self.variances)}
        sizes |= set() if self.weights is None else {len(self.weights)}
        if sizes != {k}:
            raise InputError(f"{k} means take as many variances and weights, not {sorted(sizes)}")

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Any:
        """`n` draws."""
        generator = resolve(seed, generator, rows=n)
        cuts = self._weights().cumsum(0)
        u = uniform((n, 1), generator, dtype=cuts.dtype).squeeze(-1)
        which = torch.searchsorted(cuts, u).clamp_max(len(cuts) - 1)
        drawn = [
            _diffused(process, mean[which], variance[which], generator)
            for process, mean, variance in self._factors()
        ]
        return tuple(drawn) if isinstance(self.process, ProductProcess) else drawn[0]

    def log_prob(self, x: Any) -> Tensor:
        """The log-density per unit of volume, `(B,)`."""
        return self._evaluated(x, None)[0]

    def model(self, process: GenerativeProcess | None = None) -> Model:
        """The exact prediction of the process, or of another of the same kind."""
        chosen = self.process if process is None else process

        def prediction(x_t: Any, t: Time, c: Any = None) -> Any:
            _, found = self._evaluated(x_t, t, chosen)
            return found

        return prediction

    def noised_log_prob(self, x_t: Any, t: float) -> Tensor:
        """The log-density of the process at time `t`, `(B,)`."""
        return self._evaluated(x_t, t)[0]

    def _evaluated(
        self, x_t: Any, t: Time | None, process: GenerativeProcess | None = None
    ) -> tuple[Tensor, Any]:
        """The log-density at a time, or of the data, and the prediction."""
        k, n = state.rows(self.means), state.rows(x_t)
        times = t.repeat(k) if isinstance(t, Tensor) and t.ndim else t
        logs, predictions = [], []
        # All components at once, one after the other in a long batch.
        for (own, mean, variance), x in zip(self._factors(process), self._tuple(x_t), strict=True):
            many = x.repeat(k, *(1,) * (x.ndim - 1))
            start = mean.to(x).repeat_interleave(n, 0)
            spread = variance.to(x).repeat_interleave(n)
            log, found = _components(own, start, spread, many, times)
            logs.append(log.reshape(k, n))
            predictions.append(found.reshape(k, n, *found.shape[1:]))
        joint = torch.stack(logs).sum(0) + self._weights().log().to(logs[0]).unsqueeze(-1)
        chances = torch.softmax(joint, 0)
        means = tuple((chances.reshape(k, n, *(1,) * (p.ndim - 2)) * p).sum(0) for p in predictions)
        one = not isinstance(self.process, ProductProcess)
        return torch.logsumexp(joint, 0), means[0] if one else means

    def _weights(self) -> Tensor:
        k = state.rows(self.means)
        weights = torch.ones(k) if self.weights is None else self.weights
        return weights.double() / weights.double().sum()

    def _factors(self, process: Any = None) -> list[tuple[Any, Tensor, Tensor]]:
        chosen = self.process if process is None else process
        processes = chosen.factors if isinstance(chosen, ProductProcess) else (chosen,)
        parts = self._tuple(self.means), self._tuple(self.variances)
        return list(zip(processes, *parts, strict=True))

    def _tuple(self, x: Any) -> tuple[Any, ...]:
        return x if isinstance(self.process, ProductProcess) else (x,)


def _diffused(process: Any, start: Tensor, variance: Tensor, generator: torch.Generator) -> Tensor:
    space = process.space
    if isinstance(space, Manifold):
        return space.diffuse(start, variance.to(start), generator)
    noise = space.randn(start, generator)
    return start + like(variance.sqrt().to(start), start) * noise


def _components(
    process: Any, mean: Tensor, variance: Tensor, x: Tensor, t: Time | None
) -> tuple[Tensor, Tensor]:
    """The log-density of a component for each state, and its prediction."""
    alpha, sigma = (1.0, 0.0) if t is None else process.clock.values(t)
    a, s = (torch.as_tensor(v).to(x).expand(len(x)) for v in (alpha, sigma))
    if isinstance(process, Brownian):
        spread = variance + s.square()
        kernel = process.space.heat_log_kernel(x, mean, spread)
        return kernel, process.space.heat_score(x, mean, spread)
    if isinstance(process, Gaussian) and isinstance(process.space, LinearSpace):
        spread = a.square() * variance + s.square()
        gap = x - like(a, x) * mean
        size = process.space.dimension(tuple(x.shape[1:]))
        logs = (
            process.space.noise_log_prob(gap / like(spread.sqrt(), x)) - 0.5 * size * spread.log()
        )
        return logs, mean + like(a * variance / spread, x) * gap
    raise CapabilityError(f"{process} keeps no mixture of heat kernels: take Brownian or Gaussian")
