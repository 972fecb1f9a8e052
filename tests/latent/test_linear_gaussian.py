"""EM on the linear Gaussian model: the bound is the likelihood, and what is learned is PCA."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.latent import DiagonalNormal, FullNormal, expectation_maximization

D, LATENT = 6, 2


def points(n: int = 500) -> Tensor:
    generator = resolve(0)
    mix = torch.randn(LATENT, D, generator=generator, dtype=torch.float64)
    z = torch.randn(n, LATENT, generator=generator, dtype=torch.float64)
    return 1 + z @ mix + 0.4 * torch.randn(n, D, generator=generator, dtype=torch.float64)


def test_em_comes_to_principal_components_and_never_falls() -> None:
    x = points()
    fit = expectation_maximization(x, LATENT, tolerance=1e-14, seed=1)
    assert fit.converged
    assert (fit.log_likelihood.diff() > -1e-12).all()
    centered = x - x.mean(0)
    values, axes = torch.linalg.eigh(centered.mT @ centered / len(x))
    # The maximum in closed form (Tipping & Bishop 1999).
    noise = values[: D - LATENT].mean()
    assert float(fit.model.variance) == pytest.approx(float(noise), rel=1e-6)
    found = torch.linalg.qr(fit.model.weight).Q
    cosines = torch.linalg.svdvals(found.mT @ axes[:, D - LATENT :])
    assert (1 - cosines.square()).clamp(min=0).sqrt().max() < 1e-5
    singular = torch.linalg.svdvals(fit.model.weight).flip(0).square()
    assert torch.allclose(singular, values[D - LATENT :] - noise, rtol=1e-5)
    logs = values[D - LATENT :].log().sum() + (D - LATENT) * noise.log()
    best = -0.5 * (D * math.log(2 * math.pi) + logs + D)
    assert float(fit.log_likelihood[-1]) == pytest.approx(float(best), abs=1e-10)


def test_em_says_when_its_precision_does_not_resolve_the_tolerance() -> None:
    x = points().float()
    assert expectation_maximization(x, LATENT, seed=1).converged
    with pytest.warns(ConvergenceWarning, match=r"tolerance=1e-14.*float32 resolves nothing"):
        fit = expectation_maximization(x, LATENT, tolerance=1e-14, seed=1)
    assert not fit.converged
    assert len(fit.log_likelihood) < 1000
    assert not expectation_maximization(points(), LATENT, steps=1, seed=1).converged


def test_the_bound_is_the_likelihood_less_the_divergence_at_every_step() -> None:
    x = points(40)
    for steps in (1, 3, 200):
        model = expectation_maximization(x, LATENT, steps=steps, seed=0).model
        exact = model.posterior(x)
        assert torch.allclose(model.elbo(x, exact).value, model.log_prob(x), atol=1e-11)
        for law in (
            DiagonalNormal(exact.mean + 0.1, torch.full_like(exact.mean, 0.3)),
            FullNormal(exact.mean, 1.5 * exact.factor),
        ):
            factor = torch.diag_embed(law.std) if isinstance(law, DiagonalNormal) else law.factor
            p, q = (
                torch.distributions.MultivariateNormal(each.mean, scale_tril=low)
                for each, low in ((exact, exact.factor), (law, factor))
            )
            gap = torch.distributions.kl_divergence(q, p)
            assert torch.allclose(model.elbo(x, law).value, model.log_prob(x) - gap, atol=1e-11)


def test_the_maximization_is_a_maximum_of_the_bound() -> None:
    x = points(60)
    model = expectation_maximization(x, LATENT, steps=2, seed=0).model
    better, law = model.improved(x), model.posterior(x)
    weight, variance = (part.clone().requires_grad_() for part in (better.weight, better.variance))
    moved = type(model)(better.mean, weight, variance)
    moved.elbo(x, law).value.mean().backward()
    assert weight.grad is not None
    assert variance.grad is not None
    assert weight.grad.abs().max() < 1e-12
    assert variance.grad.abs() < 1e-11


def test_what_em_refuses() -> None:
    x = points(20)
    with pytest.raises(InputError, match="6 latents need at least two"):
        expectation_maximization(x, D)
    with pytest.raises(InputError, match="finite vectors"):
        expectation_maximization(x / 0, 1)
    flat = x[:, :1] * torch.tensor([[1.0, 2.0, 3.0]], dtype=x.dtype)
    with pytest.raises(InputError, match="no more than 1 dimensions"):
        expectation_maximization(flat, 1, seed=0)
