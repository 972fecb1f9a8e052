"""Losses by their derivatives, and what is kept to learn from again."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.learned_samplers.normal_targets import LOG_Z, Constant, normal_density, wild
from torch import Tensor, nn

from pushforward.learned_samplers import (
    DenoisingDiffusion,
    PathIntegral,
    PathPair,
    ReplayBuffer,
    explored,
    log_variance,
    reverse_kl,
    trajectory_balance,
)
from pushforward.learned_samplers.estimates import mode_entropy

MEAN = torch.tensor([0.4, -0.3], dtype=torch.float64)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class _Push(nn.Module):
    """A constant control `a`, the same in both numbers of a state."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor, feature: Tensor) -> Tensor:
        return self.a.expand_as(x)


def _pushed(a: float) -> PathPair:
    return PathIntegral().build(2, 8, lambda: _Push(a)).double()


def _slope(loss: Any, pair: PathPair, generator: torch.Generator, **more: Any) -> float:
    found = loss(pair, normal_density(MEAN, 1.0), 20_000, generator=generator, **more).mean()
    return float(torch.autograd.grad(found, pair.control.a)[0])


def test_reverse_kl_has_the_slope_of_the_divergence(generator: torch.Generator) -> None:
    """Between Brownian motions with drifts `a` and `m` it is `|a - m|^2 / 2`."""
    a = 0.2
    exact = float((a - MEAN).sum())
    assert _slope(reverse_kl, _pushed(a), generator) == pytest.approx(exact, abs=0.03)


def test_log_variance_has_the_slope_of_twice_the_divergence(generator: torch.Generator) -> None:
    """On paths of the sampler itself (Richter et al. 2020), where `log w` has this variance."""
    a = 0.2
    loss = log_variance(_pushed(a), normal_density(MEAN, 1.0), 20_000, generator=generator)
    assert float(loss.mean().detach()) == pytest.approx(float((a - MEAN).square().sum()), rel=0.05)
    exact = 2 * float((a - MEAN).sum())
    assert _slope(log_variance, _pushed(a), generator) == pytest.approx(exact, abs=0.06)


def test_trajectory_balance_with_the_mean_is_the_variance(generator: torch.Generator) -> None:
    a = 0.2
    one = _slope(trajectory_balance, _pushed(a), generator)
    assert one == pytest.approx(2 * float((a - MEAN).sum()), abs=0.06)


def test_trajectory_balance_learns_log_z(generator: torch.Generator) -> None:
    """Its slope in `log Z` is `2 (log Z - E log w)`, and the ELBO lacks the divergence."""
    a, log_z = 0.2, torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    density = normal_density(MEAN, 1.0)
    loss = trajectory_balance(_pushed(a), density, 20_000, generator=generator, log_z=log_z)
    (slope,) = torch.autograd.grad(loss.mean(), log_z)
    elbo = LOG_Z - 0.5 * float((a - MEAN).square().sum())
    assert float(slope) == pytest.approx(2 * (0.5 - elbo), abs=0.03)


def test_paths_are_fixed_when_weights_are_differentiated(generator: torch.Generator) -> None:
    """With the derivative along the path, `log_variance` would have another slope."""
    pair = _pushed(0.2)
    state = generator.get_state()
    loss = log_variance(pair, normal_density(MEAN, 0.7), 50, generator=generator)
    (fixed,) = torch.autograd.grad(loss.mean(), pair.control.a)
    generator.set_state(state)
    weights = -reverse_kl(pair, normal_density(MEAN, 0.7), 50, generator=generator)
    (along,) = torch.autograd.grad(weights.var(), pair.control.a)
    assert abs(float(fixed - along)) > 1e-3


@pytest.mark.parametrize("loss", [log_variance, trajectory_balance])
def test_exact_control_has_no_loss_on_any_paths(loss: Any, generator: torch.Generator) -> None:
    pair = PathIntegral().build(2, 5, lambda: Constant(lambda x, t: MEAN.expand_as(x))).double()
    replay = 5 * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    more = {"log_z": torch.tensor(LOG_Z)} if loss is trajectory_balance else {}
    found = loss(pair, normal_density(MEAN, 1.0), 50, generator=generator, replay=replay, **more)
    assert found.shape == (50,)
    assert float(found.max()) < 1e-8


# -- what is kept -------------------------------------------------------------------------------


def test_particles_stay_and_the_oldest_ends_go() -> None:
    buffer = ReplayBuffer(4, 1)
    assert not buffer.filled
    buffer.keep(-torch.ones(6, 1), torch.zeros(6))
    for k in range(3):
        buffer.add(torch.full((3, 1), float(k)), torch.zeros(3))
    assert buffer.states[:4].flatten().tolist() == [-1] * 4
    # Nine ends in four places: the last four are there.
    assert sorted(buffer.states[4:].flatten().tolist()) == [1, 2, 2, 2]


def test_draws_follow_truncated_weights(generator: torch.Generator) -> None:
    buffer = ReplayBuffer(4, 1)
    buffer.keep(torch.arange(4.0)[:, None], torch.tensor([1.0, 2.0, 9.0, 0.0]).log())
    shares = buffer.shares()
    assert shares[:4].tolist() == pytest.approx([0.25, 0.5, 3**0.5, 0.0])  # 9/4 is cut
    drawn = buffer.draw(7000, generator).flatten().long()
    counts = torch.bincount(drawn, minlength=4) / 1000
    assert counts.tolist() == pytest.approx([0.705, 1.41, 4.885, 0], abs=0.15)


def test_ends_that_are_no_number_are_not_drawn(generator: torch.Generator) -> None:
    buffer = ReplayBuffer(4, 1)
    buffer.add(torch.ones(2, 1), torch.tensor([math.nan, 0.0]))
    assert buffer.shares().tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    # Nor are those outside of the target.
    buffer.add(torch.ones(3, 1), torch.tensor([-math.inf, -math.inf, -math.inf]))
    assert not buffer.shares()[[4, 6, 7]].any()


def test_particles_have_mean_weight_z(generator: torch.Generator) -> None:
    density = normal_density(MEAN, 0.4)
    x, log_weights = explored(density, 2000, generator=generator)
    assert len(x) >= 2000
    assert float(log_weights.logsumexp(0)) - math.log(len(x)) == pytest.approx(LOG_Z, abs=0.1)
    share = log_weights.softmax(0)
    assert (share @ x).tolist() == pytest.approx(MEAN.tolist(), abs=0.05)


def test_entropy_of_equal_shares_is_one() -> None:
    modes = 10 * torch.eye(4)
    assert mode_entropy(modes, modes) == pytest.approx(1)
    half = torch.cat([modes[:1], modes[:1], modes[1:2], modes[1:2]])
    assert mode_entropy(half, modes) == pytest.approx(0.5)


def test_replay_reaches_what_paths_do_not(generator: torch.Generator) -> None:
    """A mode that the start does not reach has a gradient only through what is replayed."""
    pair = DenoisingDiffusion(scale=0.1).build(2, 4, wild(2)).double()
    density = normal_density(MEAN, 0.5)
    far = torch.full((10, 2), 3.0, dtype=torch.float64)
    own = log_variance(pair, density, 20, generator=generator)
    both = log_variance(pair, density, 20, generator=generator, replay=far)
    assert float(both.detach()[10:].mean()) > 100 * float(own.detach().mean())
