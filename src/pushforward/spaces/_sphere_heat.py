r"""The heat kernel of Brownian motion (generator half the Laplacian) on the sphere `S^d`.

With `m = (d - 1) / 2`, after variance `tau`, at the angle `theta` from the start, per unit of the
uniform probability,

    k(theta) = sum_l N_l exp(-l (l + d - 1) tau / 2) R_l(cos theta),

`R_l` the Gegenbauer polynomial that is 1 at 1, and `N_l` the number of harmonics of degree `l`. For
small `tau`, where the series needs many terms, and far out, where its terms cancel, the expansion
of Minakshisundaram & Pleijel (1949; see Molchanov 1975)

    log k = -theta^2 / (2 tau) + m log(theta / sin theta) + tau a(theta) + const + O(tau^2),
    a(theta) = (m^2 - m (m - 1) (1 / theta - cot theta) / theta) / 2,

whose last term follows from integrating the heat equation along the geodesic; on `S^3` it is exact
but for paths that wind around. Where the series is not resolved, at densities below `1e-11` of that
at the start, the error of the logarithm is some hundredths, and some units at the antipode.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward._precision import in_double, widest
from pushforward._random import fork, normal, normal_like, uniform
from pushforward.errors import CapabilityError, SamplingError
from pushforward.spaces.torus import widest_of, windings, wrap

__all__ = [
    "LARGEST",
    "SMALL",
    "harmonics",
    "log_kernel",
    "multiplicity",
    "sample_angle",
]

LARGEST = 16
"""The dimension up to which series in double precision resolve the kernel where its mass is."""

# Below this variance the expansion replaces the series.
SMALL = 0.01
_TERMS = 128
_RESOLVED = 1e-11
"""The kernel, relative to that at the start, down to which the alternating series is trusted."""
_ANGLES = 512
_ROUNDS = 1000
"""Draws after which a step is given up: more than two in three are accepted at once."""
_FAR = 2.5
"""An angle that no path of a small variance reaches; the expansion diverges at the antipode."""


def harmonics(u: Tensor, terms: int, dim: int = 2) -> tuple[Tensor, Tensor]:
    """The polynomials `R_l(u)` of `S^dim` and their derivatives, `l < terms`, on a new last axis.

    Those of Legendre on the 2-sphere.

    >>> harmonics(torch.tensor([0.5]), 3)[0]
    tensor([[ 1.0000,  0.5000, -0.1250]])
    """
    values = _gegenbauer(u, terms, 0.5 * (dim - 1))
    above = _gegenbauer(u, terms, 0.5 * (dim + 1))
    degree = torch.arange(1, terms, dtype=u.dtype, device=u.device)
    # d/du C_l^m = 2 m C_{l-1}^{m+1}, for polynomials that are 1 at 1.
    slopes = degree * (degree + dim - 1) / dim * above[..., :-1]
    return values, torch.cat([torch.zeros_like(u).unsqueeze(-1), slopes], -1)


def _gegenbauer(u: Tensor, terms: int, m: float) -> Tensor:
    p = [torch.ones_like(u), u]
    for n in range(1, terms - 1):
        p.append((2 * (n + m) * u * p[n] - n * p[n - 1]) / (n + 2 * m))
    return torch.stack(p[:terms], -1)


def multiplicity(terms: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """The number of independent harmonics of each degree on `S^dim`, in double precision.

    >>> multiplicity(4, 2)
    tensor([1., 3., 5., 7.], dtype=torch.float64)
    """
    counts = [1]
    for degree in range(1, terms):
        counts.append((2 * degree + dim - 1) * math.comb(degree + dim - 2, dim - 2) // (dim - 1))
    return torch.tensor(counts, dtype=torch.float64, device=device)


def log_kernel(angle: Tensor, variance: Tensor, dim: int = 2) -> tuple[Tensor, Tensor]:
    """The log heat kernel per unit of the uniform probability, and its derivative in the angle.

    Arguments and results are `(N,)`. Raises `CapabilityError` beyond `LARGEST` dimensions.

    >>> value, slope = log_kernel(torch.zeros(1), torch.full((1,), 50.0))
    >>> value.item(), slope.item()
    (0.0, -0.0)
    """
    theta, tau = in_double(angle), in_double(variance)
    if dim == 1:
        value, slope = _circle(theta, tau)
        return value.to(angle), slope.to(angle)
    if dim > LARGEST:
        raise CapabilityError(
            f"the heat kernel of the {dim}-sphere is not resolved in double precision, that of up "
            f"to {LARGEST} dimensions is: use the Geodesic process, which needs none"
        )
    value, slope = _expansion(theta, tau, dim)
    wide = tau >= SMALL
    if bool(wide.any()):
        series, its_slope, trusted = _series(theta[wide], tau[wide], dim)
        value = value.masked_scatter(wide, torch.where(trusted, series, value[wide]))
        slope = slope.masked_scatter(wide, torch.where(trusted, its_slope, slope[wide]))
    return value.to(angle), slope.to(angle)


def _modes(variance: Tensor, dim: int, terms: int) -> Tensor:
    degree = torch.arange(terms, dtype=torch.float64, device=variance.device)
    decay = torch.exp(-0.5 * degree * (degree + dim - 1) * variance.unsqueeze(-1))
    return multiplicity(terms, dim, variance.device) * decay


def _terms(variance: Tensor) -> int:
    """How many terms of the series are above the resolution of double precision."""
    least = float(variance.amin().clamp_min(SMALL))
    return max(4, min(_TERMS, math.ceil(math.sqrt(90 / least)) + 2))


def _series(theta: Tensor, tau: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel and its slope by the series, and where these are to be trusted."""
    terms = _terms(tau)
    modes = _modes(tau, dim, terms)
    kernel, change = _sum(modes, torch.cos(theta), 0.5 * (dim - 1))
    trusted = kernel > _RESOLVED * modes.sum(-1)
    safe = torch.where(trusted, kernel, 1.0)
    return safe.log(), -torch.sin(theta) * change / safe, trusted


