"""The support of a generator: all that it makes of its latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.support.support import Support
from pushforward.support.tangent import jacobian

__all__ = ["GeneratorSupport"]

_LARGEST = 1e8
_PART = 1024


class GeneratorSupport(Support):
    r"""The range `{g(z)}` of a generator, whose nearest point is found among draws and refined.

    From the nearest of some draws, `min_z |x - g(z)|^2` is solved by the method of Levenberg &
    Marquardt, each point with a damping of its own; a step that does not come nearer is not made.
    What is found is a local minimum: the distance is at least the true one. Steps come nearer by a
    factor of the distance over the radius of curvature.

    Args:
        generate: states `(B, *event)` of latents `(B, m)`, row by row and differentiable, such as
            `vae.decode`. A density of the latents is left aside: far latents count as any others.
        latent: their dimension, `m`.
        draws: how many standard normal latents are looked at.
        steps: of the refinement, each with a backward pass for each entry of an event.
        seed: of the draws.

    >>> def circle(z):
    ...     return torch.stack([z[:, 0].cos(), z[:, 0].sin()], 1)
    >>> GeneratorSupport(circle, 1, draws=50).distance(torch.tensor([[0.0, 1.5], [0.7, 0.0]]))
    tensor([0.5000, 0.3000])
    """

    def __init__(
        self,
        generate: Callable[[Tensor], Tensor],
        latent: int,
        draws: int = 2000,
        steps: int = 20,
        seed: int = 0,
    ) -> None:
        self.generate, self.latent = generate, whole("latent", latent)
        self.steps = whole("steps", steps, least=0)
        self._z = torch.randn(whole("draws", draws), self.latent, generator=resolve(seed))
        with torch.no_grad():
            self._drawn = generate(self._z).flatten(1)

    def latents(self, x: Tensor) -> Tensor:
        """Latents `(n, m)` of the nearest points to `(n, *event)`."""
        return torch.cat([self._latents(part.flatten(1)) for part in x.split(_PART)])

    @torch.no_grad()
    def project(self, x: Tensor) -> Tensor:
        """What is made of the latents that are found."""
        return self.generate(self.latents(x)).reshape(x.shape)

    @torch.no_grad()
    def _latents(self, x: Tensor) -> Tensor:
        z = self._z[torch.cdist(x, self._drawn).argmin(1)]
        away = x - self.generate(z).flatten(1)
        damping = torch.full_like(z[:, :1], 1e-2)
        for _ in range(self.steps):
            slope = jacobian(self.generate, z)
            normal = slope.mT @ slope
            # Relative to the mean curvature, so that the scale of states does not matter.
            scale = normal.diagonal(dim1=1, dim2=2).mean(1, keepdim=True).clamp(min=1e-12)
            normal = normal + torch.diag_embed((damping * scale).expand_as(z))
            step = torch.linalg.solve(normal, slope.mT @ away[:, :, None])[:, :, 0]
            closer = x - self.generate(z + step).flatten(1)
            better = closer.norm(dim=1, keepdim=True) < away.norm(dim=1, keepdim=True)
            z, away = torch.where(better, z + step, z), torch.where(better, closer, away)
            damping = torch.where(better, damping / 5, damping * 10).clamp(1e-8, _LARGEST)
        return z
