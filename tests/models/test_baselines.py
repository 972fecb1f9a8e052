"""Baselines: exact densities, the laws they are meant for, and small data."""

from __future__ import annotations

import functools
import json
import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError
from pushforward.models import (
    DirichletProcessMixture,
    GaussianMixtureModel,
    KernelDensity,
    ProbabilisticPCA,
    bandwidth,
)

ALL = [KernelDensity, GaussianMixtureModel, DirichletProcessMixture, ProbabilisticPCA]
TWO = GaussianMixture(torch.tensor([[-3.0, 0.0], [5.0, 1.0]]), torch.tensor([0.5, 1.0]))


def fitted(model, x: Tensor, **settings):
    return pf.fit(model, x, progress=False, **settings).model


@functools.cache
def fitted_to_two(family) -> tuple[Any, Tensor, float]:
    """A model of draws, its log-densities on a grid, and the area of a cell."""
    model = fitted(family(), TWO.sample(400, seed=0))
    side = torch.linspace(-30, 32, 401)
    log_p = model.log_prob(torch.cartesian_prod(side, side)).value.double()
    return model, log_p, float(side[1] - side[0]) ** 2


@pytest.mark.parametrize("family", ALL)
def test_densities_integrate_to_one_in_data_units(family) -> None:
    _, log_p, cell = fitted_to_two(family)
    assert float(log_p.exp().sum() * cell) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("family", ALL)
def test_samples_have_the_density_that_is_claimed(family) -> None:
    model, log_p, cell = fitted_to_two(family)
    x = model.sample(4000, seed=1)
    # The entropy by samples of the model, against the integral over a grid.
    entropy = -float((log_p.exp() * log_p).sum() * cell)
    nats = pf.metrics.negative_log_likelihood(model.log_prob(x))
    assert abs(nats.value - entropy) < 4 * nats.stderr


@pytest.mark.parametrize("family", ALL)
def test_the_density_has_a_gradient_in_the_states(family) -> None:
    """Standardized, against central differences."""
    model = fitted(family(), TWO.sample(50, seed=0)).double()
    x = TWO.sample(4, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model.log_prob(x).value, x)


def test_the_mixture_finds_a_mixture() -> None:
    model = fitted(GaussianMixtureModel(components=2), TWO.sample(4000, seed=0))
    test = TWO.sample(2000, seed=1)
    gap = TWO.log_prob(test) - model.log_prob(test).value
    # Eleven parameters cost about 11 / (2 N) nats.
    assert abs(float(gap.mean())) < 11 / 8000 + 4 * float(gap.std()) / math.sqrt(len(gap))


