"""A hidden layer of the perceptrons: residual, normalized, and modulated by what is given."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ResidualLayer"]


class ResidualLayer(nn.Module):
    """`h + scale * act(W norm(h) + b) + shift`, with layer normalization before the linear map.

    Without modulation `scale` is 1 and `shift` 0, the residual layer of Gorishniy et al. (2021)
    with a single linear map. With it both are what a network makes of time and label (Perez et al.
    2018).

    Args:
        width: the number of features that `h` has.
        activation: applied to each of them.
        normalize: whether there is a normalization.

    >>> import torch
    >>> ResidualLayer(8, nn.SiLU())(torch.zeros(5, 8)).shape
    torch.Size([5, 8])
    """

    def __init__(self, width: int, activation: nn.Module, normalize: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if normalize else nn.Identity()
        self.linear = nn.Linear(width, width)
        self.activation = activation

    def forward(
        self, h: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The next features `(B, width)`; scale and shift are `(B, width)` or `(1, width)`."""
        more: Tensor = self.activation(self.linear(self.norm(h)))
        if scale is not None:
            more = more * scale
        return h + (more if shift is None else more + shift)
