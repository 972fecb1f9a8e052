"""Functions of latitude: normalized associated Legendre functions, and quadrature at any rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["legendre", "row_weights"]


def legendre(x: Tensor, degrees: int) -> Tensor:
    r"""`P_lm(x_i)` for `0 <= m <= l < degrees`, `(degrees, degrees, n)` in float64, zero elsewhere.

    Normalized so that `int_{-1}^1 P_lm P_km dx` is 1 for `l = k` and 0 otherwise: then
    `P_lm(cos theta) exp(i m phi) / sqrt(2 pi)` are the spherical harmonics, up to their signs. By
    the recursion in the degree (Holmes & Featherstone 2002), stable for hundreds of degrees.

    >>> legendre(torch.tensor([1.0]), 3)[:, 0, 0].square().float()  # l + 1/2 at the pole
    tensor([0.5000, 1.5000, 2.5000])
    """
    x = x.double()
    sine = (1 - x.square()).clamp(min=0).sqrt()
    found = x.new_zeros(degrees, degrees, len(x))
    found[0, 0] = math.sqrt(0.5)
    for m in range(1, degrees):
        found[m, m] = math.sqrt((2 * m + 1) / (2 * m)) * sine * found[m - 1, m - 1]
    for degree in range(1, degrees):
        order = torch.arange(degree, dtype=torch.float64).unsqueeze(1)
        up = ((4 * degree**2 - 1) / (degree**2 - order.square())).sqrt()
        # The last term has no factor where m = l - 1, of which there is nothing two degrees below.
        square = ((degree - 1) ** 2 - order.square()) / (4 * (degree - 1) ** 2 - 1)
        below = found[degree - 2, :degree] if degree > 1 else torch.zeros_like(found[0, :1])
        found[degree, :degree] = up * (x * found[degree - 1, :degree] - square.sqrt() * below)
    return found


def row_weights(x: Tensor) -> Tensor:
    r"""Weights `(n,)` with `sum_i w_i f(x_i) = int_{-1}^1 f dx`, at the sines of latitudes.

    Exact for polynomials of degree below `n` where that makes positive weights: at the centers of
    equal bands of latitude (Fejer's rule), with the poles (Clenshaw & Curtis 1960), and at the
    zeros of a Legendre polynomial, where it is Gauss's rule. Elsewhere the length of the cell about
    each.

    Raises `InputError` for fewer than two different numbers in [-1, 1].

    >>> row_weights(torch.tensor([-3**-0.5, 3**-0.5], dtype=torch.float64))
    tensor([1., 1.], dtype=torch.float64)
    """
    x = x.double()
    if len(x) < 2 or len(x.unique()) < len(x) or bool((x.abs() > 1 + 1e-9).any()):
        raise InputError("rows of a sphere are two different latitudes at least, of -90 to 90")
    moments = x.new_zeros(len(x), 1)
    moments[0] = math.sqrt(2)
    found = torch.linalg.solve(legendre(x, len(x))[:, 0], moments)[:, 0]
    if bool((found > 0).all()):
        return found
    order = x.argsort()
    edges = torch.cat([x.new_tensor([-1.0]), (x[order][1:] + x[order][:-1]) / 2, x.new_ones(1)])
    return torch.empty_like(x).scatter(0, order, edges.diff())
