"""Spaces of compositions: charts and their volumes, steps that stay inside, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.distributions import Dirichlet, HeatKernel
from pushforward.errors import CapabilityError, InputError
from pushforward.models import HeatKernelDensity
from pushforward.processes import Brownian, ManifoldBridge, bridge_on, noising_on, path_on
from pushforward.spaces import (
    AdditiveLogRatio,
    Euclidean,
    FisherRao,
    IsometricLogRatio,
    LogRatios,
    Orthant,
    Product,
    Simplex,
    SquareRoots,
    Tokens,
    Vertices,
    replace_zeros,
)


def shares(n: int, parts: int = 4) -> torch.Tensor:
    return Dirichlet(torch.full((parts,), 1.5).double()).sample(n, seed=0)


@pytest.mark.parametrize("chart", [IsometricLogRatio(), AdditiveLogRatio()])
def test_log_ratios_and_back_with_their_volume(chart) -> None:
    x = shares(5)
    z, log_det = chart.inverse(x)
    assert torch.allclose(chart(z), x)
    for row, own in zip(z, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: chart(v[None])[0, :-1], row)
        assert float(own) == pytest.approx(-float(torch.linalg.slogdet(jacobian)[1]))


def test_isometric_log_ratios_keep_the_distances_of_aitchison() -> None:
    x, y = shares(6)[:3], shares(6)[3:]
    centered = [v.log() - v.log().mean(1, keepdim=True) for v in (x, y)]
    z, w = (IsometricLogRatio().inverse(v)[0] for v in (x, y))
    assert torch.allclose((z - w).norm(dim=1), (centered[0] - centered[1]).norm(dim=1))


def test_the_volume_of_roots_is_that_of_the_sphere() -> None:
    # The area of the whole part of the sphere, by importance sampling of shares.
    x = Dirichlet(torch.full((3,), 0.7).double()).sample(20_000, seed=0)
    _, log_det = SquareRoots().inverse(x)
    ratio = (log_det - Dirichlet(torch.full((3,), 0.7).double()).log_prob(x)).exp()
    area = math.exp(FisherRao().log_volume((3,)))
    assert area == pytest.approx(4 * math.pi / 8)
    assert float(ratio.mean()) == pytest.approx(area, abs=4 * float(ratio.std()) / 141)


def test_units_carry_data_to_states_and_back_with_their_volume() -> None:
    x = shares(200)
    for space in (LogRatios(), LogRatios(AdditiveLogRatio()), FisherRao()):
        units = space.units((4,)).double()
        units.fit(x)
        z = units.standardized(x)
        assert tuple(z.shape[1:]) == space.state_shape((4,))
        assert torch.allclose(units(z), x, atol=1e-10)
        if space.state_shape((4,)) == (3,):
            jacobian = torch.autograd.functional.jacobian(lambda v, u=units: u(v)[0, :-1], z[:1])
            volume = -torch.linalg.slogdet(jacobian.reshape(3, 3))[1]
            assert float(units.log_volume(z)[0]) == pytest.approx(float(volume))
        with pytest.raises(CapabilityError, match="from state to state"):
            units.log_det_inverse()


def test_steps_end_in_the_simplex_and_along_its_frame() -> None:
    space, x = Simplex(), shares(50)
    v = space.randn(x, torch.Generator().manual_seed(0))
    assert torch.allclose(v.sum(1), torch.zeros(50).double(), atol=1e-12)
    ends = space.exp(x, v)
    assert bool((ends >= 0).all())
    assert torch.allclose(ends.sum(1), torch.ones(50).double())
    frame = space.frame(x)
    assert torch.allclose(frame @ frame.mT, torch.eye(3).double().expand(50, 3, 3), atol=1e-12)
    two = space.frame(torch.full((1, 2, 3), 1 / 3).double()).flatten(2)[0]
    assert torch.allclose(two @ two.mT, torch.eye(4).double(), atol=1e-12)
    assert bool((Orthant().exp(x, v) >= 0).all())
    roots = FisherRao().exp(x.sqrt(), FisherRao().project(x.sqrt(), 3 * v))
    assert bool((roots >= 0).all())
    assert torch.allclose(roots.norm(dim=1), torch.ones(50).double())


def test_geodesics_of_fisher_and_rao_are_inverted_at_corners_too() -> None:
    space = FisherRao()
    x = torch.cat([shares(20).sqrt(), torch.eye(4).double()])
    y = torch.cat([torch.eye(4).double(), shares(20).sqrt()])
    assert torch.allclose(space.exp(x, space.log(x, y)), y, atol=1e-7)
    v = torch.randn(24, 4, generator=torch.Generator().manual_seed(1)).double()
    v = space.project(x, v)
    back = space.transport(y, x, space.transport(x, y, v))
    assert torch.allclose(back, v, atol=1e-7)


def test_zeros_are_replaced_and_ratios_stay() -> None:
    x = torch.tensor([[0.0, 0.3, 0.7], [0.1, 0.4, 0.5], [0.02, 0.48, 0.5]]).double()
    found = replace_zeros(x)
    assert float(found[0, 0]) == pytest.approx(0.65 * 0.02)
    assert torch.allclose(found.sum(1), torch.ones(3).double())
    assert float(found[0, 1] / found[0, 2]) == pytest.approx(3 / 7)
    assert torch.equal(found[1:], x[1:])


def test_what_is_no_composition_is_refused_with_its_row() -> None:
    good = torch.tensor([[0.5, 0.5]])
    for wrong, text in (
        ([[0.5, 0.5], [1.2, -0.2]], "row 1 has a share of -0.2"),
        ([[0.5, 0.5], [0.5, 0.4]], "row 1 sum to 0.9"),
        ([[1.0], [1.0]], "at least two"),
    ):
        with pytest.raises(InputError, match=text):
            Simplex().check(torch.tensor(wrong))
    with pytest.raises(InputError, match="3 shares, not 2"):
        Simplex(3).check(good)
    with pytest.raises(InputError, match="row 0 has a share of zero"):
        LogRatios().check(torch.tensor([[0.0, 1.0]]))
    Simplex().check(torch.tensor([[0.0, 1.0]]))
    with pytest.raises(InputError, match="row 1 holds -1"):
        Orthant().check(torch.tensor([[0.0, 1.0], [-1.0, 2.0]]))


def test_brownian_motion_of_roots_is_refused_where_it_is_asked_for() -> None:
    x = torch.full((1, 3), 3**-0.5)
    for ask in (
        lambda: Brownian(FisherRao()),
        lambda: ManifoldBridge(FisherRao()),
        lambda: noising_on(FisherRao(3)),
        lambda: bridge_on(FisherRao(3)),
        lambda: HeatKernel(FisherRao(), x[0], 0.1),
        lambda: HeatKernelDensity(FisherRao()),
        lambda: FisherRao().diffuse(x, torch.ones(1)),
    ):
        with pytest.raises(CapabilityError, match="WrightFisher"):
            ask()


def test_symbols_are_corners_and_come_back() -> None:
    space = Vertices(3)
    x = torch.tensor([[0, 2], [1, 1]])
    space.check(x)
    units = space.units((2,))
    assert torch.equal(units(units.standardized(x)), x)
    assert torch.equal(space.features(x), Tokens(3).features(x))
    with pytest.raises(InputError, match=r"0\.\.2"):
        space.check(torch.tensor([[3]]))


def test_processes_that_go_with_compositions() -> None:
    assert noising_on(Simplex(3)).space == LogRatios(parts=3)
    assert path_on(Simplex(3)).space == FisherRao(3)
    assert noising_on(Orthant()).space == Orthant()


def test_compositions_beside_numbers_have_the_volume_of_both() -> None:
    space = Product(LogRatios(), Euclidean())
    shape = (4,), (2,)
    assert space.state_shape(shape) == ((3,), (2,))
    units = space.units(shape).double()
    x = shares(50), 3 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    units.fit(x)
    z = units.standardized(x)
    parts = [own.log_volume(part) for own, part in zip(units.parts, z, strict=True)]
    assert torch.allclose(units.log_volume(z), parts[0] + parts[1])
    assert float(parts[1][0]) == pytest.approx(-float(x[1].std(0).log().sum()), abs=1e-6)
    assert torch.allclose(units(z)[0], x[0])
