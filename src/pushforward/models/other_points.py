"""A model of functions at other points than those of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward import nn as nets
from pushforward.config import arguments
from pushforward.errors import CapabilityError, InputError
from pushforward.models.relocated import relocated, require_relocatable
from pushforward.protocols import follows
from pushforward.spaces import Functions
from pushforward.spaces.points_of_functions import check_centers, domain_of

__all__ = ["at_points"]


def at_points(
    model: Any,
    axes: Sequence[Sequence[float]] | None = None,
    points: Tensor | None = None,
    noise: Any = None,
) -> Any:
    """The model with the same weights and units at other points of its domain.

    A network that acts on functions, `nn.FourierOperator` on grids or `nn.PointAttention` anywhere,
    makes the same function of them there, and noise of trace class is the same random function: so
    a model that was trained on one grid draws and judges on another.

    Args:
        model: a `Diffusion` or a `FlowMatching` on `spaces.Functions`.
        axes: the coordinates of another grid. A Fourier operator and spectral noise take the
            centers of equal cells of the whole domain.
        points: scattered points `(M, d)`.
        noise: a kernel of `spaces.kernels` in the place of spectral noise, which takes regular
            grids alone: for `Spectral(kernel)` that `kernel`. The two are the same but near the
            ends, to about the length of the kernel.

    Raises `CapabilityError` for another space, or a network that belongs to its grid; `InputError`
    for points outside the domain, or others than the noise and the network take.

    >>> import torch, pushforward as pf
    >>> space = pf.spaces.Functions(axes=[[0.5, 1.5]])
    >>> model = pf.Diffusion(pf.nn.FourierOperator(1, width=8, depth=1),
    ...     pf.processes.Gaussian(space=space), event_shape=(1, 2))
    >>> at_points(model, [[0.25, 0.75, 1.25, 1.75]]).sample(3, steps=2, seed=0).shape
    torch.Size([3, 1, 4])
    """
    if (axes is None) == (points is None):
        raise InputError("say where: axes= of a grid, or points=")
    model = require_relocatable(model, "put at other points")
    space = model.space
    if not isinstance(space, Functions):
        raise CapabilityError(f"{model} is no model of functions: its states are of {space}")
    (net,) = (arguments(model)[name] for name in model.networks)
    anywhere = follows(net, nets.AtPoints)
    if not anywhere and (points is not None or not follows(net, nets.OnAnyGrid)):
        raise CapabilityError(
            f"a {type(net).__name__} belongs to its grid: train with net=fourier-operator for "
            "other grids, or net=point-attention for any points"
        )
    moved = space.on(axes, points, noise)
    sizes = (len(points),) if points is not None else tuple(map(len, axes or ()))
    if not anywhere:
        # It knows the places of its points by their numbers alone.
        whole = space.domain if space.axes is None else domain_of(space.axes, None, None, ())
        check_centers(axes or (), whole, f"a {type(net).__name__}", "net=point-attention")

    def placed(net: Any) -> Any:
        return net.at(moved.unit_points(sizes).float()) if anywhere else net

    return relocated(model, moved, (model.event_shape[0], *sizes), placed).eval()
