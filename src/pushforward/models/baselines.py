"""Models without a network, that a deep one has to beat: kernel density, mixture, linear Gaussian.

All three are Gaussian mixtures: one of a component per data point, one fitted by EM, and one of a
single component whose covariance has few directions and equal noise in all of them.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from pushforward import config
from pushforward._distances import centered, squared_distances
from pushforward._extras import require
from pushforward._random import resolve
from pushforward.checks import positive, whole
from pushforward.config import configurable, made
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.model import GenerativeModel, parts_of, refuse_context, with_density
from pushforward.models.scales import Scale, scale_of
from pushforward.models.trainable import Trainable

__all__ = ["GaussianMixtureModel", "KernelDensity", "ProbabilisticPCA"]

_TERMS = 1 << 25
"""How many densities of a component at a state are held at a time: 256 MB with what they need."""

_LOST = 300
"""How many times narrower a column is that single precision loses in a common covariance."""

_SELECTED = 2000
"""Rows among which a bandwidth or a number of components is chosen."""


class _Fit(NamedTuple):
    """A mixture's tensors: means `(K, d)`, covariances of any form, weights `(K,)`."""

    means: Tensor
    covariances: Tensor
    weights: Tensor


class _Baseline(GenerativeModel, Trainable):
    """A mixture of Gaussians that is fitted at once: there is nothing for an optimizer to do.

    `fit` calls `prepare` and makes one step that changes nothing. It holds rows out as it does for
    any model, though nothing is tuned on them: what was fitted to all rows could not be judged
    beside others, on rows that none has seen. `holdout=0` fits all rows.
    """

    dequantize = True
    closed_form = True
    means: Tensor
    covariances: Tensor
    weights: Tensor

    def __init__(
        self, shapes: list[list[int]] | None, event_shape: int | tuple[int, ...] | None
    ) -> None:
        super().__init__(event_shape)
        self._allocate([[0], [0], [0]] if shapes is None else shapes)
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
    def _fit(self, z: Tensor) -> _Fit:
        """The mixture of standardized data `(N, d)`, in double precision."""

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Fit the mixture to data `(N, *event)`.

        Raises `InputError` for fewer than two points: one has no spread.
        """
        if len(x) < 2:
            raise InputError(f"a density needs at least two data points, not {len(x)}")
        z = self.inward(x).flatten(1).double().cpu()
        fit = self._fit(z)
        self._allocate([list(part.shape) for part in fit])
        for name, part in zip(_Fit._fields, fit, strict=True):
            getattr(self, name).copy_(part)
        config.amend(self, shapes=[list(part.shape) for part in fit])

    @property
    def distribution(self) -> GaussianMixture:
        """The mixture, of standardized and flattened states. Raises `InputError` before a fit."""
        if not len(self.weights):
            raise InputError(f"this {type(self).__name__} has not been fitted: pushforward.fit")
        return GaussianMixture(self.means, self.covariances, self.weights)

    def loss(self, x: Tensor, c: Any = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The negative log-likelihood of data `(B, *event)` in nats, `(B,)`."""
        return -self.log_prob(x, c).value

    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Exact log-densities of states `(B, *event)` in nats, in data units.

        With a gradient in `x`. Raises `InputError` for states that are not finite.
        """
        refuse_context(self, c)
        z, distribution = with_density(self.inward(x)).flatten(1), self.distribution
        size = max(1, _TERMS // len(distribution.weights))
        value = torch.cat([distribution.log_prob(part) for part in z.split(size)])
        value = value + self.known_units().log_det_inverse()
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
        z = self.distribution.sample(n, generator=noise)
        if progress is not None:
            progress(1, 1)
        return self.outward(z.reshape(n, *self.event_shape)[rows])

    def _allocate(self, shapes: list[list[int]]) -> None:
        for name, shape in zip(_Fit._fields, shapes, strict=True):
            home = getattr(self, name, torch.empty(0))
            self.register_buffer(name, home.new_zeros(shape))


@configurable
class KernelDensity(_Baseline):
    r"""A Gaussian of equal width at every data point, `1/N sum_i N(x; x_i, h^2 I)` (Parzen 1962).

    Args:
        bandwidth: `h`, in units of the standardized data; by default the one that predicts left-out
            points best (five-fold cross-validation).
        event_shape: the shape of one data point, if known before the fit.
        shapes: of what was fitted; written by the model itself.

    >>> import pushforward as pf
    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> model = pf.fit(KernelDensity(bandwidth=0.5), x, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        bandwidth: float | None = None,
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
    ) -> None:
        if bandwidth is not None:
            positive("bandwidth", bandwidth)
        self.bandwidth = bandwidth
        super().__init__(shapes, event_shape)

    def _fit(self, z: Tensor) -> _Fit:
        h = self.bandwidth or _best_bandwidth(z)
        spread = torch.tensor(h * h, dtype=z.dtype)
        return _Fit(z, spread, torch.full_like(z[:, 0], 1 / len(z)))


