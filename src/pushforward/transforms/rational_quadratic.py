r"""Monotone rational-quadratic functions (Gregory & Delbourgo 1982), with their gradients.

Between two knots `(u, v)` and `(u + w, v + h)` of slopes `l` and `r`, with `s = h / w`,
`e = (z - u) / w`, `q = e (1 - e)` and `m = l + r - 2 s`,

    x = v + h (s e^2 + l q) / (s + m q),
    dx/dz = s^2 (r e^2 + 2 s q + l (1 - e)^2) / (s + m q)^2,

whose inverse is the root of a quadratic equation (Durkan, Bekasov, Murray & Papamakarios 2019).

First derivatives are written out, since a graph of some fifty small operations costs several times
what they do; second derivatives are those of the plain operations.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["SMALLEST", "monotone"]

SMALLEST = 1e-3
"""Of a slope, and of a bin as a share of all: what keeps the inverse well conditioned."""

_ONE = math.log(math.expm1(1 - SMALLEST))
"""Where `softplus` gives a slope of one."""


class _Form(NamedTuple):
    """What is no tensor: the bins, the first knot on both axes, the distance to the last, whether
    the slopes at both are one another's instead of one, and the direction.
    """

    bins: int
    start: float
    length: float
    circular: bool
    inverse: bool

    @property
    def floor(self) -> float:
        """The least bin, in units of what the softmax shares out."""
        return SMALLEST / (1 - SMALLEST * self.bins)

    @property
    def unit(self) -> float:
        """What the softmax shares out."""
        return self.length * (1 - SMALLEST * self.bins)


def monotone(
    z: Tensor, raw: Tensor, bins: int, half: float, *, circular: bool, inverse: bool
) -> tuple[Tensor, Tensor]:
    """The images of numbers in `[-half, half]` and the logarithms of the slopes there.

    Args:
        z: numbers `(G, B)`; what is done for every knot runs along the last axis.
        raw: for each number, logits of the widths and of the heights, then the slopes before
            `softplus`, zero for a slope of one: `(G, P, B)`.
        bins: how many; `P = 3 bins - 1` with slopes at the inner knots, or `3 bins` if `circular`.
        half: half the length of the interval.
        circular: the last slope is the first one, instead of one for both.
        inverse: the preimages.
    """
    form = _Form(bins, -half, 2 * half, circular, inverse)
    if torch.is_grad_enabled() and (z.requires_grad or raw.requires_grad):
        image, log_slope = _Monotone.apply(z, raw, form)
        return image, log_slope
    return _value(z, _piece(z, raw, form)[0], form)[:2]


class _Piece(NamedTuple):
    """The bin of each number: its index, first knot, sizes and slopes."""

    k: Tensor
    u: Tensor
    v: Tensor
    w: Tensor
    h: Tensor
    left: Tensor
    right: Tensor


def _piece(z: Tensor, raw: Tensor, form: _Form) -> tuple[_Piece, Tensor]:
    """The piece, and the softmax of the logits `(G, 2, bins, B)`."""
    shares = raw[:, : 2 * form.bins].unflatten(1, (2, form.bins)).softmax(2)
    sizes = shares + form.floor
    ends = sizes.cumsum(2)
    at = (z.detach() - form.start) / form.unit
    inner = ends[:, int(form.inverse), :-1].detach()
    k = (at.unsqueeze(1) >= inner).sum(1, keepdim=True)
    both = k.unsqueeze(1).expand(-1, 2, -1, -1)
    size = form.unit * sizes.gather(2, both).squeeze(2)
    knot = form.start + form.unit * ends.gather(2, both).squeeze(2) - size
    (u, v), (w, h) = knot.unbind(1), size.unbind(1)
    rows, given = _slope_rows(k, form)
    slopes = raw[:, 2 * form.bins :].gather(1, rows).masked_fill(~given, 0.0)
    left, right = (softplus(slopes + _ONE) + SMALLEST).unbind(1)
    return _Piece(k, u, v, w, h, left, right), shares


def _slope_rows(k: Tensor, form: _Form) -> tuple[Tensor, Tensor]:
    """Where the slopes at both ends of bin `k` are found, and whether they are given at all."""
    if form.circular:
        rows = torch.cat([k, (k + 1) % form.bins], 1)
        return rows, torch.ones_like(rows, dtype=torch.bool)
    rows = torch.cat([k - 1, k], 1)
    inner = rows.clamp(0, form.bins - 2)
    return inner, rows == inner


def _value(z: Tensor, p: _Piece, form: _Form) -> tuple[Tensor, Tensor, Tensor]:
    """Image, log-slope and the place `e` in the bin."""
    s = p.h / p.w
    m = p.left + p.right - 2 * s
    if form.inverse:
        y = (z - p.v) / p.h
        # The root of the quadratic in [0, 1], in the form without cancellation.
        more = y * m
        b, c = p.left - more, -s * y
        a = s - b
        e = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
    else:
        e = (z - p.u) / p.w
    e = e.clamp(0, 1)
    rest = 1 - e
    q = e * rest
    below = s + m * q
    up = p.right * e * e + 2 * s * q + p.left * rest * rest
    log_slope = 2 * (s / below).log() + up.log()
    if form.inverse:
        return p.u + e * p.w, -log_slope, e
    return p.v + p.h * (s * e * e + p.left * q) / below, log_slope, e


class _Monotone(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, raw: Tensor, form: _Form) -> tuple[Tensor, Tensor]:
        piece, shares = _piece(z, raw, form)
        image, log_slope, e = _value(z, piece, form)
        ctx.save_for_backward(z, raw, shares, e, *piece)
        ctx.form = form
        return image, log_slope

    @staticmethod
    def backward(ctx: Any, g_image: Tensor, g_log: Tensor) -> tuple[Tensor | None, ...]:
        z, raw, shares, e, *piece = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return *_gradients(g_image, g_log, shares, e, _Piece(*piece), ctx.form), None
        # For a second derivative what was saved is no constant.
        again = _value(z, _piece(z, raw, ctx.form)[0], ctx.form)[:2]
        wanted = [x for x in (z, raw) if x.requires_grad]
        found = iter(torch.autograd.grad(again, wanted, (g_image, g_log), create_graph=True))
        return *(next(found) if x.requires_grad else None for x in (z, raw)), None


def _gradients(
    g_image: Tensor, g_log: Tensor, shares: Tensor, e: Tensor, p: _Piece, form: _Form
) -> tuple[Tensor, Tensor]:
    """Of `g_image . image + g_log . log_slope` in the numbers and in what is raw."""
    s, rest = p.h / p.w, 1 - e
    e2, rest2, q, turn = e * e, rest * rest, e * rest, rest - e
    m = p.left + p.right - 2 * s
    below = s + m * q
    up = p.right * e2 + 2 * s * q + p.left * rest2
    up_e = 2 * (p.right * e + s * turn - p.left * rest)
    share = (s * e2 + p.left * q) / below
    if form.inverse:
        # With x = f(z), dz = (dx - df) / f', and the log-slope is that of f at z, turned round.
        bend = (up_e / up - 2 * m * turn / below) / p.w
        g_z = (g_image - g_log * bend) / ((s / below).square() * up)
        g_image, g_log = -g_z, -g_log
    # In the numerator and the denominator of `share`, and in `up`.
    a = g_image * p.h / below
    b = -a * share - 2 * g_log / below
    c = g_log / up
    g_s = a * e2 + b * (1 - 2 * q) + 2 * (c * q + g_log / s)
    g_u = -(a * (2 * s * e + p.left * turn) + b * m * turn + c * up_e) / p.w
    if not form.inverse:
        g_z = -g_u
    # The ends move with the sizes of the bins before, and the softmax takes out the mean.
    ends = form.unit * torch.stack([g_u, g_image], 1)
    own = form.unit * torch.stack([g_u * e - g_s * s / p.w, g_image * share + g_s / p.w], 1)
    passed = (torch.stack([p.u, p.v], 1) - form.start) / form.unit - form.floor * p.k
    mean = ends * passed + own * (torch.stack([p.w, p.h], 1) / form.unit - form.floor)
    rows = torch.arange(form.bins, device=e.device).unsqueeze(1)
    both = p.k.unsqueeze(1).expand(-1, 2, -1, -1)
    g_sizes = torch.where((rows < p.k).unsqueeze(1), (ends - mean).unsqueeze(2), -mean.unsqueeze(2))
    g_sizes.scatter_(2, both, (own - mean).unsqueeze(2))
    ab = (a + b) * q
    # softplus' = 1 - exp(-softplus).
    g_slopes = torch.stack([ab + c * rest2, b * q + c * e2], 1)
    g_slopes *= -torch.expm1(SMALLEST - torch.stack([p.left, p.right], 1))
    rows, given = _slope_rows(p.k, form)
    knots = form.bins if form.circular else form.bins - 1
    g_raw = e.new_zeros(len(e), 2 * form.bins + knots, e.shape[1])
    torch.mul(g_sizes, shares, out=g_raw[:, : 2 * form.bins].unflatten(1, (2, form.bins)))
    g_raw[:, 2 * form.bins :].scatter_add_(1, rows, g_slopes * given)
    return g_z, g_raw
