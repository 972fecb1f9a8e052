"""Variational autoencoders against probabilistic PCA, where everything has a closed form."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import pushforward as pf
from pushforward._random import resolve
from pushforward.data import Data
from pushforward.errors import CapabilityError, InputError
from pushforward.latent import (
    BernoulliDecoder,
    DiagonalEncoder,
    FullCovarianceEncoder,
    GaussianDecoder,
    MixturePrior,
    StandardNormal,
)
from pushforward.latent.decoders import PACE
from pushforward.metrics.mode_coverage import mode_coverage
from pushforward.nn import Perceptron

D, LATENT = 5, 2


class Linear(NamedTuple):
    """Probabilistic PCA of maximal likelihood (Tipping & Bishop 1999)."""

    mean: Tensor
    weight: Tensor
    variance: Tensor

    @property
    def law(self) -> MultivariateNormal:
        noise = self.variance * torch.eye(D, dtype=torch.float64)
        return MultivariateNormal(self.mean, self.weight @ self.weight.mT + noise)


def points(n: int = 400) -> Tensor:
    generator = resolve(0)
    mix = torch.randn(LATENT, D, generator=generator, dtype=torch.float64)
    z = torch.randn(n, LATENT, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, D, generator=generator, dtype=torch.float64)
    return 1 + z @ mix + 0.5 * noise


def closed_form(x: Tensor) -> Linear:
    mean = x.mean(0)
    values, axes = torch.linalg.eigh((x - mean).mT @ (x - mean) / len(x))
    variance = values[: D - LATENT].mean()
    weight = axes[:, D - LATENT :] * (values[D - LATENT :] - variance).sqrt()
    return Linear(mean, weight, variance)


def linear_model(full: bool = False, **options) -> pf.VAE:
    outputs = LATENT + LATENT * (LATENT + 1) // 2 if full else 2 * LATENT
    encoder = (FullCovarianceEncoder if full else DiagonalEncoder)(nn.Linear(D, outputs), LATENT)
    decoder = GaussianDecoder(nn.Linear(LATENT, D), "scalar")
    return pf.VAE(encoder, decoder, event_shape=(D,), **options).double()


@torch.no_grad()
def solved(x: Tensor, widen: float = 1.0, shift: float = 0.0, **options) -> pf.VAE:
    """The autoencoder of the closed form; its posterior may be made wrong."""
    model, exact = linear_model(**options), closed_form(x)
    model.decoder.net.weight.copy_(exact.weight)
    model.decoder.net.bias.copy_(exact.mean)
    model.decoder.scale.raw.copy_((exact.variance.sqrt() - 1e-3).log() / PACE)
    # The columns of the weight are orthogonal, so the posterior has independent dimensions.
    precision = (exact.weight.square().sum(0) + exact.variance) / exact.variance
    gain = exact.weight.mT / (precision * exact.variance).unsqueeze(1)
    net = model.encoder.net
    net.weight.zero_()
    net.weight[:LATENT].copy_(gain)
    net.bias[:LATENT].copy_(shift - gain @ exact.mean)
    net.bias[LATENT:].copy_((widen * precision.rsqrt() - 1e-4).expm1().log())
    return model


# -- the linear Gaussian case ---------------------------------------------------------------------


@torch.no_grad()
def test_at_the_optimum_the_bound_is_the_exact_likelihood() -> None:
    x = points()
    model, exact = solved(x), closed_form(x).law.log_prob(x)
    for method in ("bound", "importance", "annealed"):
        found = model.log_prob(x[:50], method=method, samples=2, steps=5, seed=0)
        assert torch.allclose(found.value, exact[:50], atol=1e-10)
        assert (found.stderr < 1e-10).all()
    noise = torch.randn(200_000, 1, LATENT, generator=resolve(1), dtype=torch.float64)
    z, _ = model.encode(x[:1]).push_and_log_prob(noise)
    each = model.decoder(z[:, 0]).log_prob(x[:1])
    mean = each.mean() - model.encode(x[:1]).divergence().sum()
    assert abs(float(mean - exact[0])) < 4 * float(each.std()) / math.sqrt(len(each))


@pytest.mark.parametrize("full", [False, True], ids=["diagonal", "full"])
def test_the_optimum_is_probabilistic_pca(full: bool) -> None:
    """By direct optimization; the reconstruction is quadratic, and four points integrate it."""
    x = points()
    exact, model = closed_form(x), linear_model(full)
    axes = math.sqrt(LATENT) * torch.eye(LATENT, dtype=torch.float64)
    noise = torch.cat([axes, -axes]).unsqueeze(1).expand(-1, len(x), -1)

    def bound() -> Tensor:
        posterior = model.encoder(x)
        z, _ = posterior.push_and_log_prob(noise)
        law = model.decoder(z.flatten(0, 1))
        seen = law.log_prob(x.expand(len(z), *x.shape).flatten(0, 1)).reshape(len(z), -1)
        return (seen.mean(0) - posterior.divergence().sum(-1)).mean()

    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=400, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -bound()
        loss.backward()
        return loss

    optimizer.step(closure)
    best = exact.law.log_prob(x).mean()
    with torch.no_grad():
        # At a maximum the gap is quadratic in the error, so that of the subspace is its root.
        gap = float(best - bound())
        assert -1e-9 < gap < 1e-6
        found = torch.linalg.qr(model.decoder.net.weight).Q
        angles = torch.linalg.svdvals(found.mT @ torch.linalg.qr(exact.weight).Q)
        assert (1 - angles.square()).clamp(min=0).sqrt().max() < 1e-2


def test_training_comes_to_the_exact_likelihood() -> None:
    x = points(2000).float()
    encoder = DiagonalEncoder(nn.Linear(D, 2 * LATENT), LATENT)
    model = pf.VAE(encoder, GaussianDecoder(nn.Linear(LATENT, D)))
    settings = {"standardize": False, "holdout": 0.0, "lr": 1e-2, "steps": 2000, "ema": 0.99}
    model = pf.fit(model, x, progress=False, **settings).model
    exact = closed_form(x.double()).law.log_prob(x.double()).mean()
    found = model.log_prob(x, seed=0)
    gap = float(exact - found.value.mean())
    # Nothing is better than the best, and what training leaves is below what 2000 points cost the
    # best itself, half a nat for each of 5 + 10 + 1 parameters less one rotation.
    assert -1e-4 < gap < 15 / (2 * len(x))


START: list[tuple[dict[str, Any], float]] = [
    ({"prior": "normal"}, 0.01),
    ({"prior": "normal", "sigma": "network", "latent": 6}, 0.01),
    ({}, 0.2),
]


@pytest.mark.parametrize(("options", "gap"), START, ids=["normal", "network", "mixture"])
def test_training_starts_at_the_closed_form_of_the_linear_case(options, gap: float) -> None:
    """A normal distribution of maximal likelihood, and a mixture of its width."""
    x = points(2000).float()
    model = pf.VAE.for_data(Data(x), **options)
    model.fit_units(x)
    model.prepare(x, generator=resolve(0))
    exact = MultivariateNormal(x.mean(0), x.mT.cov()).log_prob(x).mean()
    found = -model.loss(x, generator=resolve(0)).mean().detach()
    assert float(found) == pytest.approx(float(exact), abs=gap)
    drawn = model.sample(20_000, seed=0).mT.cov()
    assert torch.allclose(drawn, x.mT.cov(), atol=0.2 + 4 * gap)


def test_the_start_leaves_out_what_it_has_no_latents_for() -> None:
    """It is probabilistic PCA then, in few dimensions and in more than there are rows."""
    for d in (D, 1200):
        x = torch.randn(300, 2, generator=resolve(0)) @ torch.randn(2, d, generator=resolve(1))
        x = x / x.std(0) + 0.1 * torch.randn(300, d, generator=resolve(2))
        model = pf.VAE.for_data(Data(x), latent=2, sigma="scalar", prior="normal")
        model.fit_units(x)
        model.prepare(x, generator=resolve(0))
        assert float(model.decoder.scale.log.exp().detach()) == pytest.approx(0.1, rel=0.15)
        lost = 0.1 * ((d - 2) / d) ** 0.5
        assert float((model.reconstruct(x) - x).std()) == pytest.approx(lost, rel=0.15)


@pytest.mark.parametrize("labels", [True, False], ids=["labels", "contexts"])
def test_the_start_knows_what_labels_and_contexts_do(labels: bool) -> None:
    c = torch.arange(600) % 3 if labels else torch.rand(600, 2, generator=resolve(0))
    means = 5 * torch.randn(3 if labels else 2, D, generator=resolve(1))
    x = (means[c] if labels else c @ means) + torch.randn(600, D, generator=resolve(2))
    model = pf.VAE.for_data(Data(x, c=c))
    model.fit_units(x)
    model.prepare(x, c, generator=resolve(0))
    one = torch.tensor(1) if labels else torch.tensor([0.2, 0.9])
    drawn = model.sample(4000, one, seed=0)
    # The mean of 600 rows, and of the hundred that the prior starts from, have these errors.
    assert ((drawn.mean(0) - (means[1] if labels else one @ means)).abs() < 0.5).all()
    assert drawn.std(0).numpy() == pytest.approx(1.0, abs=0.25)


def test_a_deviation_that_is_given_stays() -> None:
    x = points().float()
    model = pf.VAE.for_data(Data(x), sigma=0.3)
    model.fit_units(x)
    model.prepare(x, generator=resolve(0))
    assert float(model.decoder(torch.zeros(1, D)).std.detach()) == pytest.approx(0.3)


def test_the_defaults_find_narrow_modes() -> None:
    """Twenty-five of a fiftieth of the spread: once .10 of the samples were near one after 10,000
    steps, and the NLL was 3.4."""
    data = pf.data.load("25gaussians", n=4000, seed=0, label=False)
    torch.manual_seed(0)
    model = pf.VAE.for_data(data, width=64, depth=2)
    settings = {"batch_size": 256, "lr": 4e-3, "ema": 0.98, "holdout": 0.0}
    pf.fit(model, data, steps=400, progress=False, **settings)
    test = pf.data.load("25gaussians", n=300, seed=1, label=False)
    near = mode_coverage(model.sample(1000, seed=0), *data.modes).quality.value
    assert near > 0.5
    assert -float(model.log_prob(test.x, samples=20, seed=0).value.mean()) < 1.3


def test_the_importance_weighted_bound_rises_to_the_likelihood() -> None:
    x = points()
    model = solved(x, widen=1.3, shift=0.3)
    exact = float(closed_form(x).law.log_prob(x[:1]))
    many = x[:1].expand(20_000, D)
    gaps, errors = [], []
    for samples in (1, 2, 4, 16, 64):
        found = model.log_prob(many, samples=samples, seed=samples).value
        gaps.append(exact - float(found.mean()))
        errors.append(float(found.std()) / math.sqrt(len(found)))
    for k in range(4):
        assert gaps[k] - gaps[k + 1] > 3 * math.hypot(errors[k], errors[k + 1])
    # The gap of K samples is the relative variance of one weight over 2 K (Nowozin 2018).
    logs = model.log_prob(many, samples=1, seed=0).value
    variance = float((logs - exact).exp().var())
    assert gaps[-1] == pytest.approx(variance / 128, abs=4 * errors[-1] + variance**2 / 64**2)


def test_standard_errors_cover_the_exact_likelihood() -> None:
    x = points()[:60]
    exact = closed_form(points()).law.log_prob(x)
    model = solved(points(), widen=1.3, shift=0.5)
    found = model.log_prob(x, method="annealed", samples=64, steps=40, seed=0)
    assert (((found.value - exact) / found.stderr).abs() < 5).all()
    # The estimate of the likelihood itself, not of its logarithm, is unbiased.
    ratio = (found.value - exact).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(len(x))
    # Away from the posterior, importance sampling with the same number knows much less.
    plain = model.log_prob(x, samples=64, seed=0)
    assert (plain.value - exact).square().mean() > 4 * (found.value - exact).square().mean()


@pytest.mark.parametrize(("widen", "shift"), [(1, 0.0), (3, 0.0), (1.1, 0.1), (0.9, 0.1)])
def test_what_has_converged_covers_the_likelihood(widen: float, shift: float) -> None:
    x = points()
    exact, found = closed_form(x).law.log_prob(x), solved(x, widen, shift).log_prob(x, seed=0)
    assert found.converged is not None
    assert float(found.converged.double().mean()) > 0.5
    fine = found.converged
    covered = (found.value - exact).abs() <= 3 * found.stderr + 1e-9
    assert float(covered[fine].double().mean()) > 0.99


@pytest.mark.parametrize("method", ["importance", "annealed"])
@pytest.mark.parametrize(
    ("widen", "shift"),
    [(0.1, 0.0), (0.03, 0.0), (0.01, 0.0), (0.02, 2.0), (1.0, 2.0), (0.1, 30.0)],
)
def test_a_bad_encoder_does_not_pass_for_a_likelihood(
    method: str, widen: float, shift: float
) -> None:
    """Errors of up to 100 nats beside errors of half a nat: too narrow, in the wrong place, both.

    Where the encoder is too narrow all weights look alike, and Stein's identities tell.
    """
    x, model = points()[:200], solved(points(), widen, shift)
    exact = closed_form(points()).law.log_prob(x)
    found = model.log_prob(x, method=method, seed=0)
    off = (found.value - exact).abs() > 3 * found.stderr
    if method == "importance" and widen < 1:
        assert float(off.double().mean()) > 0.5
    assert found.converged is not None
    assert float((found.converged & off).double().mean()) < 0.01
    assert float(found.converged.double().mean()) < 0.05
    assert f"{found.unconverged} of them NOT CONVERGED" in str(found)


def test_units_of_the_data_count() -> None:
    """A model of standardized data has densities that integrate to one over the data."""
    model = pf.VAE(
        DiagonalEncoder(Perceptron(1, 2, width=8), 1),
        GaussianDecoder(Perceptron(1, 1, width=8), 0.5),
        event_shape=(1,),
    )
    model.fit_units(torch.tensor([[100.0], [108.0]]))
    side = torch.linspace(60, 148, 400).unsqueeze(1)
    found = model.log_prob(side, samples=200, seed=0)
    step = float(side[1] - side[0])
    density = found.value.exp()
    error = float((density * found.stderr).square().sum().sqrt()) * step
    assert abs(float(density.sum()) * step - 1) < 4 * error + 1e-3
    z = model.decode(model.encode(side).mean)
    assert torch.allclose(model.reconstruct(side), z)


def test_samples_are_of_the_density_and_means_are_not() -> None:
    x = points()
    model, exact = solved(x), closed_form(x)
    n = 20_000
    drawn = model.sample(n, seed=0)
    means = model.sample(n, mean=True, seed=0)
    implicit = exact.weight @ exact.weight.mT
    for states, covariance in ((means, implicit), (drawn, exact.law.covariance_matrix)):
        # The variance of an entry of a sample covariance is (s_ii s_jj + s_ij^2) / n.
        diagonal = covariance.diagonal()
        error = ((diagonal.outer(diagonal) + covariance.square()) / n).sqrt()
        assert ((states.mT.cov() - covariance).abs() < 5 * error).all()
    # Decoded from the same latents.
    assert float((drawn - means).std()) == pytest.approx(float(exact.variance.sqrt()), rel=0.02)


def test_samples_of_correlated_vectors_keep_their_correlation() -> None:
    """The decoder's means alone lie near a line."""
    z = torch.randn(4000, 2, generator=resolve(0))
    x = torch.stack([z[:, 0], 0.9 * z[:, 0] + math.sqrt(1 - 0.9**2) * z[:, 1]], 1)
    torch.manual_seed(0)
    model = pf.VAE(DiagonalEncoder(nn.Linear(2, 2), 1), GaussianDecoder(nn.Linear(1, 2)))
    pf.fit(model, x, steps=600, lr=1e-2, holdout=0.0, progress=False)
    n = 20_000
    found = [float(model.sample(n, seed=0, mean=m).mT.corrcoef()[0, 1]) for m in (False, True)]
    # The correlation of n pairs has a standard deviation of (1 - r^2) / sqrt(n): 0.003 of the data.
    assert found[0] == pytest.approx(0.9, abs=0.015)
    assert found[1] > 0.99


