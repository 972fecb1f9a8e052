"""A network of patches as one of a whole domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward._patches import Patches
from pushforward.config import configurable

__all__ = ["Blended"]


@configurable
class Blended(nn.Module):
    """A network that was trained on patches, on fields of any larger size.

    The field is cut into overlapping patches, the network answers for each, and its answers are
    blended with weights that add up to one (`Patches`; Bar-Tal et al. 2023). Done at every step of
    a sampler, neighbors agree on the cells that they share: samples of a domain that no network has
    seen whole, without seams. What is farther apart than a patch is independent.

    Args:
        net: a network `net(x, t, c)` of fields `(B, C, *size)`.
        size: of the patches that it was trained on.
        overlap: cells that neighbors share at least.
        periodic: which axes of the domain have ends that meet.

    Raises `InputError` for fields smaller than a patch, and overlaps of no less than one.

    >>> from pushforward.nn import UNet
    >>> net = Blended(UNet(width=8, blocks=1), 8, 4)
    >>> net(torch.zeros(2, 1, 16, 24), torch.rand(2)).shape
    torch.Size([2, 1, 16, 24])
    """

    def __init__(
        self,
        net: nn.Module,
        size: int | Sequence[int],
        overlap: int | Sequence[int],
        periodic: Sequence[bool] = (),
    ) -> None:
        super().__init__()
        self.net, self.size, self.overlap = net, size, overlap
        self.periodic = tuple(map(bool, periodic))
        self.shares_time = getattr(net, "shares_time", False)
        self.num_classes = getattr(net, "num_classes", None)
        self.context_size = getattr(net, "context_size", None)

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        """The blended output, `(B, C, *sizes)`."""
        patches = Patches.of(x.shape[2:], self.size, self.overlap, self.periodic)

        def each(told: Any) -> Any:
            """What every patch of a field is told."""
            if not isinstance(told, torch.Tensor) or told.ndim == 0:
                return told
            return told.repeat_interleave(patches.count, 0)

        return patches.blend(self.net(patches.cut(x), each(t), each(c)))
