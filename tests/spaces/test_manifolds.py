"""Every manifold against the definitions of geometry, to rounding in double precision."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.spaces import SO3, SPD, Hyperbolic, Manifold, Sphere, Torus

SPACES: dict[str, tuple[Manifold, tuple[int, ...]]] = {
    "circle": (Sphere(1), (2,)),
    "sphere": (Sphere(), (3,)),
    "three-sphere": (Sphere(3), (4,)),
    "nine-sphere": (Sphere(9), (10,)),
    "two points of a sphere": (Sphere(2), (2, 3)),
    "torus": (Torus(), (3,)),
    "rotations": (SO3(), (3, 3)),
    "two rotations": (SO3(), (2, 3, 3)),
    "hyperbolic plane": (Hyperbolic(), (3,)),
    "hyperbolic space": (Hyperbolic(3), (4,)),
    "matrices": (SPD(2), (2, 2)),
    "larger matrices": (SPD(3), (3, 3)),
}
COMPACT = [name for name, (space, _) in SPACES.items() if space.compact]


@pytest.fixture(params=SPACES)
def world(request):
    """A space, points of it spread by a standard deviation of .8, and more of them."""
    return make(request.param)


def make(name: str, n: int = 40):
    space, shape = SPACES[name]
    generator = torch.Generator().manual_seed(1)
    start = space.origin(shape).double().expand(n, *shape)

    def spread(x: torch.Tensor) -> torch.Tensor:
        return space.exp(x, 0.8 * space.randn(x, generator))

    x = spread(start)
    return space, x, spread(x), generator


def test_points_are_points(world) -> None:
    space, x, y, _ = world
    space.check(x)
    space.check(y)
    assert torch.allclose(space.nearest(x), x, atol=1e-12)


def test_the_exponential_of_the_logarithm_arrives(world) -> None:
    space, x, y, _ = world
    assert torch.allclose(space.exp(x, space.log(x, y)), y, atol=1e-10, rtol=1e-10)


def test_the_logarithm_of_the_exponential_within_the_injectivity_radius(world) -> None:
    space, x, _, generator = world
    v = 0.4 * space.randn(x, generator)
    assert torch.allclose(space.log(x, space.exp(x, v)), v, atol=1e-10, rtol=1e-9)


def test_the_distance_is_the_length_of_the_logarithm_and_symmetric(world) -> None:
    space, x, y, _ = world
    v = space.log(x, y)
    length = space.inner(x, v, v).sqrt()
    assert torch.allclose(space.distance(x, y), length, atol=1e-10)
    assert torch.allclose(space.distance(y, x), length, atol=1e-10)


def test_geodesics_have_constant_speed(world) -> None:
    space, x, _, generator = world
    v = 0.3 * space.randn(x, generator)
    half = space.exp(x, 0.5 * v)
    assert torch.allclose(space.distance(x, half), space.distance(half, space.exp(x, v)), atol=1e-9)


def test_the_frame_is_orthonormal_and_tangent(world) -> None:
    space, x, _, _ = world
    frame = space.frame(x)
    size = space.dimension(tuple(x.shape[1:]))
    assert frame.shape == (len(x), size, *x.shape[1:])
    for i in range(size):
        assert torch.allclose(space.project(x, frame[:, i]), frame[:, i], atol=1e-12)
        for j in range(size):
            product = space.inner(x, frame[:, i], frame[:, j])
            assert torch.allclose(product, torch.full_like(product, float(i == j)), atol=1e-10)


def test_projection_is_onto_the_tangent_space(world) -> None:
    space, x, _, generator = world
    v = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    tangent = space.project(x, v)
    assert torch.allclose(space.project(x, tangent), tangent, atol=1e-12)
    frame = space.frame(x)
    parts = torch.stack([space.inner(x, e, tangent) for e in frame.unbind(1)], 1)
    assert torch.allclose(space.in_frame(x, parts), tangent, atol=1e-9, rtol=1e-9)


def test_what_a_network_puts_out_is_tangent_and_of_its_size(world) -> None:
    space, x, _, generator = world
    numbers = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    v = space.tangent(x, numbers)
    assert torch.allclose(space.project(x, v), v, atol=1e-9, rtol=1e-9)
    # Whatever the point, at most as long as the array in its own metric at the origin.
    limit = numbers.flatten(1).square().sum(1)
    assert bool((space.inner(x, v, v) <= limit * (1 + 1e-9)).all())
    assert float(space.inner(x, v, v).min()) > 0


def test_transport_keeps_inner_products_and_takes_geodesics_along(world) -> None:
    space, x, y, generator = world
    u, v = space.randn(x, generator), space.randn(x, generator)
    there = space.transport(x, y, u), space.transport(x, y, v)
    assert torch.allclose(space.project(y, there[0]), there[0], atol=1e-9, rtol=1e-9)
    assert torch.allclose(space.inner(y, *there), space.inner(x, u, v), atol=1e-9, rtol=1e-9)
    way = space.log(x, y)
    assert torch.allclose(space.transport(x, y, way), -space.log(y, x), atol=1e-9, rtol=1e-9)
    back = space.transport(y, x, there[0])
    assert torch.allclose(back, u, atol=1e-9, rtol=1e-9)


def test_transport_solves_its_equation(world) -> None:
    # The transport to a near point, carried on, is the transport to a far one.
    space, x, _, generator = world
    v, u = 0.5 * space.randn(x, generator), space.randn(x, generator)
    half, end = space.exp(x, 0.5 * v), space.exp(x, v)
    in_two = space.transport(half, end, space.transport(x, half, u))
    assert torch.allclose(in_two, space.transport(x, end, u), atol=1e-9, rtol=1e-9)


def test_the_volume_of_the_exponential_map_is_its_determinant(world) -> None:
    space, x, _, generator = world
    shape = tuple(x.shape[1:])
    if len(shape) > space.point_axes and space.point_axes:
        x = space.points(x)
        shape = tuple(x.shape[1:])
    x = x[:6]
    numbers = 0.7 * torch.randn(len(x), space.dimension(shape), generator=generator).double()
    frame = space.frame(x)
    v = space.in_frame(x, numbers)
    end = space.exp(x, v)
    there, h = space.frame(end), 1e-5
    columns = []
    for e in frame.unbind(1):
        moved = (space.exp(x, v + h * e) - space.exp(x, v - h * e)) / (2 * h)
        moved = space.project(end, moved)
        columns.append(torch.stack([space.inner(end, f, moved) for f in there.unbind(1)], 1))
    exact = torch.linalg.slogdet(torch.stack(columns, -1)).logabsdet
    grown = space.exp_log_det(space.points(x), space.points(v))
    assert torch.allclose(space.per_event(grown, x), exact, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", SPACES)
def test_values_and_gradients_are_finite_where_points_meet(name: str, dtype: torch.dtype) -> None:
    space, x, y, generator = make(name, 5)
    x, y = x.to(dtype), y.to(dtype)
    start = space.origin(tuple(x.shape[1:])).to(dtype).expand_as(x)
    direction = space.randn(x, generator)
    for a, b in ((x, x), (start, start), (x, y)):
        for function in (space.log, space.distance, lambda p, q: space.transport(p, q, direction)):
            p, q = a.clone().requires_grad_(), b.clone().requires_grad_()
            value = function(p, q)
            assert value.isfinite().all()
            if not value.requires_grad:
                # Parallel transport on the torus does not depend on the points.
                continue
            gradients = torch.autograd.grad(value.sum(), (p, q), allow_unused=True)
            assert all(g is None or g.isfinite().all() for g in gradients)
    v = torch.zeros_like(x).requires_grad_()
    end = space.exp(x, v)
    weight = torch.randn(x.shape, generator=generator).to(dtype)
    (gradient,) = torch.autograd.grad((end * weight).sum(), v)
    # The exponential map is the identity to first order.
    along, exact = ((a * direction).flatten(1).sum(1) for a in (gradient, weight))
    assert torch.allclose(along, exact, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_the_derivative_of_the_logarithm_where_points_meet_is_the_identity(name: str) -> None:
    space, x, _, generator = make(name, 5)
    direction = space.randn(x, generator)
    h = 1e-6
    slope = space.log(x, space.exp(x, h * direction)) / h
    assert torch.allclose(slope, direction, atol=1e-5, rtol=1e-5)
    weight = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    y = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((space.log(x, y) * weight).sum(), y)
    along = (gradient * direction).flatten(1).sum(1)
    assert torch.allclose(along, (weight * direction).flatten(1).sum(1), atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_antipodes_and_half_turns(dtype: torch.dtype) -> None:
    sphere = Sphere()
    x = sphere.uniform(20, (3,), torch.Generator().manual_seed(0)).to(dtype)
    x = torch.cat([x, torch.eye(3, dtype=dtype), -torch.eye(3, dtype=dtype)])
    turns = SO3().uniform(20, (3, 3), torch.Generator().manual_seed(0)).to(dtype)
    x, turns = sphere.nearest(x), SO3().nearest(turns)
    half = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=dtype))
    for space, start, end in ((sphere, x, -x), (SO3(), turns, turns @ half)):
        p, q = start.clone().requires_grad_(), end.clone().requires_grad_()
        way, distance = space.log(p, q), space.distance(p, q)
        tolerance = 2e-3 if dtype == torch.float32 else 1e-7
        assert torch.allclose(distance, torch.full_like(distance, math.pi), atol=tolerance)
        assert torch.allclose(space.exp(start, way.detach()), end, atol=tolerance)
        for value in (way, distance, space.transport(p, q, way.detach())):
            gradients = torch.autograd.grad(value.sum(), (p, q), retain_graph=True)
            assert all(g.isfinite().all() for g in gradients)


def test_invariance_of_distances() -> None:
    space, x, y, generator = make("larger matrices")
    a = torch.randn(3, 3, generator=generator).double()
    assert torch.allclose(
        space.distance(a @ x @ a.mT, a @ y @ a.mT), space.distance(x, y), atol=1e-9
    )
    rotations, r, s, _ = make("rotations")
    turn = rotations.uniform(1, (3, 3), generator).double()
    for left, right in ((turn, torch.eye(3).double()), (torch.eye(3).double(), turn)):
        assert torch.allclose(
            rotations.distance(left @ r @ right, left @ s @ right), rotations.distance(r, s)
        )
