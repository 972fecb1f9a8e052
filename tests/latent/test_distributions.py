"""Laws of latents: densities against torch's own, and what makes them laws."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, distributions

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.importance import log_mean
from pushforward.latent import (
    DiagonalEncoder,
    DiagonalNormal,
    FlowEncoder,
    FlowPrior,
    FullCovarianceEncoder,
    FullNormal,
    Mixture,
    MixturePrior,
    StandardNormal,
    Transformed,
    VampPrior,
    annealed,
)
from pushforward.models import flow_architectures
from pushforward.nn import Perceptron

NONE = {"num_classes": None, "context": None}


def normal(seed: int = 0) -> DiagonalNormal:
    generator = resolve(seed)
    mean = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    return DiagonalNormal(mean, 0.1 + torch.rand(5, 3, generator=generator, dtype=torch.float64))


def full(seed: int = 0) -> FullNormal:
    law = normal(seed)
    lower = torch.randn(5, 3, 3, generator=resolve(seed), dtype=torch.float64).tril(-1)
    return FullNormal(law.mean, lower + torch.diag_embed(law.std))


def twisted(context: int | None = None) -> torch.nn.Module:
    """A bijection of the plane that is not the identity."""
    told = {"num_classes": None, "context": context}
    transform = flow_architectures.build(
        "affine-coupling", (2,), told, {"layers": 2, "width": 8}
    ).double()
    for parameter in transform.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return transform


@torch.no_grad()
def mass(log_prob, reach: float = 12.0) -> float:
    side = torch.linspace(-reach, reach, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    return float(log_prob(grid).exp().sum() * (side[1] - side[0]) ** 2)


@pytest.mark.parametrize("law", [normal(), full()], ids=["diagonal", "full"])
def test_gaussians_are_those_of_torch(law) -> None:
    if isinstance(law, DiagonalNormal):
        peer = distributions.MultivariateNormal(law.mean, scale_tril=torch.diag_embed(law.std))
    else:
        peer = distributions.MultivariateNormal(law.mean, scale_tril=law.factor)
    origin = torch.zeros_like(law.mean)
    standard = distributions.MultivariateNormal(origin, scale_tril=torch.eye(3).to(origin))
    noise = torch.randn(4, 5, 3, generator=resolve(1), dtype=torch.float64)
    z, log_q = law.push_and_log_prob(noise)
    assert torch.allclose(log_q, peer.log_prob(z))
    assert torch.allclose(law.log_prob(z), peer.log_prob(z))
    exact = distributions.kl_divergence(peer, standard)
    assert torch.allclose(law.divergence().sum(-1), exact)
    index = torch.tensor([3, 0])
    assert torch.allclose(law.take(index).log_prob(z[:, index]), log_q[:, index])


@pytest.mark.parametrize("law", [normal(), full()], ids=["diagonal", "full"])
def test_divergences_are_means_of_log_ratios(law) -> None:
    noise = torch.randn(50_000, 5, 3, generator=resolve(1), dtype=torch.float64)
    z, log_q = law.push_and_log_prob(noise)
    standard = DiagonalNormal(torch.zeros(1, 3, dtype=z.dtype), torch.ones(1, 3, dtype=z.dtype))
    ratio = log_q - standard.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - law.divergence().sum(-1)).abs() < 4 * error).all()


def test_a_transformed_law_knows_its_density() -> None:
    start = normal()
    base = DiagonalNormal(start.mean[:, :2], start.std[:, :2])
    context = torch.randn(5, 3, generator=resolve(2), dtype=torch.float64)
    law = Transformed(base, twisted(3), context)
    noise = torch.randn(4, 5, 2, generator=resolve(1), dtype=torch.float64)
    z, log_q = law.push_and_log_prob(noise)
    assert not torch.allclose(z, base.push(noise), atol=0.1)
    assert torch.allclose(law.log_prob(z), log_q)
    index = torch.tensor([1])
    assert torch.allclose(law.take(index).log_prob(z[:, index]), log_q[:, index])
    one = law.take(index)
    assert mass(lambda grid: one.log_prob(grid.unsqueeze(1)).squeeze(1)) == pytest.approx(1, 1e-3)


def priors() -> list:
    torch.manual_seed(0)
    flow = FlowPrior(twisted(), latent=2)
    return [StandardNormal(2), MixturePrior(2, 3), VampPrior((3,), 4), flow]


@pytest.mark.parametrize("which", range(4), ids=["normal", "mixture", "vamp", "flow"])
def test_priors_integrate_to_one_and_are_sampled(which: int) -> None:
    prior = priors()[which].double()
    encoder = DiagonalEncoder(Perceptron(3, 4, width=8), latent=2).double()
    law = prior(encoder)
    assert mass(law.log_prob) == pytest.approx(1, abs=1e-3)
    z = law.sample(40_000, generator=resolve(0))
    # The mean of a bounded function over the grid and over samples.
    side = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    weight = law.log_prob(grid).exp() * (side[1] - side[0]) ** 2
    for f in (torch.tanh, torch.cos):
        exact, found = (weight.unsqueeze(-1) * f(grid)).sum(0), f(z)
        assert ((found.mean(0) - exact).abs() < 4 * found.std(0) / 200 + 1e-3).all()


def test_a_vamp_prior_is_the_mean_of_posteriors_and_starts_at_data() -> None:
    data = torch.randn(6, 3, generator=resolve(0))
    prior = VampPrior((3,), components=4)
    prior.prepare(data, resolve(0))
    assert all(any(torch.equal(u, x) for x in data) for u in prior.inputs)
    encoder = FullCovarianceEncoder(Perceptron(3, 5, width=8), latent=2)
    z = torch.randn(7, 2, generator=resolve(1))
    each = torch.stack([encoder(u.unsqueeze(0)).log_prob(z) for u in prior.inputs])
    assert torch.allclose(prior(encoder).log_prob(z), log_mean(each)[0], atol=1e-5)
    with pytest.raises(InputError, match="made for events of shape"):
        prior.prepare(torch.zeros(5, 2), resolve(0))


def test_a_vamp_prior_of_flow_posteriors() -> None:
    encoder = FlowEncoder(
        DiagonalEncoder(Perceptron(3, 4, width=8), latent=2).double(),
        twisted(5),
        Perceptron(3, 5, width=8).double(),
    )
    law = VampPrior((3,), components=3).double()(encoder)
    assert mass(law.log_prob) == pytest.approx(1, abs=1e-3)


def test_a_mixture_is_the_sum_of_its_components() -> None:
    law = normal()
    weights = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25], dtype=torch.float64)
    z = torch.randn(4, 2, 3, generator=resolve(3), dtype=torch.float64)
    exact = sum(w * law.take(torch.tensor([k])).log_prob(z).exp() for k, w in enumerate(weights))
    assert torch.allclose(Mixture(law, weights.log()).log_prob(z).exp(), exact)


def test_annealing_finds_what_importance_sampling_misses() -> None:
    """`E exp f` for a Gaussian far from where the chains start, in closed form."""
    center, width = 4.0, 0.3

    def f(u: Tensor) -> Tensor:
        return -0.5 * ((u - center) / width).square().sum(-1)

    # N(u; 0, 1) against exp(-(u - m)^2 / (2 w^2)), in each of three dimensions.
    exact = 3 * (math.log(width / math.sqrt(1 + width**2)) - 0.5 * center**2 / (1 + width**2))
    like = torch.zeros(4, 3, dtype=torch.float64)
    found = annealed(f, like, chains=400, steps=400, generator=resolve(0))
    assert found.converged.all()
    assert ((found.value - exact).abs() < 3 * found.stderr).all()


def test_what_the_parts_refuse() -> None:
    with pytest.raises(InputError, match="latent is a whole number of at least 1, not 0"):
        DiagonalEncoder(Perceptron(2, 2), latent=0)
    with pytest.raises(InputError, match=r"nn\.Module, not 3"):
        DiagonalEncoder(3, latent=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"\(1, 4\) is needed"):
        DiagonalEncoder(Perceptron(2, 2), latent=2)(torch.zeros(1, 2))
    with pytest.raises(InputError, match="made of a Transform"):
        FlowPrior(Perceptron(2, 2), latent=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="an encoder and a Transform"):
        FlowEncoder(Perceptron(2, 2), twisted())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="components is a whole number"):
        MixturePrior(2, components=0)
