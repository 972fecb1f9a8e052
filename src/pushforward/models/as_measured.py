"""What was measured, in the words of a user, as a posterior takes it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import Columns, Operator, Selection

__all__ = ["as_measured"]


def as_measured(model: Any, y: Any, operator: Operator) -> tuple[Tensor, Operator]:
    """A measurement of states of a model as a tensor, and its operator with columns by number.

    In the precision of the model, or in double where its data need that. Of a selection, whole
    states stand for what is selected of them.

    Args:
        model: the prior, which may know the names of its columns.
        y: `(*observed)`, or a batch `(m, *observed)`; of a selection also whole states.
        operator: what was measured of a state, in data units.

    Raises `CapabilityError` for states that are not one tensor, `InputError` for what is no
    operator, no tensor of numbers, or does not fit the states.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(3, width=8), event_shape=(3,))
    >>> as_measured(model, [0.0, 1.0, 2.0], Columns(2, 1))[0]
    tensor([2., 1.])
    """
    if not isinstance(operator, Operator):
        raise InputError(
            "operator is one of pushforward.inverse, such as inverse.Downsample(2), not "
            f"{operator!r}"
        )
    shape = model.event_shape
    if not all(isinstance(size, int) for size in shape):
        raise CapabilityError("posteriors are for states that are one tensor of real numbers")
    operator = _by_number(operator, model)
    dtype = torch.float64 if model.precise else model.dtype
    try:
        found = torch.as_tensor(y).to(model.device, dtype)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"a measurement y is a tensor of numbers, not {y!r}") from None
    if not isinstance(operator, Selection):
        return found, operator
    observed = operator.observed_shape(shape)
    if observed not in (found.shape, found.shape[1:]):
        if found.shape == shape:
            found = operator(found.unsqueeze(0))[0]
        elif found.shape[1:] == shape:
            found = operator(found)
    return found, operator


def _by_number(operator: Operator, model: Any) -> Operator:
    """Columns by number, where the model knows their names."""
    if not isinstance(operator, Columns) or not any(isinstance(c, str) for c in operator.columns):
        return operator
    schema = (model.learned_from or {}).get("schema") or {}
    return operator.resolved([str(column["name"]) for column in schema.get("columns", ())])
