"""A learned sampler as a model: trained without data, saved, resumed, and what it estimates."""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import registry
from pushforward.errors import CapabilityError, InputError
from pushforward.learned_samplers import AnnealedPaths
from pushforward.models import LearnedSampler
from pushforward.targets import Target, student

SMALL: dict[str, Any] = {"steps": 6, "width": 8, "depth": 1, "coordinates": "none"}
FAST: dict[str, Any] = {"progress": False, "batch_size": 16, "warmup": 0}


def _student(**options: Any) -> LearnedSampler:
    torch.manual_seed(0)
    return LearnedSampler("student", options={"dim": 2}, **{**SMALL, **options})


@pytest.fixture(scope="module")
def trained() -> LearnedSampler:
    """A sampler of `exp(2) N(1, 0.5^2)`, for which the start is much too wide."""

    def log_prob(x: Tensor) -> Tensor:
        return 2 - (2 * (x - 1)).square().sum(-1) / 2 - math.log(0.5 * math.sqrt(2 * math.pi))

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        return 1 + 0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)

    torch.manual_seed(0)
    model = LearnedSampler(Target(log_prob, 1, sample=sample), **{**SMALL, "steps": 16})
    pf.fit(model, None, steps=120, lr=2e-2, ema=0.9, **{**FAST, "batch_size": 64})
    return model


@pytest.mark.parametrize(
    ("method", "objective"),
    [("dds", "log-variance"), ("pis", "reverse-kl"), ("dis", "trajectory-balance")],
)
def test_training_goes_on_exactly_where_it_stopped(
    tmp_path: Path, method: str, objective: str
) -> None:
    options: dict[str, Any] = {"method": method, "objective": objective}
    whole, parted = _student(**options), _student(**options)
    shared = {**FAST, "schedule": "constant"}
    # New ends of paths are kept at step 5, from what the run that goes on has restored.
    pf.fit(whole, None, steps=7, out=tmp_path / "whole", **shared)
    pf.fit(parted, None, steps=3, out=tmp_path / "parted", **shared)
    again = _student(**options)
    run = pf.fit(again, None, steps=7, out=tmp_path / "parted", resume=True, **shared)
    assert run.step == 7
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    loaded = pf.load(tmp_path / "parted")
    assert torch.equal(loaded.sample(5, seed=1), again.sample(5, seed=1))


@pytest.mark.parametrize("method", ["ula", "uha", "mcd", "cmcd"])
def test_ladders_are_learned_saved_and_asked_for_other_steps(tmp_path: Path, method: str) -> None:
    model = _student(method=method)
    assert isinstance(model.paths, AnnealedPaths)
    before = model.paths.ladder.log_speeds.detach().clone()
    pf.fit(model, None, steps=2, out=tmp_path / "run", **FAST)
    assert not torch.equal(before, model.paths.ladder.log_speeds)
    loaded = pf.load(tmp_path / "run")
    assert loaded.objective == ("reverse-kl" if method == "uha" else "log-variance")
    assert torch.equal(loaded.sample(5, seed=1), model.sample(5, seed=1))
    assert loaded.sample(5, seed=1, steps=9).shape == (5, 2)


def test_adjoint_matching_trains_from_the_buffer() -> None:
    model = _student(method="pis", objective="adjoint-matching", replay=1.0, exploration="none")
    pf.fit(model, None, steps=12, **FAST)
    assert model.buffer.filled


def test_training_finds_a_law_that_the_start_is_not(trained: LearnedSampler) -> None:
    found = trained.estimates(4000, seed=0)
    assert found.eubo is not None
    assert found.bar is not None
    assert found.elbo.value - 4 * found.elbo.stderr <= 2.0
    assert found.eubo.value + 4 * found.eubo.stderr >= 2.0
    assert found.eubo.value - found.elbo.value < 0.15
    assert abs(found.log_z.value - 2) < 4 * found.log_z.stderr + 1e-3
    assert abs(found.bar.value - 2) < 4 * found.bar.stderr + 1e-3
    assert found.ess > 0.8
    assert not found.warnings
    assert abs(float(trained.sample(4000, seed=0).mean()) - 1) < 0.05


def test_weighted_means_are_those_of_the_target(trained: LearnedSampler) -> None:
    x, log_weights = trained.weighted(4000, seed=1)
    share, x = log_weights.double().softmax(0), x[:, 0].double()
    mean = float(share @ x)
    assert abs(mean - 1) < 0.04
    # Sixteen steps leave the draws themselves too wide, by a tenth.
    assert abs(math.sqrt(float(share @ (x - mean).square())) - 0.5) < 0.03


