"""One contract for every transform: inverses are inverse, and log-determinants are right."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pushforward.errors import InputError, SamplingError
from pushforward.nn import MaskedPerceptron, Perceptron
from pushforward.transforms import (
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    CircularSpline,
    Composed,
    Continuous,
    Contraction,
    CouplingLayer,
    Elementwise,
    Inverse,
    LULinear,
    Multiscale,
    Planar,
    Radial,
    Residual,
    Spline,
    Transform,
)

DIM = 3


def _random(module: nn.Module, scale: float = 0.5, seed: int = 0) -> nn.Module:
    """Any parameters: an identity proves nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, scale, generator=generator)
    return module.double().eval()


def _coupling(elementwise: Elementwise) -> Transform:
    net = Perceptron(2, elementwise.parameters, width=8, depth=2)
    return CouplingLayer(net, elementwise, [True, False, True])


def _autoregressive(elementwise: Elementwise, order: list[int] | None = None) -> Transform:
    net = MaskedPerceptron(DIM, elementwise.parameters, width=8, depth=2, order=order)
    return Autoregressive(net, elementwise, tolerance=1e-13)


MADE = {
    "additive coupling": lambda: _coupling(Additive()),
    "affine coupling": lambda: _coupling(Affine()),
    "spline coupling": lambda: _coupling(Spline(bins=5, box=3.0)),
    "affine autoregressive": lambda: _autoregressive(Affine(), [2, 0, 1]),
    "spline autoregressive": lambda: _autoregressive(Spline(bins=5, box=3.0)),
    "inverse autoregressive": lambda: Inverse(_autoregressive(Affine())),
    "planar": lambda: Planar(DIM),
    "radial": lambda: Radial(DIM),
    "linear": lambda: LULinear(DIM),
    "normalization": lambda: ActNorm(DIM),
    "residual": lambda: Residual(Contraction(DIM, width=8, slope=0.7), tolerance=1e-14),
    "composed": lambda: Composed([_coupling(Affine()), _autoregressive(Spline(4))]),
}


@pytest.fixture(params=MADE)
def transform(request) -> Transform:
    return _random(MADE[request.param]())  # type: ignore[return-value]


@torch.no_grad()
@settings(max_examples=30, deadline=None)
@given(scale=st.sampled_from([1e-6, 1.0, 1e3]), seed=st.integers(0, 1000))
@pytest.mark.parametrize("name", MADE)
def test_the_inverse_is_the_inverse(name: str, scale: float, seed: int) -> None:
    transform = _random(MADE[name]())
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(4, DIM, generator=generator, dtype=torch.float64)
    x, up = transform.push(z)
    back, down = transform.inverse(x)
    # Slopes on the way magnify rounding, those of a spline in one of its narrowest bins by exp(20):
    # the log-determinant says by how much.
    rounding = torch.finfo(x.dtype).eps * x.abs().amax(1) * up.abs().exp()
    assert bool(((back - z).abs() <= 1e-8 + 1e-6 * z.abs() + rounding.unsqueeze(1)).all())
    assert bool(((up + down).abs() <= 1e-8 + 1e-6 * up.abs() + rounding).all())


