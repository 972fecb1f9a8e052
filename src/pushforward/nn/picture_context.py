"""Pictures told of a picture: the context beside the channels of the state."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["AsVectors", "PictureContext"]


@configurable
class PictureContext(nn.Module):
    """`net((x, u(c)), t)`: a context that is a picture, enlarged and put beside the channels.

    So is super-resolution told of the small picture (Saharia et al. 2021): each pixel sees what was
    measured at its place, where a context vector would tell all pixels the same. `u` is bicubic.

    Args:
        net: a network of pictures with the channels of both, which returns those of the state, such
            as `nn.UNet(6, out_channels=3)`.
        shape: of the context, `(C, h, w)`, which is flattened in `c`.

    No context, `None` or a row of NaN, is a picture of zeros. Raises `InputError` for other shapes,
    and for a network that takes labels or contexts itself.

    >>> from pushforward.nn import UNet
    >>> net = PictureContext(UNet(2, width=8, out_channels=1), (1, 2, 2))
    >>> net(torch.zeros(5, 1, 8, 8), torch.rand(5), torch.zeros(5, 4)).shape
    torch.Size([5, 1, 8, 8])
    """

    shares_time = True
    num_classes = None

    def __init__(self, net: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__()
        if len(shape) != 3:
            raise InputError(f"a context that is a picture has shape (C, h, w), not {tuple(shape)}")
        if any(getattr(net, name, None) is not None for name in ("num_classes", "context_size")):
            raise InputError(
                "the context goes to this network as channels: make it without num_classes= and "
                "context="
            )
        self.net, self.shape = net, tuple(whole("shape", side) for side in shape)
        self.context_size = math.prod(self.shape)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output at pictures `(B, C, H, W)`, times `(B,)` or `()` and contexts `(B, k)`.

        One context `(k,)` is that of all states.
        """
        if c is None:
            c = x.new_zeros(self.context_size)
        if c.shape[-1] != self.context_size or c.ndim > 2 or c.shape[:-1] not in ((), (len(x),)):
            raise InputError(
                f"a context is a picture {self.shape}, flattened, ({len(x)}, {self.context_size}), "
                f"not of shape {tuple(c.shape)}"
            )
        picture = c.nan_to_num().reshape(-1, *self.shape)
        large = picture
        if picture.shape[2:] != x.shape[2:]:
            large = functional.interpolate(
                picture, x.shape[2:], mode="bicubic", align_corners=False
            )
        found: Tensor = self.net(torch.cat([x, large.expand(len(x), -1, -1, -1)], 1), t)
        return found


@configurable
class AsVectors(nn.Module):
    """Contexts as vectors, `(B, *)` to `(B, k)`: the context network of a `PictureContext`.

    >>> AsVectors()(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 48])
    """

    def forward(self, c: Tensor) -> Tensor:
        """The numbers of each context, one after the other."""
        return c.flatten(1)