def _sum(modes: Tensor, u: Tensor, m: float) -> tuple[Tensor, Tensor]:
    """`sum_l modes_l R_l(u)` and its derivative in `u`, by Clenshaw's recurrence."""
    one, two = torch.zeros_like(u), torch.zeros_like(u)
    d_one, d_two = torch.zeros_like(u), torch.zeros_like(u)
    columns = modes.unbind(-1)
    for n in range(len(columns) - 1, -1, -1):
        # R_{n+1} = a u R_n - b R_{n-1}.
        a, b = 2 * (n + m) / (n + 2 * m), (n + 1) / (n + 1 + 2 * m)
        slope = a * (one + u * d_one) - b * d_two
        value = columns[n] + a * u * one - b * two
        one, two, d_one, d_two = value, one, slope, d_one
    return one, d_one


def _expansion(theta: Tensor, tau: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The kernel and its slope by the expansion, as far as it does not diverge."""
    m = 0.5 * (dim - 1)
    inside = theta.clamp_max(math.pi - 1e-3)
    gap, bend, its_slope = _bend(inside)
    # The next order diverges at the antipode, where nothing is left of a narrow kernel.
    far = theta > _FAR
    bend = torch.where(far, _bend(theta.new_tensor(_FAR))[1], bend)
    its_slope = torch.where(far, 0.0, its_slope)
    log_volume = math.log(2) + (m + 1) * math.log(math.pi) - math.lgamma(m + 1)
    value = (
        log_volume
        - 0.5 * dim * torch.log(2 * math.pi * tau)
        - 0.5 * theta.square() / tau
        - m * torch.sinc(inside / math.pi).log()
        + 0.5 * tau * (m**2 - m * (m - 1) * bend)
    )
    slope = -theta / tau + m * gap - 0.5 * tau * m * (m - 1) * its_slope
    # The kernel falls all the way to the antipode.
    return value, slope.clamp_max(0)


def _bend(theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`1/theta - cot theta`, that over `theta`, and the derivative of the latter."""
    near = theta < 1e-2
    safe = torch.where(near, torch.ones_like(theta), theta)
    gap = 1 / safe - 1 / torch.tan(safe)
    curve = 1 / torch.sin(safe).square() - 1 / safe.square()
    square = theta.square()
    small = 1 / 3 + square / 45 + 2 * square.square() / 945
    bend = torch.where(near, small, gap / safe)
    its_slope = torch.where(near, theta * (2 / 45 + 8 * square / 945), (curve - gap / safe) / safe)
    return bend * theta, bend, its_slope


def _circle(theta: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """The wrapped normal distribution, per unit of the uniform probability."""
    gap = theta.unsqueeze(-1) + windings(widest_of(tau)).to(theta)
    logs = -0.5 * gap.square() / tau.unsqueeze(-1)
    constant = math.log(2 * math.pi) - 0.5 * torch.log(2 * math.pi * tau)
    slope = -(torch.softmax(logs, -1) * gap).sum(-1) / tau
    return torch.logsumexp(logs, -1) + constant, slope


def sample_angle(
    variance: Tensor, generator: torch.Generator | None = None, dim: int = 2
) -> Tensor:
    """Angles from the start after `variance`, both `(N,)`."""
    if dim == 1:
        return wrap(variance.sqrt() * normal_like(variance, generator)).abs()
    angle = torch.empty_like(in_double(variance))
    # In many dimensions a path gets farther.
    small = variance * dim < 0.1
    first, second = fork(generator, small), fork(generator, ~small)
    if small.any():
        angle[small.to(angle.device)] = _reject(variance[small], first, dim)
    if not small.all():
        angle[~small.to(angle.device)] = _invert(variance[~small], second, dim)
    return angle.to(variance)


def _reject(variance: Tensor, generator: torch.Generator | None, dim: int) -> Tensor:
    """Lengths of normal tangent vectors, kept with the chance that the expansion says."""
    tau, m = in_double(variance), 0.5 * (dim - 1)
    kind: Any = {"dtype": widest(variance.device), "device": variance.device}
    angle = torch.full_like(tau, math.pi)
    waiting = torch.arange(len(tau), device=tau.device)
    most = max(-m * (m - 1) * float(_bend(torch.tensor(end).double())[1]) for end in (0.0, _FAR))
    for _ in range(_ROUNDS):
        # A row that waits draws as often as it has to, whatever the others do.
        source = fork(generator, waiting.to(variance.device))
        noise = in_double(normal((len(waiting), dim), source, **kind))
        accept = in_double(uniform((len(waiting), 1), source, **kind)).squeeze(-1)
        own = tau[waiting]
        proposal = own.sqrt() * torch.linalg.vector_norm(noise, dim=-1)
        inside = proposal.clamp_max(_FAR)
        bend = -m * (m - 1) * _bend(inside)[1] - most
        chance = m * torch.sinc(inside / math.pi).log() + 0.5 * own * bend
        kept = (accept.log() < chance) & (proposal < _FAR)
        angle[waiting[kept]] = proposal[kept]
        waiting = waiting[~kept]
        if not len(waiting):
            return angle
    raise SamplingError(
        f"{len(waiting)} of {len(tau)} steps on the sphere were not accepted in {_ROUNDS} draws: "
        "their variance is not a number"
    )


def _invert(variance: Tensor, generator: torch.Generator | None, dim: int) -> Tensor:
    """Angles by inverting the distribution function, tabulated by the series."""
    tau, device = in_double(variance), variance.device
    grid = torch.linspace(0, math.pi, _ANGLES, dtype=tau.dtype, device=tau.device)
    terms = _terms(tau)
    weights = harmonics(torch.cos(grid), terms, dim)[0] * torch.sin(grid).unsqueeze(-1) ** (dim - 1)
    u = in_double(uniform((len(tau), 1), generator, dtype=widest(device), device=device))
    out = []
    for rows, v in zip(tau.split(1024), u.split(1024), strict=True):
        density = (_modes(rows, dim, terms) @ weights.mT).clamp_min(0)
        cdf = torch.nn.functional.pad(density[:, 1:] + density[:, :-1], (1, 0)).cumsum(-1)
        total = v * cdf[:, -1:]
        right = torch.searchsorted(cdf, total).clamp(1, _ANGLES - 1)
        low, high = cdf.gather(1, right - 1), cdf.gather(1, right)
        before, after = density.gather(1, right - 1), density.gather(1, right)
        share = (total - low) / (high - low).clamp_min(1e-300)
        # The density is linear between two angles: its integral is a quadratic.
        root = (before.square() + share * (after.square() - before.square())).sqrt()
        fraction = share * (before + after) / (before + root).clamp_min(1e-300)
        out.append((grid[right - 1] + fraction.clamp(0, 1) * grid[1]).squeeze(1))
    return torch.cat(out)
