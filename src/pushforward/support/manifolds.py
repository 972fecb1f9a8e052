r"""Known supports: manifolds in R^D with exact projections and distances, to check estimates by.

Each has a `dim`, an `ambient` dimension, draws with or without noise, the nearest point of the
manifold to any point (`project`) and the distance to it. Those with a posterior mean in closed form
have the exact denoiser `E[x_0 | x_0 + sigma e = x]` of their distribution as well.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import number, positive, whole
from pushforward.errors import CapabilityError, InputError
from pushforward.support.support import Support

__all__ = [
    "Circles",
    "Embedded",
    "Hypersphere",
    "KnownSupport",
    "LinearSubspace",
    "RingTorus",
    "SwissRoll",
]


class KnownSupport(Support):
    """A manifold, with a distribution on it."""

    dim: int
    ambient: int

    @abstractmethod
    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` points on the manifold in double precision, `(n, D)`."""

    def posterior_mean(self, x: Tensor, sigma: float) -> Tensor:
        """`E[x_0 | x_0 + sigma e = x]` for standard normal `e` at points `(n, D)`.

        Raises `CapabilityError` for a distribution without a closed form.
        """
        raise CapabilityError(
            f"{type(self).__name__} has no posterior mean in closed form: Hypersphere, Circles and "
            "LinearSubspace have"
        )

    def distance(self, x: Tensor) -> Tensor:
        """The distance of points `(n, D)` to the manifold, `(n,)`."""
        if x.ndim != 2 or x.shape[1] != self.ambient:
            raise InputError(f"points have shape (n, {self.ambient}), not {tuple(x.shape)}")
        return super().distance(x)

    def sample(
        self,
        n: int,
        *,
        noise: float = 0.0,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`n` points `(n, D)`, with normal noise of a scale in all directions of R^D."""
        source = resolve(seed, generator)
        x = self.points(whole("n", n), source)
        if number("noise", noise, least=0.0):
            x = x + noise * torch.randn(x.shape, generator=source, dtype=x.dtype)
        return x.to(torch.get_default_dtype())


@dataclass(frozen=True)
class Hypersphere(KnownSupport):
    """The uniform distribution on the sphere of some dimension: a circle for 1.

    >>> circle = Hypersphere(1, radius=2.0)
    >>> circle.distance(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
    tensor([1.0000, 1.5000])
    """

    dim: int
    radius: float = 1.0

    def __post_init__(self) -> None:
        whole("dim", self.dim)
        positive("radius", self.radius)

    @property
    def ambient(self) -> int:  # type: ignore[override]
        """One more than the dimension."""
        return self.dim + 1

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform on the sphere."""
        return self.project(torch.randn(n, self.ambient, generator=generator, dtype=torch.float64))

    def project(self, x: Tensor) -> Tensor:
        """Along the radius; a pole for the center."""
        pole = torch.zeros_like(x)
        pole[:, 0] = 1.0
        length = x.norm(dim=1, keepdim=True)
        return self.radius * torch.where(length > 0, x, pole) / torch.where(length > 0, length, 1.0)

    def posterior_mean(self, x: Tensor, sigma: float) -> Tensor:
        """The posterior is a von Mises-Fisher distribution of concentration `R |x| / sigma^2`."""
        positive("sigma", sigma)
        kappa = self.radius * x.norm(dim=1, keepdim=True) / sigma**2
        return self.project(x) * _bessel_ratio(self.ambient / 2 - 1, kappa)


@dataclass(frozen=True)
class Circles(KnownSupport):
    """A flat torus: the product of unit circles, in R^(2 dim).

    >>> Circles(2).distance(torch.tensor([[2.0, 0.0, 0.0, 1.0]]))
    tensor([1.])
    """

    dim: int

    def __post_init__(self) -> None:
        whole("dim", self.dim)

    @property
    def ambient(self) -> int:  # type: ignore[override]
        """Twice the dimension."""
        return 2 * self.dim

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform in all angles."""
        return Hypersphere(1).points(n * self.dim, generator).reshape(n, -1)

    def project(self, x: Tensor) -> Tensor:
        """To each circle on its own."""
        return Hypersphere(1).project(x.reshape(-1, 2)).reshape(x.shape)

    def posterior_mean(self, x: Tensor, sigma: float) -> Tensor:
        """That of each circle."""
        return Hypersphere(1).posterior_mean(x.reshape(-1, 2), sigma).reshape(x.shape)


@dataclass(frozen=True)
class RingTorus(KnownSupport):
    """The torus in R^3 around the third axis, uniform in both angles.

    >>> RingTorus().distance(torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.0]]))
    tensor([0.1000, 0.6000])
    """

    ring: float = 1.0
    tube: float = 0.4
    dim: int = field(default=2, init=False)
    ambient: int = field(default=3, init=False)

    def __post_init__(self) -> None:
        if not 0 < positive("tube", self.tube) < positive("ring", self.ring):
            raise InputError(
                f"a torus has a tube, {self.tube:g}, thinner than its ring, {self.ring:g}"
            )

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform in both angles, which is denser in the middle of the ring."""
        a, b = 2 * math.pi * torch.rand(2, n, generator=generator, dtype=torch.float64)
        across = self.ring + self.tube * b.cos()
        return torch.stack([across * a.cos(), across * a.sin(), self.tube * b.sin()], 1)

    def project(self, x: Tensor) -> Tensor:
        """To the circle in the middle of the tube, and back outwards."""
        middle = torch.zeros_like(x)
        middle[:, :2] = Hypersphere(1, self.ring).project(x[:, :2])
        about, away = x - middle, middle / self.ring
        outward = torch.stack([(about * away).sum(1), about[:, 2]], 1)
        on_tube = Hypersphere(1, self.tube).project(outward)
        found = middle + on_tube[:, :1] * away
        found[:, 2] = on_tube[:, 1]
        return found


