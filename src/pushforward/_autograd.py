"""Divergences of vector fields on any event shape, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._shapes import flatten, per_event_sum

__all__ = ["diagonal", "divergence", "hutchinson", "quadratic_forms"]

Field = Callable[[Tensor], Tensor]


def divergence(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """The field at `x` and its exact divergence `sum_i d f_i / d x_i`, shape `(B,)`.

    One vector-Jacobian product per coordinate of the event; rows must not interact.
    The result carries no gradient.

    >>> value, div = divergence(lambda x: 3 * x, torch.ones(2, 4))
    >>> div
    tensor([12., 12.])
    """
    value, slopes = diagonal(field, x)
    return value, per_event_sum(slopes)


def diagonal(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """The field at `x` and the derivative of each coordinate by itself, both `(B, *event)`.

    As `divergence`, one vector-Jacobian product per coordinate.

    >>> diagonal(lambda x: x**2, torch.tensor([[1.0, 2.0]]))[1]
    tensor([[2., 4.]])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = field(x)
        flat = flatten(value)
        slopes = []
        for i in range(flat.shape[1]):
            (row,) = torch.autograd.grad(
                flat[:, i].sum(), x, retain_graph=True, materialize_grads=True
            )
            slopes.append(flatten(row)[:, i])
    return value.detach(), torch.stack(slopes, 1).reshape(x.shape).detach()


def hutchinson(field: Field, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """The field at `x` and unbiased estimates of its divergence, shape `(P, B)`.

    Each probe `e` with `E[e e^T] = I` gives `e^T J e` (Hutchinson 1989; FFJORD, Grathwohl et al.
    2019). `probes` has shape `(P, B, *event)`.

    >>> from pushforward._random import probe_like
    >>> probes = probe_like(torch.ones(2, 4), 3, torch.Generator().manual_seed(0))
    >>> hutchinson(lambda x: 3 * x, torch.ones(2, 4), probes)[1][0]
    tensor([12., 12.])
    """
    value, estimates = quadratic_forms(field, x, probes, create_graph=False)
    return value.detach(), estimates


def quadratic_forms(
    field: Field,
    x: Tensor,
    probes: Tensor,
    *,
    create_graph: bool,
    covectors: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The field at `x`, and `e^T J e` for each probe `e`, shape `(P, B)`; rows must not interact.

    With `covectors` `c`, one for each probe, `c^T J e`: on a manifold the metric tells them apart.
    The value keeps its graph. With `create_graph` the forms have one too, so that what they depend
    on can be trained; neither is differentiable in `x`. `probes` has shape `(P, B, *event)`.

    >>> x = torch.ones(2, 4)
    >>> quadratic_forms(lambda x: 3 * x, x, x.unsqueeze(0), create_graph=False)[1]
    tensor([[12., 12.]])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = field(x)
        forms = []
        for probe, covector in zip(probes, probes if covectors is None else covectors, strict=True):
            (row,) = torch.autograd.grad(
                value,
                x,
                grad_outputs=covector,
                retain_graph=True,
                create_graph=create_graph,
                materialize_grads=True,
            )
            forms.append(per_event_sum(row * probe))
    return value, torch.stack(forms)
