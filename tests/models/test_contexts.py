"""Models of p(x | c): closed-form conditionals, units of contexts, and context networks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.data import Data
from pushforward.errors import CapabilityError, InputError
from pushforward.models.contexts import Contexts, ContextUnits
from pushforward.spaces import Points

CPU = torch.device("cpu")
MATRIX = torch.tensor([[0.9, -0.4], [0.3, 0.6]])
NOISE = torch.tensor([[0.4, 0.0], [0.2, 0.3]])


def pairs(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`x | c ~ N(MATRIX c, NOISE NOISE^T)` with standard normal contexts."""
    g = torch.Generator().manual_seed(seed)
    c = torch.randn(n, 2, generator=g)
    return c @ MATRIX.T + torch.randn(n, 2, generator=g) @ NOISE.T, c


def log_density(x: Tensor, c: Tensor) -> Tensor:
    law = torch.distributions.MultivariateNormal(c @ MATRIX.T, scale_tril=NOISE)
    return law.log_prob(x)


@pytest.mark.parametrize("family", ["flow", "matching"])
def test_a_linear_gaussian_conditional_is_learned(family: str) -> None:
    x, c = pairs(4000)
    # Units that no network could take as they are: 300 K and 1e-9 m.
    data = Data(x, c=c * torch.tensor([50.0, 1e-9]) + torch.tensor([300.0, 0.0]))
    torch.manual_seed(0)
    if family == "flow":
        model: Any = pf.NormalizingFlow.for_data(data, kind="maf", layers=2, width=32)
        steps, options = 600, {}
    else:
        model = pf.FlowMatching.for_data(data, net=pf.nn.MLP(2, width=64, context=2))
        steps, options = 500, {"steps": 24}
    run = pf.fit(model, data, steps=steps, batch_size=256, lr=3e-3, progress=False, seed=0)
    assert run.model is model
    given = torch.tensor([[1.0, -1.0], [-0.5, 1.5], [0.0, 0.0]])
    for k, own in enumerate(given):
        told = own * torch.tensor([50.0, 1e-9]) + torch.tensor([300.0, 0.0])
        draws = model.sample(4000, c=told, seed=k, **options)
        # Moments of x alone are up to 1.0 away, and so would be those of contexts not in units.
        assert (draws.mean(0) - MATRIX @ own).abs().max() < 0.08
        assert (draws.T.cov() - NOISE @ NOISE.T).abs().max() < 0.06
    new_x, new_c = pairs(500, seed=1)
    told = new_c * torch.tensor([50.0, 1e-9]) + torch.tensor([300.0, 0.0])
    excess = log_density(new_x, new_c) - model.log_prob(new_x, told).value.detach()
    # A mean gap of log-densities is a divergence: small, and not below zero but for its error.
    error = float(excess.std()) / 500**0.5
    assert -3 * error < float(excess.mean()) < 0.03 + 3 * error
    # The conditional density, not that of x alone, which is nats away.
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(2), MATRIX @ MATRIX.T + NOISE @ NOISE.T
    )
    assert float((log_density(new_x, new_c) - marginal.log_prob(new_x)).mean()) > 1.0


@pytest.mark.parametrize(
    "family", [pf.NormalizingFlow, pf.FlowMatching, pf.Diffusion, pf.VAE, pf.GAN]
)
def test_the_same_contexts_in_other_units_make_the_same_model(family: Any) -> None:
    x, c = pairs(200)
    # Powers of two, so that nothing is rounded on the way.
    other = c * torch.tensor([1024.0, 2.0**-20])
    drawn = []
    for contexts, told in ((c, c[:3]), (other, other[:3])):
        torch.manual_seed(0)
        model = family.for_data(Data(x, c=contexts))
        pf.fit(model, Data(x, c=contexts), steps=5, progress=False, seed=0)
        drawn.append(model.sample(3, told, seed=1))
        if family is pf.Diffusion:
            variance = pf.PosteriorVariance(model, pf.nn.MLP(2, width=8, context=2))
            pf.fit(variance, Data(x, c=contexts), steps=2, progress=False, seed=0)
            drawn[-1] = variance.sample(3, told, seed=1, steps=4)
            bound = variance.variational_bound(x[:3], told, seed=1, batch_size=2, steps=4)
            drawn[-1] = torch.cat([drawn[-1], bound.total.unsqueeze(1)], 1)
    torch.testing.assert_close(drawn[0], drawn[1], rtol=1e-4, atol=1e-5)


