"""The optimizer, and its state as plain tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.training.settings import Settings

__all__ = ["make_optimizer", "read_state", "write_state"]


def make_optimizer(model: Any, settings: Settings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), in one kernel per step where that exists.

    Raises `InputError` for a model with nothing to train.
    """
    if model.closed_form:
        return torch.optim.AdamW([{"params": [torch.zeros(())], "rate": 1.0}], settings.peak)
    groups = [
        {"rate": 1.0, **group, "params": [p for p in group["params"] if p.requires_grad]}
        for group in model.parameter_groups()
    ]
    parameters = [p for group in groups for p in group["params"]]
    if not parameters:
        raise InputError(f"{type(model).__name__} has no parameters to train")
    # With 16-bit floats Fabric itself must undo the loss scale before it clips.
    kernel = settings.precision != "16-mixed" and all(
        p.device.type in ("cpu", "cuda") for p in parameters
    )
    return torch.optim.AdamW(
        groups, settings.peak, weight_decay=settings.weight_decay, fused=kernel or None
    )


def read_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors; its settings come from the run's own."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value).contiguous()
        for index, entries in state.items()
        for name, value in entries.items()
    }


def write_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put named tensors back. Raises `ValueError` for those of other parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        own = parameters[int(index)].shape if int(index) < len(parameters) else None
        if tensor.shape not in (own, torch.Size()) or (name == "step" and tensor.ndim):
            raise ValueError(
                f"the optimizer's {key} has shape {tuple(tensor.shape)}, its parameter "
                f"{None if own is None else tuple(own)}"
            )
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