def test_other_steps_have_the_same_log_z(trained: LearnedSampler) -> None:
    for steps in (10, 40):
        found = trained.estimates(4000, steps=steps, seed=2)
        assert abs(found.log_z.value - 2) < 4 * found.log_z.stderr
    assert trained.sample(3, steps=10, seed=0).shape == (3, 1)


def test_density_of_the_sampler_integrates_to_one(trained: LearnedSampler) -> None:
    grid = torch.linspace(-1.5, 3.5, 101)[:, None]
    found = trained.log_prob(grid, paths=400, seed=0)
    assert found.kind == "estimated"
    assert float(found.value.exp().sum()) * 0.05 == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("method", registry.names("learned-samplers"))
def test_rows_do_not_depend_on_the_batch(method: str) -> None:
    model = _student(method=method)
    whole = model.sample(7, seed=3)
    assert torch.equal(whole, model.sample(7, seed=3, batch_size=2))


def test_parts_of_a_batch_sum_to_the_whole(tmp_path: Path) -> None:
    one, two = _student(), _student()
    pf.fit(one, None, steps=2, **FAST)
    with pytest.warns(UserWarning, match="weighed batch by batch"):
        pf.fit(two, None, steps=2, accumulate=2, **FAST)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, two.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_coordinates_are_fitted_before_training() -> None:
    model = _student(coordinates="chains")
    pf.fit(model, None, steps=1, **FAST)
    # The covariance of Student's law with five degrees of freedom is 5/3.
    assert float(model.factor[0, 0]) ** 2 == pytest.approx(5 / 3, rel=0.35)
    exact = model.estimates(4000, seed=0)
    assert abs(exact.log_z.value) < 4 * exact.log_z.stderr + 0.01


# -- targets that have a name, and others -------------------------------------------------------


def _log_density(x: Tensor) -> Tensor:
    return -x.square().sum(-1) / 2


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    name = "a_module_with_a_density"
    found = types.ModuleType(name)

    def log_density(x: Tensor) -> Tensor:
        return -x.square().sum(-1) / 2

    log_density.__module__, log_density.__qualname__ = name, "log_density"
    found.log_density = log_density  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, found)
    return name


def test_a_function_is_known_again_where_its_module_is_trusted(tmp_path: Path, module: str) -> None:
    model = LearnedSampler(sys.modules[module].log_density, event_shape=2, **SMALL)
    model.save(tmp_path / "model")
    with pytest.raises(InputError, match="trust"):
        pf.load(tmp_path / "model")
    again = pf.load(tmp_path / "model", trust=(module,))
    assert torch.equal(again.sample(3, seed=0), model.sample(3, seed=0))


def test_a_target_without_a_name_is_given_again(tmp_path: Path) -> None:
    target = student(2)
    model = LearnedSampler(target, **SMALL)
    model.save(tmp_path / "model")
    with pytest.raises(InputError, match="target="):
        pf.load(tmp_path / "model")
    again = pf.load(tmp_path / "model", target=target)
    assert torch.equal(again.sample(3, seed=0), model.sample(3, seed=0))


def test_states_with_bounds_come_out_within_them() -> None:
    target = Target(
        lambda x: -x.sum(-1), 1, bijector=torch.distributions.ExpTransform(), name="exponential"
    )
    model = LearnedSampler(target, **SMALL)
    assert bool((model.sample(20, seed=0) > 0).all())
    z = torch.linspace(-6, 4, 101)[:, None]
    density = model.log_prob(z.exp(), paths=200, seed=0).value.exp() * z.exp()[:, 0]
    assert float(density.sum()) * 0.1 == pytest.approx(1, abs=0.05)


# -- what is refused ----------------------------------------------------------------------------


def test_data_are_refused_in_words() -> None:
    with pytest.raises(InputError, match=r"density of student alone.*fit\(model, None\)"):
        pf.fit(_student(), torch.randn(10, 2), steps=1, **FAST)
    with pytest.raises(InputError, match="learns from data, and got none"):
        pf.fit(pf.Diffusion(pf.nn.MLP(2, width=4)), None, steps=1, **FAST)