def test_the_density_has_no_gradient_and_the_bound_has_one() -> None:
    x = points()
    model, probe = solved(x, widen=1.2), x[:3].clone().requires_grad_()
    assert not model.log_prob(probe, samples=3, seed=0).value.requires_grad
    assert torch.autograd.gradcheck(lambda z: model.elbo(z, seed=0).value, probe)
    model.elbo(probe, seed=0).value.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# -- the objective --------------------------------------------------------------------------------


@torch.no_grad()
def test_the_loss_is_the_bound_with_beta_and_free_bits() -> None:
    x = points().float()[:50]
    for options in ({}, {"beta": 0.3}, {"free_bits": 0.7}, {"beta": 2.0, "free_bits": 0.4}):
        torch.manual_seed(0)
        model = linear_model(**options).float()
        loss = model.loss(x, generator=resolve(1))
        plain = model.elbo(x, seed=1)
        least = model.free_bits
        mean = plain.kl.mean(0)
        # The mean over states of each latent's divergence, or what is free.
        expected = model.beta * mean.clamp(min=least).sum() - plain.reconstruction.mean()
        assert float(loss.mean()) == pytest.approx(float(expected), rel=1e-5)
        assert torch.allclose(plain.value, plain.reconstruction - plain.kl.sum(-1))


