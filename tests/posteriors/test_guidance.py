"""Guidance by a measurement: each method's formula, where it is exact, and what it does to rows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import guidance, inverse, processes, registry, schedules, spaces
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError

SCHEDULES = ["vp", "cosine", "rectified", "ve", "edm"]
TIMES = [0.05, 0.4, 0.9]


def mmps_forms(world) -> dict[str, guidance.MMPS]:
    parts = (world.model, world.process, world.measurement)
    known = world.problem.covariance(world.process)
    return {
        "products": guidance.MMPS(*parts),
        "closed form": guidance.MMPS(*parts, covariance=known),
    }


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("std", [0.4, torch.tensor([0.4, 0.1])])
def test_mmps_is_exact_for_normal_data(normal_world, name: str, t: float, std) -> None:
    world = normal_world(registry.resolve("schedules", name), std=std)
    x = world.states(t)
    mean, log_prob = world.given_both(x, t)
    for model in mmps_forms(world).values():
        found = model.guide(x, t)
        assert torch.allclose(found.free, world.given(x, t)[0], atol=1e-9)
        assert torch.allclose(found.guided, mean, atol=1e-7)
        assert torch.allclose(found.log_likelihood, log_prob, atol=1e-7)
        assert torch.equal(model(x, t), found.guided)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", TIMES)
def test_pigdm_is_exact_for_normal_data_of_the_variance_it_is_told(
    normal_world, name: str, t: float
) -> None:
    world = normal_world(registry.resolve("schedules", name), isotropic=0.3)
    x = world.states(t)
    mean, log_prob = world.given_both(x, t)
    parts = (world.model, world.process, world.measurement)
    found = guidance.PiGDM(*parts, variance=0.3).guide(x, t)
    assert torch.allclose(found.guided, mean, atol=1e-7)
    assert torch.allclose(found.log_likelihood, log_prob, atol=1e-7)


def test_pigdm_with_the_wrong_variance_is_not_exact(normal_world) -> None:
    world, t = normal_world(isotropic=0.3), 0.6
    x = world.states(t)
    found = guidance.PiGDM(world.model, world.process, world.measurement)(x, t)
    assert (found - world.given_both(x, t)[0]).abs().max() > 0.1


@pytest.mark.parametrize("t", TIMES)
def test_tmpd_is_exact_for_normal_data_and_one_measured_number(normal_world, t: float) -> None:
    world = normal_world(measured=1)
    x = world.states(t)
    mean, log_prob = world.given_both(x, t)
    found = guidance.TMPD(world.model, world.process, world.measurement).guide(x, t)
    assert torch.allclose(found.guided, mean, atol=1e-7)
    assert torch.allclose(found.log_likelihood, log_prob, atol=1e-7)


def test_tmpd_takes_row_sums_for_a_diagonal_and_no_negative_ones(normal_world) -> None:
    world, t = normal_world(matrix=torch.tensor([[1.0, 0.2, 0.0], [-1.5, 0.4, -0.3]])), 0.6
    x = world.states(t)
    mean, covariance = world.given(x, t)
    observed = world.matrix @ covariance @ world.matrix.mT
    sums = observed.sum(1)
    assert sums.min() < 0
    total = sums.clamp(min=0) + world.noise.diagonal()
    residual = world.y - mean @ world.matrix.mT
    exact = mean + (residual / total) @ world.matrix @ covariance
    found = guidance.TMPD(world.model, world.process, world.measurement)(x, t)
    assert torch.allclose(found, exact, atol=1e-8)


@pytest.mark.parametrize("t", TIMES)
def test_diffpir_is_the_nearest_state_to_both(normal_world, t: float) -> None:
    world = normal_world(std=torch.tensor([0.4, 0.1]))
    strength, x = 0.7, world.states(t)
    alpha, sigma = world.process.schedule.values(t)
    model = guidance.DiffPIR(world.model, world.process, world.measurement, strength=strength)
    found = model(x, t).requires_grad_()
    misfit = (world.y - found @ world.matrix.mT).square() @ (1 / world.noise.diagonal())
    apart = strength * alpha**2 / sigma**2 * (found - world.model(x, t)).square().sum(1)
    (slope,) = torch.autograd.grad((misfit + apart).sum(), found)
    assert slope.abs().max() < 1e-6 * (1 + strength * alpha**2 / sigma**2)


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_dps_follows_the_norm_of_each_row(normal_world, noise: str) -> None:
    world, t = normal_world(), 0.6
    measurement = world.measurement
    if noise == "laplace":
        measurement = inverse.Measurement(
            world.y,
            inverse.Differentiable(lambda x: (x @ world.matrix.mT.to(x)).sinh()),
            inverse.LaplaceNoise(0.3),
            (3,),
        )
    x = world.states(t)
    strength = torch.linspace(0.5, 2.0, len(x), dtype=torch.float64)
    found = guidance.DPS(world.model, world.process, measurement, strength=strength).guide(x, t)
    alpha, sigma = world.process.schedule.values(t)

    def norm(x_0):
        clean = x_0 @ world.matrix.mT
        if noise == "laplace":
            return (2 * (world.y - clean.sinh()).abs().sum(1) / 0.3).sqrt()
        return (world.y - clean).norm(dim=1) / 0.4

    def slopes(f, x):
        h = 1e-6
        steps = h * torch.eye(3, dtype=torch.float64)
        return torch.stack([(f(x + step) - f(x - step)) / (2 * h) for step in steps], 1)

    mean = world.model(x, t)
    spread = 1 + sigma**2 / alpha**2 * slopes(norm, mean).square().sum(1)
    length = strength * (2 / spread).sqrt()
    exact = -length.unsqueeze(1) * sigma**2 / alpha * slopes(lambda x: norm(world.model(x, t)), x)
    assert torch.allclose(found.guided - found.free, exact, atol=1e-6)
    assert torch.allclose(found.log_likelihood, -length * norm(mean))


def test_dps_answers_a_residual_of_the_expected_size_as_its_density_does(normal_world) -> None:
    """With the flat prior that the length assumes: one measured number, wide normal data."""
    world, t = normal_world(measured=1, isotropic=1e6), 0.6
    x = world.states(t, 1)
    _, covariance = world.given(x, t)
    spread = (world.matrix @ covariance @ world.matrix.mT + world.noise).sqrt()
    y = (world.model(x, t) @ world.matrix.mT + spread)[0]
    measurement = inverse.Measurement(y, *_parts(world)[1:])
    parts = (world.model, world.process, measurement)
    assert torch.allclose(guidance.DPS(*parts)(x, t), guidance.MMPS(*parts)(x, t), atol=1e-4)


def _parts(world):
    own = world.measurement
    return own.y, own.operator, own.noise, own.event_shape


def test_a_perfect_fit_is_left_alone_by_dps(normal_world) -> None:
    world, t = normal_world(), 0.6
    x = world.states(t, 1)
    y = (world.model(x, t) @ world.matrix.mT)[0]
    measurement = inverse.Measurement(y, *_parts(world)[1:])
    found = guidance.DPS(world.model, world.process, measurement)(x, t)
    assert torch.allclose(found, world.model(x, t))


@pytest.mark.parametrize("rank", ["full", "deficient"])
def test_projection_meets_the_constraint_and_moves_as_little_as_can_be(
    normal_world, rank: str
) -> None:
    world, t = normal_world(), 0.6
    matrix, y = world.matrix, world.y
    if rank == "deficient":
        matrix, y = torch.cat([matrix, matrix[:1]]), torch.tensor([1.5, -0.7, 1.5]).double()
    measurement = inverse.Measurement(
        y,
        inverse.Matrix(matrix),
        inverse.ExactConstraint(),
        (3,),
        normal_world.mean,
        torch.tensor([2.0, 1, 3]),
    )
    scaled = matrix * torch.tensor([2.0, 1, 3]).double()
    x = world.states(t)
    found = guidance.NullSpaceProjection(world.model, measurement)(x, t)
    free = world.model(x, t)
    exact = (
        free + (y - normal_world.mean @ matrix.mT - free @ scaled.mT) @ torch.linalg.pinv(scaled).mT
    )
    assert torch.allclose(found, exact, atol=1e-8)
    assert torch.allclose(measurement.clean(found), y.expand(5, -1), atol=1e-8)


def _exact(y: inverse.Measurement) -> inverse.Measurement:
    return replace(y, noise=inverse.ExactConstraint())


# -- every method ---------------------------------------------------------------------------------

METHODS = {
    "dps": guidance.DPS,
    "pigdm": guidance.PiGDM,
    "tmpd": guidance.TMPD,
    "mmps": guidance.MMPS,
    "mmps by iteration": lambda *parts: guidance.MMPS(*parts, iterations=1),
    "diffpir": guidance.DiffPIR,
    "projection": lambda model, process, y: guidance.NullSpaceProjection(model, _exact(y)),
}


def _skewed(x, t, c=None):
    """A prediction whose derivative is not symmetric."""
    shift = torch.tensor([[0.0, 0.4, 0.0], [-0.2, 0.0, 0.3], [0.0, 0.1, 0.0]]).to(x)
    return torch.tanh(x) + x @ shift


@pytest.mark.filterwarnings("ignore:MMPS")
@pytest.mark.parametrize("method", METHODS)
def test_a_row_does_not_depend_on_its_batch(normal_world, method: str) -> None:
    world, t = normal_world(), 0.5
    x = torch.randn(1024, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # One row far out, whose norm would drown the others in a common one.
    x[-1] *= 1e3
    y = torch.randn(1024, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = inverse.Measurement(y, *_parts(world)[1:])
    for measurement in (world.measurement, rows):
        whole = METHODS[method](_skewed, world.process, measurement)(x, t)
        for n in (1, 64):
            part = METHODS[method](_skewed, world.process, measurement.take(slice(0, n)))
            assert torch.allclose(part(x[:n], t), whole[:n], rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore:MMPS")
@pytest.mark.parametrize("method", METHODS)
def test_each_row_has_a_time_of_its_own(normal_world, method: str) -> None:
    world = normal_world()
    x, times = world.states(0.5, 3), torch.tensor(TIMES, dtype=torch.float64)
    model = METHODS[method](world.model, world.process, world.measurement)
    found = model(x, times)
    for k, t in enumerate(TIMES):
        assert torch.allclose(found[k : k + 1], model(x[k : k + 1], t), atol=1e-8)


@pytest.mark.filterwarnings("ignore:MMPS")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHODS)
def test_samplers_switch_derivatives_off(normal_world, method: str, mode) -> None:
    world, t = normal_world(), 0.5
    net = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 3)).double()
    model = METHODS[method](lambda x, t, c=None: net(x), world.process, world.measurement)
    x = world.states(t)
    plain = model(x, t)
    with mode():
        # A state that was made in the mode, as those of a sampler are.
        found = model(x + 0, t)
        assert not found.requires_grad
    assert torch.allclose(found, plain)


@pytest.mark.filterwarnings("ignore:MMPS")
@pytest.mark.parametrize("method", METHODS)
def test_one_evaluation_of_the_model(normal_world, method: str) -> None:
    world, calls = normal_world(), []

    def counting(x, t, c=None):
        calls.append(len(x))
        return _skewed(x, t)

    METHODS[method](counting, world.process, world.measurement)(world.states(0.5), 0.5)
    assert calls == [5]


@pytest.mark.filterwarnings("ignore:MMPS")
@pytest.mark.parametrize("method", METHODS)
def test_pictures_are_guided_like_vectors(normal_world, method: str) -> None:
    world, t = normal_world(), 0.5
    x = world.states(t)
    y, operator, noise, _ = _parts(world)
    flat = METHODS[method](_skewed, world.process, world.measurement)(x, t)
    measurement = inverse.Measurement(y, operator, noise, (1, 3, 1))

    def model(x, t, c=None):
        return _skewed(x.flatten(1), t).reshape(x.shape)

    found = METHODS[method](model, world.process, measurement)(x.reshape(-1, 1, 3, 1), t)
    assert torch.allclose(found.flatten(1), flat)


# -- linear systems by iteration ------------------------------------------------------------------


def _symmetrized(world, x: torch.Tensor, t: float) -> torch.Tensor:
    """`A (C + C^T) A^T / 2 + Sigma` of a skewed model at each row."""
    alpha, sigma = world.process.schedule.values(t)
    slopes = torch.stack(
        [torch.autograd.functional.jacobian(lambda x: _skewed(x[None], t)[0], row) for row in x]
    )
    own = sigma**2 / alpha * (slopes + slopes.mT) / 2
    return world.matrix @ own @ world.matrix.mT + world.noise


@pytest.mark.parametrize("iterations", [1, 2])
def test_skewed_models_are_symmetrized(normal_world, iterations: int) -> None:
    world, t = normal_world(), 0.5
    x = 0.1 * world.states(t)
    model = guidance.MMPS(_skewed, world.process, world.measurement, iterations=iterations)
    found, exact = model.guide(x, t), _symmetrized(world, x, t)
    residual = world.measurement.residual(_skewed(x, t))
    alpha, sigma = world.process.schedule.values(t)
    if iterations == 2:
        u = torch.linalg.solve(exact, residual)
        assert found.residual is None
    else:
        # The first iteration is the steepest descent from zero.
        image = (exact @ residual.unsqueeze(-1)).squeeze(-1)
        size = residual.square().sum(1) / (residual * image).sum(1)
        u = size.unsqueeze(1) * residual
        left = (residual - size.unsqueeze(1) * image).norm(dim=1) / residual.norm(dim=1)
        assert torch.allclose(found.residual, left)
    v = u @ world.matrix
    shift = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda x: _skewed(x[None], t)[0], row).mT @ own
            for row, own in zip(x, v, strict=True)
        ]
    )
    assert torch.allclose(found.guided - found.free, sigma**2 / alpha * shift, atol=1e-9)


def test_systems_that_are_not_solved_are_told(normal_world) -> None:
    world, t = normal_world(), 0.9
    model = guidance.MMPS(world.model, world.process, world.measurement, iterations=1)
    with pytest.warns(ConvergenceWarning, match="take more iterations"):
        model(world.states(t), t)


def test_a_covariance_that_is_none_has_its_negative_part_left_out(normal_world) -> None:
    world, t = normal_world(), 0.5
    x = world.states(t, 2)
    known = torch.diag_embed(torch.tensor([[1.0, 2.0, 3.0], [1.0, -8.0, 3.0]])).double()
    model = guidance.MMPS(
        world.model, world.process, world.measurement, covariance=lambda x, t: known
    )
    found = model.guide(x, t)
    assert found.log_likelihood.isfinite().all()
    spread = world.matrix @ known @ world.matrix.mT
    assert torch.linalg.eigvalsh(spread)[1].min() < 0
    values, vectors = torch.linalg.eigh(spread / 0.16)
    kept = 0.16 * (vectors * (values.clamp(min=0) + 1).unsqueeze(1)) @ vectors.mT
    residual = world.measurement.residual(world.model(x, t)).unsqueeze(-1)
    exact = (known @ world.matrix.mT @ torch.linalg.solve(kept, residual)).squeeze(-1)
    assert torch.allclose(found.guided - found.free, exact, atol=1e-9)


def test_a_derivative_that_is_no_covariance_does_not_make_the_iteration_diverge(
    normal_world,
) -> None:
    """Asymmetric, and with eigenvalues that nearly cancel the noise: as the direct solution has it,
    where plain conjugate gradients divide by them."""
    world, t, size = normal_world(), 0.5, 16
    alpha, sigma = world.process.schedule.values(t)
    g = torch.Generator().manual_seed(0)
    vectors = torch.linalg.qr(torch.randn(size, size, generator=g, dtype=torch.float64))[0]
    # In units of the noise, of variance 0.09: few values, so that few directions see all of S.
    values = torch.tensor([4.0, 1.0, -0.9999, 0.2], dtype=torch.float64).repeat(4)
    skew = torch.randn(size, size, generator=g, dtype=torch.float64)
    own = (vectors * values * 0.09) @ vectors.mT * alpha / sigma**2 + (skew - skew.mT)
    y = torch.randn(size, generator=g, dtype=torch.float64)
    operator = inverse.Matrix(torch.eye(size, dtype=torch.float64))
    measurement = inverse.Measurement(y, operator, inverse.GaussianNoise(0.3), (size,))
    x = torch.randn(5, size, generator=g, dtype=torch.float64)
    exact, found = (
        guidance.MMPS(lambda x, t, c=None: x @ own.mT, world.process, measurement, n).guide(x, t)
        for n in (size, 4)
    )
    assert exact.residual is None
    assert torch.allclose(found.guided, exact.guided, rtol=1e-6, atol=1e-6)
    assert found.residual.max() < 1e-6


def test_measurements_too_large_to_diagonalize_are_solved_by_iteration(
    normal_world, monkeypatch
) -> None:
    world, t = normal_world(isotropic=1.0), 0.7
    x = world.states(t)
    parts = (world.model, world.process)
    exact = [guidance.PiGDM(*parts, world.measurement), guidance.DiffPIR(*parts, world.measurement)]
    exact = [model(x, t) for model in exact]
    monkeypatch.setattr(inverse.spectrum, "_MOST", 1)
    # Numbers of several units have no singular values in closed form.
    scale = torch.tensor([1.0, 1.0, 1.0 + 1e-9], dtype=torch.float64)
    large = inverse.Measurement(*_parts(world), scale=scale)
    for method, wanted in zip((guidance.PiGDM, guidance.DiffPIR), exact, strict=True):
        found = method(*parts, large).guide(x, t)
        assert torch.allclose(found.guided, wanted, atol=1e-5)
        assert found.residual is not None
        assert found.residual.max() < 1e-4
    with pytest.raises(CapabilityError, match="too many"):
        guidance.NullSpaceProjection(world.model, _exact(large))


def test_mmps_takes_the_tangent_of_an_operator(normal_world) -> None:
    world = normal_world()
    y, _, noise, shape = _parts(world)
    x = world.states(0.5)
    known = {"covariance": world.problem.covariance(world.process)}
    for more in ({}, known):
        # A linear function is its own tangent, whether or not it is known to be linear.
        linear = inverse.Differentiable(lambda x: x @ world.matrix.mT.to(x))
        same = inverse.Measurement(y, linear, noise, shape)
        wanted = guidance.MMPS(world.model, world.process, world.measurement, **more).guide(x, 0.5)
        found = guidance.MMPS(world.model, world.process, same, **more).guide(x, 0.5)
        for a, b in zip(found[:3], wanted[:3], strict=True):
            torch.testing.assert_close(a, b)
    # Of another one, the derivative at the prediction: a system for each row by itself.
    bent = inverse.Measurement(y, inverse.Differentiable(lambda x: x[:, :2] ** 3), noise, shape)
    found = guidance.MMPS(world.model, world.process, bent).guide(x, 0.5)
    mean, covariance = world.given(x, 0.5)
    for k, free in enumerate(mean):
        slope = torch.cat([torch.diag(3 * free[:2] ** 2), torch.zeros(2, 1)], 1)
        spread = slope @ covariance @ slope.mT + world.noise
        shift = covariance @ slope.mT @ torch.linalg.solve(spread, y - free[:2] ** 3)
        torch.testing.assert_close(found.guided[k], free + shift)


# -- what is refused ------------------------------------------------------------------------------


class _Other(inverse.Noise):
    def log_prob(self, y, clean):
        return -(y - clean).abs().sum(1)

    def sample(self, clean, generator=None):
        raise NotImplementedError

    def spread(self, clean):
        raise NotImplementedError


@pytest.mark.parametrize("method", ["pigdm", "tmpd", "diffpir"])
def test_linear_methods_refuse_other_operators_and_noise(normal_world, method: str) -> None:
    world = normal_world()
    y, operator, noise, shape = _parts(world)
    bent = inverse.Measurement(y, inverse.Differentiable(lambda x: x[:, :2] ** 2), noise, shape)
    for measurement in (bent, inverse.Measurement(y, operator, _Other(), shape)):
        with pytest.raises(CapabilityError, match="dps"):
            METHODS[method](world.model, world.process, measurement)


def test_mmps_refuses_other_noise_and_many_numbers_that_are_not_linear(normal_world) -> None:
    world = normal_world()
    y, operator, noise, shape = _parts(world)
    other = inverse.Measurement(y, operator, _Other(), shape)
    with pytest.raises(CapabilityError, match="needs Gaussian noise"):
        guidance.MMPS(world.model, world.process, other)
    bent = inverse.Measurement(y, inverse.Differentiable(lambda x: x[:, :2] ** 2), noise, shape)
    with pytest.raises(CapabilityError, match="up to 1 measured numbers, not 2: give iterations=2"):
        guidance.MMPS(world.model, world.process, bent, iterations=1)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "projection"])
def test_processes_that_are_refused(normal_world, method: str) -> None:
    world = normal_world()
    with pytest.raises(CapabilityError, match="not of Masking"):
        METHODS[method](world.model, processes.Masking(spaces.Tokens(3)), world.measurement)
    colored = processes.Gaussian(schedules.VP(), spaces.Hilbert(torch.eye(3)))
    with pytest.raises(CapabilityError, match="white noise"):
        METHODS[method](world.model, colored, world.measurement)


@pytest.mark.parametrize("method", ["dps", "pigdm", "tmpd", "mmps"])
def test_models_without_derivative_are_refused(normal_world, method: str) -> None:
    world = normal_world()
    model = METHODS[method](lambda x, t, c=None: x.detach(), world.process, world.measurement)
    with pytest.raises(CapabilityError, match="diffpir, projection and repaint need none"):
        model(world.states(0.5), 0.5)


def test_operators_without_derivative_are_refused_by_dps(normal_world) -> None:
    world = normal_world()
    y, _, noise, shape = _parts(world)
    flat = inverse.Differentiable(lambda x: x[:, :2].detach())
    model = guidance.DPS(world.model, world.process, inverse.Measurement(y, flat, noise, shape))
    with pytest.raises(CapabilityError, match="no derivative"):
        model(world.states(0.5), 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda *p: guidance.DPS(*p, strength=-1.0), "strength"),
        (lambda *p: guidance.DPS(*p, strength=torch.tensor([1.0, math.nan])), "strength"),
        (lambda *p: guidance.PiGDM(*p, variance=0.0), "variance"),
        (lambda *p: guidance.MMPS(*p, iterations=0), "iterations"),
        (lambda *p: guidance.DiffPIR(*p, strength=0.0), "strength"),
    ],
)
def test_settings_that_are_refused(normal_world, make, message: str) -> None:
    world = normal_world()
    with pytest.raises(InputError, match=message):
        make(world.model, world.process, world.measurement)


def test_there_is_nothing_to_guide_where_no_signal_is_left(normal_world) -> None:
    world = normal_world(schedules.Rectified())
    for method in ("dps", "pigdm", "diffpir"):
        model = METHODS[method](world.model, world.process, world.measurement)
        with pytest.raises(InputError, match=r"start the grid at 0\.999"):
            model(world.states(0.9), 1.0)


def test_what_noise_decides(normal_world) -> None:
    world = normal_world()
    with pytest.raises(CapabilityError, match="projection meets a measurement exactly"):
        guidance.DPS(world.model, world.process, _exact(world.measurement))
    with pytest.raises(CapabilityError, match="mmps take Gaussian noise"):
        guidance.NullSpaceProjection(world.model, world.measurement)


@pytest.mark.parametrize("factor", [2, 3])
def test_large_operators_are_solved_by_their_singular_values(monkeypatch, factor: int) -> None:
    """A blur that forgets some frequencies, so that its range is not all of the measurements."""
    shape, process = (1, 6, 6), processes.Gaussian()
    operator = inverse.Blur(float(factor))
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0)).double()
    y = operator(x) + 0.1
    parts = (y, operator, inverse.GaussianNoise(0.2), shape, 0.3, 2.0)
    small = inverse.Measurement(*parts)
    monkeypatch.setattr(inverse.spectrum, "_MOST", 1)
    large = inverse.Measurement(*parts)
    assert small.spectrum.whole
    for variance in (0.5, torch.tensor([0.1, 1.0, 10.0, 100.0]).double()):
        for name in ("solve", "log_prob"):
            found, exact = (getattr(m.spectrum, name)(y, variance) for m in (large, small))
            assert torch.allclose(found, exact, rtol=1e-6)
    models = [guidance.PiGDM(_bent, process, m) for m in (small, large)]
    assert torch.allclose(models[0](x, 0.5), models[1](x, 0.5), atol=1e-6)


def _bent(x, t, c=None):
    return x.tanh()


def test_a_trained_kind_of_model_is_guided(normal_world) -> None:
    model = pf.Diffusion(pf.nn.MLP(3, width=8), event_shape=(3,)).eval()
    world = normal_world()
    y, operator, noise, shape = _parts(world)
    measurement = inverse.Measurement(y.float(), operator, noise, shape)
    x = world.states(0.5).float()
    for method in ("dps", "pigdm", "tmpd", "mmps", "diffpir"):
        with torch.no_grad():
            found = METHODS[method](model.predictor, model.process, measurement)(x, 0.5)
        assert found.shape == x.shape
        assert found.isfinite().all()
