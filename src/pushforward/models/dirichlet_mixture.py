"""A Gaussian mixture that finds its number of components: a Dirichlet process."""

from __future__ import annotations

import warnings

from torch import Tensor

from pushforward._extras import require
from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import ConvergenceWarning
from pushforward.models.fitted_mixture import FittedMixture, MixtureFit, of_sklearn

__all__ = ["DirichletProcessMixture"]

_LEAST = 1e-3
"""Weights of components that no data are left with, in the mean of their posterior."""


@configurable
class DirichletProcessMixture(FittedMixture):
    """A mixture of Gaussians whose weights have a Dirichlet process as their prior.

    Weights are lengths of broken sticks, `w_k = v_k (1 - v_1) ... (1 - v_(k-1))` with
    `v_k ~ Beta(1, concentration)`, cut off at a number of components, and fitted by variational
    inference (Blei & Jordan 2006): components that the data do not need are left with no weight, in
    the place of a choice of their number by cross-validation. Some more than are needed may keep a
    small weight. The density is the mixture at the
    means of the posterior; the predictive distribution itself has wider tails.

    Args:
        components: the most that there can be.
        concentration: how many there are before data are seen, about `concentration log n`.
        regularization: added to the variances, of standardized data.
        seed: of the start.
        max_iterations: of the fit.
        event_shape: the shape of one data point, if known before the fit.
        shapes: of what was fitted; written by the model itself.

    A fit warns if it has not converged.

    >>> import pushforward as pf
    >>> import torch
    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> model = pf.fit(DirichletProcessMixture(), x, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        components: int = 30,
        concentration: float = 1.0,
        regularization: float = 1e-4,
        seed: int = 0,
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
        max_iterations: int = 500,
    ) -> None:
        self.components = whole("components", components)
        self.concentration = positive("concentration", concentration)
        self.regularization = positive("regularization", regularization)
        self.seed, self.max_iterations = seed, whole("max_iterations", max_iterations)
        super().__init__(shapes, event_shape)

    def _fit(self, z: Tensor) -> MixtureFit:
        mixture = require("sklearn.mixture", extra="data", purpose="fit a mixture")
        inference = mixture.BayesianGaussianMixture(
            n_components=min(self.components, len(z)),
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=self.concentration,
            reg_covar=self.regularization,
            random_state=self.seed,
            max_iter=self.max_iterations,
        )
        with warnings.catch_warnings():
            # Said below, in words of this class.
            warnings.simplefilter("ignore")
            fit = inference.fit(z.numpy())
        if not fit.converged_:
            warnings.warn(
                f"variational inference has not converged in {self.max_iterations} iterations: "
                "raise max_iterations, or take fewer components",
                ConvergenceWarning,
                stacklevel=2,
            )
        return of_sklearn(fit, _LEAST)
