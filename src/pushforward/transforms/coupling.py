"""Coupling layers: some entries stay, and say how the others move."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.elementwise import Elementwise
from pushforward.transforms.transform import Transform

__all__ = ["CouplingLayer"]


@configurable
class CouplingLayer(Transform):
    """`x_a = z_a` and `x_b = f(z_b; net(z_a))` (Dinh et al. 2015, 2017; Durkan et al. 2019).

    Both directions cost one evaluation of the network.

    Args:
        net: a network `net(x_a, c)` from the entries that stay, `(B, a)`, or what
            `elementwise.show` makes of them, to the parameters of the
            others, `(B, b * elementwise.parameters)`.
        elementwise: the bijection `f` of each entry that moves.
        stays: for every entry of the flattened event whether it stays.

    Raises `InputError` for a mask that keeps, or moves, all.

    >>> from pushforward.transforms import Affine
    >>> layer = CouplingLayer(nn.Linear(1, 2), Affine(), [True, False])
    >>> x, log_det = layer.push(torch.ones(3, 2))
    >>> torch.allclose(layer.inverse(x)[0], torch.ones(3, 2))
    True
    """

    _stay: Tensor
    _move: Tensor
    _order: Tensor

    def __init__(self, net: nn.Module, elementwise: Elementwise, stays: Sequence[bool]) -> None:
        super().__init__()
        mask = torch.tensor([bool(stay) for stay in stays])
        if mask.all() or not mask.any():
            raise InputError(
                "a coupling keeps some entries and moves others: the mask has one kind"
            )
        self.net, self.elementwise = net, elementwise
        self.condition = TransformCondition.of(net)
        stay, move = mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]
        self.register_buffer("_stay", stay, persistent=False)
        self.register_buffer("_move", move, persistent=False)
        self.register_buffer("_order", torch.cat([stay, move]).argsort(), persistent=False)

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Move some entries, given the others."""
        return self._apply_to(z, c, self.elementwise.push)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Move them back."""
        return self._apply_to(x, c, self.elementwise.inverse)

    def _apply_to(self, x: Tensor, c: Tensor | None, move: object) -> tuple[Tensor, Tensor]:
        flat = x.flatten(1)
        kept, moved = flat.index_select(1, self._stay), flat.index_select(1, self._move)
        seen = self.elementwise.show(kept)
        parameters = self.net(seen) if c is None else self.net(seen, c)
        parameters = parameters.reshape(*moved.shape, self.elementwise.parameters)
        moved, slopes = move(moved, parameters)  # type: ignore[operator]
        out = torch.cat([kept, moved], 1).index_select(1, self._order)
        return out.reshape(x.shape), slopes.sum(1)