def test_the_target_itself_may_be_given() -> None:
    model = _student()
    assert pf.fit(model, model.target, steps=1, **FAST).status == "finished"


def test_objectives_that_cannot_train_a_method_are_refused_in_words() -> None:
    with pytest.raises(CapabilityError, match=r"HamiltonianBridge.*objective='reverse-kl'"):
        _student(method="uha", objective="log-variance")
    with pytest.raises(CapabilityError, match=r"MonteCarloDiffusion has none.*'pis' or 'dds'"):
        _student(method="mcd", objective="adjoint-matching")


def test_wrong_options_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="no target is called"):
        LearnedSampler("funel")
    with pytest.raises(InputError, match="dimension"):
        LearnedSampler("student", options={"dimension": 2})
    with pytest.raises(InputError, match="event_shape"):
        LearnedSampler(_log_density)
    with pytest.raises(InputError, match=r"no learned sampler is called 'ddds'.*'dds'"):
        LearnedSampler("student", "ddds")
    with pytest.raises(InputError, match="objective"):
        LearnedSampler("student", objective="forward-kl")
    with pytest.raises(CapabilityError, match="takes no labels"):
        _student().sample(3, torch.zeros(3))
    with pytest.raises(InputError, match="learned sampler"):
        LearnedSampler("student", pf.processes.Gaussian())  # type: ignore[arg-type]


# -- modes --------------------------------------------------------------------------------------


def _two_modes(apart: float, far: float = 0.5) -> Target:
    """`far N(apart, 0.3^2) + (1 - far) N(-1, 0.3^2)` on the line."""
    centers = torch.tensor([-1.0, apart], dtype=torch.float64)
    shares = torch.tensor([1 - far, far], dtype=torch.float64)

    def log_prob(x: Tensor) -> Tensor:
        away = (x - centers.to(x)) / 0.3
        each = -0.5 * away.square() - math.log(0.3 * math.sqrt(2 * math.pi))
        return (each + shares.to(x).log()).logsumexp(1)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        which = torch.multinomial(shares, n, replacement=True, generator=generator)
        noise = torch.randn(n, 1, generator=generator, dtype=torch.float64)
        return centers[which][:, None] + 0.3 * noise

    return Target(log_prob, 1, sample=sample, modes=centers[:, None], name="two modes")


def _of_two_modes(apart: float, **options: Any) -> LearnedSampler:
    torch.manual_seed(0)
    model = LearnedSampler(
        _two_modes(apart), **{**SMALL, "steps": 12, "width": 16, "buffer": 256, **options}
    )
    pf.fit(model, None, steps=200, lr=1e-2, ema=0.9, **{**FAST, "batch_size": 64})
    return model


@pytest.fixture(scope="module")
def collapsed() -> LearnedSampler:
    return _of_two_modes(6.0, objective="reverse-kl")


def test_a_mode_that_paths_hardly_reach_is_found_by_what_is_replayed() -> None:
    """Four deviations of the start away; `reverse-kl` gives it a coverage of a quarter."""
    found = _of_two_modes(4.0).estimates(2000, seed=0)
    assert found.coverage is not None
    assert found.coverage > 0.95
    assert not found.warnings


def test_a_collapse_is_warned_of(collapsed: LearnedSampler) -> None:
    found = collapsed.estimates(2000, seed=0)
    assert found.coverage is not None
    assert found.coverage < 0.2
    assert found.ess > 0.3, "its own weights see nothing"
    said = " ".join(collapsed.warnings())
    assert "misses a part of the target" in said
    assert "modes are missing" in said


def test_the_buffer_tells_of_a_collapse_where_nothing_is_exact(collapsed: LearnedSampler) -> None:
    exact = collapsed.target
    collapsed.buffer.keep(exact.sample(256, generator=torch.Generator().manual_seed(0)).float(),
                          torch.zeros(256))  # fmt: skip
    try:
        collapsed.target = Target(exact.log_prob, 1)
        found = collapsed.estimates(2000, seed=0)
    finally:
        collapsed.target = exact
    assert found.eubo is not None
    assert not found.eubo.holds
    assert any("the replay buffer" in line for line in found.warnings)


def test_a_single_mode_has_no_coverage() -> None:
    target = Target(lambda x: -0.5 * x.square().sum(-1), 2, modes=torch.zeros(1, 2))
    found = LearnedSampler(target, steps=4, width=8, coordinates="none").estimates(64, seed=0)
    assert found.coverage is None
