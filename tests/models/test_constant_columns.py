"""Columns of tables that do not vary, or by very little, in samples of every family."""

from __future__ import annotations

import pytest
import torch
from tests.families import OF_NUMBERS

import pushforward as pf
from pushforward import registry
from pushforward.data import Data

FIXED, OFFSET, SPREAD = 0.1, 1e4, 5e-4


def table() -> torch.Tensor:
    """Two columns that vary, a constant, a small spread about 3, and the last digits of 10,000."""
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    x[:, 1] = FIXED
    x[:, 3] = 3 + SPREAD * x[:, 3]
    x[:, 4] = OFFSET + SPREAD * x[:, 4]
    return x


@pytest.mark.parametrize("name", sorted(OF_NUMBERS))
def test_a_column_keeps_its_own_spread(name: str) -> None:
    """A floor in absolute units, such as a kernel's, would be more than a hundred times as wide.

    Networks that have learned nothing as yet are not asked for more than that.
    """
    data = Data(table())
    model = registry.find("models", name).for_data(data)
    model = pf.fit(model, data, steps=2, batch_size=16, progress=False).model
    # Chains of Langevin dynamics that are too short warn.
    short = {} if name == "score" else {"steps": 5}
    y = model.sample(100, **model.understood("sample", seed=0, **short))
    assert torch.equal(y[:, 1], torch.full((100,), FIXED))
    least, most = (0.7, 1.5) if model.closed_form else (0, 20)
    for column in (3, 4):
        ratio = float(y[:, column].double().std() / data.x[:, column].double().std())
        assert least <= ratio < most, f"column {column}: {ratio:.3g}"
