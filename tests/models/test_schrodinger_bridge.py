"""Trained Schrödinger bridges: closed forms, exact resuming, and mistakes at the door."""

from __future__ import annotations

import copy
import math
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from forked import Child, Server
from pushforward.analytic import AnalyticPair
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.models.parameter_vector import flattened
from pushforward.processes import Bridge, OUBridge
from pushforward.schrodinger import (
    DSBM,
    CouplingCache,
    OuterIterations,
    markovian_fitting_gaussian,
)
from pushforward.training.progress import Progress

SETTINGS: dict[str, Any] = {"holdout": 0.0, "progress": False, "warmup": 0}


def _model(shared: bool = False, width: int = 16, **options: Any) -> pf.SchrodingerBridge:
    torch.manual_seed(0)
    net = pf.nn.MLP(2, width=width, depth=2, num_classes=2 if shared else None)
    backward = None if shared else pf.nn.MLP(2, width=width, depth=2)
    return pf.SchrodingerBridge(net, backward, **options)


def _data(n: int, shift: float = 0.1) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, n, 2, generator=torch.Generator().manual_seed(3))
    return a - shift, b + shift


class Watched(pf.SchrodingerBridge):
    """A bridge that notes how the couplings of each outer iteration correlate."""

    correlations: list[float]

    def on_step(
        self, step: int, source: Tensor | None, target: Tensor, c: Tensor | None = None
    ) -> None:
        super().on_step(step, source, target, c)
        if step == self.iterations.at(step).start:
            assert self.loop.simulated is not None
            x, y = self.loop.simulated.couplings
            gap_x, gap_y = x - x.mean(0), y - y.mean(0)
            self.correlations.append(float((gap_x * gap_y).mean() / (x.std() * y.std())))


@pytest.mark.slow
def test_the_iterations_follow_those_of_normal_distributions() -> None:
    # Each outer iteration is one Markovian projection, whose coupling is known in closed form. The
    # first coupling is independent; 0.004 is the standard error of a correlation here.
    a, b = _data(10_000)
    torch.manual_seed(0)
    nets = [pf.nn.AffineSkip(pf.nn.MLP(2, width=64, depth=2)) for _ in range(2)]
    model = Watched(*nets, reference=Bridge(1.0), iterations=OuterIterations(4, 150), ema=0.98)
    model.correlations = []
    pf.fit(model, b, source=a, steps=600, lr=3e-3, batch_size=256, schedule="constant", ema=0.98,
           **SETTINGS)  # fmt: skip
    exact = markovian_fitting_gaussian(Bridge(1.0), torch.eye(2), 3)[:, 0, 1].tolist()
    assert model.correlations == pytest.approx(exact, abs=0.03)
    limit = AnalyticPair.schrodinger(1.0).covariance
    gaps = [abs(found - limit) for found in model.correlations]
    assert gaps[0] > gaps[1] > gaps[2]
    # There and back: both distributions are kept, by random paths and by the ODE.
    for sampler in (None, "heun"):
        there = model.forward(a, sampler=sampler, seed=1)
        back = model.backward(there, sampler=sampler, seed=2)
        for found, truth in ((there, b), (back, a)):
            assert torch.allclose(found.mean(0), truth.mean(0), atol=0.05)
            assert torch.allclose(found.std(0), truth.std(0), atol=0.05)
    last = model.marginal_errors[-1]
    assert last.iteration == 3
    assert last.end == "source"
    assert last.value < 3 * last.floor


BM, OU = Bridge(0.8), OUBridge(0.8, rate=1.0)