def test_free_bits_have_no_gradient() -> None:
    model = linear_model(free_bits=100.0)
    x = points()[:20]
    model.loss(x, generator=resolve(0)).mean().backward()
    with_free = model.encoder.net.weight.grad.clone()
    model.zero_grad()
    (-model.elbo(x, seed=0).reconstruction.mean()).backward()
    assert torch.allclose(with_free, model.encoder.net.weight.grad)


def test_several_samples_train_the_importance_weighted_bound() -> None:
    x = points()[:30]
    torch.manual_seed(0)
    model = linear_model(samples=7)
    loss = model.loss(x, generator=resolve(3))
    assert torch.allclose(-loss, model.log_prob(x, samples=7, seed=3).value)


def test_the_divergence_is_estimated_where_it_has_no_closed_form() -> None:
    torch.manual_seed(0)
    prior = MixturePrior(LATENT, components=1)
    with torch.no_grad():
        prior.means.zero_()
    model, exact = linear_model(prior=prior), linear_model()
    exact.load_state_dict(model.state_dict(), strict=False)
    x = points()[:20]
    found = model.elbo(x, samples=20_000, seed=0)
    peer = exact.elbo(x, samples=20_000, seed=0)
    assert torch.equal(found.reconstruction, peer.reconstruction)
    assert torch.allclose(found.kl.sum(-1), peer.kl.sum(-1), atol=0.05, rtol=0.02)


