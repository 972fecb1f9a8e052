"""Implicit and sliced score matching on manifolds: integration by parts, on every space."""

from __future__ import annotations

import pytest
import torch

from pushforward.distributions import VonMisesFisher, WrappedNormal
from pushforward.score_matching import implicit, sliced, sliced_variance_reduced
from pushforward.spaces import SO3, SPD, Hyperbolic, Sphere, Torus

SPACES = {
    "torus": (Torus(), (2,)),
    "sphere": (Sphere(), (3,)),
    "rotations": (SO3(), (3, 3)),
    "hyperbolic": (Hyperbolic(), (3,)),
    "matrices": (SPD(2), (2, 2)),
}


def field(space, shape):
    """A smooth tangent field, of bounded length."""
    generator = torch.Generator().manual_seed(3)
    size = space.embed(space.origin(shape).double().unsqueeze(0)).shape[1:].numel()
    out = torch.Size(shape).numel()
    weight = torch.randn(size, out, generator=generator).double()

    def v(x: torch.Tensor) -> torch.Tensor:
        # With a mean of its own: about it, volumes of any power would balance.
        numbers = torch.tanh(space.embed(x).flatten(1) @ weight + 0.7)
        return space.tangent(x, numbers.reshape(x.shape))

    return v


@pytest.mark.parametrize("name", SPACES)
def test_the_divergence_integrates_by_parts(name: str) -> None:
    # E div v = -E <v, grad log p>, whatever the field: the divergence is that of the volume.
    space, shape = SPACES[name]
    data = WrappedNormal(space.origin(shape).double(), 0.5, space)
    x, v, h = data.sample(6_000, seed=0), field(space, shape), 1e-4
    at = v(x)
    loss = implicit(v, x, space=space).detach()
    div = loss - space.inner(x, at, at) / 2
    along = (data.log_prob(space.exp(x, h * at)) - data.log_prob(space.exp(x, -h * at))) / (2 * h)
    total = div + along
    assert float(total.mean()) == pytest.approx(0, abs=4 * float(total.std()) / 6_000**0.5)
    # And it is no small number by itself.
    assert float(div.mean().abs()) > 0.05


@pytest.mark.parametrize("name", SPACES)
def test_slices_have_the_expectation_of_the_whole(name: str) -> None:
    space, shape = SPACES[name]
    data = WrappedNormal(space.origin(shape).double(), 0.5, space)
    x, v = data.sample(20, seed=1), field(space, shape)
    exact = implicit(v, x, space=space).detach()
    for loss in (sliced, sliced_variance_reduced):
        generator = torch.Generator().manual_seed(4)
        each = torch.stack(
            [loss(v, x, 1, generator=generator, space=space).detach() for _ in range(400)]
        )
        error = each.std(0) / 20
        assert bool(((each.mean(0) - exact).abs() < 4.5 * error + 1e-9).all())


def test_the_loss_trains_a_score() -> None:
    # The score of a von Mises-Fisher distribution is linear in the coordinates, projected.
    mean = torch.tensor([0.0, 0.6, 0.8])

    x = VonMisesFisher(mean, 3.0).sample(4_000, seed=0)
    weight = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], lr=0.5, max_iter=40)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = implicit(lambda x: weight + 0 * x, x, space=Sphere()).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    # The information of 4,000 directions about three numbers.
    assert torch.allclose(weight.detach(), 3.0 * mean, atol=0.25)
