"""Scores of ensembles of whole fields, which see how their values hang together."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import InputError
from pushforward.metrics.crps import of_ensemble

__all__ = ["energy_score", "variogram_score"]

_MOST_PAIRS = 1 << 24
"""Pairs of values of one field that are compared."""


def energy_score(ensemble: Tensor, truth: Tensor) -> Tensor:
    r"""The fair energy score of each row, `(M, N, *event)` and `(N, *event)` to `(N,)`.

    `mean_m |x_m - y| - sum_{i, j} |x_i - x_j| / (2 M (M - 1))` with the Euclidean norm over the
    event (Gneiting & Raftery 2007), without the bias of few members.

    Raises `InputError` for fewer than two members, other shapes, NaN or infinity.

    >>> ensemble = torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]]])
    >>> energy_score(ensemble, torch.tensor([[0.0, 0.0]]))
    tensor([0.], dtype=torch.float64)
    """
    x, y = _rows(ensemble, truth)
    m = len(x)
    spread = y.new_zeros(len(y))
    for i in range(1, m):
        spread += (x[i] - x[:i]).norm(dim=-1).sum(0)
    return (x - y).norm(dim=-1).mean(0) - spread / (m * (m - 1))


def variogram_score(ensemble: Tensor, truth: Tensor, *, power: float = 0.5) -> Tensor:
    r"""The variogram score of each row, `(M, N, *event)` and `(N, *event)` to `(N,)`.

    `sum_{i, j} (|y_i - y_j|^p - mean_m |x_i - x_j|^p)^2` over the values of an event (Scheuerer &
    Hamill 2015): wrong correlations, which the score of single values does not see. It is not fair:
    ensembles of different sizes are not compared by it.

    Raises `InputError` for other shapes, a power that is not positive, or events of more than 4096
    values: coarsen them first.

    >>> ensemble = torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]])
    >>> variogram_score(ensemble, torch.tensor([[2.0, 3.0]]))
    tensor([0.], dtype=torch.float64)
    """
    x, y = _rows(ensemble, truth)
    if not power > 0:
        raise InputError(f"the power of a variogram is positive, not {power!r}")
    if y.shape[1] ** 2 > _MOST_PAIRS:
        raise InputError(
            f"{y.shape[1]} values make {y.shape[1] ** 2:,} pairs: coarsen the fields to 4096 values"
        )
    found = []
    for members, one in zip(x.unbind(1), y, strict=True):
        expected = torch.zeros(len(one), len(one), dtype=one.dtype, device=one.device)
        for member in members:
            expected += (member[:, None] - member).abs() ** power
        seen = (one[:, None] - one).abs() ** power
        found.append((seen - expected / len(members)).square().sum())
    return torch.stack(found)


def _rows(ensemble: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Members `(M, N, d)` and truth `(N, d)`."""
    x, y = of_ensemble(ensemble, truth)
    if y.ndim < 2:
        raise InputError(f"the truth has shape (N, *event), not {tuple(truth.shape)}")
    return torch.stack([flatten(member) for member in x]), flatten(y)
