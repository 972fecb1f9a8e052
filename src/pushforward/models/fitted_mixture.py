"""Gaussian mixtures that are fitted at once, as models: what the baselines have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from pushforward import config
from pushforward._random import resolve
from pushforward.config import made
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.model import GenerativeModel, parts_of, refuse_context, with_density
from pushforward.models.trainable import NEGATIVE_LIKELIHOOD, Trainable

__all__ = ["FittedMixture", "MixtureFit", "of_sklearn"]

_TERMS = 1 << 25
"""How many densities of a component at a state are held at a time: 256 MB with what they need."""

_JUDGED = 1 << 27
"""How many of them a validation looks at: seconds, with 200,000 components as with ten."""


class MixtureFit(NamedTuple):
    """A mixture's tensors: means `(K, d)`, covariances of any form, weights `(K,)`.

    Its coordinates are those `varying`, `(d,)`, of states, which else are as the `center`, `(D,)`.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor
    varying: Tensor = torch.empty(0)
    center: Tensor = torch.empty(0)


class FittedMixture(GenerativeModel, Trainable):
    """A mixture of Gaussians that is fitted at once: there is nothing for an optimizer to do.

    `fit` calls `prepare` and makes one step that changes nothing. It holds rows out as it does for
    any model, though nothing is tuned on them: what was fitted to all rows could not be judged
    beside others, on rows that none has seen. `holdout=0` fits all rows.

    Coordinates that do not vary are no part of the mixture: samples have their constants, and the
    density is that of the others, less half the squared distance from the constants.
    """

    dequantize = True
    closed_form = True
    loss_meaning = NEGATIVE_LIKELIHOOD
    means: Tensor
    covariances: Tensor
    weights: Tensor
    varying: Tensor
    center: Tensor

    def __init__(self, shapes: list[list[int]] | None, event_shape: Any) -> None:
        super().__init__(event_shape)
        self._allocate([[0]] * len(MixtureFit._fields) if shapes is None else shapes)
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """The baseline with its defaults; `options` are the constructor's. Labels are left aside.

        Raises `InputError` for options that the constructor does not take.
        """
        return made(cls, options, event_shape=data.event_shape)

    @property
    def capabilities(self) -> Capabilities:
        """Samples and exact densities, no labels."""
        return Capabilities(True, "exact", False)

    @abstractmethod
    def _fit(self, z: Tensor) -> MixtureFit:
        """The mixture of standardized data `(N, d)`, in double precision."""

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Fit the mixture to data `(N, *event)`.

        Raises `InputError` for fewer than two points: one has no spread.
        """
        if len(x) < 2:
            raise InputError(f"a density needs at least two data points, not {len(x)}")
        z = self.inward(x).flatten(1).double().cpu()
        varies = z.ne(z[0]).any(0)
        # A kernel of a constant has no width. Where nothing varies, none is drawn of any mixture.
        varying = varies.nonzero().flatten()
        fit = self._fit(z[:, varying] if len(varying) else z[:, :1])
        fit = fit._replace(varying=varying, center=z[0])
        self._allocate([list(part.shape) for part in fit])
        for name, part in zip(MixtureFit._fields, fit, strict=True):
            getattr(self, name).copy_(part)
        config.amend(self, shapes=[list(part.shape) for part in fit])

    def judged_rows(self) -> int:
        """As many as a validation has seconds for."""
        return max(1000, _JUDGED // max(1, len(self.weights)))

    @property
    def distribution(self) -> GaussianMixture:
        """The mixture, of those coordinates of standardized and flattened states that vary.

        Raises `InputError` before a fit.
        """
        if not len(self.weights):
            raise InputError(f"this {type(self).__name__} has not been fitted: pushforward.fit")
        return GaussianMixture(self.means, self.covariances, self.weights)

    def loss(
        self, x: Tensor, c: Any = None, *, generator: Any = None, rows: slice = slice(None)
    ) -> Tensor:
        """The negative log-likelihood of data `(B, *event)` in nats, `(B,)`; or of some rows."""
        return -self.log_prob(x[rows], c).value

    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Exact log-densities of states `(B, *event)` in nats, in data units.

        With a gradient in `x`. Raises `InputError` for states that are not finite.
        """
        refuse_context(self, c)
        z, distribution = with_density(self.inward(x)).flatten(1), self.distribution
        size = max(1, _TERMS // len(distribution.weights))
        value = torch.zeros_like(z[:, 0])
        if len(self.varying):
            parts = z[:, self.varying].split(size)
            value = torch.cat([distribution.log_prob(part) for part in parts])
        fixed = torch.ones_like(self.center, dtype=torch.bool)
        fixed[self.varying] = False
        value = value - (z - self.center)[:, fixed].square().sum(1) / 2 + self._volume(fixed)
        return LogProb(value, torch.zeros_like(value), "exact", nfe=1)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`."""
        refuse_context(self, c)
        parts_of(n, batch_size, rows)
        noise = resolve(seed, generator, self.weights.device, rows=n)
        z = self.center.expand(n, -1).clone()
        drawn = self.distribution.sample(n, generator=noise)
        z[:, self.varying] = drawn[:, : len(self.varying)]
        if progress is not None:
            progress(1, 1)
        return self.outward(z.reshape(n, *self.event_shape)[rows])

    def _volume(self, fixed: Tensor) -> Tensor:
        """`log |det dz/dx|` of the coordinates that are not `fixed`, `(D,)`."""
        units: Any = self.known_units()
        scale = units.scale.expand(self.event_shape).flatten()[fixed]
        volume: Tensor = units.log_det_inverse() + scale[scale > 0].log().sum()
        return volume

    def _allocate(self, shapes: list[list[int]]) -> None:
        for name, shape in zip(MixtureFit._fields, shapes, strict=True):
            start = torch.empty(0, dtype=torch.int64 if name == "varying" else None)
            self.register_buffer(name, getattr(self, name, start).new_zeros(shape))


def of_sklearn(fit: Any, least: float = 0.0) -> MixtureFit:
    """A mixture with full covariances that scikit-learn has fitted, of the components whose weight
    is above the least one."""
    weights = torch.from_numpy(fit.weights_)
    kept = weights > least
    means, spread = torch.from_numpy(fit.means_), torch.from_numpy(fit.covariances_)
    return MixtureFit(means[kept], spread[kept], weights[kept] / weights[kept].sum())
