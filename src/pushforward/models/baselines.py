"""Models without a network, that a deep one has to beat: kernel density, mixture, linear Gaussian.

All three are Gaussian mixtures: one of a component per data point, one fitted by EM, and one of a
single component whose covariance has few directions and equal noise in all of them.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from pushforward import config
from pushforward._extras import require
from pushforward._random import resolve
from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.models.bandwidth import best_bandwidth, selected
from pushforward.models.fitted_mixture import FittedMixture, MixtureFit, of_sklearn
from pushforward.models.scales import UNEQUAL, Scale, scale_of

__all__ = ["GaussianMixtureModel", "KernelDensity", "ProbabilisticPCA"]

_LOST = 300
"""How many times narrower a column is that single precision loses in a common covariance."""

_WORSE = 2
"""Numbers of components in a row, each behind the best, after which no larger one is tried."""


@configurable
class KernelDensity(FittedMixture):
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

    def _fit(self, z: Tensor) -> MixtureFit:
        h = self.bandwidth or best_bandwidth(z)
        spread = torch.tensor(h * h, dtype=z.dtype)
        return MixtureFit(z, spread, torch.full_like(z[:, 0], 1 / len(z)))


@configurable
class GaussianMixtureModel(FittedMixture):
    """A mixture of Gaussians with full covariances, fitted by EM (Dempster, Laird & Rubin 1977).

    Args:
        components: how many; by default the power of two up to 64 with the best likelihood of data
            left out, where two in a row that are worse than the best end the search.
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

    def _fit(self, z: Tensor) -> MixtureFit:
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
        return of_sklearn(fit)

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
        best, likeliest, worse = 1, -math.inf, 0
        for components in (2**k for k in range(7) if 2**k * 4 <= len(few) - held):
            likelihood = self._em(few[held:], components).score(few[:held].numpy())
            worse = 0 if likelihood > likeliest else worse + 1
            if worse == 0:
                best, likeliest = components, likelihood
            if worse == _WORSE:
                break
        return best


@configurable
class ProbabilisticPCA(FittedMixture):
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

    def _fit(self, z: Tensor) -> MixtureFit:
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
        return MixtureFit(z.mean(0, keepdim=True), covariance.unsqueeze(0), torch.ones(1).to(z))

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
