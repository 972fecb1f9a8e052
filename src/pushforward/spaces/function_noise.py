r"""Noise on functions: covariances of trace class, on the points where a function is known.

`C` acts on functions of the unit box. On a regular grid with cells of volume `h` its matrix of
values has the eigenvalues `lambda_k / h`: by quadrature, `h C` then has those of the operator, and
everything that is computed with it has a limit as the grid is refined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.kernels import CovarianceKernel, Matern
from pushforward.spaces.trigonometric import frequencies, from_modes, to_modes

__all__ = ["KernelRoot", "NoiseRoot", "Spectral", "SpectralRoot"]

_MOST_POINTS = 4096
"""Points of which a covariance matrix is factored."""

_JITTER = 1e-6
"""Of a kernel at points, on the diagonal, in units of the variance."""

_FLOOR = 1e-6
"""Of smooth noise: the share of a rougher one that is added, as no precision holds less."""


class NoiseRoot(ABC):
    """A root of the covariance of noise at known points: `C = R R^T`."""

    @abstractmethod
    def color(self, white: Tensor) -> Tensor:
        """`R w` for white noise `(..., *sizes)`."""

    @abstractmethod
    def whiten(self, x: Tensor) -> Tensor:
        """`R^{-1} x`, in double precision inside."""

    @abstractmethod
    def transpose(self, x: Tensor) -> Tensor:
        """`R^T x`."""

    @property
    @abstractmethod
    def log_det(self) -> float:
        """`log |det R|`."""


@configurable
@dataclass(frozen=True)
class Spectral:
    r"""Noise `sum_k sqrt(lambda_k) xi_k phi_k` with the eigenfunctions of a box.

    `phi_k` are products of cosines that are flat at the ends of an axis, or of cosines and sines
    where these meet, and `lambda_k = S(|w_k|^2)` the spectral density of a kernel: the kernel's
    noise reflected at the ends, or wrapped. No matrix is factored, and any regular grid will do.

    Of a kernel that is too smooth for its inverse to be computed, such as a squared exponential,
    `lambda_k` is not let below a millionth of that of `Matern(1.5)` of the same length.

    Args:
        kernel: an isotropic one with a `spectral_density`; lengths are fractions of the sides of
            the box.

    Raises `InputError` for a kernel without one.
    """

    kernel: CovarianceKernel = field(default_factory=lambda: Matern(nu=0.5, length=0.02))

    def __post_init__(self) -> None:
        if not hasattr(self.kernel, "spectral_density"):
            raise InputError(
                f"{self.kernel} has no spectral density: take matern, exponential or "
                "squared-exponential, or the kernel itself as the noise"
            )

    def root(self, sizes: tuple[int, ...], periodic: tuple[bool, ...]) -> SpectralRoot:
        """The root on a regular grid of so many cells.

        >>> root = Spectral(Matern(0.5, length=0.1)).root((64,), (False,))
        >>> round(float(root.eigenvalues.sum()), 2)  # the trace, of a kernel of variance one
        1.07
        """
        square = torch.zeros(())
        for axis, (size, turns) in enumerate(zip(sizes, periodic, strict=True)):
            own = frequencies(size, turns).square()
            square = square + own.reshape(-1, *(1 for _ in sizes[axis + 1 :]))
        density = self.kernel.spectral_density(square, len(sizes))  # type: ignore[attr-defined]
        rough = Matern(1.5, self.kernel.length, self.kernel.variance)  # type: ignore[attr-defined]
        floor = _FLOOR * rough.spectral_density(square, len(sizes))
        return SpectralRoot(torch.maximum(density, floor), periodic)


class SpectralRoot(NoiseRoot):
    """The root in the modes of a grid.

    Args:
        eigenvalues: of the operator on the unit box, `(*sizes)` in float64.
        periodic: which of the axes have ends that meet.
    """

    def __init__(self, eigenvalues: Tensor, periodic: tuple[bool, ...]) -> None:
        self.eigenvalues, self.periodic = eigenvalues, periodic
        # Values of a function are coefficients over the root of the volume of a cell.
        self.scales = (eigenvalues * eigenvalues.numel()).sqrt()

    def color(self, white: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return from_modes(white * self.scales.to(white), self.periodic)

    def whiten(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return (to_modes(x.double(), self.periodic) / self.scales.to(x.device)).to(x.dtype)

    def transpose(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return to_modes(x, self.periodic) * self.scales.to(x)

    @property
    def log_det(self) -> float:
        """See `NoiseRoot`."""
        return float(self.scales.log().sum())


class KernelRoot(NoiseRoot):
    """The Cholesky factor of a kernel at points of the unit box, in double precision.

    Args:
        kernel: of distances.
        points: `(M, d)`.
        sizes: the shape in which the points lie in a state.

    Raises `InputError` for more points than can be factored.
    """

    def __init__(self, kernel: CovarianceKernel, points: Tensor, sizes: tuple[int, ...]) -> None:
        if len(points) > _MOST_POINTS:
            raise InputError(
                f"the noise of a kernel at {len(points):,} points needs a matrix of all pairs, for "
                f"up to {_MOST_POINTS:,}: on a regular grid take noise={{class: spectral}}"
            )
        self.kernel, self.points, self.sizes = kernel, points.double(), sizes
        self.factor = _cholesky(covariance_at(kernel, self.points))

    def color(self, white: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return self._times(self.factor.to(white), white)

    def whiten(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        flat = self._flat(x).double().unsqueeze(-1)
        factor = self.factor.to(x.device)
        found = torch.linalg.solve_triangular(factor, flat, upper=False).squeeze(-1)
        return found.reshape(x.shape).to(x.dtype)

    def transpose(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return self._times(self.factor.to(x).mT, x)

    @property
    def log_det(self) -> float:
        """See `NoiseRoot`."""
        return float(self.factor.diagonal().log().sum())

    def color_some(self, white: Tensor, present: Tensor) -> Tensor:
        """Noise at some of the points of each state, `(B, C, M)` with a mask `(B, M)` of them.

        A factor for each state, of its own points alone: many functions that are seen at few
        points each never need the matrix of all.
        """
        count = int(present.sum(1).max())
        order = present.int().argsort(dim=1, descending=True, stable=True)[:, :count]
        kept = present.gather(1, order)
        own = self.points.to(order.device)[order]
        both = kept.unsqueeze(-1) & kept.unsqueeze(-2)
        matrices = covariance_at(self.kernel, own)
        eye = torch.eye(count, dtype=matrices.dtype, device=matrices.device)
        factor = _cholesky(torch.where(both, matrices, eye)).to(white)
        index = order.unsqueeze(1).expand(-1, white.shape[1], -1)
        noise = white.gather(2, index) @ factor.mT
        return torch.zeros_like(white).scatter(2, index, noise)

    def _times(self, matrix: Tensor, x: Tensor) -> Tensor:
        return (self._flat(x) @ matrix.mT).reshape(x.shape)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(-len(self.sizes)) if len(self.sizes) > 1 else x


def covariance_at(kernel: CovarianceKernel, points: Tensor) -> Tensor:
    """The covariances of all pairs of points `(..., M, d)`, `(..., M, M)`, with a jitter."""
    gaps = (points.unsqueeze(-2) - points.unsqueeze(-3)).square().sum(-1).sqrt()
    found = kernel(gaps)
    diagonal = found.diagonal(dim1=-2, dim2=-1)
    return found + _JITTER * torch.diag_embed(diagonal)


def _cholesky(matrix: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(matrix)
    if bool((info > 0).any()):
        raise InputError(
            "the covariance of the noise at these points is not positive definite: two points may "
            "be the same, or the kernel is too smooth for them (take a smaller length)"
        )
    return factor
