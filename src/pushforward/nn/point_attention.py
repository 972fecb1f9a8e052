"""Attention over the points and the channels of functions that are seen at any points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import layers, whole
from pushforward.config import arguments, configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["PointAttention"]


class _Attention(nn.Module):
    """Each of some tokens `(..., n, width)` sees the others that are there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, h: Tensor, there: Tensor | None) -> Tensor:
        q, k, v = (
            self.project(h).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        )
        mask = None if there is None else there.unsqueeze(-2).unsqueeze(-2)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(seen.transpose(-2, -3).flatten(-2))


class _Block(nn.Module):
    """Bi-dimensional attention, over points and over channels, then a perceptron."""

    def __init__(self, width: int, heads: int, channels: int) -> None:
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.over_points = _Attention(width, heads)
        self.over_channels = _Attention(width, heads) if channels > 1 else None
        self.perceptron = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.modulation = nn.Linear(width, 2 * width)

    def forward(self, h: Tensor, told: Tensor, there: Tensor | None) -> Tensor:
        scale, shift = self.modulation(told).reshape(len(told), 1, 1, -1).chunk(2, -1)
        normed = self.norm(h) * (1 + scale) + shift
        seen = self.over_points(normed, there)
        if self.over_channels is not None:
            across = None if there is None else there.transpose(1, 2)
            seen = seen + self.over_channels(normed.transpose(1, 2), across).transpose(1, 2)
        h = h + seen
        out: Tensor = h + self.perceptron(self.norm_2(h))
        return out


@configurable
class PointAttention(nn.Module):
    r"""A transformer over points, as in neural diffusion processes (Dutordoir et al. 2023).

    States are values `(B, C, *sizes)` at points that the network knows. A token is the value of a
    channel at a point, with sines and cosines of its coordinates; layers attend over the points of
    each channel, and over the channels at each point. So the result goes along with a permutation
    of points, or of channels. A missing value, NaN, is no token: only points that are there see
    each other, and cost anything.

    Args:
        channels: of a state.
        points: their coordinates `(M, d)`, in units of the domain, in the order of the state.
        width: features of each token.
        depth: layers.
        heads: attention heads, a divisor of the width.
        frequencies: sines and cosines of each coordinate, up to so many octaves.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        given: whether it is told which values of a state are data (`models.FunctionDiffusion`).

    Raises `InputError` for sizes that do not fit, or states at other points.

    >>> net = PointAttention(2, torch.rand(7, 1), width=8, depth=1, heads=2)
    >>> net(torch.zeros(3, 2, 7), torch.rand(3)).shape
    torch.Size([3, 2, 7])
    """

    shares_time = masked = True
    places: Tensor

    def __init__(
        self,
        channels: int,
        points: Tensor,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        frequencies: int = 6,
        num_classes: int | None = None,
        context: int | None = None,
        given: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.frequencies = whole("channels", channels), frequencies
        if not isinstance(points, Tensor) or points.ndim != 2:
            raise InputError(f"points= has shape (M, d), not {tuple(getattr(points, 'shape', ()))}")
        if whole("width", width) % whole("heads", heads):
            raise InputError(f"width {width} is no multiple of {heads} heads")
        self.num_classes, self.context_size = num_classes, context
        self.given = bool(given)
        self.register_buffer("places", _waves(points, frequencies), persistent=False)
        self.conditioning = Conditioning(width, num_classes, context)
        self.first = nn.Linear(1 + self.given + self.places.shape[1], width)
        self.blocks = nn.ModuleList(
            _Block(width, heads, self.channels) for _ in range(layers("depth", depth))
        )
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, 1)
        self.skip = nn.Linear(width, 1)
        for layer in (self.last, self.skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def at(self, points: Tensor) -> PointAttention:
        """The same network, with copies of its weights, at other points of the domain."""
        made = PointAttention(**{**arguments(self), "points": points})
        made.load_state_dict(self.state_dict())
        return made.to(self.places.device)

    def forward(
        self,
        x: Tensor,
        t: Tensor | float,
        c: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The result, shaped like states, at these, times `(B,)` or `()`, and labels; `known` are
        booleans shaped like states, none of them set by default."""
        flat = x.flatten(2)
        if flat.shape[1:] != (self.channels, len(self.places)):
            raise InputError(
                f"states have {self.channels} channels at {len(self.places)} points, not "
                f"{tuple(x.shape)}"
            )
        told = self.conditioning(torch.as_tensor(t).to(x), c, len(x))
        flags = torch.zeros_like(flat) if known is None else known.flatten(2).to(flat)
        there, order = None, None
        places = self.places.to(x).expand(len(x), -1, -1)
        missing = flat.isnan()
        if bool(missing.any()):
            # The points that a state has come first, as many as any state needs.
            some = (~missing).any(1)
            order = some.int().argsort(dim=1, descending=True, stable=True)[
                :, : int(some.sum(1).max())
            ]
            index = order.unsqueeze(1).expand(-1, self.channels, -1)
            flat, flags = flat.gather(2, index), flags.gather(2, index)
            places = places.gather(1, order.unsqueeze(-1).expand(-1, -1, places.shape[-1]))
            there = ~flat.isnan()
            flat = torch.where(there, flat, 0.0)
            # A token that sees nothing would be no number; it sees itself, and is left out below.
            there = there | ~there.any(-1, keepdim=True)
        own = places.unsqueeze(1).expand(-1, self.channels, -1, -1)
        tokens = [flat, flags] if self.given else [flat]
        h = self.first(torch.cat([torch.stack(tokens, -1), own], -1))
        for block in self.blocks:
            h = block(h, functional.silu(told), there)
        out: Tensor = self.last(self.norm(h)).squeeze(-1)
        out = out + self.skip(told).reshape(len(told), 1, 1) * flat
        if order is not None:
            out = out.new_zeros(len(x), self.channels, missing.shape[2]).scatter(2, index, out)
        return out.reshape(x.shape)


def _waves(points: Tensor, frequencies: int) -> Tensor:
    """The coordinates, and sines and cosines of each from half a turn over the domain upwards."""
    rates = torch.pi * 2.0 ** torch.arange(frequencies, dtype=torch.float64)
    angles = points.double().unsqueeze(-1) * rates
    waves = torch.cat([angles.sin(), angles.cos()], -1).flatten(1)
    return torch.cat([2 * points.double() - 1, waves], 1).float()
