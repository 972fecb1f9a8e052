"""Estimated supports against exact distances; detectors against the rate that they keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import chamfer, hausdorff
from pushforward.support import (
    AnomalyDetector,
    Circles,
    DenoiserSupport,
    Embedded,
    GeneratorSupport,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    NeighborBalls,
    RingTorus,
    SwissRoll,
    compare_with_known,
)

G = torch.Generator().manual_seed


def _around(known: KnownSupport, away: float, n: int = 200) -> Tensor:
    """Points at several distances from a support."""
    return known.sample(n, noise=away, seed=3)


@pytest.mark.parametrize(
    "known",
    [Embedded(Hypersphere(1), 5), Hypersphere(3), Circles(3), LinearSubspace(2, 6)],
    ids=str,
)
def test_exact_denoisers_project_up_to_the_square_of_their_noise(known: KnownSupport) -> None:
    x = _around(known, 0.1).double()
    truth, near = known.distance(x), known.project(x)
    # The subspace is shrunk by its distance from the middle, spheres by half of their dimension
    # over the length of the point.
    lengths = x.norm(dim=1), near.norm(dim=1)
    most = 1.05 * max(float(lengths[1].max()), known.dim / (2 * float(lengths[0].min())))
    for sigma in (0.1, 0.03, 0.01):
        found = DenoiserSupport(known.posterior_mean, sigma, start=sigma, steps=1)
        assert (found.project(x) - near).norm(dim=1).max() < most * sigma**2
        assert (found.distance(x) - truth).abs().max() < most * sigma**2
        # Over several levels the errors add up.
        several = DenoiserSupport(known.posterior_mean, sigma, start=2 * sigma, steps=3)
        assert (several.project(x) - near).norm(dim=1).max() < 7 * most * sigma**2


@pytest.mark.parametrize("known", [RingTorus(), SwissRoll()], ids=str)
def test_a_denoiser_of_many_points_knows_the_distance(known: KnownSupport) -> None:
    points = known.points(20_000, G(0))

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return (-torch.cdist(x, points).square() / (2 * sigma**2)).softmax(1) @ points

    x = _around(known, 0.1, 50).double()
    found = DenoiserSupport(denoise, 0.05, start=0.1, steps=3).distance(x)
    assert (found - known.distance(x)).abs().mean() < 0.03


def test_of_a_model_points_are_in_data_units(
    exact_diffusion: Callable[[KnownSupport], pf.Diffusion],
) -> None:
    circle = Hypersphere(1)
    model = exact_diffusion(circle)
    units = model.known_units()
    units.shift.fill_(5.0)
    units.scale.fill_(10.0)
    x = torch.tensor([[5.0, 25.0], [12.0, 5.0]])
    found = DenoiserSupport.of_model(model, 0.02).distance(x)
    torch.testing.assert_close(found, torch.tensor([10.0, 3.0]), rtol=0, atol=0.02)
    gan = pf.GAN.for_data(pf.data.load("8gaussians", n=50), width=8)
    with pytest.raises(CapabilityError):
        DenoiserSupport.of_model(gan, 0.1)
    with pytest.raises(InputError, match="levels fall"):
        DenoiserSupport(circle.posterior_mean, 0.1, start=0.01)


def test_a_generator_is_searched_for_the_nearest_point() -> None:
    torus = RingTorus()

    def generate(z: Tensor) -> Tensor:
        a, b = z[:, 0] * 2, z[:, 1] * 2
        across = torus.ring + torus.tube * b.cos()
        return torch.stack([across * a.cos(), across * a.sin(), torus.tube * b.sin()], 1)

    x = _around(torus, 0.1, 100)
    truth = torus.distance(x)
    found = GeneratorSupport(generate, 2, draws=1000)
    coarse = GeneratorSupport(generate, 2, draws=1000, steps=0)
    assert (found.distance(x) - truth).min() > -1e-5
    # The tube has a radius of .4: of points .3 off, 20 steps leave .75^20.
    assert (found.distance(x) - truth).max() < 1e-3
    assert (coarse.distance(x) - truth).max() > 1e-2
    # What one point is given does not depend on the others.
    torch.testing.assert_close(found.distance(x[:3]), found.distance(x)[:3])


def test_balls_reach_as_far_as_they_should() -> None:
    centers = torch.randn(50, 2, generator=G(0))
    x = 3 * torch.randn(40, 2, generator=G(1))
    for balls in (NeighborBalls(centers, k=2), NeighborBalls(centers, radius=0.3)):
        far = (torch.cdist(x.double(), balls.centers) - balls.radii).amin(1).clamp(min=0)
        torch.testing.assert_close(balls.distance(x).double(), far, atol=1e-6, rtol=1e-5)
        assert balls.distance(centers).max() == 0
    with pytest.raises(InputError, match=r"shape \(2,\) as the centers"):
        balls.project(torch.zeros(1, 3))


def test_samples_beside_the_truth() -> None:
    known = Embedded(RingTorus(), 6)
    exact = compare_with_known(known.sample(400, seed=1), known, draws=2000)
    assert exact.off.value < 1e-6
    assert exact.missing.value == pytest.approx(exact.floor.value, abs=5 * exact.floor.stderr)
    noisy = compare_with_known(known.sample(400, noise=0.1, seed=1), known, draws=2000)
    # Four directions are normal to the torus.
    assert noisy.off.value == pytest.approx(0.1 * 1.88, rel=0.05)
    assert noisy.furthest > 0.3
    # Of draws of the truth, the distances of finite sets.
    x, truth = known.points(300, G(5)), known.points(2000, G(0))
    found = compare_with_known(x, known, draws=2000, seed=0)
    assert found.hausdorff == pytest.approx(hausdorff(x, truth).value)
    assert found.chamfer.value < chamfer(x, truth).value


def test_false_alarms_are_as_rare_as_promised() -> None:
    alpha, m, trials = 0.1, 20, 4000
    g = G(0)
    rates = []
    for _ in range(trials // 100):
        detectors = [
            AnomalyDetector(lambda x: x[:, 0].square(), torch.randn(m, 1, generator=g))
            for _ in range(100)
        ]
        rates += [float(d.outside(torch.randn(1, 1, generator=g), alpha)) for d in detectors]
    rate = sum(rates) / trials
    # Two of the 21 ranks that a point may have: the largest share that is no more than alpha.
    assert abs(rate - 2 / 21) < 4 * (alpha * (1 - alpha) / trials) ** 0.5
    with pytest.raises(InputError, match="takes 99 held-out points"):
        detectors[0].outside(torch.zeros(1, 1), 0.01)
    with pytest.raises(InputError, match="1 NaN"):
        AnomalyDetector(lambda x: x[:, 0], torch.full((1, 1), torch.nan))


def test_scores_of_all_kinds_see_what_is_outside() -> None:
    known = Embedded(Hypersphere(1), 3)
    train, held, fresh = (known.sample(300, noise=0.02, seed=k) for k in range(3))
    density = pf.KernelDensity(bandwidth=0.05)
    density.fit_units(train)
    density.prepare(train, generator=G(0))
    inside_of_the_circle = 0.3 * known.sample(100, seed=4)
    for score in (
        DenoiserSupport(known.posterior_mean, 0.02).distance,
        NeighborBalls(train, radius=0).distance,
        lambda x: -density.log_prob(x).value,
    ):
        detector = AnomalyDetector(score, held)
        assert detector.outside(inside_of_the_circle).all()
        assert float(detector.outside(fresh).double().mean()) < 0.13
