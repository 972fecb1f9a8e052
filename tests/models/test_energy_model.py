"""The energy model: its contract, its files, its units, its constant, and what it refuses."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import energy_training as et
from pushforward.data import Data
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError
from pushforward.estimates import Capabilities

NAMES = ["cd", "pcd", "nce", "denoising", "sliced", "sliced-vr", "implicit"]
SAMPLERS = ["ula", "mala", "hmc", "annealed"]


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _model(event, training="denoising", classes=None, **options):
    net = pf.nn.Perceptron(event, 1, width=8, depth=2, num_classes=classes)
    return pf.EnergyModel(net, training, **options)


class Flat(nn.Module):
    """No energy of its own: the model is its Gaussian base."""

    def forward(self, x):
        return 0 * x.flatten(1).sum(-1)


class Modes(nn.Module):
    """With the base 2 of the model a mixture of N(-a, v) and N(a, v), weights 1/4 and 3/4."""

    log_z = 1.5

    def log_p(self, x):
        left = math.log(0.25) - (x + 1).square() / 0.18
        right = math.log(0.75) - (x - 1).square() / 0.18
        logits = torch.cat([left, right], 1)
        return logits.logsumexp(1) - 0.5 * math.log(2 * math.pi * 0.09)

    def forward(self, x):
        return -self.log_p(x) - self.log_z - x.square().sum(-1) / 8


class Experts(nn.Module):
    """With the base 2 of the model a product of four Gaussian experts, `exp(-(w z - b)^2 / 2)`."""

    def __init__(self):
        super().__init__()
        self.w = torch.randn(4, 3, generator=_seed(1))
        self.b = torch.randn(4, generator=_seed(2))

    def forward(self, x):
        return (x @ self.w.T - self.b).square().sum(-1) / 2

    def law(self):
        """The Gaussian that it is, and `log Z` by completing the square."""
        precision = self.w.T @ self.w + torch.eye(3) / 4
        mean = torch.linalg.solve(precision, self.w.T @ self.b)
        left = self.b.square().sum() - mean @ precision @ mean
        volume = 3 * math.log(2 * math.pi) - torch.logdet(precision)
        law = torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
        return law, 0.5 * float(volume - left)


@pytest.mark.parametrize("training", NAMES)
@pytest.mark.parametrize("event", [3, (1, 2, 2)])
def test_the_contract_for_every_training(training: str, event) -> None:
    model = _model(event, training)
    shape = (event,) if isinstance(event, int) else event
    x = 5 + torch.randn(50, *shape, generator=_seed(0))
    model.fit_units(x)
    model.prepare(x, generator=torch.Generator().manual_seed(0))
    assert model.event_shape == shape
    assert model.capabilities == Capabilities(True, "estimated", False)
    model.eval()
    losses = model.loss(x, generator=_seed(1))
    assert losses.shape == (50,)
    assert torch.equal(losses, model.loss(x, generator=_seed(1)))
    with torch.no_grad():
        assert torch.allclose(model.loss(x, generator=_seed(1)), losses, atol=1e-5)
    model.train()
    losses.mean().backward()
    for group in model.parameter_groups():
        assert any(p.grad is not None and p.grad.any() for p in group["params"])
    assert sum(len(g["params"]) for g in model.parameter_groups()) == len(list(model.parameters()))


@pytest.mark.parametrize("sampler", [*SAMPLERS, pf.mcmc.HMC(0.2, 3)], ids=str)
def test_the_contract_of_every_sampler(sampler) -> None:
    model = _model(2, event_shape=2)
    draw = {"sampler": sampler, "steps": 5}
    calls = []
    first = model.sample(6, **draw, seed=0, progress=lambda i, n: calls.append((i, n)))
    assert first.shape == (6, 2)
    assert calls == [(k, 5) for k in range(1, 6)]
    assert torch.equal(first, model.sample(6, **draw, seed=0))
    streamed = model.sample(6, **draw, generator=_seed(0))
    assert torch.equal(streamed, model.sample(6, **draw, generator=_seed(0)))
    assert not torch.equal(first, model.sample(6, **draw, seed=1))
    assert model.sample(6, **draw, seed=0, batch_size=4).shape == (6, 2)
    assert model.sample(6, **draw, seed=0, rows=slice(4, 6)).shape == (2, 2)
    assert model.sample(1, **draw, step=0.05, seed=0).shape == (1, 2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_are_those_of_the_law(sampler: str) -> None:
    """The base alone, in data units: mean 7 and standard deviation 2 x 3."""
    model = pf.EnergyModel(Flat(), "denoising")
    x = 7 + 3 * torch.randn(1000, 1, generator=_seed())
    model.fit_units(x)
    n = 4000
    drawn = model.sample(n, sampler=sampler, steps=100, seed=0)
    scale = 2 * float(x.std())
    assert abs(float(drawn.mean() - x.mean())) < 4 * scale / n**0.5
    bias = 1.01 if sampler == "ula" else 1.0
    assert abs(float(drawn.std()) / (scale * bias) - 1) < 4 / (2 * n) ** 0.5 + (bias - 1)


class Apart(nn.Module):
    """With the base 2 of the model modes of width 1/2 at -3 and 3, of weights 0.2 and 0.8."""

    def forward(self, x):
        left = math.log(0.2) - 2 * (x + 3).square()
        right = math.log(0.8) - 2 * (x - 3).square()
        return -torch.cat([left, right], 1).logsumexp(1) - x.square().sum(-1) / 8


def test_modes_far_apart_have_their_weights() -> None:
    """Chains share them out half and half early on; their weights make up for it."""
    model, n = pf.EnergyModel(Apart(), "denoising", event_shape=1), 2000
    shares = torch.tensor(
        [float((model.sample(n, steps=200, seed=k) < 0).float().mean()) for k in range(3)]
    )
    # Half of the chains carry 0.8 of the weight: some 0.7 of them are worth independent draws.
    error = (0.2 * 0.8 / (0.6 * n)) ** 0.5
    assert ((shares - 0.2).abs() < 4 * error).all()
    assert abs(float(shares.mean()) - 0.2) < 4 * error / 3**0.5
    # Without a way between the modes the shares stay as the base had them.
    direct = model.sample(n, sampler="mala", steps=200, seed=0)
    assert float((direct < 0).float().mean()) > 0.4
    drawn = model.sample(n, steps=200, seed=0)
    inside = drawn[drawn > 0]
    assert abs(float(inside.std()) / 0.5 - 1) < 0.1
    # Copies of one chain have moved apart.
    assert len(drawn.unique()) > 0.95 * n


class Spike(nn.Module):
    """With the base 2 of the model N(0, 1), and N(1, 0.05^2) of the same weight."""

    def forward(self, x):
        narrow = -200 * (x - 1).square() + math.log(20)
        both = torch.cat([narrow, -x.square() / 2], 1).logsumexp(1)
        return -both - x.square().sum(-1) / 8


def test_chains_are_resampled_on_the_way_to_a_narrow_mode() -> None:
    """One chain in forty begins where the mode is. The weights of the whole way, at its end alone,
    are too uneven to be resampled: .24 of the samples would be in the mode."""
    model = pf.EnergyModel(Spike(), "denoising", event_shape=1)
    with pytest.warns(ConvergenceWarning, match="states degenerate"):
        drawn = model.sample(1024, steps=200, seed=0)
    near = float(((drawn - 1).abs() < 0.15).float().mean())
    # 0.5 x 0.997 of the narrow mode, and 0.5 x (Phi(1.15) - Phi(0.85)) of the wide one.
    assert near == pytest.approx(0.535, abs=0.06)


def test_resampled_states_do_not_depend_on_batches_and_shares() -> None:
    """Whole pools are drawn by whoever needs a part of them."""
    model = pf.EnergyModel(Apart(), "denoising", event_shape=1)
    whole = model.sample(600, steps=30, seed=0)
    for part in (slice(0, 200), slice(200, 470), slice(470, 600)):
        assert torch.allclose(model.sample(600, steps=30, seed=0, rows=part), whole[part])
    assert torch.allclose(model.sample(600, steps=30, seed=0, batch_size=100), whole)
    assert model.sample(600, steps=30, seed=0, rows=slice(3, 3)).shape == (0, 1)
    assert torch.allclose(model.sample(150, steps=30, seed=0), whole[:150])


def test_resampling_stays_within_a_label() -> None:
    """States of one label do not depend on how many of others there are."""
    net = pf.nn.Perceptron(1, 1, width=8, num_classes=3)
    model = pf.EnergyModel(net, "denoising", event_shape=1)
    c = torch.arange(400) % 3
    whole = model.sample(400, c, steps=30, seed=0)
    assert torch.allclose(model.sample(200, c[:200], steps=30, seed=0), whole[:200])
    assert torch.allclose(
        model.sample(400, c, steps=30, seed=0, rows=slice(90, 300)), whole[90:300]
    )


def test_weights_that_degenerate_leave_the_chains_as_they_are() -> None:
    """With a word: in fifty dimensions two temperatures are too few."""
    model = pf.EnergyModel(Widths(torch.full((50,), 0.1)), "denoising", event_shape=50)
    with pytest.warns(ConvergenceWarning, match="of 100 of 100 states degenerate.*more steps"):
        drawn = model.sample(100, steps=2, seed=0)
    assert len(drawn.unique(dim=0)) == 100


def test_the_constant_and_the_density_are_those_of_the_law() -> None:
    model = pf.EnergyModel(Modes(), "denoising", event_shape=1)
    x = torch.linspace(-2, 2, 41)[:, None]
    found = model.estimate_log_z(seed=0)
    assert float(found.stderr) < 0.1
    assert float(found.ess) > 100
    assert abs(float(found.value) - Modes.log_z) < 4 * float(found.stderr)
    result = model.log_prob(x)
    assert result.kind == "estimated"
    assert torch.equal(result.stderr, found.stderr.expand(41))
    assert torch.allclose(result.value, Modes().log_p(x) + Modes.log_z - found.value, atol=1e-4)


class Widths(nn.Module):
    """With the base 2 of the model independent normal entries of given standard deviations."""

    def __init__(self, widths):
        super().__init__()
        self.widths = widths

    def forward(self, x):
        return (x.square() * (self.widths**-2 - 0.25)).sum(-1) / 2


@pytest.mark.parametrize(("widths", "fine"), [((1.4, 2.0), True), ((0.05, 2.0), False)])
def test_the_constant_in_fifty_dimensions(widths, fine: bool) -> None:
    """A constant that has converged is covered by its error; one that has not says so."""
    spread = torch.logspace(math.log10(widths[0]), math.log10(widths[1]), 50)
    exact = float(spread.log().sum()) + 25 * math.log(2 * math.pi)
    model = pf.EnergyModel(Widths(spread), "denoising", event_shape=50)
    covered = []
    for seed in range(6):
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            found = model.estimate_log_z(128, 50, seed=seed)
        off = abs(float(found.value) - exact) > 3 * float(found.stderr)
        assert bool(found.converged) == (not raised)
        assert all(w.category is ConvergenceWarning for w in raised)
        if found.converged:
            covered.append(not off)
    assert len(covered) == (6 if fine else 0)
    assert all(covered)
    told = model.log_prob(torch.zeros(3, 50))
    assert told.unconverged == (0 if fine else 3)
    assert told.shared
    assert any("log Z has not converged" in text for text in model._constants().warnings()) != fine


def test_a_product_of_experts() -> None:
    """Its constant within four standard errors, its density exactly so, its samples' moments."""
    experts = Experts()
    law, log_z = experts.law()
    model = pf.EnergyModel(experts, "denoising", event_shape=3)
    found = model.estimate_log_z(seed=0)
    assert 0 < float(found.stderr) < 0.1
    assert abs(float(found.value) - log_z) < 4 * float(found.stderr)
    x = law.mean + torch.randn(20, 3, generator=_seed())
    exact = law.log_prob(x) + log_z - found.value
    assert torch.allclose(model.log_prob(x).value, exact, atol=1e-4)
    n = 4000
    drawn, deviation = model.sample(n, steps=200, seed=0), law.variance.sqrt()
    assert ((drawn.mean(0) - law.mean).abs() < 4 / n**0.5 * deviation).all()
    assert ((drawn.std(0) / deviation - 1).abs() < 4 / (2 * n) ** 0.5).all()