def test_seconds_since_1970_are_told_apart() -> None:
    # Float32 knows them to two minutes.
    x, c = pairs(500)
    late = Data(x, c=c.double() * 30 + 1.7e9)
    torch.manual_seed(0)
    model = pf.NormalizingFlow.for_data(late, layers=2, width=16)
    pf.fit(model, late, steps=3, progress=False, seed=0)
    assert model.condition.contexts is not None
    seen = model.condition.contexts.rows(late.c, 500, CPU)
    torch.testing.assert_close(seen.std(0), torch.ones(2), rtol=0.1, atol=0)
    assert len(seen.unique(dim=0)) == 500
    # Numbers of Python are as precise.
    alone = model.condition.contexts.rows(late.c[0].tolist(), 1, CPU)
    torch.testing.assert_close(alone[0], seen[0])
    with pytest.raises(InputError, match=r"float32 cannot carry them"):
        model.sample(500, late.c.float())


def test_a_constant_context_is_pinned() -> None:
    x, c = pairs(200)
    data = Data(x, c=torch.cat([c, torch.full((200, 1), 7.0)], 1))
    torch.manual_seed(0)
    model = pf.NormalizingFlow.for_data(data, layers=2, width=16)
    pf.fit(model, data, steps=5, progress=False, seed=0)
    known = model.sample(4, c=[0.5, 0.5, 7.0], seed=0)
    assert torch.equal(known, model.sample(4, c=[0.5, 0.5, 70.0], seed=0))
    contexts = model.condition.contexts
    assert contexts is not None
    assert contexts.doubts(torch.tensor([[0.5, 0.5, 7.0]])) == []
    (told,) = contexts.doubts([[0.5, 0.5, 70.0]], ("a", "b", "d"))
    assert told.startswith("d = 70, but it was 7 in all of the training data")
    (told,) = contexts.doubts([[0.5, -40.0, 7.0]], ("a", "b", "d"))
    assert told.startswith("b = -40 lies far outside")


def test_units_of_pictures_sets_and_sequences() -> None:
    g = torch.Generator().manual_seed(0)
    pictures = torch.randn(50, 3, 4, 4, generator=g) * torch.tensor([1.0, 9.0, 0.1]).view(3, 1, 1)
    units = ContextUnits(3)
    units.fit(pictures)
    torch.testing.assert_close(units(pictures).var((0, 2, 3), correction=0), torch.ones(3))
    x = torch.randn(50, 6, 2, generator=g) * 30 + 100
    mask = torch.rand(50, 6, generator=g) < 0.7
    contexts = Contexts(4, pf.nn.SetEncoder(2, 4, width=8))
    contexts.fit(Points(x, mask))
    (own,) = contexts.parts
    torch.testing.assert_close(own.shift, x[mask].mean(0))
    torch.testing.assert_close(own.scale, x[mask].std(0, correction=0))
    # What lies in empty slots has no part in it.
    odd = Points(torch.where(mask.unsqueeze(-1), x, 1e9), mask)
    found = contexts.rows(Points(x, mask), 50, CPU)
    torch.testing.assert_close(found, contexts.rows(odd, 50, CPU))