@pytest.mark.parametrize(
    ("method", "reference", "stop"),
    [("dsbm-imf", BM, 10), ("dsbm-imf", OU, 14), ("dsbm-ipf", BM, 9), ("dsb", OU, 10),
     ("dsb-drift", BM, 11)],
)  # fmt: skip
def test_a_stopped_run_goes_on_as_if_never_stopped(
    method: str, reference: Bridge | OUBridge, stop: int, tmp_path: Path
) -> None:
    # Directions turn at step 10, and couplings are drawn anew every third step.
    a, b = _data(60)
    options = {"method": method, "reference": reference, "steps": 3,
               "iterations": OuterIterations(3, 10),
               "cache": CouplingCache(refresh_every=3, rows=40)}  # fmt: skip
    settings = SETTINGS | {"schedule": "constant", "batch_size": 8, "holdout": 0.2,
                           "checkpoint_every": 50}  # fmt: skip
    whole, part = _model(**options), _model(**options)
    pf.fit(whole, b, source=a, steps=24, out=tmp_path / "a", **settings)
    pf.fit(part, b, source=a, steps=stop, out=tmp_path / "b", **settings)
    again = _model(**options)
    pf.fit(again, b, source=a, steps=24, out=tmp_path / "b", resume=True, **settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert (
        [e.iteration for e in again.marginal_errors] == [1, 2]
        if method == "dsbm-imf"
        else [0, 1, 2]
    )


def test_the_seed_of_a_training_is_all_that_a_bridge_depends_on() -> None:
    # The noise of its simulations too, wherever the generator of torch stands.
    a, b = _data(60)
    options = {"iterations": OuterIterations(2, 3), "steps": 3}
    settings = SETTINGS | {"batch_size": 8, "steps": 6}
    one, same, other = (_model(**options) for _ in range(3))
    for model, state, seed in ((one, 1, 5), (same, 2, 5), (other, 1, 6)):
        torch.manual_seed(state)
        pf.fit(model, b, source=a, seed=seed, **settings)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
    assert int(one.loop.noise_seed) != int(other.loop.noise_seed)
    seeds = set()
    for state in (1, 2):
        torch.manual_seed(state)
        one.prepare(b, generator=torch.Generator().manual_seed(3))
        seeds.add(int(one.loop.noise_seed))
    assert len(seeds) == 1
    assert not torch.equal(one.forward(a, seed=0), other.forward(a, seed=0))


def test_networks_see_one_at_the_source_and_zero_at_the_target() -> None:
    seen: dict[str, list[float]] = {}

    class Witness(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.times = seen.setdefault(name, [])

        def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
            self.times.append(float(t[0]))
            return torch.zeros_like(x)

    model = pf.SchrodingerBridge(Witness("forward"), Witness("backward"), event_shape=2)
    model.forward(torch.zeros(3, 2), steps=4, seed=0)
    model.backward(torch.zeros(3, 2), steps=4, seed=0)
    # Finer towards the end of a path, whichever it is.
    forward = [1.0, 0.5625, 0.25, 0.0625]
    assert seen == {"forward": forward, "backward": [1 - t for t in forward]}
    model.trajectory(torch.zeros(3, 2), steps=2, sampler="heun")
    assert seen["backward"][4:] == seen["forward"][4:] == [1.0, 0.25, 0.25, 0.0]


def test_the_default_sampler_has_a_name_that_can_be_given() -> None:
    model = _exact()
    assert model.default_sampler == "pinned"
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for carry in (model.forward, model.backward):
        assert torch.equal(carry(x, seed=1), carry(x, seed=1, sampler=model.default_sampler))
    assert torch.equal(model.sample(4, seed=1), model.sample(4, seed=1, sampler="pinned"))


def test_an_exact_bridge_carries_both_ways_in_few_steps() -> None:
    # With the variance of the ends known, three steps are exact; the mean of the way alone is not.
    model, problem = _exact(), AnalyticPair.schrodinger(1.0, 0.5, -0.5, 2)
    b, a = problem.sample(40_000, seed=0)
    c = problem.covariance
    for k in range(33):
        r = min(max(k / 32, 1e-5), 1 - 1e-5)
        # Of both directions alike: given the state, with the end a time r away.
        variance = (1 - r) ** 2 + r**2 + 2 * r * (1 - r) * c + r * (1 - r)
        model.loop.variance_ratios[:, k] = (1 - (1 - r + r * c) ** 2 / variance) / r
    for start, truth, carry in ((a, b, model.forward), (b, a, model.backward)):
        end = carry(start, steps=3, seed=1)
        assert torch.allclose(end.mean(0), truth.mean(0), atol=0.04)
        assert torch.allclose(end.var(0), torch.ones(2), atol=0.04)
        found = ((end - end.mean(0)) * (start - start.mean(0))).mean(0)
        assert torch.allclose(found, torch.full((2,), c), atol=0.04)


_CHILD = """
import sys, torch, pushforward as pf
from pushforward.schrodinger import CouplingCache, OuterIterations
torch.set_num_threads(1)
torch.manual_seed(0)
model = pf.SchrodingerBridge(pf.nn.MLP(2, width=16), pf.nn.MLP(2, width=16), steps=5,
                             iterations=OuterIterations(4, 10),
                             cache=CouplingCache(refresh_every=4, rows=100))
a, b = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
print("ready", flush=True)
pf.fit(model, b, source=a + 3, steps=40, batch_size=16, checkpoint_every=2, out=sys.argv[1],
       resume=True, progress=False)
"""


@pytest.mark.slow
def test_a_killed_run_loses_nothing(forked: Server, tmp_path: Path) -> None:
    def child(folder: str) -> Child:
        return forked.start("-c", _CHILD, tmp_path / folder)

    child("whole").communicate()
    latest = tmp_path / "part/checkpoints/latest"
    # In the first half iteration, and in a later one.
    for reached in ("step-00000002", "step-00000024"):
        run, deadline = child("part"), time.monotonic() + 60
        while not (latest.exists() and latest.read_text() >= reached):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        run.kill()
        run.communicate()
    child("part").communicate()
    for name in ("model", "ema", "training"):
        file = f"checkpoints/step-00000040/{name}.safetensors"
        assert (tmp_path / "part" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


class Exact(nn.Module):
    """The control of a Schrödinger bridge between two normal distributions."""

    def __init__(self, forward: bool) -> None:
        super().__init__()
        self.towards = forward
        # The target, at t = 0, has the mean 0.5, the source -0.5.
        self.problem, self.process = AnalyticPair.schrodinger(1.0, 0.5, -0.5, 2), Bridge(1.0)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        end = self.problem.model(self.process)(x, t.clamp(1e-5, 1 - 1e-5))[int(not self.towards)]
        remaining = t if self.towards else 1 - t
        return (end - x) / remaining.clamp(min=1e-5)[:, None]


def _exact() -> pf.SchrodingerBridge:
    return pf.SchrodingerBridge(Exact(True), Exact(False), Bridge(1.0), event_shape=2)


def test_the_energy_of_random_paths_is_the_divergence_from_the_reference() -> None:
    # KL(bridge | reference from the source) = E int |drift|^2 / 2 = KL(plan | reference's pairs).
    model, problem = _exact(), AnalyticPair.schrodinger(1.0, 0.5, -0.5, 2)
    _, a = problem.sample(20_000, seed=0)
    energy = model.path_energy(a, random=True, steps=200, seed=1)
    cross = problem.covariance
    plan = torch.tensor([[1.0, cross], [cross, 1.0]], dtype=torch.float64)
    pairs = torch.tensor([[1.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    laws = [
        torch.distributions.MultivariateNormal(torch.tensor(m, dtype=torch.float64), c)
        for m, c in (([-0.5, 0.5], plan), ([-0.5, -0.5], pairs))
    ]
    divergence = 2 * float(torch.distributions.kl_divergence(*laws))
    error = float(energy.std()) / math.sqrt(len(energy))
    # The grid costs a part of a step beside chance.
    assert float(energy.mean()) / 2 == pytest.approx(divergence, abs=2 * error + 0.01)


def test_the_energy_of_the_flow_is_that_of_the_normal_path() -> None:
    # The ODE moves normal laws by an affine map: mean and standard deviation of the path say all.
    model, problem = _exact(), AnalyticPair.schrodinger(1.0, 0.5, -0.5, 2)
    _, a = problem.sample(20_000, seed=0)
    energy = model.path_energy(a, steps=200)
    times = torch.linspace(0, 1, 2001, dtype=torch.float64)
    spread = (
        (1 - times) ** 2 + times**2 + (2 * problem.covariance + 1) * times * (1 - times)
    ).sqrt()
    slope = spread.diff() * 2000
    truth = 2 * (1 + float(slope.square().mean()))
    error = 4 * float(energy.std()) / math.sqrt(len(energy))
    assert float(energy.mean()) == pytest.approx(truth, abs=error)


def test_the_batch_never_changes_a_sample() -> None:
    model = _model(event_shape=2)
    nn.init.normal_(model.loop.directions.network(True).last.weight)
    # Such weights amplify what single precision rounds away, and that depends on the batch.
    model = model.double()
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    crowd = torch.cat([x[:5], 50 * torch.ones(30, 2, dtype=torch.float64)])
    for sampler in (None, "sde", "heun"):
        alone = model.forward(x[:5], sampler=sampler, seed=1)
        assert torch.allclose(alone, model.forward(crowd, sampler=sampler, seed=1)[:5], atol=1e-9)
        whole = model.forward(x, sampler=sampler, seed=1)
        parts = model.forward(x, sampler=sampler, seed=1, batch_size=7)
        assert torch.allclose(whole, parts, atol=1e-9)


def test_draws_and_saving(tmp_path: Path) -> None:
    a, b = _data(50)
    outer = OuterIterations(2, 4)
    model = _model(shared=True, reference=OUBridge(0.5), iterations=outer, steps=3)
    pf.fit(model, b, source=a, steps=8, batch_size=8, **SETTINGS)
    draws = model.forward(a[:3], n=4, seed=0)
    assert draws.shape == (4, 3, 2)
    assert not torch.equal(draws[0], draws[1])
    model.save(tmp_path / "saved")
    again = pf.load(tmp_path / "saved")
    assert torch.equal(again.forward(a[:3], n=4, seed=0), draws)
    assert torch.equal(again.backward(b[:3], seed=0), model.backward(b[:3], seed=0))
    assert again.sample(5, seed=0).shape == (5, 2)
    assert again.marginal_errors == model.marginal_errors


def test_noise_as_the_source_has_a_density() -> None:
    _, b = _data(64)
    model = _model(iterations=OuterIterations(2, 3), steps=3)
    pf.fit(model, b, steps=6, batch_size=8, **SETTINGS)
    assert model.capabilities.log_prob == "ode"
    assert bool(model.log_prob(b[:4], steps=8).value.isfinite().all())


@pytest.mark.parametrize("shared", [False, True])
def test_a_direction_keeps_what_it_learned_while_the_other_learns(shared: bool) -> None:
    a, b = _data(64)
    settings = SETTINGS | {"batch_size": 8, "schedule": "constant", "lr": 1e-2}

    def trained(steps: int) -> pf.SchrodingerBridge:
        model = _model(shared=shared, iterations=OuterIterations(2, 6), steps=3)
        return pf.fit(model, b, source=a, steps=steps, **settings).model

    turned, done = trained(7), trained(12)
    for sampler in (None, "heun"):
        ways = [model.backward(b, sampler=sampler, seed=0) for model in (turned, done)]
        # The ODE follows both directions, of which one has gone on.
        assert torch.equal(*ways) == (sampler is None)
    assert not torch.equal(turned.forward(a, seed=0), done.forward(a, seed=0))


def test_maps_follow_the_averages_that_they_have_now() -> None:
    # Copies of the networks are kept from call to call, and made again when a weight has changed.
    a, b = _data(30)
    model = _model(iterations=OuterIterations(2, 3), steps=3)
    pf.fit(model, b, source=a, steps=6, batch_size=8, **SETTINGS)
    first = model.forward(a, seed=0)
    assert torch.equal(model.forward(a, seed=0), first)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        model.loop.directions.average(True).add_(0.1)
    assert not torch.equal(model.forward(a, seed=0), first)
    assert torch.equal(twin.forward(a, seed=0), first)
    model.load_state_dict(twin.state_dict())
    assert torch.equal(model.forward(a, seed=0), first)
    flow = model.forward(a, sampler="heun")
    double = model.double().forward(a, sampler="heun")
    assert double.dtype == torch.float64
    assert torch.allclose(double.float(), flow, atol=1e-4)


def test_marginal_errors_of_few_rows_have_a_floor() -> None:
    # The same rows come several times in a cache, and are no second sample of their law.
    a, b = _data(40, shift=0.0)
    model = _model(iterations=OuterIterations(3, 2), steps=3, cache=CouplingCache(rows=400))
    pf.fit(model, b, source=a, steps=5, batch_size=8, **SETTINGS)
    for found, law in zip(model.marginal_errors, (a, b), strict=True):
        value = pf.metrics.sliced_wasserstein(law[:20], law[20:]).value
        assert 0.2 * value < found.floor < 5 * value


@pytest.mark.parametrize(
    ("method", "told"), [("dsbm-imf", False), ("dsbm-ipf", True), ("dsb", True)]
)
@pytest.mark.parametrize("shift", [0.0, 20.0])
def test_paths_that_miss_their_end_are_warned_of(method: str, told: bool, shift: float) -> None:
    a, b = _data(200, shift)
    model = _model(
        iterations=OuterIterations(4, 2), steps=3, method=method, reference=Bridge(sigma=0.1)
    )
    assert model.converged is None
    pf.fit(model, b, source=a, steps=8, batch_size=8, **SETTINGS)
    assert model.converged is (shift == 0)
    found = model.warnings(b)
    for end in ("source", "target"):
        assert any(f"miss the {end}" in text for text in found) == (shift > 0)
    assert any("raise its sigma" in text for text in found) == (told and shift > 0)


def test_each_direction_learns_from_exact_states_of_the_side_that_it_leads_to() -> None:
    # The way back, learned first, leads to the source, from which its paths were simulated.
    a, b = _data(40, shift=10.0)
    model = _model(iterations=OuterIterations(2, 5), steps=3)
    pf.fit(model, b, source=a, steps=3, batch_size=8, **SETTINGS)
    # Another training draws its own.
    for steps, exact in ((3, a), (8, b)):
        pf.fit(model, b + 50, source=a + 50, steps=steps, batch_size=8, **SETTINGS)
        assert model.loop.simulated is not None
        ends = model.outward(model.loop.simulated.couplings[1])
        assert torch.allclose(ends.mean(0), exact.mean(0) + 50, atol=0.5)


@configurable
class Dropping(nn.Module):
    """A perceptron that forgets half of its input while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = pf.nn.MLP(2, width=8)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.inner(nn.functional.dropout(x, training=self.training), t)


@pytest.mark.parametrize("stop", [0, 10, 13])
def test_a_signal_ends_a_simulation_and_the_run_goes_on_exactly(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _data(60)
    options = {"steps": 3, "iterations": OuterIterations(3, 10),
               "cache": CouplingCache(refresh_every=3, rows=40)}  # fmt: skip
    settings = SETTINGS | {"schedule": "constant", "batch_size": 8, "checkpoint_every": 10}

    def made() -> pf.SchrodingerBridge:
        model = _model(**options)
        if stop == 0:
            model.warm_start(_model(**options))
        return model

    said: list[tuple[int, str]] = []

    def shown(bar: Progress, done: int, total: int | None = None, note: str = "") -> None:
        said.append((done, note))
        # In the middle of what comes before a step, which is then to be as if it had not begun.
        if note.startswith("simulating") and done == stop:
            signal.raise_signal(signal.SIGTERM)

    whole, part = made(), made()
    pf.fit(whole, b, source=a, steps=16, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", shown)
        run = pf.fit(part, b, source=a, steps=16, out=tmp_path / "b", **settings)
    assert (run.status, run.step) == ("interrupted", stop)
    assert (stop, "simulating 40 couplings, 0%") in said
    again = made()
    pf.fit(again, b, source=a, steps=16, out=tmp_path / "b", resume=True, **settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_simulations_drop_nothing_and_so_resume(tmp_path: Path) -> None:
    a, b = _data(40)
    settings = SETTINGS | {"batch_size": 8, "schedule": "constant"}

    def fit(steps: int, **more: Any) -> pf.SchrodingerBridge:
        torch.manual_seed(0)
        model = pf.SchrodingerBridge(
            Dropping(), Dropping(), iterations=OuterIterations(2, 5), steps=3
        )
        return pf.fit(model, b, source=a, steps=steps, **settings, **more).model

    whole = fit(9)
    fit(7, out=tmp_path / "run")
    again = fit(9, out=tmp_path / "run", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_warm_start_simulates_from_the_first_step() -> None:
    a, b = _data(64)
    first = _model(iterations=OuterIterations(2, 3), steps=3)
    pf.fit(first, b, source=a, steps=6, batch_size=8, **SETTINGS)
    second = _model(
        iterations=OuterIterations(2, 3), steps=3, reference=Bridge(0.5), method=DSBM("reference")
    )
    second.warm_start(first)
    mine, theirs = second.loop.directions, first.loop.directions
    for forward in (True, False):
        assert torch.equal(mine.average(forward), theirs.average(forward))
    assert torch.equal(flattened(mine.network(False)), theirs.average(False))
    pf.fit(second, b, source=a, steps=1, batch_size=8, **SETTINGS)
    assert [e.iteration for e in second.marginal_errors] == [0]
    with pytest.raises(InputError, match="has other networks"):
        _model(width=8).warm_start(first)
    with pytest.raises(InputError, match="a model between two distributions, not a Diffusion"):
        second.warm_start(pf.Diffusion(pf.nn.MLP(2)))  # type: ignore[arg-type]


def test_a_flow_gives_its_couplings_to_a_warm_start(tmp_path: Path) -> None:
    a, b = _data(64)
    flow = pf.FlowMatching(pf.nn.MLP(2, width=16), coupling="ot")
    pf.fit(flow, b, source=a, steps=4, batch_size=8, **SETTINGS)
    settings = SETTINGS | {"batch_size": 8, "schedule": "constant"}
    options = {"iterations": OuterIterations(2, 3), "steps": 3}
    whole, part, again = (_model(**options) for _ in range(3))
    for model in (whole, part, again):
        model.warm_start(flow)
    pf.fit(whole, b, source=a, steps=3, **settings)
    assert whole.loop.simulated is not None
    ends, exact = (whole.outward(side) for side in whole.loop.simulated.couplings)
    assert torch.allclose(ends[:64], flow.forward(exact[:64], seed=0), atol=1e-4)
    # The couplings are part of what a stopped run goes on with, and of what is saved.
    pf.fit(part, b, source=a, steps=2, out=tmp_path / "run", **settings)
    pf.fit(again, b, source=a, steps=3, out=tmp_path / "run", resume=True, **settings)
    saved = pf.load(tmp_path / "run").state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
        assert torch.equal(saved[name], value), name
    with pytest.raises(InputError, match="learns from whole paths"):
        _model(method="dsb").warm_start(flow)
    with pytest.raises(InputError, match="starts from noise: it couples no data"):
        _model().warm_start(pf.FlowMatching(pf.nn.MLP(2), event_shape=2))


def test_a_model_for_data_shares_the_steps_of_the_training() -> None:
    data = pf.data.Data(_data(20)[0])
    make = pf.SchrodingerBridge.for_data
    assert make(data, iterations=4, train_steps=42).iterations == OuterIterations(4, 10)
    assert make(data).iterations == OuterIterations(20)
    assert make(data, iterations=OuterIterations(3, 7), train_steps=5).iterations.total_steps == 21
    assert len(make(data, shared=True).loop.directions.predictors) == 1
    with pytest.raises(InputError, match="3 steps do not make 20 outer iterations"):
        make(data, train_steps=3)


def test_mistakes_are_named() -> None:
    a, b = _data(20)
    for sigma in (0.0, -1.0):
        with pytest.raises(InputError, match="sigma > 0"):
            _model(reference=Bridge(sigma))
    with pytest.raises(InputError, match="no method is called 'dsbm'"):
        _model(method="dsbm")
    with pytest.raises(InputError, match=r"the reference is processes\.Bridge"):
        _model(reference=0.5)
    with pytest.raises(InputError, match="num_classes=2, or give a second network"):
        pf.SchrodingerBridge(pf.nn.MLP(2, num_classes=3))
    with pytest.raises(InputError, match="at least 1"):
        _model(steps=0)
    with pytest.raises(InputError, match=r"ema is a fraction in \[0, 1\)"):
        _model(ema=1.0)

    def fit(source: Tensor, target: Tensor) -> None:
        pf.fit(_model(iterations=OuterIterations(2, 2)), target, source=source, steps=2, **SETTINGS)

    with pytest.raises(InputError, match=r"shape \(3,\), but the target .* of \(2,\)"):
        fit(torch.zeros(20, 3), b)
    for bad_a, bad_b in ((a[:0], b), (a, b[:0]), (a[:1], b), (a, b[:1])):
        with pytest.raises(InputError, match=r"empty|no rows|one row"):
            fit(bad_a, bad_b)
    for bad_a, bad_b in ((a.clone().fill_(math.nan), b), (a, b.clone().fill_(math.nan))):
        with pytest.raises(InputError, match=r"finite|NaN"):
            fit(bad_a, bad_b)
    model = _model(event_shape=2)
    with pytest.raises(InputError, match="not finite"):
        model.backward(b.clone().fill_(math.nan))
    with pytest.raises(CapabilityError, match="no labels"):
        model.forward(a, torch.zeros(20, dtype=torch.int64))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm], ids=["w", "s"])
def test_networks_with_weights_that_hooks_compute(norm: Any) -> None:
    """The older normalizations of torch keep a computed weight, of which there is no copy."""

    class Normalized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = norm(nn.Linear(3, 8)), nn.Linear(8, 2)

        def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
            out: Tensor = self.last(self.first(torch.cat([x, t[:, None]], 1)).relu())
            return out

    torch.manual_seed(0)
    a, b = _data(40)
    model = pf.SchrodingerBridge(Normalized(), Normalized(), iterations=OuterIterations(2, 3))
    pf.fit(model, b, source=a, steps=6, batch_size=8, **SETTINGS)
    x = model.forward(a, seed=0)
    assert x.shape == a.shape
    assert torch.equal(model.forward(a, seed=0), x)
