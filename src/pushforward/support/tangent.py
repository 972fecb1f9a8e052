r"""Dimension from a derivative: along how many directions data vary by more than some scale.

The denoiser `D(x, sigma) = E[x_0 | x_0 + sigma e = x] = x + sigma^2 score(x, sigma)` has the
derivative

    dD/dx = Cov[x_0 | x] / sigma^2 = I + sigma^2 d score/dx,

which at small noise is the projection onto the tangent space of the data: eigenvalues of one along
the manifold, of zero along its normals, where the score points back to it (Stanczuk et al. 2024
count the latter from singular values of scores). For normal data of variance `v` along a direction
the eigenvalue is `v / (v + sigma^2)`: above one half where `v > sigma^2`.

A generator `g(z)` of standard normal `z` moves by the singular values `s` of its derivative along
orthogonal directions; data of the same local variances have the eigenvalues
`s^2 / (s^2 + sigma^2)`. The rank of either is the number of eigenvalues above one half: the
dimension on the scale `sigma`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import positive
from pushforward.errors import InputError
from pushforward.metrics import Estimate
from pushforward.support.denoising import Denoise

__all__ = ["TangentDimension", "dimension_from_denoiser", "dimension_from_generator", "jacobian"]

_CLEAR = (0.2, 0.8)
_SHARE = 0.1
_MOST = 4096


@dataclass(frozen=True)
class TangentDimension:
    """The dimension at some points, on one scale.

    Args:
        estimate: the mean over the points. It has converged where at nine points of ten the
            spectrum has a gap: no eigenvalue between 0.2 and 0.8.
        each: the dimension at each point, `(N,)`.
        spectrum: the eigenvalues at each point, the largest first, `(N, m)`.
        sigma: the scale.
    """

    estimate: Estimate
    each: Tensor
    spectrum: Tensor
    sigma: float

    def __str__(self) -> str:
        most = self.spectrum.shape[1]
        return f"{self.estimate} of {most} on the scale {self.sigma:.3g}"


def dimension_from_denoiser(
    denoise: Denoise, x: Tensor, sigma: float, *, seed: int | None = 0
) -> TangentDimension:
    """The dimension of what a denoiser has learned, at some states.

    Args:
        denoise: `E[x_0 | x_0 + sigma e = x]` of states and a level, differentiable in the states:
            `support.denoise_with(model)`, a `posterior_mean` of `support.manifolds`, or
            `lambda x, sigma: x + sigma**2 * score(x, sigma)`.
        x: states `(N, *event)` of the data, in the units of the denoiser.
        sigma: the level. Far below the scale of the data and their curvature, above their noise;
            and a model has to know the data there. One that has learned its training data by
            heart, below the distance between them, has dimension zero: it sees single points.
        seed: of the noise that is added to the states, since a denoiser knows states with noise.

    Takes a backward pass for each entry of an event. Raises `InputError` for events of more than
    4096 entries, and a `sigma` that is not positive.

    >>> from pushforward.support import Embedded, Hypersphere
    >>> sphere = Embedded(Hypersphere(3), 10)
    >>> print(dimension_from_denoiser(sphere.posterior_mean, sphere.sample(20, seed=0), 0.05))
    3 of 10 on the scale 0.05
    """
    positive("sigma", sigma)
    noise = torch.randn(x.shape, generator=resolve(seed), dtype=torch.float64).to(x)
    derivative = jacobian(lambda y: denoise(y, sigma), x + sigma * noise).double()
    # That of a posterior mean is symmetric, and that of a network nearly so.
    values = torch.linalg.eigvalsh((derivative + derivative.mT) / 2).flip(1)
    return _counted(values, sigma)


def dimension_from_generator(
    generate: Callable[[Tensor], Tensor], z: Tensor, sigma: float
) -> TangentDimension:
    """The dimension of what a generator makes, at some latents.

    Args:
        generate: states `(B, *event)` of standard normal latents `(B, m)`, row by row and
            differentiable, such as `vae.decode` or `models.noise_map(model)`.
        z: latents `(N, m)`.
        sigma: the scale, in the units of the states: directions along which states vary by less
            are not counted.

    Takes a backward pass for each entry of an event. Raises `InputError` for events of more than
    4096 entries, and a `sigma` that is not positive.

    >>> z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> print(dimension_from_generator(lambda z: z[:, :2] @ torch.eye(2, 6), z, 0.1))
    2 of 4 on the scale 0.1
    """
    positive("sigma", sigma)
    lengths = torch.linalg.svdvals(jacobian(generate, z).double())
    return _counted(lengths.square() / (lengths.square() + sigma**2), sigma)


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`df/dx` of a function that goes row by row, `(N, outputs, inputs)`.

    Raises `InputError` for more than 4096 outputs, each of which takes a backward pass, and for a
    derivative that is not finite.
    """
    with torch.enable_grad():
        inputs = x.detach().clone().requires_grad_(True)
        outputs = f(inputs).flatten(1)
        if outputs.shape[1] > _MOST:
            raise InputError(
                f"events of {outputs.shape[1]} entries: a derivative takes a backward pass for "
                f"each, {_MOST} at most"
            )
        columns = [
            torch.autograd.grad(outputs[:, k].sum(), inputs, retain_graph=True)[0].flatten(1)
            for k in range(outputs.shape[1])
        ]
    found = torch.stack(columns, 1)
    if not bool(found.isfinite().all()):
        raise InputError("the derivative is not finite: move the points, or take a larger sigma")
    return found


def _counted(values: Tensor, sigma: float) -> TangentDimension:
    each = (values > 0.5).sum(1)
    n, ranks = len(each), each.double()
    stderr = float(ranks.std()) / math.sqrt(n) if n > 1 else math.nan
    unclear = ((values > _CLEAR[0]) & (values < _CLEAR[1])).any(1).double().mean()
    clear = float(unclear) <= _SHARE
    return TangentDimension(Estimate(float(ranks.mean()), stderr, n, clear), each, values, sigma)
