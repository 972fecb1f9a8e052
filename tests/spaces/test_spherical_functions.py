"""Functions on the sphere: quadrature, harmonics, isotropic noise and the operator on grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward._legendre import legendre, row_weights
from pushforward.errors import InputError
from pushforward.models import at_points
from pushforward.nn import SphericalOperator
from pushforward.nn.spherical_operator import SphericalConvolution
from pushforward.spaces import SphericalFunctions, SphericalMatern

NOISE = SphericalMatern(nu=0.5, length=0.4, degrees=48)


def _axes(rows: int, columns: int) -> list[list[float]]:
    step = 180 / rows
    return [
        [-90 + step * (k + 0.5) for k in range(rows)],
        [360 / columns * (k + 0.5) for k in range(columns)],
    ]


def _gauss(rows: int) -> list[float]:
    x, _ = np.polynomial.legendre.leggauss(rows)
    return np.rad2deg(np.arcsin(x)).tolist()


def _harmonic(axes: list[list[float]]) -> Tensor:
    """A polynomial of degree three in x, y and z."""
    lat, lon = torch.meshgrid(*(torch.tensor(axis).deg2rad() for axis in axes), indexing="ij")
    x, y, z = lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()
    return 0.3 + z - x * y + z * z * x


def test_quadrature_on_common_rows() -> None:
    gauss, own = np.polynomial.legendre.leggauss(6)
    assert torch.allclose(row_weights(torch.tensor(gauss)), torch.tensor(own))
    for rows in ([-75, -45, -15, 15, 45, 75], [-90, -54, -18, 18, 54, 90]):
        x = torch.tensor(rows).double().deg2rad().sin()
        weights = row_weights(x)
        for power in range(6):
            exact = 2 / (power + 1) if power % 2 == 0 else 0.0
            assert float((weights * x**power).sum()) == pytest.approx(exact, abs=1e-12)
    # Rows where that would make negative weights have the lengths of their cells.
    x = torch.tensor([-0.95, -0.9, -0.85, 0.0, 0.99])
    assert torch.allclose(row_weights(x)[0], torch.tensor(0.075, dtype=torch.float64))
    found = legendre(torch.tensor(gauss), 6)
    for m in range(3):
        product = (found[m:, m] * torch.tensor(own)) @ found[m:, m].mT
        assert torch.allclose(product, torch.eye(6 - m, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("axes", [_axes(6, 8), [_gauss(5)[::-1], _axes(2, 9)[1]]])
def test_noise_is_the_same_in_all_directions_and_on_all_grids(axes: list[list[float]]) -> None:
    space = SphericalFunctions(NOISE, axes)
    sizes = (len(axes[0]), len(axes[1]))
    n = math.prod(sizes)
    eye = torch.eye(n, dtype=torch.float64).reshape(n, *sizes)
    root = space.root(sizes)
    columns = root.color(eye).reshape(n, n)
    found = columns.mT @ columns
    lat, lon = torch.cartesian_prod(
        *(torch.tensor(axis).double().deg2rad() for axis in axes)
    ).unbind(1)
    place = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1)
    cosine = (place @ place.mT).clamp(-1, 1).numpy()
    degree = np.arange(NOISE.degrees)
    series = (2 * degree + 1) / (4 * math.pi) * NOISE.spectrum().numpy()
    exact = torch.from_numpy(np.polynomial.legendre.legval(cosine, series))
    assert torch.allclose(found, exact, atol=1e-5)
    x = space.randn(torch.zeros(2, 1, *sizes).double(), torch.Generator().manual_seed(0))
    assert torch.allclose(root.color(root.whiten(x)), x)
    assert float((root.transpose(x) * x).sum()) == pytest.approx(
        float((x * root.color(x)).sum()), rel=1e-10
    )
    assert root.log_det == pytest.approx(float(torch.linalg.slogdet(found)[1]) / 2, rel=1e-6)


def test_losses_weigh_areas() -> None:
    space = SphericalFunctions(axes=_axes(24, 8))
    x = torch.zeros(2, 1, 24, 8)
    lat = torch.tensor(space.axes[0]).deg2rad()
    x[0], x[1] = 1.0, lat.sin().reshape(-1, 1)
    assert torch.allclose(space.squared_norm(x, x), torch.tensor([1.0, 1 / 3]), atol=1e-4)


def test_convolutions_are_of_the_function_and_not_of_its_grid() -> None:
    torch.manual_seed(0)
    maps = []
    for axes in (_axes(12, 16), [_gauss(14), _axes(2, 18)[1]]):
        layer = SphericalConvolution(1, 6, torch.tensor(axes[0]).double().deg2rad().sin())
        layer.weight = maps[0][0].weight if maps else layer.weight
        maps.append((layer, axes))
    # A matrix for each degree: on a harmonic of degree one, that of degree one.
    for layer, axes in maps:
        tilted = torch.tensor(axes[0]).deg2rad().sin().reshape(-1, 1).expand(-1, len(axes[1]))
        out = layer(tilted.reshape(1, 1, *tilted.shape))
        assert torch.allclose(out[0, 0], layer.weight[1, 0, 0] * tilted, atol=1e-5)
    # And at the same place of both grids, the same result of a function of several degrees.
    norms = []
    for layer, axes in maps:
        out = layer(_harmonic(axes)[None, None]).detach()[0, 0].double()
        weights = row_weights(torch.tensor(axes[0]).double().deg2rad().sin())
        norms.append(float(weights @ out.square().mean(1)))
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    layer, axes = maps[0]
    x = torch.randn(1, 1, 12, 16)
    assert torch.allclose(layer(x.roll(3, -1)), layer(x).roll(3, -1), atol=1e-5)


def test_a_model_of_the_sphere_on_another_grid() -> None:
    axes = _axes(6, 8)
    space = SphericalFunctions(NOISE, axes)
    net = SphericalOperator(1, space.unit_points((6, 8)).float(), width=6, degrees=3, depth=1)
    model = pf.Diffusion(net, pf.processes.Gaussian(space=space), event_shape=(1, 6, 8))
    loss = model.loss(torch.randn(4, 1, 6, 8), generator=torch.Generator().manual_seed(0))
    loss.mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)
    fine = at_points(model, _axes(12, 16))
    assert fine.space.domain == space.domain
    # Without a network the draws are a multiple of the noise: means over the sphere agree.
    means = []
    for one in (model, fine):
        x = one.sample(400, steps=4, seed=0)[:, 0].double()
        weights = row_weights(torch.tensor(one.space.axes[0]).double().deg2rad().sin()) / 2
        means.append(float((x.mean(-1) @ weights).std()))
    assert means[0] == pytest.approx(means[1], rel=5 * (2 / 400) ** 0.5)
    with pytest.raises(InputError, match="on 6 x 8 points of the sphere"):
        net(torch.zeros(1, 1, 8, 8), 0.5)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ([[0.0, 30.0, 60.0], _axes(2, 8)[1]], "a part of the sphere"),
        ([[-100.0, 0.0, 60.0], _axes(2, 8)[1]], "-90 to 90"),
        ([_axes(6, 8)[0], [0.0, 90.0, 180.0]], "all around in equal steps"),
        ([[0.0, 1.0]], "not 1 axes"),
    ],
)
def test_other_grids_are_refused(axes: list[list[float]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SphericalFunctions(axes=axes)
    with pytest.raises(InputError, match="x, y and z"):
        SphericalFunctions(points=torch.zeros(3, 2))
