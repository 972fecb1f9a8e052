"""Ways to train an energy, on energies whose optimum is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pushforward import energy_training as et
from pushforward import mcmc, registry
from pushforward.errors import InputError
from pushforward.score_matching import Denoising, VarianceReduced


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Quadratic(nn.Module):
    """`E(x) = exp(a) |x - m|^2 / 2`: a Gaussian of precision `exp(a)`."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(()))
        self.m = nn.Parameter(torch.zeros(()))

    def forward(self, x, c):
        return self.a.exp() * (x - self.m).square().flatten(1).sum(-1) / 2


def _learn(training, x, steps: int, lr: float):
    """The mean of the parameters over the second half of training."""
    energy = Quadratic()
    training.allocate(tuple(x.shape[1:]), None, 2.0)
    training.prepare(x, None, torch.Generator().manual_seed(0))
    parameters = [*energy.parameters(), *training.parameters()]
    optimizer = torch.optim.Adam(parameters, lr)
    generator = _seed(1)
    late = []
    for k in range(steps):
        optimizer.zero_grad()
        training(energy, x, None, generator).mean().backward()
        optimizer.step()
        if 2 * k >= steps:
            late.append(torch.cat([p.detach().reshape(-1) for p in parameters]))
    return torch.stack(late).mean(0)


DATA = 0.5 + 0.6 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(3))

HMC = mcmc.HMC(0.3, 4)