def test_em_says_where_it_stops_early() -> None:
    """Two components that overlap gain little in each step."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    with pytest.warns(
        ConvergenceWarning, match=r"EM of 4 .* in 3 iterations.*raise max_iterations"
    ):
        fitted(GaussianMixtureModel(components=4, max_iterations=3), x)
    fitted(GaussianMixtureModel(components=4), x)


def test_the_number_of_components_is_found_by_likelihood() -> None:
    data = pf.data.load("8gaussians").take(torch.arange(2000)).x
    assert len(fitted(GaussianMixtureModel(), data).weights) >= 8


def test_two_numbers_behind_the_best_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    em = GaussianMixtureModel._em

    def counted(self: GaussianMixtureModel, z: torch.Tensor, components: int) -> object:
        tried.append(components)
        return em(self, z, components)

    monkeypatch.setattr(GaussianMixtureModel, "_em", counted)
    model = fitted(GaussianMixtureModel(), TWO.sample(1000, seed=0))
    best = len(model.weights)
    assert best == 2
    assert tried == [1, 2, 4, 8, best]


def test_a_dirichlet_process_finds_its_number_of_components() -> None:
    data = pf.data.load("8gaussians", n=2500).x
    train, test = data[:2000], data[2000:]
    model = fitted(DirichletProcessMixture(components=20), train, holdout=0.0)
    assert int((model.weights > 0.02).sum()) == 8
    # As good as EM that is told the number: 47 parameters cost about 47 / (2 N) nats.
    told = fitted(GaussianMixtureModel(components=8), train, holdout=0.0)
    gap = told.log_prob(test).value - model.log_prob(test).value
    assert abs(float(gap.mean())) < 47 / 4000 + 4 * float(gap.std()) / math.sqrt(len(gap))
    with pytest.warns(ConvergenceWarning, match="not converged in 1 iterations"):
        fitted(DirichletProcessMixture(max_iterations=1), train)


def test_ppca_is_the_closed_form_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 5, generator=generator) @ torch.randn(5, 5, generator=generator)
    model = fitted(ProbabilisticPCA(components=2), x, standardize=False, holdout=0.0)
    peer = PCA(2).fit(x.double().numpy())
    found = model.log_prob(x).value.double()
    # It divides by N - 1, which changes the likelihood by about 1 / (2 N).
    exact = torch.from_numpy(peer.score_samples(x.double().numpy()))
    assert torch.allclose(found, exact, atol=0.1)
    assert float((found - exact).mean()) == pytest.approx(0, abs=2 / len(x))


def test_a_kernel_density_with_a_known_width() -> None:
    x = torch.tensor([[-1.0], [0.0], [3.0]])
    model = fitted(KernelDensity(bandwidth=0.5), x, standardize=False, holdout=0.0)
    exact = GaussianMixture(x, 0.25).log_prob(torch.tensor([[0.2]]))
    assert torch.allclose(model.log_prob(torch.tensor([[0.2]])).value, exact)


def test_the_width_of_a_kernel_falls_with_the_number_of_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Chosen with the same few points, for many times as many.
    monkeypatch.setattr(bandwidth, "selected", lambda z: z[:500])
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    settings = {"standardize": False, "holdout": 0.0}
    spreads = [float(fitted(KernelDensity(), x[:n], **settings).covariances) for n in (500, 4000)]
    # The optimal one falls as n^(-1 / (d + 4)).
    assert (spreads[1] / spreads[0]) ** 0.5 == pytest.approx(8 ** (-1 / 6), rel=1e-5)


def test_levels_are_spread_before_a_density_is_fitted() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (2000, 1), generator=generator).float()
    data = pf.data.Data(x, levels=2, value_range=(0.0, 1.0))
    model = fitted(KernelDensity(), data)
    # Uniform on [-1/2, 3/2]: no spike at the levels.
    at = model.log_prob(torch.tensor([[0.0], [0.5], [1.0]])).value.exp()
    assert torch.allclose(at, torch.full((3,), 0.5), atol=0.1)


@pytest.mark.parametrize("family", ALL)
def test_a_saved_baseline_is_loaded_again(family, tmp_path) -> None:
    model = fitted(family(), TWO.sample(100, seed=0), out=tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert torch.equal(again.sample(5, seed=0), model.sample(5, seed=0))
    model.save(tmp_path / "model")
    x = TWO.sample(5, seed=2)
    assert torch.equal(pf.load(tmp_path / "model").log_prob(x).value, model.log_prob(x).value)


@pytest.mark.parametrize("family", ALL)
def test_what_a_baseline_refuses(family) -> None:
    with pytest.raises(InputError, match="not been fitted"):
        family(event_shape=(2,)).sample(3)
    with pytest.raises(InputError, match="two data points"):
        family().prepare(torch.ones(1, 2), generator=torch.Generator())
    with pytest.raises(CapabilityError, match="no labels"):
        fitted(family(), TWO.sample(50, seed=0)).sample(2, 0)


def test_arguments_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match="bandwidth is a positive finite number, not 0"):
        KernelDensity(bandwidth=0.0)
    with pytest.raises(InputError, match="at least 1, not 0"):
        GaussianMixtureModel(components=0)
    with pytest.raises(InputError, match="has no 3 components"):
        fitted(ProbabilisticPCA(components=3), TWO.sample(50, seed=0))


@pytest.mark.parametrize("family", ALL)
def test_what_is_not_a_number_has_no_density(family) -> None:
    model = fitted(family(), TWO.sample(50, seed=0))
    with pytest.raises(InputError, match="1 of 2 states are not finite"):
        model.log_prob(torch.tensor([[0.0, 0.0], [0.0, math.nan]]))


@pytest.mark.parametrize("dim", [1, 6])
def test_the_width_is_the_best_of_five_folds(dim: int) -> None:
    x = torch.randn(300, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[::3] *= 0.1
    few = bandwidth.selected(x)
    fold, rate = torch.arange(300) % 5, 1 / (dim + 4)
    widest = 1.5 * (4 / ((dim + 2) * 240)) ** rate
    scores = {}
    for h in (widest * 0.85**k for k in range(24)):
        laws = [(GaussianMixture(few[fold != k], h * h), few[fold == k]) for k in range(5)]
        scores[h] = sum(float(law.log_prob(held).sum()) for law, held in laws)
    best = max(scores, key=lambda h: scores[h])
    assert bandwidth.best_bandwidth(x) == pytest.approx(best * (240 / 300) ** rate, rel=1e-12)


@pytest.mark.parametrize("components", [0, 1, 2, 3])
def test_probabilistic_pca_has_the_largest_likelihood(components: int) -> None:
    """In the units of the data, as scikit-learn's PCA but for its division by n - 1."""
    from sklearn import decomposition

    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[3.0, 0.0, 0.0, 1.0], [0.0, 0.5, 0.0, 1.0], [0.0, 0.0, 0.1, 0.2]])
    x = torch.randn(400, 3, generator=g) @ mix + 0.3 * torch.randn(400, 4, generator=g) + 5
    model = pf.fit(ProbabilisticPCA(components), x, holdout=0.0, progress=False).model
    value = float(model.log_prob(x).value.mean())
    peer = decomposition.PCA(components, svd_solver="full").fit(x.double().numpy())
    assert peer.score(x.double().numpy()) <= value + 1e-6
    assert value == pytest.approx(peer.score(x.double().numpy()), abs=1e-4)
    spread = float(model.known_units().scale.flatten()[0]) ** 2
    covariance = spread * model.covariances[0].double().numpy()
    assert covariance == pytest.approx(peer.get_covariance() * 399 / 400, rel=1e-3, abs=1e-4)
    of_columns = ProbabilisticPCA(components, scale="columns")
    correlated = pf.fit(of_columns, x, holdout=0.0, progress=False).model
    if components < 3:
        assert abs(float(correlated.log_prob(x).value.mean()) - value) > 1e-3