@pytest.mark.parametrize("scale", [1e-6, 2.0, 1e2])
def test_the_log_determinant_is_that_of_the_jacobian(transform: Transform, scale: float) -> None:
    z = scale * torch.randn(5, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, up = (part.detach() for part in transform.push(z))
    for k in range(len(z)):
        jacobian = torch.autograd.functional.jacobian(lambda v: transform(v[None])[0], z[k])
        assert up[k].item() == pytest.approx(jacobian.det().abs().log().item(), abs=1e-8)
        inward = torch.autograd.functional.jacobian(
            lambda v: transform.inverse(v[None])[0][0], x[k]
        )
        assert -up[k].item() == pytest.approx(inward.det().abs().log().item(), abs=1e-7)


@torch.no_grad()
def test_the_density_integrates_to_one() -> None:
    for elementwise in (Affine(), Spline(bins=5, box=3.0)):
        net = MaskedPerceptron(2, elementwise.parameters, width=8)
        flow = _random(Autoregressive(net, elementwise), 0.3)
        side = torch.linspace(-14, 14, 701, dtype=torch.float64)
        grid = torch.cartesian_prod(side, side)
        z, log_det = flow.inverse(grid)
        log_p = -0.5 * z.square().sum(1) - math.log(2 * math.pi) + log_det
        assert float(log_p.exp().sum() * (side[1] - side[0]) ** 2) == pytest.approx(1, abs=1e-3)


@torch.no_grad()
def test_the_density_on_the_torus_integrates_to_one() -> None:
    elementwise = CircularSpline(bins=5)
    net = MaskedPerceptron(2, elementwise.parameters, 8, shown=elementwise.shown)
    flow = _random(Autoregressive(net, elementwise), 0.3)
    n = 600
    side = -math.pi + 2 * math.pi / n * (torch.arange(n, dtype=torch.float64) + 0.5)
    _, log_det = flow.inverse(torch.cartesian_prod(side, side))
    assert float(log_det.exp().mean()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("bins", [2, 8, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_spline_is_the_identity_outside_its_box_and_finite(bins: int, dtype) -> None:
    spline = Spline(bins=bins, box=2.0)
    z = torch.tensor([-1e30, -2.0, 2.0, 7.5, 1e30], dtype=dtype)
    wild = 50 * torch.randn(5, spline.parameters, dtype=dtype, generator=torch.Generator())
    for move in (spline.push, spline.inverse):
        image, slope = move(z, wild)
        assert torch.equal(image, z)
        assert torch.equal(slope, torch.zeros_like(z))
        inside, slope = move(torch.linspace(-2, 2, 5, dtype=dtype), wild)
        assert inside.isfinite().all()
        assert slope.isfinite().all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_spline_of_wild_parameters_is_increasing_and_smooth(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    spline = Spline(bins=6, box=1.0)
    wild = torch.randn(spline.parameters, generator=generator, dtype=torch.float64)
    jumps = []
    for n in (4000, 16000):
        z = torch.linspace(-1, 1, n + 1, dtype=torch.float64)[1:-1].requires_grad_()
        x, log_slope = spline.push(z, wild.expand(n - 1, -1))
        (slope,) = torch.autograd.grad(x.sum(), z)
        assert (x.diff() > 0).all()
        assert torch.allclose(slope.log(), log_slope.detach(), atol=1e-9)
        jumps.append(float(slope.diff().abs().max()))
    # A slope without jumps changes a quarter as much over a quarter of the distance.
    assert jumps[1] < 0.4 * jumps[0]


@pytest.mark.parametrize("bins", [2, 5])
@pytest.mark.parametrize("make", [lambda bins: Spline(bins, box=2.0), CircularSpline])
def test_a_spline_has_its_first_and_second_derivatives(make, bins: int) -> None:
    spline = make(bins)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    parameters = torch.randn(4, 3, spline.parameters, generator=generator, dtype=torch.float64)
    parameters.requires_grad_()
    with torch.random.fork_rng():  # the checks draw directions
        for move in (spline.push, spline.inverse):
            assert torch.autograd.gradcheck(move, (z, parameters))
            # Neither derivative needs the other.
            for numbers, raw in (
                (z, parameters),
                (z.detach(), parameters),
                (z, parameters.detach()),
            ):
                assert torch.autograd.gradgradcheck(move, (numbers[:1], raw[:1]))


def test_angles_are_the_same_a_turn_later() -> None:
    spline = CircularSpline(bins=4)
    parameters = torch.randn(6, spline.parameters, dtype=torch.float64, generator=torch.Generator())
    angle = torch.linspace(-3, 3, 6, dtype=torch.float64)
    x, slope = spline.push(angle, parameters)
    again, again_slope = spline.push(angle + 4 * math.pi, parameters)
    assert torch.allclose(x, again)
    assert torch.allclose(slope, again_slope)
    back, back_slope = spline.inverse(x, parameters)
    assert torch.allclose(back, angle)
    assert torch.allclose(back_slope, -slope)


def _image_flow() -> Transform:
    levels = [
        Composed([LULinear(4), ActNorm(4), LULinear(4, seed=1)]),
        Composed([ActNorm(8), LULinear(8)]),
    ]
    return _random(Multiscale((1, 4, 4), levels))  # type: ignore[return-value]


def test_a_flow_of_images_at_two_scales() -> None:
    flow = _image_flow()
    z = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, up = (part.detach() for part in flow.push(z))
    back, down = flow.inverse(x)
    assert torch.allclose(back, z)
    assert torch.allclose(up, -down)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0].flatten(), z[0])
    exact = torch.linalg.slogdet(jacobian.reshape(16, 16)).logabsdet
    assert up[0].item() == pytest.approx(exact.item(), abs=1e-8)


def test_a_normalization_starts_from_data_at_every_level() -> None:
    flow = Multiscale((1, 4, 4), [Composed([LULinear(4), ActNorm(4)]), ActNorm(8)])
    x = 3 + 2 * torch.randn(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    flow.prepare(x)
    z = flow.inverse(x)[0].detach().flatten(1)
    last = z[:, 8:].reshape(500, 8, 1)
    assert torch.allclose(last.mean(0), torch.zeros(8, 1), atol=1e-4)
    assert torch.allclose(last.std(0, correction=0), torch.ones(8, 1), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", [Planar, Radial])
@given(scale=st.floats(0.1, 30), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_any_parameters_are_invertible(kind, scale: float, seed: int) -> None:
    layer = _random(kind(2), scale, seed)
    z = 3 * torch.randn(20, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, up = layer.push(z)
    assert up.isfinite().all()
    back, _ = layer.inverse(x)
    assert torch.allclose(layer.push(back)[0], x, rtol=1e-9, atol=1e-9)
    # What is squeezed by exp(up) comes back with as much more rounding.
    rounding = 1e-13 * float((1 + x.abs()).amax() * (-up).exp().amax())
    assert float((back - z).abs().max()) <= 1e-9 + 10 * rounding


def test_gradients_through_numeric_inverses() -> None:
    for make in (Planar, lambda d: Residual(Contraction(d, 8, slope=0.7), tolerance=1e-14)):
        flow = _random(make(3))
        turned = flow.inverse if isinstance(flow, Planar) else flow.push
        forth = flow.push if isinstance(flow, Planar) else flow.inverse
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        x.requires_grad_()
        there = turned(x)[0]
        again = forth(there)[0]
        # The round trip is the identity, whatever the parameters.
        gradients = torch.autograd.grad(again.square().sum(), (x, *flow.parameters()))
        assert torch.allclose(gradients[0], 2 * x.detach(), atol=1e-7)
        for gradient in gradients[1:]:
            assert float(gradient.abs().max()) < 1e-6


def test_the_random_series_of_a_residual_flow_is_unbiased() -> None:
    torch.manual_seed(0)
    flow = _random(Residual(Contraction(4, 8, slope=0.9), exact=0), 1.0)
    exact = Residual(flow.net)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = float(exact.inverse(x)[1].detach())
    for training, bias in ((True, 0.0), (False, 1e-3)):
        flow.train(training)
        # One cut for a batch: many batches.
        found = torch.stack([flow.inverse(x.expand(20, 4))[1].detach().mean() for _ in range(300)])
        error = float(found.std()) / 300**0.5
        assert abs(float(found.mean()) - truth) < 4 * error + bias


@torch.no_grad()
def test_the_inverse_of_a_residual_flow_reports_what_is_left() -> None:
    flow = _random(Residual(Contraction(3, 8, slope=0.7), tolerance=1e-9))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = flow.solve(z)
    assert 0 <= found.residual <= 1e-9
    # Each iteration takes away at least 0.3 of the distance.
    assert found.iterations <= math.log(1e-10) / math.log(0.7)
    assert float((flow.inverse(found.x)[0] - z).abs().max()) < 1e-8


def test_a_residual_flow_that_is_no_contraction_says_so() -> None:

    flow = Residual(nn.Linear(2, 2), iterations=50)
    with torch.no_grad():
        flow.net.weight.copy_(3 * torch.eye(2))
    with pytest.raises(SamplingError, match="no contraction"):
        flow.push(torch.ones(1, 2))


@torch.no_grad()
def test_a_contraction_contracts() -> None:
    net = _random(Contraction(3, 16, depth=3, slope=0.9), 3.0)
    generator = torch.Generator().manual_seed(0)
    x, y = 2 * torch.randn(2, 2000, 3, generator=generator, dtype=torch.float64)
    y = x + 0.01 * y
    assert float(((net(x) - net(y)).norm(dim=1) / (x - y).norm(dim=1)).max()) <= 0.9


def test_a_continuous_flow_and_its_log_determinant() -> None:
    flow = Continuous(_random(Perceptron(3, 2, width=8), 0.3), steps=32)
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        x, up = flow.push(z)
        back, down = flow.inverse(x)
    # Order four: 16^2 times less than the error of 8 steps, 5e-7.
    assert torch.allclose(back, z, atol=1e-8)
    assert torch.allclose(up, -down, atol=1e-8)
    # Rows do not see each other: the derivatives of their sum are those of each.
    jacobians = torch.autograd.functional.jacobian(lambda v: flow(v).sum(0), z).movedim(1, 0)
    assert torch.allclose(up, jacobians.det().log(), rtol=0, atol=1e-7)


@torch.no_grad()
def test_a_continuous_flow_converges_with_order_four() -> None:
    net = _random(Perceptron(3, 2, width=8), 0.2)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = Continuous(net, steps=64).inverse(x)
    errors = []
    for steps in (4, 8):
        found = Continuous(net, steps).inverse(x)
        errors.append([float((a - b).abs().max()) for a, b in zip(found, exact, strict=True)])
    for coarse, fine in zip(*errors, strict=True):
        assert math.log2(coarse / fine) == pytest.approx(4, abs=0.25)
    for steps in (3, 4, 5, 8):
        estimate = Continuous(net, steps).error(x)
        truth = (Continuous(net, steps).inverse(x)[1] - exact[1]).abs()
        assert float(estimate.max()) == pytest.approx(float(truth.max()), rel=0.2)
    # One step is no excuse for an error of zero.
    assert float(Continuous(net, 1).error(x).min()) > 0
    with pytest.raises(InputError, match="exact=2"):
        Continuous(net, 8, exact=1).error(x)


def _one_by_one(flow: Autoregressive, z: Tensor) -> Tensor:
    """The slow direction, entry after entry, as many passes as entries."""
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        new, _ = flow.elementwise.push(z, flow.parameters_at(x, None))
        x = torch.cat([x[:, :i], new[:, i : i + 1], x[:, i + 1 :]], 1)
    return x


@pytest.mark.parametrize("elementwise", [Affine(), Spline(6)], ids=["affine", "spline"])
def test_the_parallel_inverse_is_the_sequential_one(elementwise: Elementwise) -> None:
    flow = Autoregressive(MaskedPerceptron(40, elementwise.parameters, 40), elementwise, 1e-12)
    _random(flow, 0.15)
    z = torch.randn(6, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = flow.solve(z)
    assert torch.allclose(found.x, _one_by_one(flow, z), rtol=1e-9, atol=1e-9)
    assert found.passes < 40
    assert found.residual <= 1e-12


@torch.no_grad()
def test_states_settle_alone_and_bring_their_log_determinant() -> None:
    flow = Autoregressive(MaskedPerceptron(12, 17, 16, context=2), Spline(6), 1e-12)
    _random(flow, 0.4)
    generator = torch.Generator().manual_seed(5)
    z = torch.randn(30, 12, generator=generator, dtype=torch.float64)
    c = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    found = flow.solve(z, c)
    assert torch.allclose(found.log_det, -flow.inverse(found.x, c)[1], atol=1e-9)
    # As many passes as entries are exact, and the state of a row depends on no other.
    exact = Autoregressive(flow.net, flow.elementwise, tolerance=0).solve(z, c)
    assert exact.passes == 12
    assert torch.allclose(found.x, exact.x, rtol=1e-9, atol=1e-9)
    alone = flow.solve(z[7:8], c[7:8])
    assert torch.allclose(found.x[7:8], alone.x, rtol=1e-12, atol=1e-12)
    assert flow.solve(z[:0], c[:0]).x.shape == (0, 12)


def test_a_state_that_is_not_finite_is_noticed() -> None:
    from pushforward.errors import SamplingError

    flow = Autoregressive(MaskedPerceptron(3, 2, 8), Affine())
    with pytest.raises(SamplingError, match="did not settle"):
        flow.push(torch.tensor([[0.0, 1.0, 2.0], [0.0, math.inf, 1.0]]))


@pytest.mark.parametrize("elementwise", [Affine(), Spline(6)], ids=["affine", "spline"])
def test_gradients_through_the_parallel_inverse(elementwise: Elementwise) -> None:
    flow = Autoregressive(MaskedPerceptron(5, elementwise.parameters, 16), elementwise, 1e-13)
    _random(flow, 0.4)
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    given = z.clone().requires_grad_(), z.clone().requires_grad_()
    weights = torch.randn(4, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    slow = _one_by_one(flow, given[0])
    _, down = flow.inverse(slow)
    exact = torch.autograd.grad((slow * weights).sum() - down.sum(), (given[0], *flow.parameters()))
    fast, up = flow.push(given[1])
    found = torch.autograd.grad((fast * weights).sum() + up.sum(), (given[1], *flow.parameters()))
    for a, b in zip(exact, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-9)


def test_a_network_without_a_mask_is_noticed() -> None:
    from pushforward.errors import SamplingError

    flow = Autoregressive(nn.Linear(3, 3), Additive())
    with torch.no_grad():
        flow.net.weight.copy_(3 * torch.ones(3, 3))
    with pytest.raises(SamplingError, match="did not settle"):
        flow.push(torch.ones(2, 3))


def test_a_masked_network_sees_only_what_comes_before() -> None:
    order = [2, 0, 3, 1]
    net = _random(MaskedPerceptron(4, 2, width=16, depth=3, order=order))
    x = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator())
    jacobian = torch.autograd.functional.jacobian(net, x)[0, :, 0].reshape(4, 2, 4).abs().amax(1)
    for i in range(4):
        for j in range(4):
            assert (float(jacobian[i, j]) > 0) == (order[j] < order[i])


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["affine", "residual", "planar", "inverse"])
def test_inverses_are_solved_to_the_precision_of_the_state(name: str, dtype: torch.dtype) -> None:
    net = MaskedPerceptron(6, Affine().parameters, width=8, depth=2)
    made = {
        "affine": Autoregressive(net, Affine()),
        "inverse": Inverse(Autoregressive(net, Affine())),
        "residual": Residual(Contraction(6, width=8, slope=0.9)),
        "planar": Planar(6),
    }
    transform = _random(made[name], scale=0.2).to(dtype)
    z = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, up = transform.push(z.to(dtype))
    back, down = transform.inverse(x)
    rounding = 500 * torch.finfo(dtype).eps
    assert float((back - z.to(dtype)).abs().max()) < rounding
    assert float((up + down).abs().max()) < rounding
