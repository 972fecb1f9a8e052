"""Models without a network, that a deep one has to beat: kernel density, mixture, linear Gaussian.

All three are Gaussian mixtures: one of a component per data point, one fitted by EM, and one of a
single component whose covariance has few directions and equal noise in all of them.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from pushforward import config
from pushforward._extras import require
from pushforward._random import resolve
from pushforward.checks import positive, whole
from pushforward.config import configurable, made
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.bandwidth import best_bandwidth, selected
from pushforward.models.model import GenerativeModel, parts_of, refuse_context, with_density
from pushforward.models.scales import UNEQUAL, Scale, scale_of
from pushforward.models.trainable import NEGATIVE_LIKELIHOOD, Trainable

__all__ = ["GaussianMixtureModel", "KernelDensity", "ProbabilisticPCA"]

_TERMS = 1 << 25
"""How many densities of a component at a state are held at a time: 256 MB with what they need."""

_LOST = 300
"""How many times narrower a column is that single precision loses in a common covariance."""

_JUDGED = 1 << 27
"""How many of them a validation looks at: seconds, with 200,000 components as with ten."""


class _Fit(NamedTuple):
    """A mixture's tensors: means `(K, d)`, covariances of any form, weights `(K,)`.

    Its coordinates are those `varying`, `(d,)`, of states, which else are as the `center`, `(D,)`.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor
    varying: Tensor = torch.empty(0)
    center: Tensor = torch.empty(0)


class _Baseline(GenerativeModel, Trainable):
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
        self._allocate([[0]] * len(_Fit._fields) if shapes is None else shapes)
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
        varies = z.ne(z[0]).any(0)
        # A kernel of a constant has no width. Where nothing varies, none is drawn of any mixture.
        varying = varies.nonzero().flatten()
        fit = self._fit(z[:, varying] if len(varying) else z[:, :1])
        fit = fit._replace(varying=varying, center=z[0])
        self._allocate([list(part.shape) for part in fit])
        for name, part in zip(_Fit._fields, fit, strict=True):
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
        for name, shape in zip(_Fit._fields, shapes, strict=True):
            start = torch.empty(0, dtype=torch.int64 if name == "varying" else None)
            self.register_buffer(name, getattr(self, name, start).new_zeros(shape))


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
        h = self.bandwidth or best_bandwidth(z)
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
        few = selected(z)
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
            components are then those of the correlations. By default `columns` for tables whose
            scales differ by more than a factor of 10, and `common` for all else.
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
        scale: Scale | None = None,
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
    ) -> None:
        if components is not None:
            whole("components", components, least=0)
        self.components, self.scale = components, None if scale is None else scale_of(scale)
        super().__init__(shapes, event_shape)

    def fit_units(self, x: Tensor, source: Tensor | None = None) -> None:
        """A shift per column, and one scale for all or one for each, as `scale` says.

        Raises `InputError` if the event shape differs from the one already known.
        """
        units = self.known_units(x)
        if self.scale is None:
            self.scale = "columns" if units.spread(x, x) >= UNEQUAL else "common"
            config.amend(self, scale=self.scale)
        # A map shares one scale between its two sides: here both are the data.
        units.fit(x, x if self.scale == "common" else None)

    def doubts(self, x: Tensor) -> list[str]:
        """Columns that are lost beside others in one unit."""
        if self.scale != "common" or x.ndim != 2:
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
        few = selected(z)
        # A constant feature has no likelihood of its own.
        few = few + 1e-3 * torch.randn(few.shape, generator=resolve(0), dtype=few.dtype)
        most = min(dim - 1, 4 * len(few) // 5 - 1)
        numbers = sorted({round(most ** (k / 11)) for k in range(12)})
        scores = {
            k: select.cross_val_score(pca(k, svd_solver="full"), few.numpy(), cv=5).mean()
            for k in numbers
        }
        return max(scores, key=lambda k: scores[k])