def test_columns_that_a_common_scale_loses_are_told() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e4, 1.0])
    (doubt,) = ProbabilisticPCA(scale="common").doubts(x)
    assert "scale='columns'" in doubt
    assert ProbabilisticPCA(scale="columns").doubts(x) == []
    assert ProbabilisticPCA(scale="common").doubts(x / torch.tensor([1e3, 1.0])) == []
    assert ProbabilisticPCA().doubts(x) == []


def test_probabilistic_pca_takes_the_scale_that_fits(tmp_path) -> None:
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    assert fitted(ProbabilisticPCA(1), x).scale == "common"
    unequal = fitted(ProbabilisticPCA(1), x * torch.tensor([1e3, 1.0, 1.0, 1.0]))
    assert unequal.scale == "columns"
    unequal.save(tmp_path)
    assert pf.load(tmp_path).scale == "columns"


def test_the_time_to_fit_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    fit = KernelDensity._fit

    def slow(self, z: Tensor):
        time.sleep(0.3)
        return fit(self, z)

    monkeypatch.setattr(KernelDensity, "_fit", slow)
    run = pf.fit(KernelDensity(0.5), TWO.sample(20, seed=0), out=tmp_path, progress=False)
    assert run.history[-1]["seconds"] >= 0.3
    assert json.loads((tmp_path / "manifest.json").read_text())["seconds"] >= 0.3


def test_many_components_are_judged_by_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(KernelDensity(0.5), TWO.sample(40, seed=0))
    assert model.judged_rows() > 1_000_000
    model._allocate([[200_000, 2], [], [200_000], [2], [2]])
    assert model.judged_rows() == 1000
    monkeypatch.setattr(KernelDensity, "judged_rows", lambda self: 7)
    seen = []
    loss = KernelDensity.loss
    monkeypatch.setattr(
        KernelDensity, "loss", lambda self, x, c=None, **more: seen.append(len(x)) or loss(self, x)
    )
    fitted(KernelDensity(0.5), TWO.sample(200, seed=0), holdout=0.5, batch_size=4)
    assert seen[-1] == 7


@pytest.mark.parametrize("family", ALL)
def test_what_does_not_vary_has_no_part_in_a_density(family) -> None:
    """The same as without it, and less where it has another value."""
    x = TWO.sample(60, seed=0)
    more = torch.cat([torch.full((60, 1), 0.1), x], 1)
    plain, model = (fitted(family(), y, holdout=0.0) for y in (x, more))
    assert torch.allclose(model.log_prob(more).value, plain.log_prob(x).value, atol=1e-4)
    assert bool((model.log_prob(more + torch.eye(3)[0]).value < model.log_prob(more).value).all())
    assert torch.equal(model.sample(5, seed=0)[:, 0], torch.full((5,), 0.1))
    still = fitted(family(), torch.full((30, 2), 0.1))
    assert torch.equal(still.sample(5, seed=0), torch.full((5, 2), 0.1))