def test_the_density_is_in_data_units_and_integrates_to_one() -> None:
    model = _model(1)
    model.fit_units(100 + 20 * torch.randn(500, 1, generator=_seed()))
    model.estimate_log_z(seed=0)
    x = torch.linspace(-200, 400, 6001)[:, None]
    result = model.log_prob(x)
    total = float(result.value.exp().sum()) * 0.1
    assert abs(math.log(total)) < 4 * float(result.stderr[0])


def test_no_question_changes_the_model() -> None:
    """Without a constant a density is refused, with what is there instead; warnings keep none."""
    model = _model(2, "pcd")
    x = torch.randn(50, 2, generator=_seed())
    model.fit_units(x)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CapabilityError, match=r"call estimate_log_z\(\) first, or take -energy"):
        model.log_prob(x)
    model.warnings(x)
    for name, value in model.state_dict().items():
        assert torch.equal(value.nan_to_num(-1), before[name].nan_to_num(-1)), name
    model.normalize(seed=3)
    kept = model.log_z.clone()
    assert torch.equal(kept, model.estimate_log_z(seed=3).value)
    model.normalize(seed=4)
    assert torch.equal(model.log_z, kept)


def test_the_unnormalized_density_has_a_gradient() -> None:
    """That of `energy` in the states, in data units, and in the weights; `log_prob` has none."""
    model = _model(2)
    model.fit_units(5 + 3 * torch.randn(100, 2, generator=_seed()))
    model.double().estimate_log_z(64, 20, seed=0)
    x = 5 + torch.randn(4, 2, generator=_seed(1), dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(model.energy, x)
    (slope,) = torch.autograd.grad(model.energy(x).sum(), x)
    step = 1e-5 * torch.tensor([1.0, 0.0], dtype=torch.float64)
    ends = [model.log_prob(x.detach() + s * step).value for s in (1, -1)]
    assert torch.allclose((ends[0] - ends[1]) / 2e-5, -slope[:, 0], rtol=1e-4)
    assert not model.log_prob(x).value.requires_grad
    model.energy(x).sum().backward()
    assert all(p.grad is not None for p in model.network.parameters())


def test_the_constant_is_kept_saved_and_forgotten_by_training(tmp_path: Path) -> None:
    model = _model(2, "pcd")
    x = torch.randn(200, 2, generator=_seed())
    model.fit_units(x)
    assert bool(model.log_z.isnan().all())
    model.estimate_log_z(seed=0)
    first = model.log_prob(x)
    model.save(tmp_path)
    loaded = pf.load(tmp_path)
    assert loaded.describe() == model.describe()
    assert torch.equal(loaded.log_z, model.log_z)
    assert torch.equal(loaded.log_prob(x).value, first.value)
    assert torch.equal(loaded.log_prob(x).stderr, first.stderr)
    assert torch.equal(loaded.learning.chains, model.learning.chains)
    model.eval().loss(x)
    assert bool(model.log_z.isfinite().all())
    model.train().loss(x)
    assert bool(model.log_z.isnan().all())


@pytest.mark.parametrize(
    "training",
    [et.PersistentContrastiveDivergence(2, 64, kernel=pf.mcmc.HMC(0.1, 3)), et.NoiseContrastive(2)],
    ids=lambda t: type(t).__name__,
)
def test_settings_are_saved(training, tmp_path: Path) -> None:
    model = _model((1, 2, 2), training, base=3.0, event_shape=(1, 2, 2))
    model.save(tmp_path)
    loaded = pf.load(tmp_path)
    assert loaded.base == 3.0
    assert loaded.describe() == model.describe()
    assert loaded.state_dict().keys() == model.state_dict().keys()


def test_an_interrupted_run_resumes_exactly(tmp_path: Path) -> None:
    x = torch.randn(200, 2, generator=_seed())
    settings = {"batch_size": 32, "progress": False, "checkpoint_every": 4, "schedule": "constant"}

    def train(out: Path, steps: int, **more):
        torch.manual_seed(0)
        model = _model(2, et.PersistentContrastiveDivergence(2, 128))
        return pf.fit(model, x, out=out, steps=steps, **settings, **more).model

    whole = train(tmp_path / "whole", 8)
    train(tmp_path / "parts", 4)
    parts = train(tmp_path / "parts", 8, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value.nan_to_num(-1), parts.state_dict()[name].nan_to_num(-1)), name


def test_labels_have_distributions_of_their_own() -> None:
    """Two classes around -2 and 2, in the ratio 1 to 3; without a label there is none."""
    c = (torch.arange(1200) % 4 > 0).long()
    x = (4.0 * c - 2).unsqueeze(1) + 0.5 * torch.randn(1200, 1, generator=_seed())
    data = Data(x, c)
    torch.manual_seed(0)
    model = _model(1, "nce", classes=2)
    assert model.capabilities.conditional
    pf.fit(model, data, steps=400, lr=1e-2, holdout=0.0, progress=False)
    model.estimate_log_z(256, 50, seed=0)
    assert model.frequencies.tolist() == pytest.approx([0.25, 0.75])
    for label, mean in ((0, -2.0), (1, 2.0)):
        drawn = model.sample(400, label, steps=100, seed=0)
        assert abs(float(drawn.mean()) - mean) < 0.3
    grid = torch.linspace(-6, 6, 1201)[:, None]
    for label in (0, 1):
        found = model.log_prob(grid, label)
        assert abs(float(found.value.exp().sum()) * 0.01 - 1) < 4 * float(found.stderr.max())
    for bad in (2, -1):
        with pytest.raises(InputError, match="label"):
            model.sample(2, bad, steps=2)
    for ask in (model.loss, model.energy, model.log_prob, lambda x: model.sample(len(x), steps=2)):
        with pytest.raises(CapabilityError, match="give c="):
            ask(x)


def test_the_density_of_data_is_learned_by_its_defaults() -> None:
    """A skew law on the line: the model's likelihood comes within 0.05 nats of the entropy."""
    law = torch.distributions.Gamma(4.0, 2.0)
    uniform = torch.rand(4000, 4, generator=_seed())
    x = -uniform.log().sum(1, keepdim=True) / 2
    torch.manual_seed(0)
    data = Data(x)
    model = pf.EnergyModel.for_data(data)
    pf.fit(model, data, steps=300, lr=5e-3, progress=False)
    model.estimate_log_z(512, 60, seed=0)
    found = model.log_prob(x)
    exact = law.log_prob(x[:, 0])
    gap = float((exact - found.value).mean())
    assert -4 * float(found.stderr[0]) < gap < 0.05 + 4 * float(found.stderr[0])
    assert model.warnings(x) == []


def test_the_defaults_find_narrow_modes() -> None:
    """Of a fiftieth of the spread: a plain perceptron has .14 of its mass near one by then."""
    data = pf.data.load("25gaussians", n=4000, seed=0, label=False)
    torch.manual_seed(0)
    model = pf.EnergyModel.for_data(data)
    settings = {"batch_size": 256, "lr": 3e-3, "ema": 0.98, "holdout": 0.0}
    pf.fit(model, data, steps=300, progress=False, **settings)
    line = torch.linspace(-6, 6, 301)
    cells = torch.cartesian_prod(line, line)
    with torch.no_grad():
        mass = (-model.energy(cells).double()).softmax(0)
    near = torch.cdist(cells, data.modes[0]).amin(1) < 3 * data.modes[1]
    assert float(mass[near].sum()) > 0.8


def test_chains_that_learn_do_not_run_away() -> None:
    """Persistent chains on a thin ring: none is lost, and the ring is told from its Gaussian."""
    angle = 6.2832 * torch.rand(1000, generator=_seed())
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(1000, 2, generator=_seed(1))
    torch.manual_seed(0)
    net = pf.nn.Perceptron(2, 1, width=32, zero=True)
    model = pf.EnergyModel(net, et.PersistentContrastiveDivergence(5, 256))
    pf.fit(model, x, steps=400, lr=3e-3, holdout=0.0, progress=False)
    assert float(model.learning.diverged) < 0.01
    gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    model.estimate_log_z(seed=0)
    found = model.log_prob(x)
    assert float(found.value.mean() - gaussian.log_prob(x).mean()) > 4 * float(found.stderr[0])


class Steep(nn.Module):
    """An energy far too steep for chains that start from the base."""

    def forward(self, x):
        return 1e6 * x.square().sum(-1).square()


def test_divergence_is_reported() -> None:
    model = pf.EnergyModel(Steep(), "denoising", event_shape=1)
    with pytest.warns(UserWarning, match="moves of 20 chains diverged"):
        model.sample(20, sampler="ula", steps=5, seed=0)
    told = model.warnings(torch.randn(50, 1, generator=_seed()))
    assert any("degenerate" in text for text in told)
    assert any("log Z has not converged" in text for text in told)
    # Annealed chains that are resampled on the way come there all the same.
    with pytest.warns(ConvergenceWarning, match="degenerate"):
        drawn = model.sample(256, steps=200, seed=0)
    exact = (math.gamma(0.75) / math.gamma(0.25)) ** 0.5 * 1e6**-0.25
    assert float(drawn.std()) == pytest.approx(exact, rel=0.2)


def test_a_model_that_has_not_learned_says_so() -> None:
    model = pf.EnergyModel(Flat(), "denoising", event_shape=4)
    told = model.warnings(0.1 * torch.randn(200, 4, generator=_seed()))
    assert len(told) == 1
    assert "higher than that of the data" in told[0]


@pytest.mark.parametrize("training", ["cd", "pcd", "denoising"])
def test_every_training_survives_awkward_data(training: str) -> None:
    """A constant feature, rows twice, double precision and a batch of one, all at once.

    The default training meets each alone, in the contract of all families.
    """
    x = torch.tensor([[1.0, 5.0], [2.0, 5.0], [2.0, 5.0], [4.0, 5.0]], dtype=torch.float64)
    torch.manual_seed(0)
    model = _model(2, training)
    pf.fit(model, x, steps=3, batch_size=1, holdout=0.0, progress=False)
    model.eval()
    assert model.loss(x[:1], generator=_seed()).isfinite().all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.estimate_log_z(32, 10, seed=0)
        assert model.log_prob(x).value.isfinite().all()
        assert model.sample(1, steps=3, seed=0).shape == (1, 2)


def test_double_precision() -> None:
    model = _model(2, "pcd", event_shape=2).double()
    x = torch.randn(10, 2, generator=_seed())
    model.prepare(x, generator=torch.Generator().manual_seed(0))
    assert model.loss(x).dtype == torch.float64
    assert model.sample(3, steps=3, seed=0).dtype == torch.float64


def test_a_model_without_a_base() -> None:
    class Well(nn.Module):
        def forward(self, x):
            return x.square().sum(-1, keepdim=True) / 2

    model = pf.EnergyModel(Well(), "denoising", base=None, event_shape=2)
    found = model.estimate_log_z(seed=0)
    assert float(found.value) == pytest.approx(math.log(2 * math.pi), abs=1e-4)


def test_defaults_for_data() -> None:
    flat = Data(torch.randn(20, 2, generator=_seed()))
    image = torch.rand(20, 1, 8, 8, generator=_seed())
    assert isinstance(pf.EnergyModel.for_data(flat).learning, et.NoiseContrastive)
    model = pf.EnergyModel.for_data(Data(image, kind="image"))
    assert isinstance(model.learning, et.PersistentContrastiveDivergence)
    assert pf.registry.find("models", "energy") is pf.EnergyModel
    with pytest.raises(InputError, match="did you mean 'training'"):
        pf.EnergyModel.for_data(flat, trainin="cd")


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"called as net\(z\)"):
        pf.EnergyModel(pf.nn.MLP(2, width=8))
    with pytest.raises(InputError, match="not contexts"):
        pf.EnergyModel(pf.nn.Perceptron(2, 1, context=3))
    with pytest.raises(InputError, match="one number per state"):
        pf.EnergyModel(pf.nn.Perceptron(2, 2), "cd").loss(torch.zeros(3, 2))
    with pytest.raises(InputError, match=r"nn\.Module"):
        pf.EnergyModel(lambda x: x.sum(-1))
    with pytest.raises(InputError, match="base is a positive finite number"):
        _model(2, base=0.0)
    with pytest.raises(InputError, match="did you mean 'nce'"):
        _model(2, "nces")
    model = _model(2, event_shape=2)
    with pytest.raises(CapabilityError, match="num_classes"):
        model.sample(2, 0)
    with pytest.raises(CapabilityError, match="num_classes"):
        model.loss(torch.zeros(2, 2), torch.zeros(2).long())
    with pytest.raises(InputError, match="did you mean 'hmc'"):
        model.sample(2, sampler="hcm")
    with pytest.raises(InputError, match="steps is a whole number"):
        model.sample(2, steps=0)
    with pytest.raises(InputError, match="step is a positive"):
        model.sample(2, steps=2, step=-1.0)
    with pytest.raises(InputError, match="shape"):
        model.log_prob(torch.zeros(2, 3))
    with pytest.raises(InputError, match="not known yet"):
        _model(2).sample(2)
