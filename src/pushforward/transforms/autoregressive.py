"""Masked autoregressive transforms, whose slow direction is solved for all entries at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward._precision import in_rounding_of
from pushforward.checks import number
from pushforward.config import configurable
from pushforward.errors import SamplingError
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.elementwise import Elementwise
from pushforward.transforms.transform import Transform

__all__ = ["Autoregressive", "AutoregressiveSolution"]

_CHECKED = 64
"""States on which one more pass is tried: the mask of a network is the same for all."""


class AutoregressiveSolution(NamedTuple):
    """The image of a batch, and how it was found.

    Args:
        x: the image, `(B, *event)`.
        log_det: `log |det dx/dz|`, `(B,)`.
        passes: evaluations of the network.
        residual: the largest change of an entry in the last one, relative to its size.
    """

    x: Tensor
    log_det: Tensor
    passes: int
    residual: float


@configurable
class Autoregressive(Transform):
    r"""`z_i = f^{-1}(x_i; net(x)_i)`, where `net(x)_i` sees the entries before `x_i` alone.

    From data to base in one evaluation (MAF: Papamakarios, Pavlakou & Murray 2017). `Inverse` of it
    is the inverse autoregressive flow (IAF: Kingma et al. 2016), which samples in one.

    The other direction is the fixed point of `x <- f(z; net(x))`. Each pass settles at least one
    more entry, so that as many passes as entries are exact; all entries are iterated at once, and
    mostly a few passes are enough (Song, Meng, Liao & Ermon 2021). Gradients are those of the fixed
    point.

    Args:
        net: a network `net(x, c)` from `(B, d)` to `(B, d * elementwise.parameters)`, masked:
            `nn.MaskedPerceptron`.
        elementwise: the bijection `f`.
        tolerance: the relative change at which iteration ends; 0 for as many passes as entries. By
            default some eight roundings of the precision of the state: 1e-6 in float32. Finer than
            four of them is not resolved, and ends there: `solve` says what was reached.

    Raises `InputError` for a negative tolerance.
    """

    def __init__(
        self, net: nn.Module, elementwise: Elementwise, tolerance: float | None = None
    ) -> None:
        super().__init__()
        self.net, self.elementwise = net, elementwise
        self.tolerance = None if tolerance is None else number("tolerance", tolerance, least=0)
        self.condition = TransformCondition.of(net)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From data to base, in one evaluation."""
        z, slopes = self.entries(x, c)
        return z, slopes.flatten(1).sum(1)

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From base to data, by iteration. Raises `SamplingError` if it does not end."""
        found = self.solve(z, c)
        if not torch.is_grad_enabled():
            return found.x, found.log_det
        x = _attached(self, found.x, z, c)
        return x, -self.inverse(x, c)[1]

    @torch.no_grad()
    def solve(self, z: Tensor, c: Tensor | None = None) -> AutoregressiveSolution:
        """The image of `z`, with the number of passes and what is left.

        States that have settled are left alone. If some have not after as many passes as entries,
        which settle any state of a masked network, one more is a check, on a few of them.

        Raises `SamplingError` if that changes something: then the network is not masked; or if
        values are not finite.
        """
        flat, c = z.flatten(1), self.condition.checked(c, len(z))
        rows, entries = flat.shape
        # Below rounding nothing can settle.
        least = 4 * torch.finfo(flat.dtype).eps
        default = in_rounding_of(flat.dtype, 1e-6)
        tolerance = default if self.tolerance is None else max(self.tolerance, least)
        # The first entry depends on no other, and without a context one place tells it for all.
        start = torch.zeros_like(flat if c is not None else flat[:1])
        parameters = self.parameters_at(start, c).expand(rows, -1, -1)
        x, slopes = self.elementwise.push(flat, parameters)
        log_det, changes = slopes.sum(1), flat.new_zeros(rows)
        moving, passes = torch.arange(rows, device=flat.device), 1
        while len(moving) and passes < entries:
            old = x[moving]
            new, change, log_det[moving] = self._pass(flat, old, c, moving)
            x[moving], changes[moving] = new, change
            passes += 1
            if self.tolerance != 0:
                moving = moving[~(change <= tolerance)]
        changes[moving] = 0.0
        if len(few := moving[:_CHECKED]):
            changes[few] = self._pass(flat, x[few], c, few)[1]
        residual = float(changes.amax()) if rows else 0.0
        if not (residual <= 1e3 * tolerance and bool(x.isfinite().all())):
            raise SamplingError(
                f"the inverse of an autoregressive transform did not settle in {entries} "
                f"passes: one more changes it by {residual:.2g}"
            )
        return AutoregressiveSolution(x.reshape(z.shape), log_det, passes, residual)

    def _pass(
        self, flat: Tensor, x: Tensor, c: Tensor | None, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next state of some rows, how much it changes, and its log-determinant."""
        # A number that is not finite would reach the entries before it through a zero weight.
        seen = x.nan_to_num(0.0, 1e6, -1e6)
        parameters = self.parameters_at(seen, None if c is None else c[rows])
        new, slopes = self.elementwise.push(flat[rows], parameters)
        change = ((new - x).abs() / (1 + x.abs())).amax(1)
        return new, change, slopes.sum(1)

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