# -- levels ---------------------------------------------------------------------------------------


def bits(n: int = 64) -> Data:
    x = torch.randint(0, 2, (n, 3), generator=resolve(0)).float()
    x[:, 1] = x[:, 0]
    return Data(x, levels=2, value_range=(0.0, 1.0))


def all_states() -> Tensor:
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)


@pytest.mark.parametrize("decoder", ["bernoulli", "logistic"])
def test_probabilities_of_all_states_sum_to_one(decoder: str) -> None:
    data = bits()
    if decoder == "logistic":
        data = Data(data.x, levels=2, value_range=(0.0, 1.0))
    model = pf.VAE.for_data(data, decoder=decoder, latent=1, width=16)
    model = pf.fit(model, data, steps=50, progress=False).model
    assert model.discrete
    assert not model.dequantize
    found = model.log_prob(all_states(), samples=2000, seed=0)
    total = found.value.exp()
    error = float((total * found.stderr).square().sum().sqrt())
    assert abs(float(total.sum()) - 1) < 4 * error + 1e-4
    assert set(model.sample(50, seed=0).unique().tolist()) <= {0.0, 1.0}
    means = model.sample(50, mean=True, seed=0)
    assert (means >= 0).all()
    assert (means <= 1).all()


def test_what_is_no_level_is_refused() -> None:
    model = pf.VAE.for_data(bits(), width=8)
    with pytest.raises(InputError, match=r"0\.3 is none of them"):
        model.log_prob(torch.full((2, 3), 0.3))
    with pytest.raises(InputError, match="none of them"):
        pf.fit(model, torch.full((9, 3), 0.3), steps=1, progress=False)
    continuous = Data(torch.randn(9, 3, generator=resolve(0)))
    with pytest.raises(InputError, match="equally spaced levels"):
        pf.VAE.for_data(continuous, decoder="logistic")


