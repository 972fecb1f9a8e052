"""Particles with pair potentials, whose published energies differ by constant factors.

Energies that do not change when all particles are shifted have no finite integral. Here the center
of mass is a normal law of its own: with `N` particles, `-N |x_mean|^2 / 2` is added, which is a
standard normal law of the `d` orthonormal coordinates of the center, and multiplies the integral
over the other coordinates by `(2 pi)^(d / 2)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.checks import number, positive
from pushforward.distributions import Normal
from pushforward.targets.target import Target

__all__ = ["double_well_4", "lennard_jones_13"]


def _distances(x: Tensor) -> Tensor:
    """Distances of all pairs of particles `(B, N, d)`, each pair once, `(B, N (N - 1) / 2)`."""
    n = x.shape[1]
    i, j = torch.triu_indices(n, n, 1, device=x.device)
    # With a root that has a derivative where two particles meet.
    return (x[:, i] - x[:, j]).square().sum(-1).clamp(min=1e-20).sqrt()


def _center(x: Tensor) -> Tensor:
    """The energy of the center of mass."""
    return 0.5 * x.shape[1] * x.mean(1).square().sum(-1)


def double_well_4(
    a: float = 0.0, b: float = -4.0, c: float = 0.9, d0: float = 4.0, temperature: float = 1.0
) -> Target:
    """Four particles in the plane (DW-4; Köhler, Klein & Noé 2020).

    The energy is `sum_(i < j) [a (d - d0) + b (d - d0)^2 + c (d - d0)^4] / temperature` over the
    six distances, each pair once, and that of the center.

    >>> double_well_4().event_shape
    (8,)
    """
    for name, value in (("a", a), ("b", b), ("d0", d0)):
        number(name, value)
    positive("c", c)
    positive("temperature", temperature)

    def log_prob(x: Tensor) -> Tensor:
        particles = x.unflatten(1, (4, 2))
        gap = _distances(particles) - d0
        energy = (a * gap + b * gap.square() + c * gap.pow(4)).sum(-1)
        return -energy / temperature - _center(particles)

    return Target(log_prob, 8, name="dw-4", base=Normal((8,), 2.5, dtype=torch.float64))


def lennard_jones_13(
    epsilon: float = 1.0, radius: float = 1.0, trap: float = 1.0, pairs: float = 1.0
) -> Target:
    """Thirteen particles in space (LJ-13; Köhler, Klein & Noé 2020).

    The energy is `pairs epsilon sum_(i < j) [(r / d)^12 - 2 (r / d)^6]`, each pair once, the trap
    `trap / 2 sum_i |x_i - x_mean|^2`, and that of the center. Other codes count each pair twice
    (`pairs=2`), or have another trap: their numbers belong to other targets.

    >>> lennard_jones_13().event_shape
    (39,)
    """
    for name, value in (
        ("epsilon", epsilon), ("radius", radius), ("trap", trap), ("pairs", pairs)
    ):  # fmt: skip
        positive(name, value)

    def log_prob(x: Tensor) -> Tensor:
        particles = x.unflatten(1, (13, 3))
        inverse = (radius / _distances(particles)).pow(6)
        energy = pairs * epsilon * (inverse.square() - 2 * inverse).sum(-1)
        inner = particles - particles.mean(1, keepdim=True)
        return -energy - 0.5 * trap * inner.square().sum((1, 2)) - _center(particles)

    return Target(log_prob, 39, name="lj-13", base=Normal((39,), 1.0, dtype=torch.float64))
