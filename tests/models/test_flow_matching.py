"""Flow matching: what it learns, from which pairs, and that it comes back after a stop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import state
from pushforward._random import resolve
from pushforward.analytic import AnalyticPair
from pushforward.cli import main
from pushforward.couplings import Conditional, Exact, Independent, Paired, Sinkhorn, Whole
from pushforward.data import Data
from pushforward.distributions import VonMisesFisher, WrappedNormal
from pushforward.errors import CapabilityError, InputError
from pushforward.models.networks import StateNetwork
from pushforward.ot import GaussianBridge
from pushforward.processes import (
    Bridge,
    GenerativeProcess,
    Geodesic,
    Interpolant,
    Linear,
    OneSided,
    OUBridge,
    ProductProcess,
    StochasticInterpolant,
    Trigonometric,
)
from pushforward.processes.path import inside
from pushforward.protocols import Transport
from pushforward.spaces import SO3, FisherRao, Hyperbolic, Sphere, Torus
from pushforward.spaces.torus import wrap
from pushforward.times import ShiftedTimes, StratifiedTimes, UniformTimes

QUIET = {"progress": False, "batch_size": 128, "lr": 5e-3, "ema": 0.98, "holdout": 0.0}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=resolve(seed))


class Affine(nn.Module):
    """`x W_t + b_t`, weights polynomial in time: all that normal distributions need."""

    shares_time = True

    def __init__(self, dim: int, heads: int = 1, degree: int = 4) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(degree + 1, dim + 1, heads * dim))

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        powers = (2 * t.reshape(-1, 1) - 1) ** torch.arange(len(self.weights))
        table = torch.einsum("bk,kij->bij", powers, self.weights)
        return (torch.cat([x, x.new_ones(len(x), 1)], 1).unsqueeze(1) @ table)[:, 0]


def _solved(model: pf.FlowMatching, a: Tensor | None, b: Tensor, batch: int = 500) -> None:
    """Bring an `Affine` to the minimum of the loss, which is quadratic: one Newton step."""
    model.double()
    if a is not None:
        model.keep_source(a)
    model.fit_units(b)
    if a is not None:
        generator, order = resolve(0), torch.arange(len(b))
        for rows in torch.arange(len(b)).split(batch):
            found = model.couple(b[rows], None, a[rows], generator)
            order[rows] = rows if found is None else rows[found]
        a = a[order]
    weights = model.predictor.net.weights
    loss = sum(model.loss(b, source=a, generator=resolve(k)).mean() for k in range(4))
    slope = torch.autograd.grad(loss, weights, create_graph=True)[0].flatten()
    rows = [torch.autograd.grad(s, weights, retain_graph=True)[0].flatten() for s in slope]
    step = torch.linalg.solve(torch.stack(rows), slope)
    with torch.no_grad():
        weights -= step.reshape(weights.shape)
    model.eval()


def _data(n: int = 4000) -> tuple[Tensor, Tensor]:
    """Normal, with means (3, 0) and (-1, 2), standard deviations (1, 2) and (3, 0.5)."""
    a = torch.tensor([3.0, 0.0]) + torch.tensor([1.0, 2.0]) * _normal(n, 2)
    return a, torch.tensor([-1.0, 2.0]) + torch.tensor([3.0, 0.5]) * _normal(n, 2, seed=1)


ANY = Interpolant(lambda t: (1 - t**2, t**2, (t * (1 - t)).sqrt()), epsilon=0.5)


@pytest.mark.parametrize(
    "path",
    [Linear(), Trigonometric(), Linear(sigma=1.0), OUBridge(1.5, 0.5), ANY],
    ids=["linear", "trigonometric", "noisy-linear", "ou-bridge", "interpolant"],
)
def test_normal_distributions_are_carried_to_each_other(path) -> None:
    a, b = _data()
    model = pf.FlowMatching(Affine(2, StochasticInterpolant(path).heads), path)
    _solved(model, a, b)
    samplers = ["heun"] if path.ends(0.5).gamma == 0 else ["heun", "sde", pf.samplers.Euler(0.3)]
    for sampler in samplers:
        there = model.forward(a, sampler=sampler, steps=50, seed=0)
        back = model.backward(b, sampler=sampler, steps=50, seed=0)
        for found, exact in ((there, b), (back, a)):
            # In units of the spread of what it should be: four standard errors are 0.06 and 0.045.
            assert ((found.mean(0) - exact.mean(0)) / exact.std(0)).abs().max() < 0.08, sampler
            assert (found.std(0) / exact.std(0) - 1).abs().max() < 0.08, sampler
    # The ODE undoes itself.
    there = model.forward(a[:100], sampler="heun", steps=100)
    assert torch.allclose(
        model.backward(there, sampler="heun", steps=100), a[:100].double(), atol=0.03
    )


def test_a_one_sided_path_has_a_flow_and_a_score_of_any_churn() -> None:
    b = torch.tensor([-1.0, 2.0]) + torch.tensor([3.0, 0.5]) * _normal(4000, 2, seed=1)
    model = pf.FlowMatching(Affine(2, 2), OneSided())
    _solved(model, None, b)
    for sampler in ("heun", "sde", pf.samplers.Euler(2.0)):
        x = model.sample(4000, sampler=sampler, steps=80, seed=0)
        assert ((x.mean(0) - b.mean(0)) / b.std(0)).abs().max() < 0.08, sampler
        assert (x.std(0) / b.std(0) - 1).abs().max() < 0.08, sampler
    exact = torch.distributions.Normal(torch.tensor([-1.0, 2.0]), torch.tensor([3.0, 0.5]))
    found = model.log_prob(b[:50], steps=100).value
    assert float((found - exact.log_prob(b[:50]).sum(1)).abs().mean()) < 0.05


def test_sinkhorn_and_a_bridge_are_the_schroedinger_bridge() -> None:
    # [SF]2M in data units: the covariance of the ends and the variance on the way are those of the
    # Schroedinger bridge between two normal distributions.
    sigma, n = 2.0, 4000
    a, b = 2 * _normal(n, 1), 1.5 * _normal(n, 1, seed=1) + 1
    model = pf.FlowMatching(Affine(1, 2), Bridge(sigma), Sinkhorn.of_bridge(sigma))
    assert model.coupling == Sinkhorn(2 * sigma**2)
    _solved(model, a, b)
    square = [torch.tensor([[s**2]]) for s in (2.0, 1.5)]
    exact = GaussianBridge(torch.zeros(1), square[0], torch.ones(1), square[1], sigma)
    end = model.forward(a, sampler="sde", steps=100, seed=0)
    found = torch.cov(torch.cat([a, end], 1).mT)
    assert float(found[0, 1]) == pytest.approx(float(exact.plan.cross_covariance), abs=0.15)
    assert float(found[1, 1]) == pytest.approx(2.25, abs=0.15)


def test_a_short_name_of_a_coupling_means_one_thing() -> None:
    for path in (Linear(), Bridge(2.0), OUBridge(0.7, rate=1.5)):
        net = Affine(2, StochasticInterpolant(path).heads)
        assert pf.FlowMatching(net, path, "sinkhorn").coupling == Sinkhorn()


def test_energies_are_those_of_the_affine_flow() -> None:
    # Linear interpolation of x ~ N(0, 4) and 1 + x / 4: |v|^2 is that of the distance, exactly.
    x = 2 * _normal(2000, 1)
    model = pf.FlowMatching(Affine(1), coupling=Paired())
    _solved(model, x, 1 + x / 4)
    energy = model.path_energy(x[:50], steps=40)
    assert torch.allclose(energy, (1 - 0.75 * x[:50, 0]).square().double(), atol=0.02)


def test_over_any_reference_sinkhorn_is_the_coupling_of_its_bridge() -> None:
    # Entropic plans of standard normal distributions have c / (1 - c^2) = 2 / epsilon.
    path = OUBridge(0.7, rate=1.5)
    coupling = Sinkhorn.of_bridge(path.sigma, path.span(1.0))
    assert coupling.epsilon is not None
    cross = AnalyticPair.schrodinger(path.sigma, rate=path.rate).covariance
    assert cross / (1 - cross**2) == pytest.approx(2 / coupling.epsilon)


def test_exact_transport_is_the_monge_map() -> None:
    a, b = 2 * _normal(4000, 1), 0.5 * _normal(4000, 1, seed=1) + 1
    model = pf.FlowMatching(Affine(1), coupling="ot")
    _solved(model, a, b)
    x = torch.tensor([[-3.0], [0.0], [2.0]], dtype=torch.float64)
    assert torch.allclose(model(x, steps=50), 1 + x / 4, atol=0.03)
    assert torch.allclose(model.backward(1 + x / 4, steps=50), x, atol=0.1)


@pytest.mark.parametrize("coupling", [Exact(), Conditional()], ids=str)
def test_only_conditional_transport_keeps_the_distribution_given_a_label(coupling) -> None:
    # Both labels have the law N(+-2, 0.3^2); what is joined by transport alone starts from one half
    # of the source, and states that start in the other half have no pair to learn from.
    n = 2000
    c = torch.arange(n) % 2
    data = Data(4.0 * c[:, None] - 2 + 0.3 * _normal(n, 1), c)
    net = pf.nn.MLP(1, width=32, num_classes=2)
    model = pf.FlowMatching(net, coupling=coupling, label_dropout=0.0)
    pf.fit(model, data, source=_normal(n, 1, seed=1), steps=200, **QUIET)
    x = model.sample(1000, 1, seed=0, steps=10)
    wrong = abs(float(x.std()) - 0.3)
    assert wrong < 0.1 if isinstance(coupling, Conditional) else wrong > 0.2


def test_densities_without_a_source() -> None:
    x = 5 + 2 * _normal(4000, 2)
    model = pf.FlowMatching(Affine(2), "trigonometric")
    _solved(model, None, x)
    exact = torch.distributions.Normal(5.0, 2.0).log_prob(x[:50]).sum(1)
    found = model.log_prob(x[:50])
    assert float((found.value - exact).abs().mean()) < 0.05


def test_densities_of_a_noisy_path_take_their_steps_where_it_bends() -> None:
    # Lines with noise between N(0, 0.09) and an independent N(0, 1), whose motion and noise are
    # known.
    def known(x: Tensor, t: float, c=None) -> Tensor:
        t = inside(t)
        variance = t**2 + (0.3 * (1 - t)) ** 2 + t * (1 - t)
        return torch.cat([(t - 0.09 * (1 - t)) * x, (t * (1 - t)) ** 0.5 * x], 1) / variance

    class Known(pf.FlowMatching):
        def _transport(self, context):
            return lambda rows: Transport(known, self.process_in_units())

    model = Known(Affine(2, 2), Linear(sigma=1.0), event_shape=2)
    x = 0.3 * _normal(100, 2)
    exact = torch.distributions.Normal(0.0, 0.3).log_prob(x).sum(1)
    assert torch.allclose(model.log_prob(x).value, exact, atol=5e-4)


def test_pairs_are_those_of_the_coupling() -> None:
    seen = []

    class Watched(pf.FlowMatching):
        def loss(self, x: Tensor, c=None, *, source=None, generator=None, rows=slice(None)):
            if self.training:
                seen.append((source, x))
            return super().loss(x, c, source=source, generator=generator, rows=rows)

    a, b = _data(64)
    for coupling in ("ot", Whole()):
        seen.clear()
        pf.fit(Watched(Affine(2), coupling=coupling), b, source=a, steps=4, holdout=0.0,
               batch_size=32, progress=False)  # fmt: skip
        for source, target in seen:
            assert torch.equal(Exact()(source, target), torch.arange(32))
    # Noise that is made in the loss is joined too.
    model = pf.FlowMatching(Affine(2), coupling="ot", event_shape=2)
    z1 = model._joined(b, None, resolve(0))
    assert torch.equal(Exact()(z1, b), torch.arange(64))


def test_the_loss_of_a_batch_is_that_of_its_parts() -> None:
    a, b = _data(64)
    model = pf.FlowMatching(Affine(2, 2), Bridge(1.0), "ot", event_shape=2)
    whole = model.loss(b, source=a, generator=resolve(3))
    for part in (slice(0, 20), slice(20, 64)):
        again = model.loss(b, source=a, generator=resolve(3), rows=part)
        assert torch.allclose(again, whole[part])


@pytest.mark.parametrize("coupling", ["sinkhorn", "whole"])
def test_a_stopped_run_goes_on_as_if_it_never_had(coupling, tmp_path) -> None:
    a, b = _data(300)
    kind = {**QUIET, "batch_size": 64, "schedule": "constant", "holdout": 0.2}

    def fit(steps: int, **more) -> pf.FlowMatching:
        torch.manual_seed(0)
        net = pf.nn.MLP(2, width=16, out=4)
        model = pf.FlowMatching(net, Bridge(0.5), coupling)
        return pf.fit(model, b, source=a, steps=steps, **kind, **more).model

    whole = fit(9)
    fit(4, out=tmp_path / "run")
    again = fit(9, out=tmp_path / "run", resume=True)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    loaded = pf.load(tmp_path / "run")
    assert torch.equal(loaded.sample(5, seed=1), again.sample(5, seed=1))
    assert loaded.coupling == whole.coupling


@pytest.mark.parametrize(
    "path", [p for p in pf.registry.names("paths") if p not in {"geodesic", "tokens"}]
)
def test_a_default_for_data(path: str) -> None:
    for shape in ((30, 2), (30, 1, 8, 8)):
        model = pf.FlowMatching.for_data(Data(_normal(*shape)), path=path)
        model.fit_units(_normal(*shape))
        assert model.loss(_normal(*shape), generator=resolve(0)).shape == (30,)
        assert model.sample(2, steps=2, seed=0).shape == (2, *shape[1:])


def test_what_fits_no_argument_is_refused() -> None:
    net = pf.nn.MLP(2, width=8)
    for options, match in (
        ({"path": "straight"}, "no path is called 'straight'"),
        ({"path": 3}, "a path is an object of processes"),
        ({"path": pf.processes.Gaussian()}, "a path is a process between pairs"),
        ({"coupling": "best"}, "no coupling"),
        ({"path": "one-sided", "coupling": "ot"}, "independently"),
        ({"label_dropout": 1.0}, "fraction"),
    ):
        with pytest.raises(InputError, match=match):
            pf.FlowMatching(net, **options)
    x = _normal(10, 2)
    with pytest.raises(InputError, match="one-sided path starts from noise"):
        pf.fit(pf.FlowMatching(Affine(2, 2), OneSided()), x, source=x, progress=False)
    with pytest.raises(InputError, match=r"must return a tensor of shape \(4,\) for each state"):
        pf.fit(pf.FlowMatching(net, "bridge"), x, progress=False)
    with pytest.raises(CapabilityError, match="no score"):
        pf.FlowMatching(net, event_shape=2).sample(3, sampler="sde")
    model = pf.FlowMatching(net)
    model.keep_source(x)
    with pytest.raises(InputError, match="source="):
        model.loss(x)
    with pytest.raises(CapabilityError, match="takes no labels"):
        pf.FlowMatching(net, coupling="conditional").loss(x, torch.zeros(10, dtype=torch.long))
    told = pf.FlowMatching(pf.nn.MLP(2, width=8, num_classes=3), label_dropout=0.0, event_shape=2)
    with pytest.raises(CapabilityError, match="never trained without labels"):
        told.sample(3)


def test_times_reach_any_network() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor, t: Tensor, c=None) -> Tensor:
            return x * t[:, None]

    model, x = pf.FlowMatching(Plain()), _normal(3, 2)
    assert torch.equal(model.predictor(x, 0.5), 0.5 * x)
    assert torch.equal(model.predictor(x, torch.full((3,), 0.5)), 0.5 * x)
    assert isinstance(model.coupling, Independent)


def test_training_times_are_near_the_data_on_spheres_and_rotations_from_noise() -> None:
    near, even = ShiftedTimes(0.1), StratifiedTimes()
    for path, shape, expected in (
        (Geodesic(Torus()), (2,), even),
        (Geodesic(Sphere()), (3,), near),
        (Geodesic(Sphere()), (5,), even),
        (Geodesic(SO3()), (3, 3), near),
        (Geodesic(SO3()), (2, 3, 3), even),
        (Geodesic(Hyperbolic()), (3,), even),
        (Geodesic(FisherRao()), (3,), even),
        (ProductProcess((Linear(), Geodesic(SO3()))), ((3,), (3, 3)), even),
        (Linear(), (2,), even),
    ):
        net = pf.nn.MLP(3, width=8)
        assert pf.FlowMatching(net, path, event_shape=shape).times == expected
    model = pf.FlowMatching(pf.nn.MLP(3, width=8), Geodesic(Sphere()), event_shape=3)
    model.keep_source(Sphere().uniform(10, (3,), torch.Generator().manual_seed(0)))
    assert model.times == even
    said = pf.FlowMatching(pf.nn.MLP(3, width=8), Geodesic(Sphere()), times="uniform")
    assert said.times == UniformTimes()


def test_a_context_of_numbers_moves_the_target() -> None:
    # The target is N(c, 0.3^2) for a context c, the source normal: the network is told which.
    n = 2000
    c = 2 * torch.rand(n, 1, generator=resolve(3)) - 1
    net = pf.nn.MLP(1, width=32, context=1)
    model = pf.FlowMatching(net, label_dropout=0.0)
    pf.fit(model, Data(2 * c + 0.3 * _normal(n, 1), c), steps=250, **QUIET)
    for value in (-0.8, 0.6):
        x = model.sample(1000, [value], seed=0, steps=10)
        assert float(x.mean()) == pytest.approx(2 * value, abs=0.15)
        assert float(x.std()) == pytest.approx(0.3, abs=0.1)
    with pytest.raises(CapabilityError, match="never trained without contexts"):
        model.sample(3)


def test_without_a_label_it_is_the_mixture_if_labels_were_hidden() -> None:
    n = 2000
    c = torch.arange(n) % 2
    data = Data(4.0 * c[:, None] - 2 + 0.3 * _normal(n, 1), c)
    model = pf.FlowMatching(pf.nn.MLP(1, width=32, num_classes=2), label_dropout=0.5)
    pf.fit(model, data, steps=400, **QUIET)
    parts = [model.sample(1000, k, seed=0) for k in (None, 0, 1)]
    assert [float(x.mean()) for x in parts[1:]] == pytest.approx([-2, 2], abs=0.15)
    assert float(parts[0].abs().mean()) == pytest.approx(2, abs=0.2)
    assert float((parts[0] > 0).float().mean()) == pytest.approx(0.5, abs=0.15)


SPHERE, TORUS = Geodesic(Sphere()), Geodesic(Torus())
MEAN = torch.tensor([0.0, 0.6, 0.8])


def _on(space: str, n: int, seed: int) -> Any:
    """Data: a von Mises-Fisher distribution, a wrapped normal one, or pairs whose angle follows
    the side of the sphere."""
    x = VonMisesFisher(MEAN, 6.0).sample(n, seed=seed)
    angle = WrappedNormal(2.5, 0.7).sample(n, seed=seed + 50)
    if space == "product":
        return x, wrap(angle + math.pi * (x[:, :1] > 0))
    return x if space == "sphere" else angle


@pytest.mark.parametrize(
    ("name", "path"),
    [("sphere", SPHERE), ("torus", TORUS), ("product", ProductProcess((SPHERE, TORUS)))],
)
def test_geodesics_reach_a_known_distribution(name: str, path: GenerativeProcess) -> None:
    torch.manual_seed(0)
    x = _on(name, 4000, 0)
    shape = state.event_shape(x)
    width, out = path.space.embed(state.take(x, slice(0, 1))).shape[1], state.numel(shape)
    net = StateNetwork(path.space, pf.nn.MLP(width, width=48, out=out), shape)
    model = pf.FlowMatching(net, path, event_shape=shape)
    optimizer, generator = torch.optim.Adam(model.parameters(), 5e-3), resolve(0)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 400)
        rows = torch.randint(4000, (256,), generator=generator)
        loss = model.loss(state.take(x, rows), generator=generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    found = model.sample(2000, steps=20, seed=1)
    path.space.check(found)
    features = path.space.features
    truth, other = features(_on(name, 2000, 100)), features(_on(name, 2000, 200))
    distance = pf.metrics.energy_distance(features(found), truth).value
    # Energy distances: two samples of the truth are 0.0003 apart, the prior 0.4 and more.
    assert pf.metrics.energy_distance(other, truth).value < 0.001
    prior = features(path.prior(shape).sample(2000, seed=3))
    assert pf.metrics.energy_distance(prior, truth).value > 0.4
    assert distance < 0.005
    # What happens to a row depends on the seed and on the row alone.
    kind = {"steps": 4, "seed": 5}
    whole = model.sample(40, **kind)
    for part, rows in (
        (model.sample(40, batch_size=7, **kind), slice(None)),
        (model.sample(25, **kind), slice(0, 25)),
        (model.sample(40, rows=slice(13, 29), **kind), slice(13, 29)),
    ):
        for one, all_rows in zip(state.leaves(part), state.leaves(whole), strict=True):
            assert torch.allclose(one, all_rows[rows], atol=1e-5)
    # The flow undoes itself.
    back = model.backward(model.forward(whole, steps=100), steps=100)
    for one, start in zip(state.leaves(back), state.leaves(whole), strict=True):
        gap = wrap(one - start) if start.shape[1] == 1 else one - start
        assert float(gap.abs().max()) < 0.1


def test_densities_along_geodesics_and_what_is_refused() -> None:
    model = pf.FlowMatching(pf.nn.MLP(3, width=8), SPHERE, event_shape=3)
    assert model.capabilities.log_prob == "ode"
    # An untrained network does not move: the uniform distribution is left.
    found = model.log_prob(MEAN[None], steps=4)
    assert float(found.value) == pytest.approx(-math.log(4 * math.pi), abs=1e-5)
    with pytest.raises(InputError, match="have length 1"):
        model.forward(torch.ones(2, 3))


def _run(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["-q", *words])
    assert not end.value.code


def test_the_command_line_trains_maps_and_judges(tmp_path, capsys) -> None:
    run, noise = str(tmp_path / "run"), str(tmp_path / "noise")
    options = ["--steps", "20", "model.coupling=ot", "data.n=400", "train.batch_size=64"]
    train = ["train", "two_moons", "--model", "matching", *options]
    _run(*train, "--source", "8gaussians", "--out", run)
    _run("sample", run, "-n", "30", "--steps", "4", "--out", str(tmp_path / "x.npz"))
    _run("evaluate", run, "-n", "60", "--steps", "4")
    assert "sliced W2" in capsys.readouterr().out
    _run(*train, "--out", noise)
    _run("logprob", noise, "two_moons", "-n", "5", "--steps", "4")
    assert "nats" in capsys.readouterr().out


@pytest.mark.parametrize("net", ["auto", "unet", "dit", "mlp"])
def test_networks_by_name_have_the_outputs_of_a_noisy_path(net: str) -> None:
    data = pf.data.Data(torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0)))
    model = pf.FlowMatching.for_data(data, net=net, path=pf.processes.Linear(0.3))
    pf.fit(model, data, steps=1, batch_size=3, holdout=0.0, progress=False)
    assert model.sample(2, seed=0, steps=2).shape == (2, 2, 8, 8)
    vectors = pf.data.Data(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
    if net in ("unet", "dit"):
        with pytest.raises(InputError, match="network of pictures"):
            pf.FlowMatching.for_data(vectors, net=net, path=pf.processes.Linear(0.3))


def test_a_product_of_paths_has_a_path_for_each_factor(tmp_path) -> None:
    """From data to data, each factor in its own unit, written and read again."""
    generator = torch.Generator().manual_seed(0)
    path = pf.processes.ProductProcess((pf.processes.Linear(5.0), Geodesic(Torus())))

    def draws(shift: float) -> Any:
        x = 10 * torch.randn(40, 2, generator=generator) + shift
        return x, torch.rand(40, 1, generator=generator)

    target, source = draws(0.0), draws(3.0)
    model = pf.FlowMatching.for_data(pf.data.Data(target), path=path)
    pf.fit(model, target, source=source, steps=2, batch_size=8, holdout=0.0, progress=False)
    length = model.length[0]
    assert length == pytest.approx(10, rel=0.2)
    noisy = model.process_in_units().factors[0].path
    assert noisy.sigma == pytest.approx(5.0 / length)
    model.save(tmp_path / "model")
    again = pf.load(tmp_path / "model").forward(source, seed=0)
    for own, part in zip(model.forward(source, seed=0), again, strict=True):
        assert torch.equal(own, part)
    with pytest.raises(CapabilityError, match="common energy"):
        model.path_energy(source)


def test_a_wrapped_one_sided_path_takes_no_source_either() -> None:
    path = pf.processes.StochasticInterpolant(pf.processes.OneSided())
    model = pf.FlowMatching(pf.nn.MLP(2, width=8), path=path, event_shape=(2,))
    with pytest.raises(InputError, match="one-sided"):
        model.keep_source(torch.randn(5, 2))


def test_there_and_back_have_noise_of_their_own() -> None:
    model = pf.FlowMatching(pf.nn.MLP(2, width=8, out=4), path=pf.processes.Linear(1.0))
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    pf.fit(model, x, source=x, steps=1, holdout=0.0, progress=False)
    there = model.forward(x, seed=0, sampler="sde", steps=20)
    back = model.backward(there, seed=0, sampler="sde", steps=20)
    moved = torch.stack([(there - x).flatten(), (back - there).flatten()])
    # 800 pairs: five standard errors. With one noise for both it is 1.
    assert abs(float(moved.corrcoef()[0, 1])) < 5 / 800**0.5