@pytest.mark.parametrize(
    "training",
    [
        et.ContrastiveDivergence(5, HMC),
        et.PersistentContrastiveDivergence(2, 4000, restart=0.0, kernel=HMC),
        et.ScoreMatching("implicit"),
        et.ScoreMatching(VarianceReduced()),
        et.NoiseContrastive(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_the_fixed_point_is_the_maximum_of_the_likelihood(training) -> None:
    """A Gaussian energy learns the mean and the precision of the data.

    Within four standard errors of these estimates, and what the chains' noise leaves after
    averaging, which is smaller.
    """
    a, m = _learn(training, DATA, 400, 0.02)[:2]
    n = len(DATA)
    precision = 1 / float(DATA.var(correction=0))
    assert abs(float(a.exp()) - precision) < 4 * precision * (2 / n) ** 0.5
    assert abs(float(m) - float(DATA.mean())) < 4 * (1 / (n * precision)) ** 0.5


def test_denoising_learns_the_data_with_noise() -> None:
    a, _ = _learn(et.ScoreMatching(Denoising(0.5)), DATA, 400, 0.02)
    precision = 1 / (float(DATA.var()) + 0.25)
    assert abs(float(a.exp()) - precision) < 4 * precision * (2 / 4000) ** 0.5 * 2


@pytest.mark.parametrize("kind", [et.ContrastiveDivergence, et.PersistentContrastiveDivergence])
@pytest.mark.parametrize(("spread", "sign"), [(0.3, -1), (3.0, 1)])
def test_the_gradient_has_the_sign_of_the_likelihoods(kind, spread: float, sign: int) -> None:
    """Data narrower than the model ask for more precision, wider data for less."""
    x = spread * torch.randn(1000, 1, generator=_seed())
    training = kind(20, HMC) if kind is et.ContrastiveDivergence else kind(20, 2000, kernel=HMC)
    training.allocate((1,), None, 1.0)
    training.prepare(x, None, torch.Generator().manual_seed(0))
    energy = Quadratic()
    training(energy, x, None, _seed(1)).mean().backward()
    assert energy.a.grad is not None
    assert float(energy.a.grad) * sign > 0
    # Equilibrated chains give E_data - E_model of |x|^2 / 2.
    expected = (float(x.square().mean()) - 1) / 2
    error = (spread**4 / 2 + 0.5) ** 0.5 / 1000**0.5
    slack = 0.0 if kind is et.PersistentContrastiveDivergence else 0.05 * abs(expected)
    assert abs(float(energy.a.grad) - expected) < 4 * error + slack


@pytest.mark.parametrize("ratio", [1, 5])
def test_noise_contrast_finds_the_normalizing_constant(ratio: int) -> None:
    training = et.NoiseContrastive(ratio)
    a, _, log_z = _learn(training, DATA, 500, 0.02)
    # Of the learned Gaussian, exactly; the two errors are strongly correlated.
    expected = 0.5 * (math.log(2 * math.pi) - float(a))
    assert abs(float(log_z) - expected) < 4 * (1 + 1 / ratio) ** 0.5 / 4000**0.5


def test_the_noise_is_the_gaussian_of_the_data() -> None:
    x = torch.randn(5000, 2, generator=_seed()) @ torch.tensor([[1.0, 0.5], [0.0, 0.3]]) + 1
    training = et.NoiseContrastive()
    training.allocate((2,), None, 1.0)
    training.prepare(x, None, torch.Generator().manual_seed(0))
    assert torch.allclose(training.mean, x.mean(0), atol=1e-5)
    assert torch.allclose(training.factor @ training.factor.T, x.T.cov(correction=0), atol=1e-5)


def test_the_log_odds_of_noise_against_itself_are_those_of_the_ratio() -> None:
    """With the model equal to the noise the loss is `log(1 + k) + k log(1 + 1 / k)`."""
    x = torch.randn(5000, 2, generator=_seed())
    for ratio in (1, 3):
        training = et.NoiseContrastive(ratio)
        training.allocate((2,), None, 1.0)
        found = training(lambda x, c: x.square().sum(-1) / 2, x, None, _seed())
        expected = math.log(1 + ratio) + ratio * math.log(1 + 1 / ratio)
        assert torch.allclose(found, torch.tensor(expected), atol=1e-5)


def test_chains_are_kept_in_training_only_and_resume_exactly() -> None:
    def make():
        training = et.PersistentContrastiveDivergence(3, 128, restart=0.1)
        training.allocate((1,), None, 2.0)
        return training

    energy, x = Quadratic(), DATA[:64]
    first, second = make(), make()
    torch.manual_seed(5)
    first.prepare(x, None, torch.Generator().manual_seed(0))
    first(energy, x, None, _seed(1))
    second.load_state_dict(first.state_dict())
    before = {name: value.clone() for name, value in first.state_dict().items()}
    first.eval()(energy, x, None, _seed(2))
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())
    first.train()
    for k in range(3):
        a, b = (t(energy, x, None, _seed(10 + k)) for t in (first, second))
        assert torch.equal(a, b)
    assert torch.equal(first.chains, second.chains)
    assert torch.equal(first.step, second.step)
    assert not torch.equal(first.chains, before["chains"])


def test_chains_have_the_labels_of_the_data() -> None:
    training = et.PersistentContrastiveDivergence(20, 2000, restart=0.1, kernel=HMC)
    training.allocate((1,), 2, 1.0)
    c = (torch.arange(500) < 100).long()
    means = torch.tensor([-4.0, 4.0])

    def energy(x, c):
        return (x[:, 0] - means[c]).square() / 2

    training.prepare(torch.zeros(500, 1), c, torch.Generator().manual_seed(0))
    assert abs(float(training.labels.float().mean()) - 0.2) < 4 * 0.4 / 2000**0.5
    for k in range(20):
        training(energy, torch.zeros(500, 1), c, _seed(k))
    for label in (0, 1):
        found = training.chains[training.labels == label]
        assert abs(float(found.mean()) - float(means[label])) < 4 / len(found) ** 0.5


def test_divergence_is_counted_and_told() -> None:
    training = et.ContrastiveDivergence(2, "ula")
    assert training.warnings() == []
    for _ in range(20):
        training(lambda x, c: 1e6 * x.square().sum(-1), DATA[:50], None, _seed())
    assert float(training.diverged) == pytest.approx(1 - 0.99**20, abs=1e-3)
    assert "of the steps of the chains in training diverged" in training.warnings()[0]


def test_regularization_is_that_of_the_energies() -> None:
    x = DATA[:20]
    plain, held = et.ContrastiveDivergence(1), et.ContrastiveDivergence(1, regularization=0.5)
    energy = Quadratic()
    ends = plain._walk(energy, x, None, _seed())
    extra = 0.5 * (energy(x, None).square() + energy(ends, None).square())
    plain, held = plain.eval(), held.eval()
    other = et.ContrastiveDivergence(1).eval()
    assert torch.allclose(
        held(energy, x, None, _seed()), other(energy, x, None, _seed()) + extra, atol=1e-6
    )


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'pcd'"):
        registry.resolve("energy-training", "pcdd")
    with pytest.raises(InputError, match="no noise levels"):
        et.ScoreMatching("denoising-levels")
    with pytest.raises(InputError, match="is a class"):
        registry.resolve("energy-training", et.NoiseContrastive)
    for wrong in (0, 1.5, True):
        with pytest.raises(InputError, match="steps is a whole number"):
            et.ContrastiveDivergence(wrong)
        with pytest.raises(InputError, match="size is a whole number"):
            et.PersistentContrastiveDivergence(size=wrong)
        with pytest.raises(InputError, match="ratio is a whole number"):
            et.NoiseContrastive(wrong)
    with pytest.raises(InputError, match="restart is a finite number"):
        et.PersistentContrastiveDivergence(restart=1.5)
    with pytest.raises(InputError, match="at least 0"):
        et.ContrastiveDivergence(regularization=-1.0)
    small = et.PersistentContrastiveDivergence(size=4)
    small.allocate((1,), None, 1.0)
    with pytest.raises(InputError, match="give size=50"):
        small(Quadratic(), DATA[:50], None, None)