# -- whole models ---------------------------------------------------------------------------------


def pictures() -> Data:
    x = torch.randint(0, 5, (40, 1, 5, 4), generator=resolve(0)).float()
    return Data(x, kind="image", levels=5, value_range=(0.0, 4.0))


def plane() -> Data:
    c = torch.arange(60) % 2
    x = torch.randn(60, 2, generator=resolve(0)) + 6.0 * c.unsqueeze(1)
    return Data(x, c=c)


KINDS = [
    {},
    {"encoder": "full", "prior": "mixture", "components": 3},
    {"encoder": "flow", "prior": "vamp", "components": 4},
    {"prior": "flow", "samples": 3},
    {"sigma": "dimension", "beta": 0.5},
    {"sigma": "network", "free_bits": 0.1},
]


@pytest.mark.parametrize("data", [plane(), pictures()], ids=["vectors", "images"])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_saved_model_is_loaded_again(data, options, tmp_path) -> None:
    model = pf.VAE.for_data(data, latent=2, width=8, depth=1, **options)
    model = pf.fit(model, data, steps=3, batch_size=16, progress=False, out=tmp_path / "run").model
    c = None if data.c is None else data.c[:6]
    model.save(tmp_path / "model")
    for again in (pf.load(tmp_path / "run"), pf.load(tmp_path / "model")):
        assert torch.equal(again.sample(6, c, seed=0), model.sample(6, c, seed=0))
        found = again.log_prob(data.x[:6], c, samples=3, seed=0).value
        assert torch.equal(found, model.log_prob(data.x[:6], c, samples=3, seed=0).value)
        assert found.isfinite().all()


