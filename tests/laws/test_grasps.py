"""Poses given the pose of an object: the closed law, what it keeps when things move, and draws."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special

import pushforward as pf
from pushforward import Transport, samplers, schedules, state
from pushforward.analytic import AnalyticGrasps
from pushforward.processes import Brownian, Gaussian, ProductProcess, path_on
from pushforward.spaces import SO3, Euclidean, Product, poses
from pushforward.spaces._rotation_heat import log_kernel

MUG = AnalyticGrasps.of_mug()
ANGLE, DISTANCE = math.radians(25), 0.25


def _objects(n: int, seed: int = 0):
    turned, place = MUG.objects(n, seed=seed)
    return SO3().nearest(turned.double()), place.double()


def _motion(n: int):
    """One rigid motion, for all."""
    turn, place = _objects(1, seed=99)
    return turn.expand(n, 3, 3), 2 * place.expand(n, 3)


def _expected_success() -> float:
    """The chance of an angle of IGSO(3) times that of a normal vector, both by their densities."""
    nodes, weights = map(torch.from_numpy, special.roots_legendre(200))
    angles = 0.5 * ANGLE * (nodes + 1)
    variance = torch.full_like(angles, MUG.angle_variance)
    density = log_kernel(angles, variance)[0].exp() * (1 - angles.cos()) / math.pi
    near = 0.5 * ANGLE * float((weights * density).sum())
    # The squared length over the variance is chi-square with three degrees.
    return near * float(special.gammainc(1.5, DISTANCE**2 / (2 * MUG.variance)))


def test_components_are_rotations() -> None:
    SO3().check(MUG.rotations)


def test_poses_are_a_group() -> None:
    a, b = _objects(5, 1), _objects(5, 2)
    for found, known in (
        (poses.compose(a, poses.relative(b, a)), b),
        (poses.compose(a, poses.inverse(a)), (torch.eye(3).expand(5, 3, 3), torch.zeros(5, 3))),
        (poses.relative(b, a), poses.compose(poses.inverse(a), b)),
    ):
        for one, other in zip(found, known, strict=True):
            assert torch.allclose(one, other.double(), atol=1e-12)


def test_the_law_moves_with_the_object() -> None:
    n = 20
    objects, motion = _objects(n), _motion(n)
    grasps = MUG.sample(objects, seed=1)
    moved, there = poses.compose(motion, grasps), poses.compose(motion, objects)
    assert torch.allclose(MUG.log_prob(moved, there), MUG.log_prob(grasps, objects), atol=1e-9)
    # Not with the object alone.
    assert float((MUG.log_prob(grasps, there) - MUG.log_prob(grasps, objects)).abs().min()) > 1
    # Scores turn with it; the mean of the position is moved.
    process = ProductProcess((Brownian(SO3()), Gaussian(schedules.VP())))
    t = 0.3
    x = process.sample(grasps, t, torch.Generator().manual_seed(0))
    alpha = float(process.factors[1].clock.values(t)[0])
    score, mean = MUG.model(process, objects)(x, t)
    faded = motion[0], alpha * motion[1]
    again = MUG.model(process, there)(poses.compose(faded, x), t)
    assert torch.allclose(again[0], motion[0] @ score, atol=1e-9)
    assert torch.allclose(again[1], poses.compose(motion, (score, mean))[1], atol=1e-9)


def test_the_density_is_one_of_poses() -> None:
    # Its mass: uniform rotations beside normal positions as wide as the object, weighted.
    # A wide one, so that this has a small error.
    broad = AnalyticGrasps(MUG.rotations, MUG.positions, 0.6, 0.3, MUG.weights)
    n = 40_000
    objects = tuple(part[:1].expand(n, *part.shape[1:]) for part in _objects(1))
    generator = torch.Generator().manual_seed(2)
    wide = torch.distributions.Normal(0.0, 1.2)
    near = 1.2 * torch.randn(n, 3, generator=generator).double()
    grasps = SO3().uniform(n, (3, 3), generator).double(), objects[1] + near
    logs = broad.log_prob(grasps, objects) - wide.log_prob(near).sum(1) + math.log(8 * math.pi**2)
    mass = logs.exp()
    assert float(mass.mean()) == pytest.approx(1, abs=4 * float(mass.std()) / n**0.5)
    assert 4 * float(mass.std()) / n**0.5 < 0.1


def test_success_depends_on_orientation() -> None:
    n = 6_000
    objects = _objects(n)
    grasps = MUG.sample(objects, seed=3)
    expected = _expected_success()
    found = float(MUG.success(grasps, objects, ANGLE, DISTANCE).double().mean())
    assert 0.6 < expected < 0.95
    assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)
    # At the same places with hands turned at random: one of them at the rim, two at the handle.
    hands = SO3().uniform(n, (3, 3), torch.Generator().manual_seed(4)).double()
    ball = (ANGLE - math.sin(ANGLE)) / math.pi
    place = float(special.gammainc(1.5, DISTANCE**2 / (2 * MUG.variance)))
    chance = (0.5 + 0.5 * 2) * ball * place
    turned = float(MUG.success((hands, grasps[1]), objects, ANGLE, DISTANCE).double().mean())
    assert turned == pytest.approx(chance, abs=4 * (chance / n) ** 0.5)


def test_exact_scores_draw_grasps_of_each_object() -> None:
    n = 600
    objects = _objects(n)
    process = ProductProcess(
        (Brownian(SO3(), schedules.VE(sigma_min=0.02, sigma_max=4.0)), Gaussian(schedules.VP()))
    )
    start = state.to(process.prior(((3, 3), (3,))).sample(n, seed=5), "cpu", torch.float64)
    first, last = process.interval
    times = (torch.linspace(first**0.5, last**0.5, 81).double() ** 2).tolist()
    transport = Transport(MUG.model(process, objects), process)
    x = samplers.run(samplers.Euler(churn=1.0), transport, start, times, seed=6)
    expected = _expected_success()
    found = float(MUG.success(x, objects, ANGLE, DISTANCE).double().mean())
    assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5 + 0.03)
    entropy = MUG.log_prob(MUG.sample(objects, seed=7), objects)
    logs = MUG.log_prob(x, objects)
    error = (float(logs.var() + entropy.var()) / n) ** 0.5
    assert float(logs.mean()) == pytest.approx(float(entropy.mean()), abs=4 * error + 0.15)


def test_a_model_of_relative_poses_is_equivariant() -> None:
    n = 3_000
    objects = _objects(n)
    seen = poses.relative(MUG.sample(objects, seed=8), objects)
    space = Product(SO3(), Euclidean(3))
    data = pf.data.load(state.map_leaves(lambda part: part.float(), seen), space=space)
    model = pf.FlowMatching.for_data(data, path=path_on(space))
    run = pf.fit(model, data, steps=150, batch_size=128, lr=5e-3, seed=0, progress=False)

    def draw(objects, seed: int):
        h = run.model.sample(len(objects[0]), steps=20, seed=seed)
        return poses.compose(objects, state.map_leaves(lambda part: part.double(), h))

    few = tuple(part[:200] for part in objects)
    motion = _motion(200)
    for one, other in zip(
        draw(poses.compose(motion, few), 9), poses.compose(motion, draw(few, 9)), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-5)
    # And what it has learned in seconds is far from chance.
    found = float(MUG.success(draw(few, 10), few, ANGLE, DISTANCE).double().mean())
    assert found > 0.1 * _expected_success()