@configurable
class GaussianMixtureModel(_Baseline):
    """A mixture of Gaussians with full covariances, fitted by EM (Dempster, Laird & Rubin 1977).

    Args:
        components: how many; by default the power of two up to 64 with the best likelihood of data
            left out.
        regularization: added to the variances, of standardized data: no component may shrink to a
            point.
        seed: of the starts of EM.
        max_iterations: of EM.
        event_shape: the shape of one data point, if known before the fit.
        shapes: of what was fitted; written by the model itself.

    A fit warns if EM gained more than 0.001 nats a point in the last of its iterations.

    >>> import pushforward as pf
    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> model = pf.fit(GaussianMixtureModel(components=1), x, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        components: int | None = None,
        regularization: float = 1e-4,
        seed: int = 0,
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
        max_iterations: int = 300,
    ) -> None:
        if components is not None:
            whole("components", components)
        positive("regularization", regularization)
        self.max_iterations = whole("max_iterations", max_iterations)
        self.components, self.regularization, self.seed = components, regularization, seed
        super().__init__(shapes, event_shape)

    def _fit(self, z: Tensor) -> _Fit:
        if self.components is not None and self.components > len(z):
            raise InputError(f"{self.components} components need as many data points, not {len(z)}")
        components = self.components or self._best_number(z)
        fit = self._em(z, components)
        if not fit.converged_:
            warnings.warn(
                f"EM of {components} components has not converged in {self.max_iterations} "
                "iterations: this is a mixture, but not the likeliest near it; raise "
                "max_iterations, or take fewer components",
                ConvergenceWarning,
                stacklevel=2,
            )
        kept = torch.from_numpy(fit.weights_) > 0
        weights = torch.from_numpy(fit.weights_)[kept]
        means, spread = torch.from_numpy(fit.means_), torch.from_numpy(fit.covariances_)
        return _Fit(means[kept], spread[kept], weights / weights.sum())

    def _em(self, z: Tensor, components: int) -> Any:
        mixture = require("sklearn.mixture", extra="data", purpose="fit a mixture")
        em = mixture.GaussianMixture(
            components,
            reg_covar=self.regularization,
            random_state=self.seed,
            max_iter=self.max_iterations,
        )
        with warnings.catch_warnings():
            # Duplicated rows give fewer clusters than components; that EM stopped early is said of
            # the last fit, in words of this class.
            warnings.simplefilter("ignore")
            return em.fit(z.numpy())

    def _best_number(self, z: Tensor) -> int:
        if len(z) < 20:
            return 1
        few = _subset(z)
        held = max(len(few) // 5, 1)
        numbers = [2**k for k in range(7) if 2**k * 4 <= len(few) - held]
        scores = {k: self._em(few[held:], k).score(few[:held].numpy()) for k in numbers}
        return max(scores, key=lambda k: scores[k])


@configurable
class ProbabilisticPCA(_Baseline):
    r"""A linear Gaussian model, `x = m + W z + s e` (Tipping & Bishop 1999), in closed form.

    Its covariance `W W^T + s^2 I` is that of the data along the first principal components, and the
    mean of the remaining variances in all other directions: the largest likelihood that a model of
    this form can have, in the units of the data.

    Args:
        components: the columns of `W`; by default the number with the best likelihood in five-fold
            cross-validation.
        scale: what the noise is equal in: `common`, the units of the data, or `columns`, the
            standard deviations of each column, where columns have units that do not compare. The
            components are then those of the correlations.
        event_shape: the shape of one data point, if known before the fit.
        shapes: of what was fitted; written by the model itself.

    >>> import pushforward as pf
    >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> model = pf.fit(ProbabilisticPCA(components=1), x, progress=False).model
    >>> model.sample(2, seed=0).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        components: int | None = None,
        scale: Scale = "common",
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
    ) -> None:
        if components is not None:
            whole("components", components, least=0)
        self.components, self.scale = components, scale_of(scale)
        super().__init__(shapes, event_shape)

    def fit_units(self, x: Tensor, source: Tensor | None = None) -> None:
        """A shift per column, and one scale for all or one for each, as `scale` says.

        Raises `InputError` if the event shape differs from the one already known.
        """
        # A map shares one scale between its two sides: here both are the data.
        self.known_units(x).fit(x, x if self.scale == "common" else None)

    def doubts(self, x: Tensor) -> list[str]:
        """Columns that are lost beside others in one unit."""
        if self.scale == "columns" or x.ndim != 2:
            return []
        spread = x.double().std(0)
        spread = spread[spread > 0]
        if len(spread) == 0 or float(spread.max() / spread.min()) < _LOST:
            return []
        return [
            f"Columns differ in scale by a factor of {float(spread.max() / spread.min()):.2g}, and "
            "the noise of probabilistic PCA is equal in all: the narrowest are lost in it. Take "
            "scale='columns'"
        ]

    def _fit(self, z: Tensor) -> _Fit:
        dim = z.shape[1]
        if self.components is not None and self.components > dim:
            raise InputError(f"data of dimension {dim} has no {self.components} components")
        components = self._best_number(z) if self.components is None else self.components
        centered = z - z.mean(0)
        variances, axes = torch.linalg.eigh(centered.mT @ centered / len(z))
        # Rounding must not make what varies in no direction negative.
        floor = 1e-6 * variances.max().clamp(min=1.0)
        variances = variances.clamp(min=floor)
        if components < dim:
            variances[: dim - components] = variances[: dim - components].mean()
        covariance = (axes * variances) @ axes.mT
        covariance = (covariance + covariance.mT) / 2
        return _Fit(z.mean(0, keepdim=True), covariance.unsqueeze(0), torch.ones(1).to(z))

    def _best_number(self, z: Tensor) -> int:
        dim = z.shape[1]
        if len(z) < 20 or dim == 1:
            return min(1, dim)
        pca = require("sklearn.decomposition", extra="data", purpose="choose the components").PCA
        select = require("sklearn.model_selection", extra="data", purpose="choose the components")
        few = _subset(z)
        # A constant feature has no likelihood of its own.
        few = few + 1e-3 * torch.randn(few.shape, generator=resolve(0), dtype=few.dtype)
        most = min(dim - 1, 4 * len(few) // 5 - 1)
        numbers = sorted({round(most ** (k / 11)) for k in range(12)})
        scores = {
            k: select.cross_val_score(pca(k, svd_solver="full"), few.numpy(), cv=5).mean()
            for k in numbers
        }
        return max(scores, key=lambda k: scores[k])


def _best_bandwidth(z: Tensor) -> float:
    """The bandwidth of the best five-fold likelihood, on a fine logarithmic grid."""
    few = _subset(z)
    folds = min(5, len(few))
    fold = torch.arange(len(few)) % folds
    rate = 1 / (z.shape[1] + 4)
    fitted = max(1, len(few) - len(few) // folds)
    # Silverman's rule for a normal distribution is an upper end; clusters want much less.
    widest = 1.5 * (4 / ((z.shape[1] + 2) * fitted)) ** rate
    widths = widest * 0.85 ** torch.arange(24, dtype=z.dtype)
    total = torch.zeros_like(widths)
    for part in fold.unique():
        total += _left_out(few[fold == part], few[fold != part], widths)
    chosen = float(widths[total.argmax()])
    # The best bandwidth falls with the number of points, and in the end there are all of them.
    return chosen * (fitted / len(z)) ** rate


def _left_out(x: Tensor, known: Tensor, widths: Tensor) -> Tensor:
    """The log-likelihoods of points under kernels of some widths at known ones, `(widths,)`.

    Up to a constant. All widths share one table of distances.
    """
    square = squared_distances(*centered(known.mean(0), x, known))
    nearest = square.amin(1, keepdim=True)
    # The nearest point has weight one. Single precision is enough for those beside it, and what
    # it cannot see beside one is left at e^-60, as smaller numbers take far longer.
    behind = (nearest - square).float()
    found = []
    for width in widths.tolist():
        sums = (behind * (0.5 / width**2)).clamp_(min=-60.0).exp_().sum(1).double().log()
        each = sums - nearest[:, 0] * (0.5 / width**2) - x.shape[1] * math.log(width)
        found.append(each.sum())
    return torch.stack(found)


def _subset(z: Tensor) -> Tensor:
    """At most a few thousand rows, the same every time."""
    order = torch.randperm(len(z), generator=resolve(0))
    return z[order[:_SELECTED]]
