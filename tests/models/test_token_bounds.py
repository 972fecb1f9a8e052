"""Bounds of log-probabilities by the reversal, beside the truth of exact models."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import Transport, processes, samplers, schedules, spaces
from pushforward.analytic import AnalyticMixture, AnalyticTokens
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError

K = 3
WORLD = AnalyticTokens.random(K, 2, seed=0)
X = WORLD.data.states()
TRUTH = WORLD.data.log_prob(X)
CASES = {
    "masking": processes.Masking(spaces.Tokens(K)),
    "masking, another clock": processes.Masking(spaces.Tokens(K), schedules.Cosine()),
    "uniform": processes.Jumps(spaces.Tokens(K)),
    "birth-death": processes.Jumps(spaces.Tokens(K), "birth-death"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bound_of_the_exact_model_is_the_log_probability(name: str) -> None:
    process = CASES[name]
    transport = Transport(WORLD.model(process), process)
    start = 1.0 if isinstance(process, processes.Masking) else 0.999
    copies = 200
    many = X.repeat_interleave(copies, 0)
    found = samplers.evidence_bound(transport, many, start, 1e-3, draws=64, seed=0)
    each = found.value.unflatten(0, (-1, copies))
    error = each.std(1) / copies**0.5
    assert ((each.mean(1) - TRUTH).abs() < 4 * error + 2e-5).all()
    # The standard error of one is that of the values of many.
    claimed = found.stderr.square().unflatten(0, (-1, copies)).mean(1).sqrt()
    assert torch.allclose(claimed, each.std(1), rtol=0.25, atol=1e-9)
    assert found.kind == "bound"
    assert found.nfe == 80


@pytest.mark.parametrize("name", CASES)
def test_the_bound_of_a_wrong_model_is_below(name: str) -> None:
    process = CASES[name]
    exact = WORLD.model(process)
    transport = Transport(lambda x, t, c=None: 0.3 * exact(x, t), process)
    start = 1.0 if isinstance(process, processes.Masking) else 0.999
    many = WORLD.data.sample(4000, seed=1)
    found = samplers.evidence_bound(transport, many, start, 1e-3, draws=16, seed=0)
    gap = WORLD.data.log_prob(many) - found.value
    assert float(gap.mean()) > 4 * float(gap.std()) / len(gap) ** 0.5
    # By as much as quadrature says.
    entropy = -float((WORLD.data.probabilities * WORLD.data.probabilities.log()).sum())
    exact_gap = WORLD.bound(process, transport.model, start, 1e-3) - entropy
    assert float(gap.mean()) == pytest.approx(exact_gap, abs=4 * float(gap.std()) / len(gap) ** 0.5)


def test_a_product_of_numbers_and_tokens_has_a_bound_of_its_joint_density() -> None:
    mixture = AnalyticMixture(GaussianMixture(torch.tensor([[1.0], [-1.0]]).double(), 0.3))
    gaussian, masking = processes.Gaussian(), CASES["masking"]
    process = processes.ProductProcess((gaussian, processes.Masking(spaces.Tokens(K))))
    numbers, tokens = mixture.model(gaussian), WORLD.model(masking)
    assert process.supports == {"bound"}

    def model(x, t, c=None):
        return numbers(x[0], t), tokens(x[1], t)

    z = mixture.data.sample(3000, seed=0), WORLD.data.sample(3000, seed=1)
    start, stop = process.interval
    with pytest.raises(InputError, match="still visible"):
        samplers.evidence_bound(Transport(model, process), z, 0.9, stop, seed=0)
    found = samplers.evidence_bound(Transport(model, process), z, start, stop, draws=16, seed=0)
    gap = mixture.data.log_prob(z[0]) + WORLD.data.log_prob(z[1]) - found.value
    # The last step and the prior of the numbers cost a little; the rest is exact.
    assert float(gap.mean()) == pytest.approx(
        0.0, abs=4 * float(gap.std()) / len(gap) ** 0.5 + 0.01
    )


class _Exact(nn.Module):
    """The exact logits as a network."""

    def __init__(self, process: processes.GenerativeProcess) -> None:
        super().__init__()
        self.exact = WORLD.model(process)

    def forward(self, x, t, c=None):
        return self.exact(x, t).float()


@pytest.mark.parametrize("name", ["masking", "uniform"])
def test_a_model_of_tokens_says_that_its_log_probability_is_a_bound(name: str) -> None:
    process = CASES[name]
    model = pf.Diffusion(_Exact(process), process, event_shape=(2,))
    model.fit_units(X)
    assert model.capabilities.log_prob == "bound"
    many = X.repeat_interleave(100, 0)
    found = model.log_prob(many, draws=32, seed=0)
    assert found.kind == "bound"
    each = found.value.unflatten(0, (-1, 100))
    assert ((each.mean(1) - TRUTH).abs() < 4.5 * each.std(1) / 10 + 1e-4).all()
    assert "nothing is left out" in str(model.about_density({}))
    parts = model.log_prob(many, draws=32, seed=0, batch_size=333)
    assert torch.allclose(parts.value, found.value)
    with pytest.raises(InputError, match="multiple of 16"):
        model.log_prob(X, draws=20)


def test_what_has_no_bound_says_so() -> None:
    process = processes.Brownian(spaces.Sphere(), schedules.VE(0.02, 4.0))
    with pytest.raises(CapabilityError, match="Brownian has no bound"):
        samplers.evidence_bound(Transport(lambda x, t, c=None: x, process), X, 1.0, 0.1)
    product = processes.ProductProcess((process, CASES["masking"]))
    with pytest.raises(CapabilityError, match="a factor of the product"):
        product.prior_cost((X, X), 1.0)
    with pytest.raises(InputError, match="0 < stop < start"):
        samplers.evidence_bound(
            Transport(WORLD.model(CASES["masking"]), CASES["masking"]), X, 0.1, 0.5
        )
    gaussian = processes.Gaussian(space=spaces.Hilbert(torch.eye(2)))
    with pytest.raises(CapabilityError, match="white noise"):
        gaussian.prior_cost(torch.zeros(1, 2), 1.0)
    assert math.isfinite(float(processes.Gaussian().prior_cost(torch.ones(1, 2), 1.0)))


@pytest.mark.parametrize("name", ["masking", "birth-death"])
def test_a_loss_that_is_said_to_bound_the_entropy_does(name: str) -> None:
    """In the mean over the times the loss of the exact model is the entropy of the data."""
    net = _Exact(CASES[name])
    model = pf.Diffusion(net, process=CASES[name], event_shape=(2,))
    assert "minus a lower bound" in model.loss_meaning
    assert "no likelihood" in pf.Diffusion(pf.nn.MLP(2, width=4), event_shape=(2,)).loss_meaning
    with torch.no_grad():
        loss = model.loss(
            WORLD.data.sample(20_000, seed=1), generator=torch.Generator().manual_seed(0)
        )
    entropy = -float((WORLD.data.probabilities.double() * TRUTH.view(K, K).double()).sum())
    assert float(loss.mean()) == pytest.approx(entropy, abs=4 * float(loss.std()) / 20_000**0.5)


class _Exact(nn.Module):
    """A network that knows all."""

    def __init__(self, process) -> None:
        super().__init__()
        self.known = WORLD.model(process)
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x, t, c=None):
        return self.known(x, t).float()