def test_a_set_has_no_order_and_a_sequence_has() -> None:
    g = torch.Generator().manual_seed(0)
    x, mask = torch.randn(5, 7, 2, generator=g), torch.rand(5, 7, generator=g) < 0.6
    order = torch.randperm(7, generator=g)
    for encoder in (pf.nn.SetEncoder(2, 3, width=8), pf.nn.SequenceEncoder(2, 3, width=8)):
        same = torch.allclose(encoder((x, mask)), encoder((x[:, order], mask[:, order])), atol=1e-6)
        assert same == isinstance(encoder, pf.nn.SetEncoder)
        # More empty slots at the end are no more elements.
        first = torch.arange(7).expand(5, 7) < torch.tensor([[1], [3], [0], [7], [5]])
        wide = torch.cat([x, torch.full((5, 2, 2), torch.inf)], 1)
        more = torch.cat([first, torch.zeros(5, 2, dtype=torch.bool)], 1)
        torch.testing.assert_close(encoder((wide.nan_to_num(), more)), encoder((x, first)))
        # A repeated observation tells more than one.
        once, twice = encoder(x[:, :1]), encoder(x[:, :1].expand(5, 2, 2))
        assert not torch.allclose(once, twice, atol=1e-4)
        with pytest.raises(InputError, match=r"shape \(B, slots, 2\)"):
            encoder(x[..., :1])
        with pytest.raises(InputError, match="mask is boolean"):
            encoder((x, mask[:, 1:]))


def test_a_set_of_observations_narrows_the_posterior() -> None:
    # theta ~ N(0, 1), n of 1..8 observations N(theta, 1): the posterior is known.
    g = torch.Generator().manual_seed(0)
    n = 6000
    theta = torch.randn(n, 1, generator=g)
    count = torch.randint(1, 9, (n, 1), generator=g)
    mask = torch.arange(8) < count
    seen = (theta + torch.randn(n, 8, generator=g)) * mask
    data = Data(theta, c=Points(100 * seen.unsqueeze(-1), mask))
    assert str(data) == "data: 6000 vectors of 1, contexts of ((8, 1), (8,))"
    torch.manual_seed(0)
    model = pf.NormalizingFlow.for_data(data, kind="affine-coupling", layers=2, width=32)
    pf.fit(model, data, steps=400, batch_size=256, lr=3e-3, progress=False, seed=0)
    for size in (1, 8):
        own = torch.full((1, 8, 1), 50.0)
        draws = model.sample(4000, Points(own, torch.arange(8).unsqueeze(0) < size), seed=0)
        mean, variance = 0.5 * size / (1 + size), 1 / (1 + size)
        assert abs(float(draws.mean()) - mean) < 0.08
        assert abs(float(draws.std()) - variance**0.5) < 0.08