_TURNS = 1024  # angles that the nearest point of a spiral is looked for at, before it is refined
_REFINED = 8


@dataclass(frozen=True)
class SwissRoll(KnownSupport):
    """A spiral of one and a half turns in the plane, as in `data.toys`, times an interval.

    `(a cos a, a sin a) / 5` with `a` uniform on `[3 pi / 2, 9 pi / 2]`, and a height uniform on
    `[0, height]`. With `height=0` it is the curve in the plane.

    >>> roll = SwissRoll()
    >>> bool(roll.distance(roll.sample(100, seed=0)).max() < 1e-6)
    True
    """

    height: float = 3.0

    def __post_init__(self) -> None:
        number("height", self.height, least=0.0)

    @property
    def dim(self) -> int:  # type: ignore[override]
        """2, and 1 without a height."""
        return 2 if self.height else 1

    @property
    def ambient(self) -> int:  # type: ignore[override]
        """3, and 2 without a height."""
        return self.dim + 1

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform in the angle and the height."""
        u = torch.rand(n, self.dim, generator=generator, dtype=torch.float64)
        return torch.cat([_spiral(math.pi * (1.5 + 3 * u[:, 0])), self.height * u[:, 1:]], 1)

    def project(self, x: Tensor) -> Tensor:
        """By a search over the angle, refined by Newton's method between its neighbors."""
        plane = x[:, :2].double()
        low, high = 1.5 * math.pi, 4.5 * math.pi
        angles = torch.linspace(low, high, _TURNS, dtype=torch.float64)
        curve = _spiral(angles)
        first = torch.cat([torch.cdist(part, curve).argmin(1) for part in plane.split(4096)])
        a, step = angles[first], (high - low) / (_TURNS - 1)
        least, most = (a - step).clamp(min=low), (a + step).clamp(max=high)
        for _ in range(_REFINED):
            cos, sin = a.cos(), a.sin()
            tangent = torch.stack([cos - a * sin, sin + a * cos], 1) / 5
            bend = torch.stack([-2 * sin - a * cos, 2 * cos - a * sin], 1) / 5
            away = _spiral(a) - plane
            slope = (away * tangent).sum(1)
            curvature = tangent.square().sum(1) + (away * bend).sum(1)
            # Around a minimum; elsewhere, a step of gradient descent.
            steep = torch.where(curvature > 0, curvature, tangent.square().sum(1))
            a = (a - slope / steep).clamp(least, most)
        found = torch.cat([_spiral(a), x[:, 2:].double().clamp(0.0, self.height)], 1)
        return found.to(x.dtype)


