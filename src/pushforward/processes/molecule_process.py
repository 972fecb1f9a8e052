"""The noise of molecules whose number of atoms is drawn first."""

from __future__ import annotations

from typing import Any

from pushforward.processes.gaussian_sets import GaussianSets
from pushforward.schedules import VP
from pushforward.spaces import PointCloud

__all__ = ["molecule_process"]


def molecule_process(sets: Any) -> GaussianSets:
    """Gaussian noise on positions about their center and on elements beside them, `Points`, or
    anything with a mask; sizes are as frequent as in these.

    That of the equivariant diffusion of Hoogeboom, Satorras, Vignac & Welling (2022).

    >>> import torch
    >>> from pushforward.spaces import Points
    >>> mask = torch.tensor([[True, True, False], [True, True, True]])
    >>> process = molecule_process(Points(torch.zeros(2, 3, 8), mask))
    >>> process.space, process.sizes
    (PointCloud(center=3, kinds=()), (0.0, 0.0, 0.5, 0.5))
    """
    return GaussianSets.of_data(sets, VP(), PointCloud(center=3))
