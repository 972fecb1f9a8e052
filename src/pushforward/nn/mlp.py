"""A multilayer perceptron for vectors, or for small events seen as vectors."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import amend, configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.fourier import FourierFeatures, suitable_frequencies
from pushforward.nn.layer import ResidualLayer

__all__ = ["MLP"]


@configurable
class MLP(nn.Module):
    """Normalized residual layers of equal width, each scaled and shifted by time and label.

    Beside others at equal time in `benchmarks/networks.py`: near the best both on narrow modes of
    the plane and on a smooth law of 16 dimensions; most others are far off on one of the two.

    Args:
        event: the dimension of a state, or its shape.
        out: the shape of the output, or its dimension; that of a state by default.
        width: hidden units per layer.
        depth: residual layers.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        frequencies: of the sines and cosines of each number of a state that the first layer sees
            besides the number itself, `FourierFeatures`; by default `suitable_frequencies`, none
            for more than 12 numbers.

    Raises `InputError` for sizes below one, or states of another shape.

    >>> import torch
    >>> MLP(2)(torch.zeros(5, 2), torch.rand(5)).shape
    torch.Size([5, 2])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    def __init__(
        self,
        event: int | tuple[int, ...],
        width: int = 128,
        depth: int = 3,
        num_classes: int | None = None,
        context: int | None = None,
        out: int | tuple[int, ...] | None = None,
        frequencies: int | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = (event,) if isinstance(event, int) else tuple(event)
        out = self.event_shape if out is None else out
        self.out_shape = (out,) if isinstance(out, int) else tuple(out)
        before, after = math.prod(self.event_shape), math.prod(self.out_shape)
        if before < 1 or after < 1:
            raise InputError(f"event {event} and out {out} must have an entry")
        width, depth = whole("width", width), layers("depth", depth)
        if frequencies is None:
            frequencies = suitable_frequencies(before)
            amend(self, frequencies=frequencies)
        self.num_classes = num_classes
        self.context_size = context
        self.activation = nn.SiLU()
        self.conditioning = Conditioning(width, num_classes, context)
        self.features = FourierFeatures(before, frequencies)
        self.first = nn.Linear(self.features.features, width)
        self.hidden = nn.ModuleList(ResidualLayer(width, self.activation) for _ in range(depth))
        # A scale and a shift of each layer.
        self.modulation = nn.Linear(width, 2 * depth * width)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, after)
        # Zero at first: an untrained model predicts the mean, and early gradients are calm.
        for layer in (self.modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output `(B, *out)` at states `(B, *event)`, times `(B,)` or `()`, labels or none."""
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"states have shape {self.event_shape}, not {tuple(x.shape[1:])}")
        given = self.modulation(self.activation(self.conditioning(t, c, len(x))))
        parts = given.chunk(2 * len(self.hidden), -1)
        h = self.first(self.features(x.flatten(1)))
        for layer, scale, shift in zip(self.hidden, parts[::2], parts[1::2], strict=True):
            h = layer(h, 1 + scale, shift)
        return self.last(self.norm(h)).reshape(len(x), *self.out_shape)