def test_batches_and_shares_change_no_sample() -> None:
    model = pf.VAE.for_data(pictures(), latent=3, width=4)
    for mean in (False, True):
        whole = model.sample(9, mean=mean, seed=0)
        part = model.sample(9, mean=mean, seed=0, batch_size=4)
        share = model.sample(9, mean=mean, seed=0, rows=slice(3, 7))
        assert torch.allclose(whole, part, atol=1e-5)
        assert torch.allclose(whole[3:7], share, atol=1e-5)


def test_labels_are_learned() -> None:
    data = plane()
    model = pf.VAE.for_data(data, width=32, depth=2)
    assert model.capabilities.conditional
    model = pf.fit(model, data, steps=300, progress=False).model
    for label, center in ((0, 0.0), (1, 6.0)):
        x = model.sample(500, label, seed=0)
        assert float(x.mean()) == pytest.approx(center, abs=1.0)
    own = model.log_prob(data.x, data.c, seed=0).value
    other = model.log_prob(data.x, 1 - data.c, seed=0).value
    assert (own > other).float().mean() > 0.9
    with pytest.raises(CapabilityError, match="give c="):
        model.sample(3)
    plain = pf.VAE.for_data(data, labels=False, width=8)
    with pytest.raises(CapabilityError, match="takes no labels"):
        plain.sample(3, 0)


