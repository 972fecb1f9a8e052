"""A multilayer perceptron from one shape to another, without a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from pushforward._shapes import for_each_row
from pushforward.checks import flag, layers, one_of, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.fourier import FourierFeatures
from pushforward.nn.layer import ResidualLayer

__all__ = ["Perceptron", "encoded_condition"]

_ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU}


@configurable
class Perceptron(nn.Module):
    """Residual layers of equal width between a linear map in and a linear map out.

    Args:
        inputs: the shape of what goes in, or its dimension.
        outputs: the shape of what comes out, or its dimension.
        width: hidden units per layer.
        depth: hidden layers.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        zero: start from the zero function.
        activation: of hidden units, `silu` or `relu`.
        frequencies: of the sines and cosines of each input that the first layer sees besides the
            input itself, `FourierFeatures`: 5 show structure far finer than the inputs' scale.
        normalize: layer normalization before each linear map but the first.

    Raises `InputError` for sizes below one, another activation, and states or contexts of another
    shape.

    >>> Perceptron(2, (1, 4, 4))(torch.zeros(5, 2)).shape
    torch.Size([5, 1, 4, 4])
    """

    def __init__(
        self,
        inputs: int | tuple[int, ...],
        outputs: int | tuple[int, ...],
        width: int = 128,
        depth: int = 3,
        num_classes: int | None = None,
        context: int | None = None,
        zero: bool = False,
        activation: str = "silu",
        frequencies: int = 0,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        self.outputs = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        self.num_classes, self.context_size = num_classes, context
        more = num_classes or context or 0
        before, after = math.prod(self.inputs), math.prod(self.outputs)
        width, depth = whole("width", width), layers("depth", depth)
        if before + more < 1 or after < 1:
            raise InputError(f"inputs {inputs} and outputs {outputs} must have an entry")
        one_of("activation", activation, tuple(_ACTIVATIONS))
        self.activation = _ACTIVATIONS[activation]()
        flag("normalize", normalize)
        self.features = FourierFeatures(before, frequencies) if before and frequencies else None
        entries = before if self.features is None else self.features.features
        self.first = nn.Linear(entries + more, width)
        self.hidden = nn.ModuleList(
            ResidualLayer(width, self.activation, normalize) for _ in range(depth - 1)
        )
        self.norm = nn.LayerNorm(width) if normalize else nn.Identity()
        self.last = nn.Linear(width, after)
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """The output `(B, *outputs)` at inputs `(B, *inputs)`, labels `(B,)` or contexts
        `(B, context)`; one `()` or `(context,)` is that of all states.

        The label -1, and no context at all, are a context of zeros.
        """
        if tuple(x.shape[1:]) != self.inputs:
            raise InputError(f"states have shape {self.inputs}, not {tuple(x.shape[1:])}")
        h = x.flatten(1)
        given = encoded_condition(c, h, self.num_classes, self.context_size)
        if self.features is not None:
            h = self.features(h)
        h = self.activation(self.first(h if given is None else torch.cat([h, given], 1)))
        for layer in self.hidden:
            h = layer(h)
        return self.last(self.norm(h)).reshape(len(x), *self.outputs)


def encoded_condition(
    c: Tensor | None, like: Tensor, num_classes: int | None, size: int | None
) -> Tensor | None:
    """Labels as indicators, or contexts, `(B, size)`; zeros for none, and `None` if none are known.

    One label `()`, or one context `(size,)` or `(1, size)`, is that of all states. Raises
    `InputError` for another shape.
    """
    if num_classes is None and size is None:
        return None
    if c is None:
        return like.new_zeros(len(like), num_classes or size or 0)
    c = for_each_row(c, len(like), 0 if size is None else 1)
    if num_classes is None:
        if tuple(c.shape) != (len(like), size):
            raise InputError(f"contexts have shape (B, {size}), not {tuple(c.shape)}")
        return c.to(like)
    if tuple(c.shape) != (len(like),) or c.is_floating_point():
        raise InputError(
            f"labels are integers of shape ({len(like)},), not {c.dtype} of shape {tuple(c.shape)}"
        )
    # One more class, dropped again, for the label -1.
    return one_hot(c + 1, num_classes + 1)[:, 1:].to(like)
