"""A network of parameters, time and observation, for posteriors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn import MLP, FourierFeatures, suitable_frequencies

__all__ = ["PosteriorNetwork"]


@configurable
class PosteriorNetwork(nn.Module):
    """An `nn.MLP` that sees the observation twice: beside the parameters, and with the time.

    What is seen beside the parameters goes through all layers along with them, as in the residual
    networks of flow matching posterior estimation (Wildberger et al. 2023); scales and shifts by
    time and observation alone would have to be found by a single layer.

    Args:
        parameters: how many numbers a state has.
        context: the length of the features of an observation.
        width: hidden units per layer.
        depth: residual layers.

    >>> net = PosteriorNetwork(2, 3)
    >>> net(torch.zeros(5, 2), torch.rand(5), torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, parameters: int, context: int, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.parameters_size = parameters
        self.context_size = context
        self.features = FourierFeatures(parameters, suitable_frequencies(parameters))
        self.net = MLP(
            self.features.features + context, width, depth, context=context, out=parameters,
            frequencies=0,
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output `(B, d)` at parameters `(B, d)`, times and observations `(B, context)`.

        Raises `InputError` without an observation.
        """
        if c is None:
            raise InputError("a posterior is given an observation: c is missing")
        c = c.expand(len(x), -1)
        out: Tensor = self.net(torch.cat([self.features(x), c], 1), t, c)
        return out
