"""Where a model is, and in which precision."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["first_tensor"]


def first_tensor(model: nn.Module) -> Tensor | None:
    """The first floating-point parameter, or else buffer.

    Asked for at every step of training, where `parameters()` would take longer than a small layer.
    """

    def within(module: nn.Module, kind: str) -> Tensor | None:
        for tensor in module.__dict__[kind].values():
            if tensor is not None and tensor.is_floating_point():
                own: Tensor = tensor
                return own
        for child in module.__dict__["_modules"].values():
            found = None if child is None else within(child, kind)
            if found is not None:
                return found
        return None

    found = within(model, "_parameters")
    return within(model, "_buffers") if found is None else found
