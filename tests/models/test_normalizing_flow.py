"""Normalizing flows: exact densities, the laws they learn, and unnormalized targets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.transforms import Affine, Composed

KINDS = pf.registry.names("flows")
FREE = ("planar", "radial", "residual")  # take no labels
PLAIN = [k for k in KINDS if k not in FREE]
LINE = [kind for kind in KINDS if not kind.startswith("circular")]


def _sizes(kind: str, width: int) -> dict[str, int]:
    if kind in ("planar", "radial"):
        return {"layers": 2}
    if kind == "continuous":
        return {"width": width, "depth": 2}
    return {"layers": 2, "width": width, "depth": 1}


def _small(kind: str, x: Tensor, c: Tensor | None = None, scale: float = 0.2) -> pf.NormalizingFlow:
    torch.manual_seed(0)
    data = pf.data.Data(x.float(), c=c)
    model = pf.NormalizingFlow.for_data(data, kind=kind, **_sizes(kind, 16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape))
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_samples_come_with_their_density(kind: str) -> None:
    # Networks of random weights are steep: in single precision the way back would lose digits.
    model = _small(kind, torch.zeros(2, 3)).double()
    x, log_p = model.rsample_and_log_prob(50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model.log_prob(x).value, log_p, atol=1e-3)
    assert model.capabilities.log_prob == "exact"


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_has_gradients_in_states_and_parameters(kind: str) -> None:
    """Against central differences along one direction of each."""
    model = _small(kind, torch.zeros(2, 3)).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    weights, step = list(model.parameters()), 1e-5
    value = model.log_prob(x).value.sum()
    for some in ([x], weights):
        slopes = torch.autograd.grad(value, some, retain_graph=True, materialize_grads=True)
        ways = [torch.randn(e.shape, generator=generator, dtype=e.dtype) for e in some]
        values = []
        with torch.no_grad():
            for size in (step, -2 * step):
                for end, way in zip(some, ways, strict=True):
                    end.add_(size * way)
                values.append(float(model.log_prob(x).value.sum()))
            for end, way in zip(some, ways, strict=True):
                end.add_(step * way)
        found = sum(float((g * way).sum()) for g, way in zip(slopes, ways, strict=True))
        assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", LINE)
def test_the_density_of_every_kind_integrates_to_one(kind: str) -> None:
    # The density of splines has kinks, which a grid has to resolve, and ridges that it cannot if
    # the network is wild.
    model = _small(kind, torch.zeros(2, 2), scale=0.05)
    side = torch.linspace(-12, 12, 801 if "spline" in kind or kind == "glow" else 201)
    found = model.log_prob(torch.cartesian_prod(side, side), batch_size=20_000).value
    assert float(found.exp().sum()) * float(side[1] - side[0]) ** 2 == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_does_not_depend_on_its_batch(kind: str) -> None:
    model = _small(kind, torch.zeros(2, 3))
    whole = model.sample(7, seed=0)
    assert torch.allclose(model.sample(7, seed=0, batch_size=2), whole, atol=1e-5)
    assert torch.allclose(model.sample(7, seed=0, rows=slice(3, 6)), whole[3:6], atol=1e-5)


@pytest.mark.parametrize("kind", [k for k in PLAIN if k != "glow"])
def test_an_architecture_starts_as_the_identity_and_is_saved(kind: str, tmp_path) -> None:
    data = pf.data.Data(torch.zeros(4, 3), c=torch.tensor([0, 1, 0, 1]))
    model = pf.NormalizingFlow.for_data(data, kind=kind, **_sizes(kind, 8))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    image, log_det = model.transform.push(z, torch.zeros(5, dtype=torch.long))
    assert torch.allclose(image, z, atol=1e-5)
    assert torch.allclose(log_det, torch.zeros(5), atol=1e-5)
    model.save(tmp_path)
    again = pf.load(tmp_path)
    assert torch.equal(again.sample(3, 1, seed=0), model.eval().sample(3, 1, seed=0))


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [("spline-coupling", 0.06), ("spline-autoregressive", 0.06), ("maf", 0.2)],
)
def test_a_flow_learns_a_mixture(kind: str, allowed: float) -> None:
    law = GaussianMixture(torch.tensor([[-2.0, 0.0], [2.0, 1.0]]), 0.3)
    torch.manual_seed(0)
    train = law.sample(6000, seed=0)
    model = pf.NormalizingFlow.for_data(pf.data.Data(train), kind=kind, layers=3, width=32)
    pf.fit(model, train, steps=600, batch_size=256, lr=5e-3, progress=False)
    test = law.sample(3000, seed=1)
    gap = law.log_prob(test) - model.log_prob(test).value.detach()
    # The mean is KL(law || model), 0.83 nats for the best Gaussian. Affine flows only bend: what
    # lies apart stays joined by a bridge.
    assert -3 * float(gap.std()) / len(gap) ** 0.5 < float(gap.mean()) < allowed


def test_the_reverse_divergence_finds_log_z() -> None:
    torch.manual_seed(0)
    chol = torch.tensor([[1.0, 0.0], [0.7, 0.5]])
    mean = torch.tensor([1.0, -2.0])
    normal = torch.distributions.MultivariateNormal(mean, scale_tril=chol)
    log_z = 3.0
    model = pf.NormalizingFlow.for_data(
        pf.data.Data(torch.zeros(2, 2)), kind="affine-coupling", layers=4, width=16, depth=1
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    generator = torch.Generator().manual_seed(0)
    for _ in range(500):
        optimizer.zero_grad()
        cost = model.reverse_kl(lambda x: normal.log_prob(x) + log_z, 256, generator=generator)
        cost.mean().backward()
        optimizer.step()
        rates.step()
    with torch.no_grad():
        cost = model.reverse_kl(lambda x: normal.log_prob(x) + log_z, 4000, generator=generator)
    # KL >= 0, so that the bound comes from below; its gap is what is left to learn.
    assert -log_z - 3 * float(cost.std()) / 4000**0.5 < float(cost.mean()) < -log_z + 0.01


def test_a_condition_moves_the_law() -> None:
    torch.manual_seed(0)
    c = torch.randint(0, 2, (4000,), generator=torch.Generator().manual_seed(0))
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1)) + 4 * c.unsqueeze(1)
    data = pf.data.Data(x, c=c)
    model = pf.NormalizingFlow.for_data(data, layers=2, width=16)
    pf.fit(model, data, steps=800, lr=5e-3, progress=False)
    for label in (0, 1):
        drawn = model.sample(2000, label, seed=0)
        assert float(drawn.mean()) == pytest.approx(4 * label, abs=0.15)
        assert float(drawn.std()) == pytest.approx(1, abs=0.1)
    assert model.log_prob(x[:3], c[:3]).value.shape == (3,)
    # There is no law without labels: none was learned.
    for asked in (
        lambda: model.log_prob(x[:3]),
        lambda: model.sample(3),
        lambda: model.loss(x[:3]),
        lambda: model.rsample_and_log_prob(3),
    ):
        with pytest.raises(CapabilityError, match="give c="):
            asked()


def test_angles_near_the_cut_are_one_cluster() -> None:
    torch.manual_seed(0)
    noise = 0.3 * torch.randn(3000, 2, generator=torch.Generator().manual_seed(0))
    x = torch.remainder(noise + 2 * math.pi, 2 * math.pi) - math.pi  # around pi = -pi
    model = pf.NormalizingFlow.for_data(
        pf.data.Data(x), kind="circular-spline", layers=2, width=16, bins=16
    )
    pf.fit(model, x, steps=500, lr=1e-2, progress=False)
    entropy = 2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(0.3))
    nats = pf.metrics.negative_log_likelihood(model.log_prob(x))
    assert nats.value == pytest.approx(entropy, abs=0.06)
    drawn = model.sample(1000, seed=0)
    assert float(drawn.cos().mean()) < -0.9


@pytest.mark.parametrize("kind", LINE)
@pytest.mark.parametrize("d", [1, 2])
def test_every_kind_survives_rows_that_repeat_and_a_batch_of_one(kind: str, d: int) -> None:
    x = torch.tensor([[1.0, 2.0]])[:, :d].repeat(30, 1) * torch.arange(30).remainder(2).unsqueeze(1)
    model = pf.NormalizingFlow.for_data(pf.data.Data(x), kind=kind, **_sizes(kind, 8))
    pf.fit(model, x, steps=3, batch_size=1, holdout=0.0, progress=False)
    assert model.sample(4, seed=0).isfinite().all()
    assert model.log_prob(x[:1]).value.isfinite().all()


@torch.no_grad()
def test_estimated_log_determinants_say_so() -> None:
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
    for kind in ("residual", "continuous"):
        model = _small(kind, x)
        assert model.capabilities.log_prob == "estimated"
        found = model.log_prob(x, probes=4)
        assert found.kind == "estimated"
        assert (found.stderr > 0).all()
        assert torch.equal(model.log_prob(x, probes=4).value, found.value)
        exact = pf.NormalizingFlow(model.transform, event_shape=(12,))
        for part in exact.transform.modules():
            if hasattr(part, "exact"):
                part.exact = 12
        gap = found.value - exact.eval().log_prob(x).value
        assert exact.capabilities.log_prob == "exact"
        assert float((gap / found.stderr).square().mean()) < 9  # Student's t with 3 degrees: 3


def test_images_at_two_scales(tmp_path) -> None:
    data = pf.data.load("digits", label=False).take(torch.arange(300))
    torch.manual_seed(0)
    model = pf.NormalizingFlow.for_data(data, kind="glow", layers=2, width=32)
    before = model.log_prob(data.x).value.mean()
    pf.fit(model, data, steps=30, progress=False)
    assert model.log_prob(data.x).value.mean() > before + 20
    model.save(tmp_path)
    assert torch.equal(pf.load(tmp_path).sample(2, seed=0), model.sample(2, seed=0))


def test_what_is_refused_says_why() -> None:
    with pytest.raises(InputError, match="did you mean 'layers'"):
        pf.NormalizingFlow.for_data(pf.data.Data(torch.zeros(2, 2)), layer=3)
    with pytest.raises(InputError, match="did you mean 'maf'"):
        pf.NormalizingFlow.for_data(pf.data.Data(torch.zeros(2, 2)), kind="mfa")
    with pytest.raises(InputError, match="normal or angles"):
        pf.NormalizingFlow(Composed([]), base="cauchy")
    with pytest.raises(InputError, match="made of transforms, not Affine"):
        pf.NormalizingFlow(Affine())
    model = _small("maf", torch.zeros(2, 2))
    with pytest.raises(CapabilityError, match="takes no labels"):
        model.sample(2, 0)
    with pytest.raises(InputError, match="1 of 2 states are not finite"):
        model.log_prob(torch.tensor([[0.0, 0.0], [math.nan, 0.0]]))
