"""Functions: noise that has a limit, values that are missing, losses by quadrature."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import fft

import pushforward as pf
from pushforward.config import build, describe
from pushforward.errors import InputError
from pushforward.models.format_versions import check_format_versions
from pushforward.spaces import Functions, Spectral, SphericalFunctions, SphericalMatern, kernels
from pushforward.spaces.function_noise import KernelRoot
from pushforward.spaces.trigonometric import from_modes, to_modes

GAP = math.nan


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _covariance(root: object, *sizes: int) -> torch.Tensor:
    """Of the noise at the points, exactly: a column for each number of white noise."""
    basis = torch.eye(math.prod(sizes), dtype=torch.float64).reshape(-1, *sizes)
    columns = root.color(basis).flatten(1)  # type: ignore[attr-defined]
    return columns.mT @ columns


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_the_cosine_transform_is_that_of_scipy(size: int) -> None:
    x = torch.randn(3, size, dtype=torch.float64, generator=_generator())
    expected = torch.from_numpy(fft.dct(x.numpy(), norm="ortho"))
    assert torch.allclose(to_modes(x, (False,)), expected)
    for turns in (True, False):
        assert torch.allclose(from_modes(to_modes(x, (turns,)), (turns,)), x)
        norm = to_modes(x, (turns,)).square().sum()
        assert torch.allclose(norm, x.square().sum())


@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_spectral_noise_is_the_kernel_away_from_the_ends(nu: float, turns: bool) -> None:
    kernel = kernels.Matern(nu, length=0.05)
    found = _covariance(Spectral(kernel).root((400,), (turns,)), 400)
    place = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    middle = slice(180, 220)
    exact = kernel(place[middle, None] - place[None, middle])
    # What the grid cannot resolve is missing: at most the tail of the spectrum.
    assert torch.allclose(found[middle, middle], exact, atol={0.5: 0.04, 1.5: 2e-4}.get(nu, 1e-5))


@pytest.mark.parametrize("kernel", [kernels.Matern(0.5, 0.2), kernels.SquaredExponential(0.2)])
def test_noise_converges_as_the_grid_is_refined(kernel: kernels.SpectralKernel) -> None:
    # Means over halves of the domain, of which a finer grid is a better quadrature.
    found = []
    for n in (32, 64, 128, 256):
        covariance = _covariance(Spectral(kernel).root((n,), (False,)), n)
        found.append(float(covariance[: n // 2, n // 2 :].mean()))
    steps = [abs(b - a) for a, b in itertools.pairwise(found)]
    assert steps[1] < 0.6 * steps[0] + 1e-9
    assert steps[2] < 0.6 * steps[1] + 1e-9
    assert steps[2] < 1e-3


def test_smooth_noise_in_single_precision() -> None:
    space = Functions(Spectral(kernels.SquaredExponential(0.3)))
    noise = space.randn(torch.zeros(500, 1, 512), _generator())
    assert noise.dtype == torch.float32
    white = space.root((512,)).whiten(noise)
    # Single precision rounds what the smallest eigenvalues would blow up, up to their floor.
    assert bool(white[..., :10].isfinite().all())
    assert float(white[..., 0].square().mean()) == pytest.approx(1.0, abs=0.2)


def test_the_density_of_noise_is_that_of_its_covariance() -> None:
    for space, sizes in (
        (Functions(periodic=[False, True]), (4, 5)),
        (
            Functions(kernels.Matern(1.5, 0.3), points=torch.rand(6, 2, generator=_generator())),
            (6,),
        ),
    ):
        covariance = _covariance(space.root(sizes), *sizes)
        law = torch.distributions.MultivariateNormal(torch.zeros(len(covariance)).double(),
                                                     covariance)  # fmt: skip
        x = torch.randn(3, 2, *sizes, dtype=torch.float64, generator=_generator(1))
        expected = law.log_prob(x.flatten(2)).sum(1)
        assert torch.allclose(space.noise_log_prob(x), expected)


def test_noise_at_some_points_is_the_marginal() -> None:
    points = torch.rand(5, 1, generator=_generator())
    space = Functions(kernels.Matern(0.5, 0.3), points=points)
    x = torch.zeros(20_000, 1, 5, dtype=torch.float64)
    x[::2, :, [1, 3]] = GAP
    noise = space.randn(x, _generator(1))[::2, 0][:, [0, 2, 4]]
    root = space.root((5,))
    assert isinstance(root, KernelRoot)
    exact = (root.factor @ root.factor.mT)[[0, 2, 4]][:, [0, 2, 4]]
    assert torch.allclose(torch.cov(noise.mT), exact, atol=0.05)


def test_missing_values_have_no_part_in_losses_and_units() -> None:
    space = Functions(axes=[[0.0, 1.0, 3.0]])
    v = torch.tensor([[[1.0, GAP, 2.0]]])
    # Cells end halfway to the next point, the first and the last as far beyond: 1, 1.5 and 2.
    assert float(space.squared_norm(v, v)) == pytest.approx((1 * 1 + 2 * 4) / 3)
    assert space.squared_norm(v[..., :1].expand(1, 1, 3), torch.ones(1, 1, 3)).tolist() == [1.0]
    units = space.units((1, 3))
    units.fit(torch.tensor([[[1.0, GAP, 3.0]], [[1.0, 3.0, GAP]]]))
    assert float(units.shift) == 2.0
    assert float(units.scale) == 1.0
    z = units.standardized(v)
    assert z.isnan().tolist() == v.isnan().tolist()
    assert torch.equal(units(z).nan_to_num(), v.nan_to_num())


def test_the_process_leaves_gaps_where_they_are_and_gradients_finite() -> None:
    space = Functions()
    process = pf.processes.Gaussian(space=space)
    z = torch.randn(4, 1, 6, generator=_generator())
    z[0, 0, 2] = GAP
    x = process.sample(z, torch.full((4,), 0.5), _generator(1))
    assert x.isnan().nonzero().tolist() == [[0, 0, 2]]
    net = pf.nn.FourierOperator(1, width=4, depth=1, masked=True)
    model = pf.Diffusion(net, process, event_shape=(1, 6))
    model.loss(z).mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


def test_the_cameron_martin_norm_has_a_limit_for_what_is_smooth() -> None:
    kernel = kernels.Matern(0.5, length=0.2)
    sizes = {}
    for n in (64, 128, 256):
        space = Functions(Spectral(kernel), norm="cameron-martin")
        place = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        smooth = torch.cos(2 * math.pi * place).reshape(1, 1, n)
        rough = space.randn(smooth, _generator())
        sizes[n] = tuple(float(space.squared_norm(v, v)) for v in (smooth, rough))
    # One mode: half a unit of L2 norm over its eigenvalue.
    exact = 0.5 / float(kernel.spectral_density(torch.tensor((2 * math.pi) ** 2).double(), 1))
    assert [sizes[n][0] for n in sizes] == pytest.approx(3 * [exact], rel=1e-6)
    # A draw of the noise is not in the space: its norm grows as the number of points.
    assert sizes[256][1] / sizes[64][1] == pytest.approx(4.0, rel=0.35)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Functions(axes=[[0.0, 0.0]]), "numbers that grow"),
        (lambda: Functions(Spectral(), axes=[[0.0, 1.0, 5.0]]), "regular grids"),
        (lambda: Functions(axes=[[0.0, 1.0]], domain=[[0.5, 2.0]]), "not in the domain"),
        (lambda: Functions(axes=[[0.0, 1.0]], domain=[[-0.5, 3.5]]), "for the whole domain"),
        (lambda: Functions(masked=True, norm="cameron-martin"), "of complete functions"),
        (lambda: Functions(points=torch.zeros(3, 4)), "one to three coordinates"),
        (lambda: Spectral(kernels.Periodic()), "no spectral density"),
        (lambda: Functions().check(torch.zeros(1, 5)), "shape"),
        (lambda: Functions().check(torch.full((2, 1, 5), GAP)), "function 0 has no value"),
        (lambda: Functions(axes=[[0.0, 1.0]]).check(torch.zeros(1, 1, 3)), "at 2 points"),
        (
            lambda: Functions(kernels.SquaredExponential(), points=torch.zeros(2, 1)).root((2,)),
            None,
        ),
    ],
)
def test_bad_input_is_named(make: object, said: str | None) -> None:
    if said is None:
        make()  # type: ignore[operator]  # two equal points: the jitter tells them apart
        return
    with pytest.raises(InputError, match=said):
        make()  # type: ignore[operator]


def test_saved_by_name() -> None:
    space = Functions(axes=[[0.0, 1.0, 2.0]], periodic=[True], masked=True)
    tensors: dict[str, torch.Tensor] = {}
    again = pf.config.build(pf.config.describe(space, tensors=tensors), tensors=tensors)
    assert repr(again) == repr(space)
    assert again.noise == Spectral(kernels.Matern(0.5, 0.02))
    assert (again.axes, again.periodic, again.masked) == (space.axes, (True,), True)


def test_functions_saved_before_the_noise_was_shorter_keep_theirs() -> None:
    spec = describe(Functions())
    assert spec["version"] == 2
    assert build(spec).noise == Spectral(kernels.Matern(0.5, 0.02))
    del spec["version"]
    assert build(spec).noise == Spectral(kernels.Matern(0.5, 0.1))
    # What was said of the noise, and what the data had said of it, was written.
    told = describe(Functions(axes=[[0.0, 1.0]]))
    told.pop("version")
    assert build(told).noise == Spectral(kernels.Matern(0.5, 0.02))
    around = describe(SphericalFunctions(axes=[[-60.0, 0.0, 60.0], [0.0, 120.0, 240.0]]))
    around.pop("version")
    assert isinstance(build(around).noise, SphericalMatern)
    check_format_versions({"class": "spaces.Functions", "args": {}}, "runs/curves")


def test_white_noise_is_independent_however_near_two_points_are() -> None:
    near = Functions(kernels.White(4.0), points=torch.tensor([[0.0], [1e-9], [1.0]]).double())
    assert torch.allclose(_covariance(near.root((3,)), 3), 4 * torch.eye(3).double(), rtol=1e-5)
    with pytest.raises(InputError, match="no spectral density"):
        Spectral(kernels.White())
