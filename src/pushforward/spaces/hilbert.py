r"""Functions seen on a grid, with noise of a trace-class covariance.

White noise has no limit as a grid is refined; noise `N(0, C)` with a trace-class `C` has, and so do
the process and its time reversal (Lim et al. 2023; Pidstrigach et al. 2023). A function is an event
`(n,)` of its values at `n` grid points.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_mean, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.kernels import CovarianceKernel
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.units import Standardize, Units
from pushforward.spaces.views import Curves, View

__all__ = ["Hilbert"]

_JITTER = 1e-6


@configurable
class Hilbert(LinearSpace):
    r"""Function values on a grid; unit noise is `N(0, C)`.

    The score of this space is preconditioned, `C grad log p`, as in the Cameron-Martin geometry:
    with it every formula of R^d holds as it stands, on any grid. Data are brought to unit variance
    by one common scale, so that the noise keeps its covariance.

    Args:
        covariance: the `(n, n)` matrix `C`, or a kernel of `spaces.kernels` that says it at any
            points.
        points: the grid of a kernel: the points themselves, or how many equally spaced ones of
            [0, 1] there are. Left out for a matrix.

    Raises `InputError` unless `C` is a symmetric positive definite matrix.

    >>> from pushforward.spaces.kernels import Exponential
    >>> space = Hilbert(Exponential(length=0.2), points=5)
    >>> space.randn(torch.zeros(2, 5), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 5])
    """

    white = False

    def __init__(
        self,
        covariance: Tensor | CovarianceKernel,
        points: int | tuple[float, ...] | list[float] | Tensor | None = None,
    ) -> None:
        if not isinstance(covariance, Tensor):
            covariance = _gram(covariance, points)
        elif points is not None:
            raise InputError("a covariance matrix has its points already: leave points= out")
        if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
            raise InputError(f"a covariance is a square matrix, not {tuple(covariance.shape)}")
        if not torch.allclose(covariance, covariance.mT, rtol=1e-4, atol=1e-6):
            raise InputError("the noise covariance is not symmetric")
        # In double precision: the Cholesky factor of a smooth kernel is lost in single precision.
        factor, info = torch.linalg.cholesky_ex(covariance.double())
        if info:
            raise InputError(
                f"the noise covariance is not positive definite at row {int(info)}: "
                "add a small multiple of the identity, or use fewer grid points"
            )
        self.covariance = covariance
        self.factor = factor.to(covariance.dtype)

    def check(self, x: Tensor) -> None:
        """Finite numbers whose last axis is the grid."""
        check_numbers(x, "functions")
        if x.shape[-1] != len(self.factor):
            raise InputError(
                f"the state has {x.shape[-1]} grid points, the noise covariance {len(self.factor)}"
            )

    def units(self, event_shape: state.EventShape) -> Units:
        """The mean function, and one scale for all points."""
        return Standardize(event_shape, common=True)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise `N(0, C)` along the last axis, shaped like `x`."""
        if x.shape[-1] != len(self.factor):
            raise InputError(
                f"the state has {x.shape[-1]} grid points, the noise covariance {len(self.factor)}"
            )
        return normal_like(x, generator) @ self.factor.to(x).mT

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the grid, the discretized L2 norm; `(B,)`."""
        return per_event_mean(v.square())

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of `N(0, C)` with respect to the grid values, `(B,)`."""
        factor = self.factor.to(x)
        white = torch.linalg.solve_triangular(factor, x.unsqueeze(-1), upper=False).squeeze(-1)
        curves = x[0].numel() // len(factor)
        log_det = curves * factor.diagonal().log().sum()
        return -0.5 * per_event_sum(white.square() + math.log(2 * math.pi)) - log_det

    def features(self, x: Tensor) -> Tensor:
        """The values."""
        return flatten(x)

    def embed(self, x: Tensor) -> Tensor:
        """The values, as they lie."""
        return x

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Curves over the grid."""
        return (Curves(x.reshape(-1, x.shape[-1])),)

    @property
    def width(self) -> int | None:
        """The number of grid points."""
        return len(self.factor)

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Functions at so many points."""
        return f"functions at {event_shape[-1]} points"

    def __repr__(self) -> str:
        return f"Hilbert({len(self.factor)} points)"


def _gram(
    kernel: CovarianceKernel, points: int | tuple[float, ...] | list[float] | Tensor | None
) -> Tensor:
    """The covariance of a kernel at grid points, with a relative jitter."""
    if points is None:
        raise InputError(f"{kernel!r} needs the grid points: Hilbert(kernel, points=64)")
    if isinstance(points, int):
        points = torch.linspace(0, 1, checks.whole("points", points, 2), dtype=torch.float64)
    grid = torch.as_tensor(points, dtype=torch.float64)
    gram = kernel(grid[:, None] - grid[None, :])
    return gram + _JITTER * gram.diagonal().mean() * torch.eye(len(grid), dtype=gram.dtype)
