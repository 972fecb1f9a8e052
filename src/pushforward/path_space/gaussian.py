r"""Girsanov's theorem in closed form: linear diffusions that start from normal distributions.

If `b_P = A x + a` and `b_Q = B x + b`, mean and covariance under `P` solve

    m' = A m + a,    C' = A C + C A^T + g^2 I,

and the relative entropy grows by `(|D m + d|^2 + tr(D C D^T)) / (2 g^2)` with `D = A - B`,
`d = a - b`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, SamplingError
from pushforward.path_space.entropy import PathEntropy
from pushforward.path_space.girsanov import common_diffusion
from pushforward.path_space.integration import solved
from pushforward.path_space.sde import SDE
from pushforward.path_space.starts import known_entropy, normal_moments

__all__ = ["gaussian_girsanov"]


def gaussian_girsanov(
    p: SDE, q: SDE, start: float, stop: float, *, rtol: float = 1e-8
) -> PathEntropy:
    r"""`KL(P | Q)` of linear diffusions with normal starts, to a relative error of `rtol`.

    The coefficients are read off the drifts at the origin and at the unit vectors.

    Args:
        p, q: linear diffusions of vectors with one noise, whose starts are normal: `Normal`,
            `ColoredNormal` or a `GaussianMixture` of one component.
        start, stop: the first and the last time, on the clock of both.
        rtol: the relative error of the integral.

    Raises `CapabilityError` for a drift that is not linear and a start that is not normal,
    `InputError` for diffusions that differ, `SamplingError` for a drift that is not finite and an
    integral that does not settle.

    >>> from pushforward.distributions import GaussianMixture
    >>> normal = GaussianMixture(torch.zeros(1, 1), 1.0)
    >>> p, q = (SDE(lambda x, s, k=k: -k * x, lambda s: 2**0.5, normal) for k in (1.0, 2.0))
    >>> print(gaussian_girsanov(p, q, 0.0, 1.0))  # 1/4 int E x^2 ds, stationary under P
    PathEntropy: 0.25 nats (initial 0, running 0.25)
    """
    start_moments, initial = normal_moments(p.start), known_entropy(p.start, q.start)
    if start_moments is None or initial is None:
        names = " and ".join(type(sde.start).__name__ for sde in (p, q))
        raise CapabilityError(
            f"the starts, {names}, are no normal distributions of vectors: girsanov takes any"
        )
    mean, cov = start_moments
    d = len(mean)

    def rate(y: Tensor, s: float) -> Tensor:
        m, c = y[:d], y[d:-1].reshape(d, d)
        g = common_diffusion(p, q, s)
        (a, shift), (b, other) = _linear(p.drift, d, s), _linear(q.drift, d, s)
        gap, away = a - b, shift - other
        spread = ((gap @ c) * gap).sum()
        energy = ((gap @ m + away).square().sum() + spread) / (2 * g**2)
        slope = a @ c
        growth = slope + slope.mT + g**2 * torch.eye(d, dtype=c.dtype)
        return torch.cat([a @ m + shift, growth.flatten(), energy[None]])

    y = torch.cat([mean, cov.flatten(), mean.new_zeros(1)])
    running = solved(rate, y, start, stop, rtol)
    return PathEntropy(initial, running.value, error=running.error)


def _linear(drift: Callable[[Tensor, float], Tensor], d: int, s: float) -> tuple[Tensor, Tensor]:
    """Matrix and offset of a drift, with one more state to see that it is linear."""
    eye = torch.eye(d, dtype=torch.float64)
    probe = torch.linspace(-1.0, 2.0, d, dtype=torch.float64)[None]
    values = drift(torch.cat([torch.zeros_like(probe), eye, probe]), s).double()
    if not bool(values.isfinite().all()):
        raise SamplingError(f"a drift is not finite at s = {s:g}: stay away from there")
    offset, matrix = values[0], (values[1:-1] - values[0]).mT
    expected = offset + (matrix @ probe[0])
    if not torch.allclose(values[-1], expected, rtol=1e-6, atol=1e-8 * float(matrix.abs().max())):
        raise CapabilityError(
            f"the drift is not linear at s = {s:g}: girsanov estimates the relative entropy of any "
            "two diffusions with one noise"
        )
    return matrix, offset
