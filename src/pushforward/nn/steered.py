"""A network for the drift of a learned sampler, which sees the gradient of its target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import amend, configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.fourier import FourierFeatures, suitable_frequencies
from pushforward.nn.layer import ResidualLayer

__all__ = ["SteeredMLP"]


@configurable
class SteeredMLP(nn.Module):
    """`net(x, t) + (1 + s(t)) g`: a feature `g` scaled by time, and a perceptron beside it.

    Zhang & Chen (2022) and Vargas, Grathwohl & Doucet (2023) steer by the gradient of the target in
    this way. An untrained network returns the feature. The perceptron is that of `MLP`; times that
    stand next to each other and are equal, as those of all paths at one step, are looked at once.

    Args:
        dim: of states.
        width: hidden units per layer.
        depth: residual layers.
        frequencies: see `MLP`.

    Raises `InputError` for sizes below one, or features of another shape.

    >>> SteeredMLP(2)(torch.zeros(5, 2), torch.rand(5), torch.ones(5, 2)).sum().item()
    10.0
    """

    def __init__(
        self, dim: int, width: int = 64, depth: int = 2, frequencies: int | None = None
    ) -> None:
        super().__init__()
        self.dim, width = whole("dim", dim), whole("width", width)
        layers("depth", depth)
        if frequencies is None:
            frequencies = suitable_frequencies(dim)
            amend(self, frequencies=frequencies)
        self.activation = nn.SiLU()
        self.times = Conditioning(width)
        self.features = FourierFeatures(dim, frequencies)
        self.first = nn.Linear(self.features.features, width)
        self.hidden = nn.ModuleList(ResidualLayer(width, self.activation) for _ in range(depth))
        # A scale and a shift of each layer, and a scale of the feature.
        self.modulation = nn.Linear(width, 2 * depth * width + dim)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, dim)
        for layer in (self.modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, feature: Tensor) -> Tensor:
        """The drift `(B, d)` at states `(B, d)`, times `(B,)` or `()`, and features `(B, d)`."""
        if feature.shape != x.shape:
            raise InputError(
                f"features have the shape of states {tuple(x.shape)}, not {tuple(feature.shape)}"
            )
        different, row = torch.unique_consecutive(t.reshape(-1), return_inverse=True)
        told = self.modulation(self.activation(self.times(different, None, len(different))))
        told = told if len(different) == 1 else told[row]
        *parts, scale = told.split([self.first.out_features] * 2 * len(self.hidden) + [self.dim], 1)
        h = self.first(self.features(x))
        for layer, more, shift in zip(self.hidden, parts[::2], parts[1::2], strict=True):
            h = layer(h, 1 + more, shift)
        found: Tensor = self.last(self.norm(h)) + (1 + scale) * feature
        return found
