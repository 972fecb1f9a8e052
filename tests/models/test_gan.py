"""GANs: gradients of two players, laws that are learned, collapse that is noticed."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils import parameters_to_vector

import pushforward as pf
from pushforward import registry
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import mode_coverage
from pushforward.nn import Perceptron

DATA = pf.data.Data(torch.randn(400, 2, generator=torch.Generator().manual_seed(0)))


def _gan(**options) -> pf.GAN:
    torch.manual_seed(0)
    return pf.GAN.for_data(DATA, **({"width": 16, "depth": 2} | options))


@pytest.mark.parametrize("name", ["jensen-shannon", "kl", "wasserstein"])
def test_the_gradients_of_both_players_do_not_mix(name: str) -> None:
    model = _gan(discrepancy=name, regularizer=None, critic_steps=1)
    model.eval()  # both terms, no counting
    x = DATA.x[:8]
    model.loss(x, generator=torch.Generator().manual_seed(1)).mean().backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    z = torch.randn(8, model.latent, generator=torch.Generator().manual_seed(1))
    fake, real = model.generator(z), model.inward(x)
    game = model.discrepancy
    critic = game.critic_loss(model.critic(real), model.critic(fake.detach())).mean()
    own = torch.autograd.grad(critic, list(model.critic.parameters()))
    maker = game.generator_loss(model.critic(real), model.critic(fake)).mean()
    theirs = torch.autograd.grad(maker, list(model.generator.parameters()))
    for (n, _), g in zip(model.critic.named_parameters(), own, strict=True):
        assert torch.allclose(found[f"critic.{n}"], g, atol=1e-6)
    for (n, _), g in zip(model.generator.named_parameters(), theirs, strict=True):
        assert torch.allclose(found[f"generator.{n}"], g, atol=1e-6)


def test_the_generator_waits_its_turn_and_a_resumed_run_remembers(tmp_path) -> None:
    moved = []
    for steps in (1, 2, 3, 4):
        model = _gan(critic_steps=3)
        start = parameters_to_vector(model.generator.parameters()).detach()
        held = {"warmup": 0, "ema": 0.0, "holdout": 0.0, "schedule": "constant"}
        pf.fit(model, DATA, steps=steps, progress=False, **held)
        moved.append(parameters_to_vector(model.generator.parameters()).detach() - start)
    assert float(moved[0].norm()) > 0
    assert torch.equal(moved[0], moved[1])
    assert torch.equal(moved[0], moved[2])
    assert not torch.equal(moved[0], moved[3])
    whole = _gan(critic_steps=3)
    pf.fit(whole, DATA, steps=10, schedule="constant", out=tmp_path / "a", progress=False)
    part = _gan(critic_steps=3)
    settings = {"schedule": "constant", "out": tmp_path / "b", "progress": False}
    pf.fit(part, DATA, steps=5, **settings)
    again = _gan(critic_steps=3)
    pf.fit(again, DATA, steps=10, resume=True, **settings)
    assert torch.equal(again.sample(5, seed=0), whole.sample(5, seed=0))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 400),
        ({"discrepancy": "relativistic"}, 400),
        ({"discrepancy": "wasserstein"}, 900),
        ({"discrepancy": "mmd"}, 300),
        ({"discrepancy": "energy"}, 300),
        ({"discrepancy": "learned-mmd", "critic_steps": 2}, 200),
        ({"discrepancy": "sinkhorn"}, 150),
    ],
    ids=[
        "jensen-shannon",
        "relativistic",
        "wasserstein",
        "mmd",
        "energy",
        "learned-mmd",
        "sinkhorn",
    ],
)
def test_a_normal_law_is_learned(options: dict, steps: int) -> None:
    x = 2 + 0.5 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = pf.GAN.for_data(pf.data.Data(x), width=32, depth=2, **options)
    pf.fit(model, x, steps=steps, lr=1e-3, batch_size=64, progress=False)
    drawn = model.sample(4000, seed=1)
    assert float(drawn.mean()) == pytest.approx(2, abs=0.1)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.1)
    assert model.warnings(x) == []


def test_narrow_modes_are_found() -> None:
    """Four modes, each a twentieth as wide as the data: plain perceptrons with R1 find none."""
    g = torch.Generator().manual_seed(0)
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    x = corners[torch.randint(4, (4000,), generator=g)] + 0.05 * torch.randn(4000, 2, generator=g)
    torch.manual_seed(0)
    model = pf.GAN.for_data(pf.data.Data(x), width=64)
    pf.fit(model, x, steps=500, lr=2e-3, batch_size=128, ema=0.99, progress=False)
    found = mode_coverage(model.sample(2000, seed=1), corners, 0.05)
    assert found.modes == 4
    assert found.quality.value > 0.8
    assert model.warnings(x) == []


@pytest.mark.parametrize("name", list(registry.names("discrepancies")))
def test_every_critic_made_for_data_has_a_bounded_slope(name: str) -> None:
    model = _gan(discrepancy=name)
    assert model.critic is None or (model.critic.features is not None)
    if name == "relativistic":
        assert model.regularizer == pf.discrepancies.R1R2(0.02)
        assert model.critic_steps == 1
    elif model.critic is not None:
        assert isinstance(model.regularizer, pf.discrepancies.GradientPenalty)
        # What damps the circles: a term at data, or many steps of the critic.
        damped = name not in {"wasserstein", "learned-mmd"}
        expected = (0.1, 2) if damped else (0.0, 5)
        assert (model.regularizer.data, model.critic_steps) == expected
    assert _gan(discrepancy=name, regularizer=None).regularizer is None


def test_a_collapsed_generator_is_noticed() -> None:
    model = _gan()
    model.fit_units(DATA.x)
    with torch.no_grad():
        model.generator.last.weight.zero_()
    (spread, *_) = model.warnings(DATA.x)
    assert "0% of the data's variance" in spread


def test_samples_do_not_depend_on_their_batch() -> None:
    model = _gan()
    whole = model.sample(7, seed=0)
    assert torch.allclose(model.sample(7, seed=0, batch_size=2), whole)
    assert torch.allclose(model.sample(7, seed=0, rows=slice(2, 5)), whole[2:5])


@pytest.mark.parametrize("name", ["energy", "mmd"])
def test_a_label_chooses_the_law(name: str) -> None:
    """Without a critic too, which compares states of one label only if it sees labels."""
    c = torch.randint(0, 2, (2000,), generator=torch.Generator().manual_seed(0))
    x = 0.5 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(1)) + 4 * c.unsqueeze(1)
    torch.manual_seed(0)
    data = pf.data.Data(x, c=c)
    model = pf.GAN.for_data(data, discrepancy=name, width=32, depth=2)
    pf.fit(model, data, steps=800, batch_size=128, progress=False)
    for label in (0, 1):
        drawn = model.sample(1000, label, seed=0)
        assert float(drawn.mean()) == pytest.approx(4 * label, abs=0.1)
        assert float(drawn.std()) == pytest.approx(0.5, abs=0.1)
    assert model.warnings(x) == []
    with pytest.raises(CapabilityError, match="give c="):
        model.sample(3)


def test_a_turn_is_a_step_however_the_batch_is_cut() -> None:
    moved = []
    for steps in (1, 3, 4):
        model = _gan(critic_steps=3)
        start = parameters_to_vector(model.generator.parameters()).detach()
        held = {"warmup": 0, "ema": 0.0, "holdout": 0.0, "schedule": "constant"}
        pf.fit(model, DATA, steps=steps, accumulate=2, progress=False, **held)
        moved.append(parameters_to_vector(model.generator.parameters()).detach() - start)
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[1], moved[2])


def test_the_last_generator_is_kept_not_that_of_the_least_loss(tmp_path) -> None:
    model = _gan()
    run = pf.fit(model, DATA, steps=40, out=tmp_path, validate_every=5, progress=False)
    assert run.best is None


def test_a_saved_gan_is_loaded_again(tmp_path) -> None:
    for options in ({}, {"regularizer": "spectral-norm"}, {"discrepancy": "mmd"}):
        model = _gan(**options).eval()
        model.save(tmp_path)
        assert torch.allclose(pf.load(tmp_path).sample(3, seed=0), model.sample(3, seed=0))


@pytest.mark.parametrize("name", list(registry.names("discrepancies")))
@pytest.mark.parametrize("d", [1, 2])
def test_every_discrepancy_survives_data_that_do_not_vary(name: str, d: int) -> None:
    x = torch.ones(30, d)
    model = pf.GAN.for_data(pf.data.Data(x), discrepancy=name, width=8)
    pf.fit(model, x, steps=3, batch_size=4, holdout=0.0, progress=False)
    assert model.sample(2, seed=0).isfinite().all()


def test_a_kernel_and_a_plan_refuse_a_batch_of_one() -> None:
    for name in ("mmd", "learned-mmd", "energy", "sinkhorn"):
        model = pf.GAN.for_data(DATA, discrepancy=name, width=8)
        with pytest.raises(InputError, match="larger batch"):
            pf.fit(model, DATA, steps=1, batch_size=1, progress=False)


def test_what_is_refused() -> None:
    net = Perceptron(2, 2, width=8)
    with pytest.raises(InputError, match="needs a critic"):
        pf.GAN(net, None)
    with pytest.raises(InputError, match="needs no critic"):
        pf.GAN(net, Perceptron(2, 1, width=8), discrepancy="mmd")
    with pytest.raises(InputError, match="did you mean 'wasserstein'"):
        _gan(discrepancy="wassertein")
    with pytest.raises(CapabilityError, match="has no density that could be computed"):
        _gan().log_prob(DATA.x)
    with pytest.raises(CapabilityError, match=r"singular: .* at most 1 dimensions.* of the 2 of"):
        _gan(latent=1).log_prob(DATA.x)
    with pytest.raises(CapabilityError, match="takes no labels"):
        _gan().sample(2, 0)
    with pytest.raises(InputError, match="critic_steps 0"):
        _gan(critic_steps=0)
