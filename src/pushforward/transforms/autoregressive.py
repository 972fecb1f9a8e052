"""Masked autoregressive transforms, whose slow direction is solved for all entries at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError, SamplingError
from pushforward.transforms.elementwise import Elementwise
from pushforward.transforms.transform import Transform

__all__ = ["Autoregressive", "Solution"]


class Solution(NamedTuple):
    """The image of a batch, and how it was found.

    Args:
        x: the image, `(B, *event)`.
        passes: evaluations of the network.
        residual: the largest change of an entry in the last one, relative to its size.
    """

    x: Tensor
    passes: int
    residual: float


@configurable
class Autoregressive(Transform):
    r"""`z_i = f^{-1}(x_i; net(x)_i)`, where `net(x)_i` sees the entries before `x_i` alone.

    From data to base in one evaluation (MAF: Papamakarios, Pavlakou & Murray 2017). `Inverse` of it
    is the inverse autoregressive flow (IAF: Kingma et al. 2016), which samples in one.

    The other direction is the fixed point of `x <- f(z; net(x))`. Each pass settles at least one
    more entry, so that as many passes as entries are exact; all entries are iterated at once, and
    mostly a few passes are enough (Song et al. 2021). Gradients are those of the fixed point.

    Args:
        net: a network `net(x, c)` from `(B, d)` to `(B, d * elementwise.parameters)`, masked:
            `nn.MaskedPerceptron`.
        elementwise: the bijection `f`.
        tolerance: the relative change at which iteration ends; 0 for as many passes as entries.

    Raises `InputError` for a negative tolerance.
    """

    def __init__(self, net: nn.Module, elementwise: Elementwise, tolerance: float = 1e-6) -> None:
        super().__init__()
        if not tolerance >= 0:
            raise InputError(f"the tolerance is not negative, but {tolerance} is")
        self.net, self.elementwise, self.tolerance = net, elementwise, tolerance

    def inverse(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From data to base, in one evaluation."""
        z, slopes = self.entries(x, c)
        return z, slopes.flatten(1).sum(1)

    def push(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From base to data, by iteration. Raises `SamplingError` if it does not end."""
        x = self.solve(z, c).x
        if torch.is_grad_enabled():
            x = _attached(self, x, z, c)
        _, log_det = self.inverse(x, c)
        return x, -log_det

    @torch.no_grad()
    def solve(self, z: Tensor, c: Tensor | None = None) -> Solution:
        """The image of `z`, with the number of passes and what is left.

        Raises `SamplingError` if the last of as many passes as entries still changes something:
        then the network is not masked, or its values are not finite.
        """
        flat = z.flatten(1)
        entries = flat.shape[1]
        x, residual = flat, float("inf")
        # Below rounding nothing can settle.
        tolerance = max(self.tolerance, 4 * torch.finfo(flat.dtype).eps)
        for passes in range(1, entries + 2):
            # A number that is not finite would reach the entries before it through a zero weight.
            seen = x.nan_to_num(0.0, 1e6, -1e6)
            new, _ = self.elementwise.push(flat, self.parameters_at(seen, c))
            residual = float(((new - x).abs() / (1 + x.abs())).amax()) if len(x) else 0.0
            x = new
            if residual <= tolerance and (self.tolerance > 0 or passes > entries):
                break
        if not residual <= 1e3 * tolerance:
            raise SamplingError(
                f"the inverse of an autoregressive transform did not settle in {entries + 1} "
                f"passes: the last changed it by {residual:.2g}"
            )
        return Solution(x.reshape(z.shape), passes, residual)

    def entries(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From data to base, with the log-slope of each entry, both `(B, *event)`."""
        flat = x.flatten(1)
        z, slopes = self.elementwise.inverse(flat, self.parameters_at(flat, c))
        return z.reshape(x.shape), slopes.reshape(x.shape)

    def parameters_at(self, flat: Tensor, c: Tensor | None) -> Tensor:
        """What the network says at `(B, d)`: the parameters of each entry, `(B, d, parameters)`."""
        seen = self.elementwise.show(flat)
        out: Tensor = self.net(seen) if c is None else self.net(seen, c)
        return out.reshape(*flat.shape, self.elementwise.parameters)


def _attached(transform: Autoregressive, x: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
    """`x` again, with the gradients of the solution in `z`, `c` and all parameters.

    `x` solves `g(x) = z`, so `dx = L^{-1} (dz - dg)` with `L = dg/dx`. It is triangular in the
    order of the entries, and systems with its transpose are solved as the state was: by passes that
    each settle one entry at least, here with the diagonal of `L`.
    """
    place = x.detach().requires_grad_()
    image, diagonal = transform.entries(place, c)
    diagonal = diagonal.detach().exp()

    def solved(gradient: Tensor) -> Tensor:
        v = gradient / diagonal
        size = float(v.abs().amax())
        for _ in range(v[0].numel()):
            (back,) = torch.autograd.grad(image, place, v, retain_graph=True)
            change = (gradient - back) / diagonal
            v = v + change
            if float(change.abs().amax()) <= 4 * torch.finfo(v.dtype).eps * size:
                break
        return v

    # Its value is zero up to the tolerance: only its gradient counts.
    missing = transform.entries(x.detach(), c)[0] - z
    if not missing.requires_grad:
        return x
    missing.register_hook(solved)
    return x.detach() - (missing - missing.detach())
