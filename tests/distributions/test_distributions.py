"""Priors and data of analytic models: each density against its own draws or a closed form."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward.distributions import (
    ColoredNormal,
    Constant,
    ManifoldUniform,
    Normal,
    Pushforward,
    Table,
    VonMisesFisher,
    WrappedNormal,
)
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import Sphere, Standardize, Torus


def test_normal() -> None:
    law = Normal((2, 3), scale=2.0)
    x = law.sample(20_000, seed=0)
    assert x.shape == (20_000, 2, 3)
    assert stats.kstest(x.flatten().numpy()[:50_000], stats.norm(0, 2).cdf).pvalue > 1e-3
    exact = stats.norm(0, 2).logpdf(x[:5].numpy()).reshape(5, -1).sum(1)
    assert law.log_prob(x[:5]).numpy() == pytest.approx(exact, rel=1e-5)
    with pytest.raises(InputError, match="positive finite number, not 0"):
        Normal((2,), 0.0)
    with pytest.raises(InputError, match="states have shape"):
        Normal((3,)).log_prob(torch.zeros(2, 5))


def test_colored_normal() -> None:
    covariance = torch.tensor([[2.0, 1.2], [1.2, 1.0]])
    law = ColoredNormal(covariance, torch.tensor([1.0, -1.0]))
    x = law.sample(100_000, seed=0)
    assert torch.allclose(x.T.cov(), covariance, atol=0.04)
    exact = stats.multivariate_normal([1, -1], covariance.numpy()).logpdf(x[:5].numpy())
    assert law.log_prob(x[:5]).numpy() == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("mean", [0.0, 3.0, 20.0])
@pytest.mark.parametrize("std", [0.3, 2.0])
def test_wrapped_normal(mean: float, std: float) -> None:
    law = WrappedNormal(mean, std)
    grid = torch.linspace(-math.pi, math.pi, 4001, dtype=torch.float64)[:-1, None]
    density = law.log_prob(grid).exp()
    width = 2 * math.pi / 4000
    assert float(density.sum() * width) == pytest.approx(1.0, abs=1e-9)
    resultant = (density * torch.cos(grid[:, 0] - mean)).sum() * width
    assert float(resultant) == pytest.approx(math.exp(-(std**2) / 2), abs=1e-9)
    x = law.sample(40_000, seed=0)
    assert float(torch.cos(x - mean).mean()) == pytest.approx(float(resultant), abs=0.015)
    assert -math.pi <= float(x.min()) <= float(x.max()) < math.pi


@pytest.mark.parametrize("concentration", [0.5, 4.0, 50.0])
def test_von_mises_fisher(concentration: float) -> None:
    mean = torch.tensor([0.0, 0.6, 0.8])
    law = VonMisesFisher(mean, concentration)
    x = law.sample(40_000, seed=0)
    assert torch.allclose(x.norm(dim=-1), torch.ones(len(x)), atol=1e-5)
    exact = 1 / math.tanh(concentration) - 1 / concentration
    assert law.mean_projection == pytest.approx(exact, rel=1e-6)
    height = x @ mean
    assert float(height.mean()) == pytest.approx(exact, abs=4 * float(height.std()) / 200)
    # The density at height u is kappa / (4 pi sinh kappa) exp(kappa u).
    normalizer = math.log(concentration / (2 * math.pi)) - concentration
    normalizer -= math.log1p(-math.exp(-2 * concentration))
    found = law.log_prob(x[:5])
    assert torch.allclose(found, normalizer + concentration * height[:5], atol=1e-3)


def test_uniform_on_manifolds() -> None:
    torus = ManifoldUniform(Torus(), (2,))
    assert torus.log_prob(torus.sample(3, seed=0)).tolist() == pytest.approx(
        [-2 * math.log(2 * math.pi)] * 3, rel=1e-5
    )
    sphere = ManifoldUniform(Sphere(), (3,))
    x = sphere.sample(40_000, seed=0)
    assert sphere.log_prob(x[:2]).tolist() == pytest.approx([-math.log(4 * math.pi)] * 2, rel=1e-5)
    # Archimedes: each coordinate is uniform.
    assert stats.kstest(x[:, 2].numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_table() -> None:
    chances = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    law = Table(chances)
    x = law.sample(40_000, seed=0)
    found = torch.bincount(2 * x[:, 0] + x[:, 1], minlength=4) / len(x)
    assert torch.allclose(found, chances.flatten(), atol=4 * 0.5 / 200)
    assert torch.allclose(law.log_prob(law.states()).exp(), chances.flatten())
    for wrong, message in (
        (torch.tensor([[-1, -1]]), r"0\.\.1, not in -1\.\.-1"),
        (torch.tensor([[0, 2]]), r"not in 0\.\.2"),
        (torch.tensor([[0], [1]]), r"shape \(B, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            law.log_prob(wrong)
    for wrong in (chances * 2, chances * torch.nan, torch.tensor([1.5, -0.5])):
        with pytest.raises(InputError, match="sum to one"):
            Table(wrong)
    with pytest.raises(InputError, match="one vocabulary"):
        Table(torch.full((2, 3), 1 / 6))


def test_what_is_certain_has_no_density() -> None:
    law = Constant(torch.tensor([[1, 2]]))
    x = law.sample(3)
    x[0, 0] = 9
    assert law.sample(1).tolist() == [[1, 2]]
    with pytest.raises(CapabilityError, match="no density"):
        law.log_prob(x)


def test_pushforward_by_the_change_of_variables() -> None:
    units = Standardize((2,))
    units.fit(torch.tensor([[0.0, 1.0], [4.0, 3.0]]))
    law = Pushforward(Normal((2,)), units)
    shift, scale = units.shift, units.scale
    x = law.sample(20_000, seed=0)
    assert torch.equal(x, units(Normal((2,)).sample(20_000, seed=0)))
    exact = stats.norm(shift.numpy(), scale.numpy()).logpdf(x[:5].numpy()).sum(1)
    assert law.log_prob(x[:5]).numpy() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(2), "shape is that of a state"),
        (lambda: Normal("2"), "shape is that of a state"),
        (lambda: Normal((2.5,)), "shape"),
        (lambda: Normal((-1,)), "shape"),
        (lambda: Normal((2,), scale="wide"), "scale"),
        (lambda: ColoredNormal([[1.0]]), "covariance is a tensor"),
        (lambda: ColoredNormal(torch.eye(2).long()), "covariance is a tensor"),
        (lambda: ColoredNormal(torch.ones(2, 3)), "covariance is a square matrix"),
        (lambda: ColoredNormal(torch.ones(2, 2)), "not positive definite"),
        (lambda: ColoredNormal(torch.full((2, 2), torch.nan)), "not positive definite"),
        (lambda: ColoredNormal(torch.eye(2), torch.zeros(3)), "mean is a tensor of shape"),
        (lambda: ColoredNormal(torch.eye(2), 1.0), "mean is a tensor of shape"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_by_name(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
