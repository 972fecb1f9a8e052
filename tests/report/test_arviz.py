"""The dictionary for ArviZ: chains first, a variable for each name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward import report
from pushforward.errors import InputError


def test_draws_become_one_chain_and_keep_their_order() -> None:
    draws = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    found = report.arviz_dict(
        draws, names=["a", "b"], observed=torch.ones(3), sample_stats={"lp": draws[:, 0]}
    )
    assert set(found) == {"posterior", "observed_data", "sample_stats"}
    assert np.array_equal(found["posterior"]["b"], draws[:, 1].numpy()[None])
    assert np.array_equal(found["sample_stats"]["lp"], draws[:, 0].numpy()[None])
    assert found["observed_data"]["y"].tolist() == [1.0] * 3


def test_several_chains_come_first() -> None:
    draws = torch.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    found = report.arviz_dict(draws, chains=True, sample_stats={"lp": draws[..., 0]})
    assert found["posterior"]["theta"].shape == (3, 2, 4)
    assert found["posterior"]["theta"][1, 0].tolist() == draws[0, 1].tolist()
    assert found["sample_stats"]["lp"].shape == (3, 2)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="2 numbers have a name each, all different, not a, a"):
        report.arviz_dict(torch.zeros(5, 2), names=["a", "a"])
    with pytest.raises(InputError, match="'lp' has a number for each draw"):
        report.arviz_dict(torch.zeros(5, 2), sample_stats={"lp": torch.zeros(4)})
    with pytest.raises(InputError, match=r"shape \(n, chains, \*event\)"):
        report.arviz_dict(torch.zeros(5), chains=True)