@pytest.mark.parametrize("family", [pf.NormalizingFlow, pf.FlowMatching, pf.Diffusion])
def test_context_networks_are_trained_saved_and_judged_in_evaluation_mode(
    family: Any, tmp_path: Any
) -> None:
    g = torch.Generator().manual_seed(0)
    theta = torch.rand(64, 1, generator=g)
    pictures = theta[:, :, None, None] * 40 + torch.randn(64, 1, 6, 6, generator=g)
    data = Data(theta, c=pictures)
    torch.manual_seed(0)
    model = family.for_data(data)
    before = copy.deepcopy(model.condition.contexts.network.state_dict())
    pf.fit(model, data, steps=20, progress=False, seed=0)
    after = model.condition.contexts.network.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    drawn = model.sample(4, pictures[:4], seed=0)
    model.save(tmp_path)
    again = pf.load(tmp_path)
    torch.testing.assert_close(again.sample(4, pictures[:4], seed=0), drawn, rtol=0, atol=0)
    # The answer for a row does not depend on the others.
    alone = again.sample(4, pictures[:1], seed=0)
    torch.testing.assert_close(alone[0], drawn[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="do not fit those of training"):
        model.sample(4, pictures[:4].expand(4, 2, 6, 6))
    with pytest.raises(InputError, match="one row for each of 4 states"):
        model.sample(4, pictures[:3])


def test_a_context_network_of_ones_own(tmp_path: Any) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map, self.drop = nn.Linear(3, 5), nn.Dropout(0.9)

        def forward(self, c: Any) -> Tensor:
            return self.drop(self.map(c.flatten(1)))

    g = torch.Generator().manual_seed(0)
    data = Data(torch.randn(40, 2, generator=g), c=torch.randn(40, 3, generator=g))
    model = pf.Diffusion.for_data(data, context_network=Own())
    assert model.context_size == 5
    pf.fit(model, data, steps=2, progress=False)
    model.train()
    drawn = model.sample(3, data.c[:3], seed=0, steps=5)
    assert torch.equal(model.sample(3, data.c[:3], seed=0, steps=5), drawn)
    model.save(tmp_path)
    with pytest.raises(InputError, match="context_network="):
        pf.load(tmp_path)
    again = pf.load(tmp_path, context_network=Own())
    assert torch.equal(again.sample(3, data.c[:3], seed=0, steps=5), drawn)


def test_guidance_hides_embedded_contexts() -> None:
    # Strength 0 is the model without a context, whatever the context.
    g = torch.Generator().manual_seed(0)
    theta = torch.randn(64, 1, generator=g)
    data = Data(theta, c=theta.unsqueeze(-1).expand(64, 9, 1) + torch.randn(64, 9, 1, generator=g))
    model = pf.Diffusion.for_data(data, label_dropout=0.5)
    pf.fit(model, data, steps=20, progress=False)
    free = model.sample(8, seed=0, steps=8)
    torch.testing.assert_close(model.sample(8, data.c[:8], seed=0, steps=8, guidance=0.0), free)
    assert not torch.allclose(model.sample(8, data.c[:8], seed=0, steps=8, guidance=2.0), free)


def test_what_does_not_fit() -> None:
    x = torch.randn(8, 2)
    with pytest.raises(InputError, match=r"c\[:, None\] makes vectors"):
        Data(x, c=torch.zeros(8))
    with pytest.raises(InputError, match="finite"):
        Data(x, c=torch.full((8, 2), torch.nan))
    with pytest.raises(InputError, match=r"shape \(8, \*one\)"):
        Data(x, c=torch.zeros(7, 2))
    pictures = Data(x, c=torch.zeros(8, 1, 4, 4))
    for family in (pf.VAE, pf.GAN):
        with pytest.raises(CapabilityError, match="Diffusion, FlowMatching and NormalizingFlow"):
            family.for_data(pictures)
    with pytest.raises(InputError, match="give context_network="):
        pf.Diffusion.for_data(Data(x, c=(torch.zeros(8, 3), torch.zeros(8, 1, 4, 4))))
    with pytest.raises(InputError, match="not 3"):
        pf.Diffusion.for_data(pictures, context_network=3)
    with pytest.raises(InputError, match=r"returns vectors \(B, size\)"):
        pf.Diffusion.for_data(pictures, context_network=nn.Identity())
    with pytest.raises(InputError, match="has none to learn from"):
        pf.Diffusion.for_data(Data(x), context_network=nn.Flatten())
    with pytest.raises(InputError, match="makes vectors, which the network does not take"):
        pf.Diffusion(pf.nn.MLP(2), context_network=nn.Flatten())
    model = pf.Diffusion(pf.nn.MLP(2, context=7), context_network=nn.Flatten())
    with pytest.raises(InputError, match="takes vectors of 7"):
        pf.fit(model, pictures, steps=1, progress=False)
    with pytest.raises(InputError, match="takes contexts of 3 numbers"):
        pf.fit(pf.Diffusion(pf.nn.MLP(2, context=3)), pictures, steps=1, progress=False)
    for plain in (pf.EnergyModel, pf.KernelDensity):
        with pytest.raises(CapabilityError, match=r"VAE and GAN learn p\(x \| c\)"):
            pf.fit(plain.for_data(pictures), pictures, steps=1, progress=False)