@dataclass(frozen=True)
class LinearSubspace(KnownSupport):
    """A linear subspace of R^D in random directions, with standard normal coordinates.

    >>> plane = LinearSubspace(2, 5)
    >>> bool(plane.distance(plane.sample(10, seed=0)).max() < 1e-6)
    True
    """

    dim: int
    ambient: int
    seed: int = 0

    def __post_init__(self) -> None:
        if whole("dim", self.dim) > whole("ambient", self.ambient):
            raise InputError(f"a subspace of {self.dim} dimensions does not fit in {self.ambient}")

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Standard normal within the subspace."""
        z = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        return z @ _axes(self.dim, self.ambient, self.seed).mT

    def project(self, x: Tensor) -> Tensor:
        """Orthogonally."""
        axes = _axes(self.dim, self.ambient, self.seed).to(x)
        return x @ axes @ axes.mT

    def posterior_mean(self, x: Tensor, sigma: float) -> Tensor:
        """The projection, less by `1 / (1 + sigma^2)`."""
        return self.project(x) / (1 + positive("sigma", sigma) ** 2)


@dataclass(frozen=True)
class Embedded(KnownSupport):
    """A known support in more dimensions, turned at random.

    >>> circle = Embedded(Hypersphere(1), 10)
    >>> circle.sample(5, seed=0).shape, circle.dim
    (torch.Size([5, 10]), 1)
    """

    inner: KnownSupport
    ambient: int
    seed: int = 0

    def __post_init__(self) -> None:
        if whole("ambient", self.ambient) < self.inner.ambient:
            raise InputError(f"{self.inner} does not fit in {self.ambient} dimensions")

    @property
    def dim(self) -> int:  # type: ignore[override]
        """That of the support inside."""
        return self.inner.dim

    def points(self, n: int, generator: torch.Generator) -> Tensor:
        """Those of the support inside, turned."""
        return self.inner.points(n, generator) @ self._axes.mT

    def project(self, x: Tensor) -> Tensor:
        """Within the space that holds the support."""
        axes = self._axes.to(x)
        return self.inner.project(x @ axes) @ axes.mT

    def posterior_mean(self, x: Tensor, sigma: float) -> Tensor:
        """That of the support inside: noise around it tells nothing."""
        axes = self._axes.to(x)
        return self.inner.posterior_mean(x @ axes, sigma) @ axes.mT

    @property
    def _axes(self) -> Tensor:
        return _axes(self.inner.ambient, self.ambient, self.seed)


def _axes(dim: int, ambient: int, seed: int) -> Tensor:
    """Orthonormal directions, `(ambient, dim)`."""
    directions = torch.randn(ambient, dim, generator=resolve(seed), dtype=torch.float64)
    found: Tensor = torch.linalg.qr(directions).Q
    return found


def _spiral(a: Tensor) -> Tensor:
    return a[:, None] * torch.stack([a.cos(), a.sin()], 1) / 5


_RECURSIONS = 200


def _bessel_ratio(order: float, x: Tensor) -> Tensor:
    r"""`I_{order + 1}(x) / I_order(x)` of modified Bessel functions, for `x >= 0`.

    By the recursion `r_{v - 1} = 1 / (2 v / x + r_v)` downwards from a high order, where bounds
    (Amos 1974) are close to each other.
    """
    exact = x.double()
    top = order + _RECURSIONS
    ratio = exact / (top + 0.5 + (exact.square() + (top + 1) ** 2).sqrt())
    for k in range(_RECURSIONS, 0, -1):
        ratio = exact / (2 * (order + k) + exact * ratio)
    return ratio.to(x.dtype)
