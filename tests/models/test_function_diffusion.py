"""Functions given their values at some points: draws and densities beside exact Gaussian ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.models import FunctionDiffusion, at_points, log_prob_given
from pushforward.processes import Gaussian
from pushforward.spaces import Functions, Spectral, kernels

N = 6
SPACE = Functions(Spectral(kernels.Matern(0.5, 0.3)), axes=[list(range(N))], masked=True)
DATA = Spectral(kernels.Matern(1.5, 0.4))
NAN = torch.nan


def _covariance(spec: Spectral) -> Tensor:
    columns = spec.root((N,), (False,)).color(torch.eye(N, dtype=torch.float64))
    return columns.mT @ columns


class _Exact(nn.Module):
    """`E[x_0 | x_t where there is one, x_0 where it is known]` of a Gaussian process."""

    masked = True

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = nn.Parameter(torch.tensor(off))

    def forward(self, x: Tensor, t: Tensor, c: Any = None, known: Tensor | None = None) -> Tensor:
        own, noise = _covariance(DATA), _covariance(SPACE.noise)
        t = torch.as_tensor(t).expand(len(x)).double()
        out = []
        for row, time, told in zip(x[:, 0].double(), t,
                                   torch.zeros_like(x) if known is None else known,
                                   strict=True):  # fmt: skip
            alpha, sigma = pf.schedules.VP().values(time)
            fixed = told.flatten().bool()
            there = ~row.isnan()
            scale = torch.where(fixed, 1.0, alpha)
            spread = scale[:, None] * own * scale + sigma**2 * noise * ~fixed * ~fixed[:, None]
            cross = own * scale
            gain = torch.linalg.solve(spread[there][:, there], cross[:, there].mT).mT
            out.append(gain @ row[there])
        return torch.stack(out).unsqueeze(1).to(x) + self.off


def _model(off: float = 0.0, cls: Any = FunctionDiffusion) -> Any:
    return cls(_Exact(off), Gaussian(space=SPACE), predict="data", event_shape=(1, N))


def _posterior(y: Tensor, places: list[int]) -> tuple[Tensor, Tensor, list[int]]:
    own, rest = _covariance(DATA), [k for k in range(N) if k not in places]
    gain = torch.linalg.solve(own[places][:, places], own[places][:, rest]).mT
    spread = own[rest][:, rest] - gain @ own[places][:, rest]
    return gain @ y.double(), spread, rest


def test_infilled_functions_have_the_law_of_gaussian_process_regression() -> None:
    part = torch.full((1, 1, N), NAN)
    part[0, 0, 1], part[0, 0, 4] = 1.0, -0.5
    x = _model().infill(part.expand(500, -1, -1), steps=16, seed=0)[:, 0].double()
    mean, spread, rest = _posterior(torch.tensor([1.0, -0.5]), [1, 4])
    assert torch.equal(x[:, 1].float(), torch.ones(500))
    x = x[:, rest]
    error = (spread.diagonal() / 500).sqrt()
    assert bool(((x.mean(0) - mean).abs() < 4.5 * error).all())
    scale = spread.diagonal().sqrt()
    ratio = torch.cov(x.mT) / torch.outer(scale, scale)
    exact = spread / torch.outer(scale, scale)
    assert torch.allclose(ratio, exact, atol=4.5 * math.sqrt(2 / 500))


@pytest.mark.parametrize("cls", [FunctionDiffusion, pf.Diffusion])
def test_densities_of_targets_are_those_of_the_conditional(cls: Any) -> None:
    """By one flow of the targets, or by two of a model that knows no contexts."""
    model = _model(cls=cls).double()
    model.units.keep(torch.tensor([[2.0]]), torch.tensor([[3.0]]), double=True)
    contexts = torch.full((2, 1, N), NAN, dtype=torch.float64)
    targets = contexts.clone()
    contexts[:, 0, 1], contexts[0, 0, 4], targets[:, 0, 2], targets[:, 0, 5] = 1.0, -0.5, 0.4, 0.2
    found = log_prob_given(
        model, 2 + 3 * targets, 2 + 3 * contexts, steps=16, divergence="exact"
    ).value
    for k, places in enumerate([[1, 4], [1]]):
        mean, spread, rest = _posterior(contexts[k, 0, places], places)
        at = [rest.index(2), rest.index(5)]
        law = torch.distributions.MultivariateNormal(mean[at], spread[at][:, at])
        exact = float(law.log_prob(targets[k, 0, [2, 5]])) - 2 * math.log(3)
        assert float(found[k]) == pytest.approx(exact, abs=0.02)


def test_the_loss_is_least_where_the_prediction_is_the_conditional_mean() -> None:
    model = _model()
    root = DATA.root((N,), (False,))
    x = root.color(torch.randn(256, 1, N, generator=torch.Generator().manual_seed(0)))
    loss = model.loss(x, generator=torch.Generator().manual_seed(1))
    assert loss.shape == (256,)
    slope = torch.autograd.grad(loss.mean(), model.predictor.net.off)[0]
    # Of 256 losses with errors of deviation below one each.
    assert abs(float(slope)) < 4 * 2 / 256**0.5
    more = _model(0.5).loss(x, generator=torch.Generator().manual_seed(1))
    assert float((more - loss).mean().detach()) == pytest.approx(0.25, abs=0.1)


def test_which_values_are_given() -> None:
    model = _model()
    z = torch.zeros(3000, 1, N)
    z[:, :, 0] = NAN
    seen, known = model.drawn_values(z, torch.Generator().manual_seed(0))
    assert not bool((known & seen.isnan()).any())
    assert not bool(known[:, :, 0].any())
    asked = ~known & ~seen.isnan()
    assert bool(asked.flatten(1).any(1).all())
    count = known.sum((1, 2))
    assert {int(k) for k in count.unique()} == {0, 1, 2, 3, 4}
    assert float((count == 0).float().mean()) == pytest.approx(0.25 + 0.75 / 6, abs=0.05)
    most = FunctionDiffusion(_Exact(), Gaussian(space=SPACE), most=0.3, left_out=0.0,
                             event_shape=(1, N))  # fmt: skip
    whole, few = most.drawn_values(torch.zeros(500, 1, N), torch.Generator().manual_seed(0))
    assert not bool(whole.isnan().any())
    assert 0 < float(few.float().mean()) < 0.75 * 0.2


@pytest.mark.parametrize("name", ["fourier-operator", "point-attention"])
def test_networks_are_told_which_values_are_given(name: str) -> None:
    x = torch.rand(40, 1) + torch.linspace(0, 3, N).sin()
    x[3, 2] = NAN
    data = pf.data.load(x.numpy(), kind="functions", missing="nan")
    torch.manual_seed(0)
    model = FunctionDiffusion.for_data(data, net=name, predict="data")
    run = pf.fit(model, data, steps=3, batch_size=8, progress=False, holdout=0.0)
    assert math.isfinite(run.history[-1]["loss"])
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    part = torch.full((2, 1, N), NAN)
    part[:, 0, 1] = torch.tensor([0.0, 5.0])
    a, b = model.infill(part, steps=2, seed=0)
    assert a[0, 1] == 0
    assert b[0, 1] == 5
    # Noise of a row is its own, so that the same row is drawn twice.
    again = model.infill(part.roll(1, 0), steps=2, seed=0)
    assert not torch.allclose(again[1] - again[0], b - a)
    state = torch.zeros(1, 1, N)
    flags = state.bool()
    flags[0, 0, 2] = True
    net = model.predictor.net
    assert not torch.allclose(net(state, 0.5, None, flags), net(state, 0.5))
    moved = at_points(model, [[k / 2 - 0.25 for k in range(2 * N)]])
    assert moved.infill(torch.full((1, 1, 2 * N), NAN), steps=2, seed=0).shape == (1, 1, 2 * N)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="not of Gaussian"):
        FunctionDiffusion(_Exact(), Gaussian())
    flat = Functions(axes=[list(range(N))], norm="cameron-martin")
    with pytest.raises(InputError, match="leave norm= out"):
        FunctionDiffusion(_Exact(), Gaussian(space=flat))
    with pytest.raises(InputError, match="load it with kind='functions'"):
        FunctionDiffusion.for_data(pf.data.load(torch.rand(9, 2).numpy()))
    data = pf.data.load(torch.rand(9, N).numpy(), kind="functions")
    with pytest.raises(InputError, match="not told which values are given"):
        FunctionDiffusion.for_data(data, net="mlp")
    with pytest.raises(InputError, match="both a target and a context"):
        log_prob_given(_model(), torch.zeros(1, 1, N), torch.zeros(1, 1, N))
    with pytest.raises(CapabilityError, match="densities of functions"):
        log_prob_given(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)), torch.zeros(1, 2))
    plain = pf.Diffusion(pf.nn.FourierOperator(1, width=8, depth=1), Gaussian(space=SPACE),
                         event_shape=(1, N))  # fmt: skip
    part = torch.zeros(1, 1, N)
    part[0, 0, 3] = NAN
    with pytest.raises(CapabilityError, match="takes no missing values"):
        log_prob_given(plain, part)
