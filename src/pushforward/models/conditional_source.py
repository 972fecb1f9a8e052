r"""Sources that depend on the context: where the paths of a conditional bridge start.

With `x_1 ~ N(m(c), s(c)^2)` near to `p(x_0 | c)`, the way is shorter than from one noise for all
contexts, and fewer steps are enough: CDSB-C of Shi et al. (2022).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import checks
from pushforward._random import normal
from pushforward.config import amend, configurable
from pushforward.errors import CapabilityError, InputError

__all__ = ["ConditionalSource", "RegressedSource", "UpsampledSource"]


class ConditionalSource(nn.Module, ABC):
    """`x_1 ~ N(m(c), s(c)^2)` for each entry of a state, in data units."""

    @abstractmethod
    def forward(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in contexts `(B, size)`, `(B, *event)` each."""

    def fit(self, x: Tensor, c: Tensor) -> None:
        """Take what it needs from training data; nothing by default."""

    def on(self, sizes: tuple[int, ...]) -> ConditionalSource:
        """The same for fields of other sizes.

        Raises `CapabilityError` for what belongs to its own.
        """
        raise CapabilityError(
            f"a {type(self).__name__} belongs to the sizes of its data: models that start from "
            "models.ContextChannels can be put on a larger domain"
        )

    def of(self, c: Any, event_shape: tuple[int, ...]) -> Tensor:
        """The means in contexts as models take them, of which one may stand for all states.

        Raises `CapabilityError` without contexts.
        """
        if c is None:
            raise CapabilityError("the context says where this model starts: give c=")
        given = torch.as_tensor(c)
        alone = given.ndim < (4 if len(event_shape) == 3 else 2)
        mean: Tensor = self(given[None] if alone else given)[0]
        return mean

    def sample(self, c: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One state for each context, `(B, *event)`."""
        mean, std = self(c)
        noise = normal(tuple(mean.shape), generator, dtype=mean.dtype)
        return mean + std * noise.to(mean.device)


@configurable
class RegressedSource(ConditionalSource):
    r"""A polynomial regression of the data on their contexts, with a variance that follows them.

    With the monomials `f(c)` of standardized contexts up to a degree, `m(c) = f(c)' A` by least
    squares, and `log s(c)^2 = f(c)' B` by maximum likelihood of the residuals (Fisher scoring;
    Smyth 1989). The variance stays in the range that it has on the data. `degree=1` is what an
    ensemble Kalman filter takes for `p(x | c)`, but for the correlations between entries.

    Args:
        degree: of the polynomials; 0 is one normal distribution for all contexts.
        context_size: the length of a context, known after training.
        event_shape: the shape of a state, known after training.

    Raises `InputError` for a degree below 0, and for fewer rows of data than twice the monomials.

    >>> c = torch.linspace(-1, 1, 100)[:, None]
    >>> source = RegressedSource(degree=1)
    >>> source.fit(3 * c + 1, c)
    >>> mean, std = source(torch.tensor([[0.5]]))
    >>> round(mean.item(), 4), std.item() < 1e-3
    (2.5, True)
    """

    center: Tensor
    width: Tensor
    mean_weights: Tensor
    log_variance_weights: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(
        self,
        degree: int = 2,
        context_size: int | None = None,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.degree = checks.whole("degree", degree, least=0)
        self.event_shape: tuple[int, ...] = ()
        if context_size is not None and event_shape is not None:
            shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
            self._hold(checks.whole("context_size", context_size), shape)

    def _hold(self, size: int, shape: tuple[int, ...]) -> None:
        d, monomials = math.prod(shape), math.comb(size + self.degree, self.degree)
        self.event_shape = shape
        for name in ("center", "width"):
            self.register_buffer(name, torch.zeros(size))
        for name in ("mean_weights", "log_variance_weights"):
            self.register_buffer(name, torch.zeros(monomials, d))
        for name in ("lowest", "highest"):
            self.register_buffer(name, torch.zeros(d))

    def fit(self, x: Tensor, c: Tensor) -> None:
        """Both regressions, in double precision."""
        if not c.is_floating_point() or c.ndim != 2:
            raise InputError("a source is regressed on contexts, not on labels")
        device, c = c.device, c.detach().double()
        y = x.detach().to(device).double().flatten(1)
        monomials = math.comb(c.shape[1] + self.degree, self.degree)
        if len(y) < 2 * monomials:
            raise InputError(
                f"{monomials} monomials of degree {self.degree} in {c.shape[1]} numbers need "
                f"{2 * monomials} rows or more, not {len(y)}: take a lower degree"
            )
        self._hold(c.shape[1], tuple(x.shape[1:]))
        self.to(device)
        amend(self, context_size=c.shape[1], event_shape=self.event_shape)
        self.center.copy_(c.mean(0))
        self.width.copy_(c.std(0).clamp(min=1e-12))
        f = self._monomials(c)
        # A pseudoinverse: constant contexts have monomials that tell nothing.
        solve = torch.linalg.pinv(f)
        weights = solve @ y
        residual = (y - f @ weights).square()
        # Not below the rounding of what is stored.
        floor = 1e-12 * y.square().mean(0).clamp(min=1e-30)
        start = residual.mean(0).clamp(min=floor)
        log_variance = start.log().expand_as(y)
        variance_weights = solve @ log_variance
        for _ in range(_SCORING):
            step = solve @ (residual * torch.exp(-log_variance) - 1)
            largest = (f @ step).abs().amax(0).clamp(min=_LARGEST)
            variance_weights = variance_weights + step * _LARGEST / largest
            log_variance = (f @ variance_weights).clamp(min=floor.log())
        self.mean_weights.copy_(weights)
        self.log_variance_weights.copy_(variance_weights)
        self.lowest.copy_(log_variance.amin(0))
        self.highest.copy_(log_variance.amax(0))

    def forward(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in contexts `(B, size)`, `(B, *event)` each.

        Raises `InputError` before it is fitted.
        """
        if not self.event_shape:
            raise InputError("this source is not regressed on data yet: train the model, or fit it")
        f = self._monomials(c.to(self.center))
        shape = (len(c), *self.event_shape)
        log_variance = (f @ self.log_variance_weights).clamp(self.lowest, self.highest)
        return (f @ self.mean_weights).reshape(shape), (0.5 * log_variance).exp().reshape(shape)

    def _monomials(self, c: Tensor) -> Tensor:
        """All products of up to `degree` standardized entries, `(B, monomials)`."""
        z = (c - self.center.to(c)) / self.width.to(c)
        columns = [torch.ones_like(z[:, 0])]
        for degree in range(1, self.degree + 1):
            for which in combinations_with_replacement(range(z.shape[1]), degree):
                columns.append(z[:, list(which)].prod(1))
        return torch.stack(columns, 1)


_SCORING = 50
"""Steps of Fisher scoring, of which a few are mostly enough."""

_LARGEST = 1.0
"""A step changes no log-variance by more: where it is far too low, the first ones would be wild."""


@configurable
class UpsampledSource(ConditionalSource):
    """Pictures of a low resolution made large, with noise: where super-resolution starts.

    Args:
        low: the shape `(C, h, w)` of a low-resolution picture, which is the context, flattened.
        factor: how many times wider and higher a state is.
        noise: the standard deviation of each pixel around the enlarged picture, in data units.

    Each pixel becomes a square of `factor x factor`. Raises `InputError` for sizes below one and
    noise that is not positive.

    >>> source = UpsampledSource((1, 2, 2), factor=2, noise=0.1)
    >>> mean, std = source(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    >>> mean.shape, mean[0, 0, 0].tolist()
    (torch.Size([1, 1, 4, 4]), [1.0, 1.0, 2.0, 2.0])
    """

    def __init__(self, low: tuple[int, int, int], factor: int, noise: float) -> None:
        super().__init__()
        if len(low) != 3:
            raise InputError(f"a low-resolution picture has shape (C, h, w), not {tuple(low)}")
        self.low = tuple(checks.whole("low", side) for side in low)
        self.factor = checks.whole("factor", factor)
        self.noise = checks.positive("noise", noise)

    def forward(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in contexts `(B, C h w)`, `(B, C, factor h, factor w)` each.

        Raises `InputError` for contexts of another size.
        """
        if c.shape[1:] != (math.prod(self.low),):
            raise InputError(
                f"the context is a picture {self.low}, flattened, not of shape {tuple(c.shape[1:])}"
            )
        mean = c.reshape(len(c), *self.low)
        for axis in (2, 3):
            mean = mean.repeat_interleave(self.factor, axis)
        return mean, torch.full_like(mean, self.noise)
