"""Linear bijections: a learned mixing of entries or channels, and a data-dependent start."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.transform import Transform

__all__ = ["ActNorm", "LULinear"]


@configurable
class LULinear(Transform):
    """`x = P L U z` over the first axis of an event (Glow: Kingma & Dhariwal 2018).

    A vector is mixed as a whole, an image `(C, H, W)` by the same map at every pixel: a 1x1
    convolution. The log-determinant is a sum over the diagonal of `U`.

    Args:
        features: entries of a vector, or channels.
        seed: of the permutation and the start, which is a random rotation.

    Raises `InputError` for no features.

    >>> layer = LULinear(3)
    >>> z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(layer.inverse(layer(z))[0], z, atol=1e-5))
    True
    """

    condition = TransformCondition()

    permutation: Tensor
    signs: Tensor

    def __init__(self, features: int, seed: int = 0) -> None:
        super().__init__()
        features = whole("features", features)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(features, features, generator=generator, dtype=torch.float64)
        rotation = torch.linalg.qr(noise).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation.argmax(1))
        self.register_buffer("signs", diagonal.sign().float())
        self.lower = nn.Parameter(lower.tril(-1).float())
        self.upper = nn.Parameter(upper.triu(1).float())
        self.log_scale = nn.Parameter(diagonal.abs().log().float())

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mixed by the matrix."""
        lower, upper = self._factors()
        mixed = lower @ (upper @ z.flatten(2) if z.ndim > 2 else upper @ z.mT.unsqueeze(0))
        mixed = mixed if z.ndim > 2 else mixed[0].mT
        return mixed.index_select(1, self.permutation).reshape(z.shape), self._log_det(z)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Two triangular systems."""
        lower, upper = self._factors()
        y = x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)
        y = y.index_select(1, self.permutation.argsort())
        y = torch.linalg.solve_triangular(lower, y, upper=False, unitriangular=True)
        z = torch.linalg.solve_triangular(upper, y, upper=True)
        return z.reshape(x.shape), -self._log_det(x)

    def _factors(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(len(self.log_scale)).to(self.lower)
        diagonal = self.signs * self.log_scale.exp()
        return self.lower.tril(-1) + eye, self.upper.triu(1) + diagonal.diag()

    def _log_det(self, x: Tensor) -> Tensor:
        places = x[0, 0].numel() if len(x) else 1
        return (places * self.log_scale.sum()).expand(len(x))


@configurable
class ActNorm(Transform):
    """A shift and scale per entry of the first axis (Glow), started from data.

    `prepare` sets them so that what becomes of the data has mean zero and variance one.

    Args:
        features: entries of a vector, or channels.

    Raises `InputError` for no features.

    >>> layer = ActNorm(1)
    >>> layer.prepare(torch.tensor([[1.0], [3.0]])).flatten()
    tensor([-1.,  1.])
    """

    condition = TransformCondition()

    def __init__(self, features: int) -> None:
        super().__init__()
        features = whole("features", features)
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scaled, then shifted."""
        shift, log_scale = self._like(z)
        return shift + log_scale.exp() * z, self._log_det(z)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shifted back, then scaled back."""
        shift, log_scale = self._like(x)
        return (x - shift) * (-log_scale).exp(), -self._log_det(x)

    @torch.no_grad()
    def prepare(self, x: Tensor, c: Tensor | None = None, *, turned: bool = False) -> Tensor:
        """Take mean and standard deviation of the data; those of a constant stay one."""
        rows = x.transpose(0, 1).flatten(1)
        mean, std = rows.mean(1), rows.std(1, correction=0)
        std = torch.where(std > 1e-6, std, 1.0)
        # Turned round, data meet `shift + scale x` in the place of `(x - shift) / scale`.
        self.shift.copy_(-mean / std if turned else mean)
        self.log_scale.copy_(-std.log() if turned else std.log())
        return super().prepare(x, c, turned=turned)

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, *[1] * (x.ndim - 2))
        return self.shift.reshape(shape), self.log_scale.reshape(shape)

    def _log_det(self, x: Tensor) -> Tensor:
        places = x[0, 0].numel() if len(x) else 1
        return (places * self.log_scale.sum()).expand(len(x))