def test_contexts_are_learned() -> None:
    c = torch.randn(300, 1, generator=resolve(0))
    data = Data(3 * c + 0.1 * torch.randn(300, 1, generator=resolve(1)), c=c)
    model = pf.fit(pf.VAE.for_data(data, width=32), data, steps=300, progress=False).model
    low, high = (float(model.sample(200, [value], seed=0).mean()) for value in (-1.0, 1.0))
    assert low == pytest.approx(-3, abs=0.5)
    assert high == pytest.approx(3, abs=0.5)


def test_one_data_point_is_refused() -> None:
    model = pf.VAE.for_data(Data(torch.ones(1, 2)), width=8)
    with pytest.raises(InputError, match="one data point shows no distribution"):
        pf.fit(model, torch.ones(1, 2), steps=1, holdout=0.0, standardize=False, progress=False)
    with pytest.raises(InputError, match="at least two data points"):
        model.fit_units(torch.ones(1, 2))


def test_a_collapsed_posterior_is_reported() -> None:
    x = points()
    model = solved(x)
    assert model.warnings(x) == []
    assert model.active_units(x).all()
    with torch.no_grad():
        model.encoder.net.weight[0].zero_()
        assert model.active_units(x).tolist() == [False, True]
        model.encoder.net.weight.zero_()
        model.decoder.scale.raw.fill_(-20.0 / PACE)
    first, second = model.warnings(x)
    assert "Posterior collapse" in first
    assert "deviation has shrunk to its floor" in second


def test_what_a_vae_refuses() -> None:
    encoder = DiagonalEncoder(Perceptron(2, 4), 2)
    decoder = GaussianDecoder(Perceptron(2, 2))
    with pytest.raises(InputError, match=r"encoder is an object of pushforward\.latent"):
        pf.VAE(Perceptron(2, 4), decoder)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="3 latents, but the encoder 2"):
        pf.VAE(encoder, decoder, StandardNormal(3))
    with pytest.raises(InputError, match="no beta and no free bits"):
        pf.VAE(encoder, decoder, beta=0.5, samples=2)
    with pytest.raises(InputError, match="at least 0, not -1"):
        pf.VAE(encoder, decoder, beta=-1.0)
    model = pf.VAE(encoder, decoder, event_shape=2)
    with pytest.raises(InputError, match="importance, bound, annealed, not 'exact'"):
        model.log_prob(torch.zeros(1, 2), method="exact")
    with pytest.raises(InputError, match="not finite"):
        model.log_prob(torch.full((1, 2), math.nan))
    with pytest.raises(InputError, match=r"latents have shape \(B, 2\)"):
        model.decode(torch.zeros(1, 3))
    with pytest.raises(InputError, match="did you mean 'latent'"):
        pf.VAE.for_data(plane(), latnet=3)
    with pytest.raises(InputError, match="did you mean 'free_bits'"):
        pf.VAE.for_data(plane(), free_bit=3)
    with pytest.raises(InputError, match="mixture or VampPrior only"):
        pf.VAE.for_data(plane(), components=3, prior="normal")
    with pytest.raises(InputError, match="two levels, and data has 5"):
        pf.VAE.for_data(pictures(), decoder="bernoulli")


def test_one_sample_has_no_standard_error() -> None:
    model = linear_model()
    for method in ("bound", "importance"):
        found = model.log_prob(points()[:2], method=method, samples=1, seed=0)
        assert torch.isinf(found.stderr).all()


def test_the_kind_of_a_likelihood() -> None:
    model = linear_model()
    kinds = {
        method: model.log_prob(points()[:2], method=method, samples=2, steps=2, seed=0).kind
        for method in ("bound", "importance", "annealed")
    }
    assert kinds == {"bound": "bound", "importance": "estimated", "annealed": "estimated"}
    assert BernoulliDecoder.discrete
    assert not GaussianDecoder.discrete
