"""Hausdorff and Chamfer distance of finite sets, against scipy and by hand."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.distance import cdist, directed_hausdorff

from pushforward.errors import InputError
from pushforward.metrics import chamfer, hausdorff


def test_agree_with_scipy() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 3, generator=g).double(), torch.randn(80, 3, generator=g).double()
    one, other = directed_hausdorff(x, y)[0], directed_hausdorff(y, x)[0]
    assert hausdorff(x, y).value == pytest.approx(max(one, other), rel=1e-12)
    table = cdist(x, y)
    assert chamfer(x, y).value == pytest.approx(table.min(0).mean() + table.min(1).mean())


def test_both_are_symmetric_and_zero_for_one_set() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 2, generator=g), torch.randn(20, 2, generator=g)
    for metric in (hausdorff, chamfer):
        assert metric(x, y).value == pytest.approx(metric(y, x).value)
        assert metric(x, x[torch.randperm(30, generator=g)]).value == 0
    with pytest.raises(InputError, match="same"):
        hausdorff(x, y[:, :1])
