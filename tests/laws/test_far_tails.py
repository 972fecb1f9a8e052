"""Far from all data a log-density is finite, -inf, or refused: never NaN in a mean."""

from __future__ import annotations

import math

import pytest
import torch
from tests.families import OF_NUMBERS

import pushforward as pf
from pushforward import registry
from pushforward.distributions import ColoredNormal, GaussianMixture, Normal
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.latent import DiagonalNormal, FullNormal

FAR = (1e4, 1e6, 1e20, 3e38)
COVARIANCE = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
MEANS = torch.tensor([[0.0, 0.0], [3.0, 1.0]])

CLOSED = {
    "normal": Normal((2,)),
    "correlated": ColoredNormal(COVARIANCE),
    "mixture": GaussianMixture(MEANS, torch.tensor([1.0, 2.0])),
    "mixture of ellipses": GaussianMixture(MEANS, torch.stack([COVARIANCE, COVARIANCE])),
    "encoder": DiagonalNormal(torch.zeros(1, 2), torch.ones(1, 2)),
    "full encoder": FullNormal(torch.zeros(1, 2), torch.linalg.cholesky(COVARIANCE)[None]),
}


def directions(v: float) -> torch.Tensor:
    return v * torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, -1.0], [-1.0, 0.0], [0.0, -1.0]])


@pytest.mark.parametrize("name", CLOSED)
def test_tails_of_closed_forms(name: str) -> None:
    distribution = CLOSED[name]
    for v in FAR:
        single = distribution.log_prob(directions(v))
        assert not single.isnan().any(), v
        if v < 1e7:
            assert (single < -(v**2) / 10).all()
        if v >= 1e20:
            assert (single == -math.inf).all()


def test_the_tail_of_a_normal_is_exact() -> None:
    for v in (1e4, 1e6):
        exact = -(v**2) - math.log(2 * math.pi)
        assert Normal((2,)).log_prob(torch.full((1, 2), v)).item() == pytest.approx(exact, rel=1e-6)


@pytest.fixture(scope="module")
def trained() -> dict[str, object]:
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    found = {}
    for name in OF_NUMBERS:
        model = registry.find("models", name).for_data(pf.data.load(data))
        if model.capabilities.log_prob not in ("none", "unnormalized"):
            pf.fit(model, data, steps=3, progress=False)
            found[name] = model
    return found


def test_tails_of_every_model(trained: dict[str, object]) -> None:
    assert len(trained) >= 8
    seen, refused = {"finite": 0, "zero": 0}, []
    for name, model in trained.items():
        for v in FAR:
            try:
                found = model.log_prob(directions(v))
            except CapabilityError:
                # The normalizing constant of an energy is estimated when it is asked for.
                assert name == "energy"
                continue
            except InputError as error:
                refused.append((v, str(error)))
                continue
            assert not found.value.isnan().any(), (name, v)
            assert not math.isnan(found.mean_stderr()), (name, v)
            seen["finite" if found.value.isfinite().all() else "zero"] += 1
            assert "nan" not in str(found), (name, v)
    assert min(seen.values()) > 0, seen
    assert refused
    assert all(v >= 1e20 and "not a number" in told for v, told in refused)


def test_a_value_that_is_no_number_is_no_result() -> None:
    value = torch.tensor([-1.0, math.nan, math.nan])
    with pytest.raises(
        InputError, match="2 of 3 log-densities are not a number, the first that of state 1"
    ):
        LogProb(value, torch.zeros(3), "exact", 1)
    far = LogProb(torch.tensor([-1.0, -math.inf]), torch.zeros(2), "exact", 1)
    assert far.mean_stderr() == math.inf
