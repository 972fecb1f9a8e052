"""Fields with cells that have no values: noise, losses, units and densities on the rest."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward import config
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import Downsample, GaussianNoise, Measurement
from pushforward.spaces import ChannelUnits, Fields, FieldsWithMeans

MASK = torch.tensor([[[1, 1, 0], [1, 0, 1]], [[1, 1, 1], [1, 1, 1]]]).bool()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_is_standard_normal_where_there_are_values() -> None:
    space, x = Fields(MASK), torch.zeros(50_000, 2, 2, 3)
    noise = space.randn(x, _generator())
    assert bool((noise[:, ~MASK] == 0).all())
    covariance = torch.cov(noise[:, MASK].mT)
    assert torch.allclose(covariance, torch.eye(10), atol=0.03)
    assert space.dimension((2, 2, 3)) == 10
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(noise[:5, MASK]).sum(1)
    assert torch.allclose(space.noise_log_prob(noise[:5]), exact)


def test_the_frame_is_orthonormal_and_spans_the_cells_with_values() -> None:
    space = Fields(MASK)
    frame = space.frame(torch.zeros(1, 2, 2, 3))[0].flatten(1)
    assert torch.equal(frame @ frame.mT, torch.eye(10))
    assert torch.equal(frame.sum(0) > 0, MASK.flatten())


def test_losses_weigh_cells_and_leave_out_those_without_values() -> None:
    weights = torch.tensor([[1.0], [3.0]])
    space = Fields(MASK, weights)
    v = torch.randn(4, 2, 2, 3, generator=_generator())
    w = (weights * MASK).double()
    exact = (v.double().square() * w).sum((1, 2, 3)) / w.sum()
    assert torch.allclose(space.squared_norm(v, v).double(), exact)
    land = v.clone()
    land[:, ~MASK] = 1e6
    assert torch.equal(space.squared_norm(v, v), space.squared_norm(v, space.project(v, land)))
    assert torch.allclose(Fields().squared_norm(v, v), v.square().mean((1, 2, 3)))


def test_units_belong_to_variables() -> None:
    x = torch.randn(400, 2, 2, 3, generator=_generator())
    x[:, 0] = 300 + 5 * x[:, 0]
    x[:, 1] = 1e-4 * x[:, 1]
    x[:, ~MASK] = 0
    units = Fields(MASK).units((2, 2, 3))
    units.fit(x)
    z = units.standardized(x)
    for channel in range(2):
        values = z[:, channel][:, MASK[channel]]
        assert float(values.mean()) == pytest.approx(0, abs=1e-4)
        assert float(values.std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert bool((z[:, ~MASK] == 0).all())
    assert torch.allclose(units(z), x, rtol=1e-5)
    inside = units(torch.ones(1, 2, 2, 3))
    assert bool((inside[:, ~MASK] == 0).all())
    counts = MASK.flatten(1).sum(1)
    exact = -(counts * units.scale.flatten().log()).sum()
    assert float(units.log_det_inverse()) == pytest.approx(float(exact))
    assert units.length == 1.0  # in standard deviations of each variable
    with pytest.raises(InputError, match="not finite"):
        units.fit(x / 0)


def test_a_model_of_a_masked_field_samples_its_distribution() -> None:
    # The exact denoiser of N(m, C) on the cells with values, whose density is on these alone.
    mask = torch.tensor([[[True, False, True]]])
    factor = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    covariance = torch.zeros(3, 3)
    covariance[0::2, 0::2] = factor @ factor.mT
    process = pf.processes.Gaussian(space=Fields(mask))

    class Denoiser(torch.nn.Module):
        def forward(self, x, t, c=None):
            alpha, sigma = (v.reshape(-1, 1, 1) for v in process.schedule.values(t))
            middle = alpha**2 * covariance + sigma**2 * torch.eye(3)
            gain = alpha * covariance @ torch.linalg.inv(middle)
            clean = (gain @ x.reshape(-1, 3, 1)).reshape(x.shape)
            return clean + 7.0  # where there are no values, a network may put out anything

    class Right(Denoiser):
        def forward(self, x, t, c=None):
            out = super().forward(x, t, c)
            return torch.where(mask, out - 7.0, out)

    model = pf.Diffusion(Right(), process, predict="data", event_shape=(1, 1, 3))
    x = model.sample(20_000, steps=30, seed=0).reshape(-1, 3)
    assert bool((x[:, 1] == 0).all())
    assert torch.allclose(torch.cov(x.mT), covariance, atol=0.03)
    states = x[:4].reshape(-1, 1, 1, 3)
    found = model.log_prob(states, steps=60).value
    exact = torch.distributions.MultivariateNormal(torch.zeros(2), covariance[0::2, 0::2])
    assert torch.allclose(found.float(), exact.log_prob(x[:4, 0::2]), atol=0.02)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="leaves no cell"):
        Fields(torch.zeros(2, 2))
    with pytest.raises(InputError, match="weights of cells"):
        Fields(weights=torch.tensor([1.0, -1.0]))
    with pytest.raises(InputError, match="mask of"):
        Fields(MASK).check(torch.zeros(1, 2, 3, 3))
    with pytest.raises(InputError, match="1 variables do not fit"):
        Fields(names=("u",)).check(torch.zeros(1, 2, 3, 3))
    with pytest.raises(InputError, match="fields have shape"):
        ChannelUnits((2, 2, 3)).fit(torch.zeros(3, 1, 2, 3))


def test_a_grid_is_saved_with_the_model(tmp_path) -> None:
    weights = torch.tensor([[1.0], [math.pi]])
    space = Fields(MASK, weights, (False, True), ("u", "v"))
    net = pf.nn.UNet(2, width=8, periodic=(False, True), positions=True)
    model = pf.Diffusion(net, pf.processes.Gaussian(space=space), event_shape=(2, 2, 3))
    model.save(tmp_path / "m")
    found = pf.load(tmp_path / "m").space
    assert torch.equal(found.mask, MASK)
    assert torch.equal(found.weights, weights)
    assert (found.periodic, found.names) == ((False, True), ("u", "v"))


def _varying(n: int) -> torch.Tensor:
    """Fields whose means vary ten times as much as the rest, of two variables, with land."""
    x = torch.randn(n, 2, 2, 3, generator=_generator())
    x = x * torch.tensor([[[1.0]], [[1e-3]]])
    x = x + torch.tensor([[[10.0]], [[1e-2]]]) * torch.randn(n, 2, 1, 1, generator=_generator(1))
    x = x + torch.tensor([[[300.0]], [[0.0]]])
    return torch.where(MASK, x, 0.0)


def test_means_and_deviations_are_scaled_apart_and_back() -> None:
    x = _varying(3000)
    units = FieldsWithMeans(MASK).units((2, 2, 3))
    units.fit(x)
    z = units.standardized(x)
    assert torch.allclose(units(z), x, rtol=1e-4, atol=1e-6)
    assert bool((z[:, ~MASK] == 0).all())
    for channel in range(2):
        values = z[:, channel][:, MASK[channel]]
        mean = values.mean(1)
        assert float(mean.square().mean()) == pytest.approx(1, abs=0.01)
        rest = (values - mean[:, None]).square().mean()
        assert float(rest) == pytest.approx(1, abs=0.01)


def test_their_volume_is_that_of_the_map() -> None:
    units = FieldsWithMeans(MASK).units((2, 2, 3)).double()
    units.fit(_varying(500))
    point = _varying(1).double()
    matrix = torch.autograd.functional.jacobian(units.standardized, point).reshape(12, 12)
    inside = MASK.flatten()
    exact = torch.linalg.slogdet(matrix[inside][:, inside])[1]
    assert float(units.log_det_inverse()) == pytest.approx(float(exact), rel=1e-6)
    with pytest.raises(CapabilityError, match="means and deviations"):
        _ = units.length


def test_a_variable_whose_means_do_not_vary_has_a_scale_all_the_same() -> None:
    x = torch.tensor([[[1.0, 3.0]], [[3.0, 1.0]]])
    units = FieldsWithMeans().units((1, 2))
    units.fit(x)
    assert torch.allclose(units(units.standardized(x)), x)
    assert float(units.mean_scale) == 1


@pytest.mark.parametrize("space", [Fields, FieldsWithMeans])
def test_units_do_not_depend_on_the_parts_in_which_rows_are_read(
    monkeypatch: pytest.MonkeyPatch, space: type[Fields]
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = 5 + torch.randn(30, 2, 3, 4, generator=generator)
    x += torch.randn(30, 2, 1, 1, generator=generator)
    mask = torch.rand(2, 3, 4, generator=generator) < 0.7
    whole, parts = (space(mask=mask).units((2, 3, 4)) for _ in range(2))
    whole.fit(x)
    monkeypatch.setattr("pushforward.spaces.channel_units._NUMBERS", 100)
    parts.fit(x)
    values = x.double()[:, mask].split(mask.flatten(1).sum(1).tolist(), 1)
    assert torch.allclose(whole.shift.flatten().double(), torch.stack([v.mean() for v in values]))
    for name, known in whole.state_dict().items():
        assert torch.allclose(parts.state_dict()[name], known, rtol=1e-6), name


def test_some_cell_with_a_value_needs_a_weight() -> None:
    mask = torch.tensor([[[True, False]]])
    space = Fields(mask=mask, weights=torch.tensor([[[0.0, 1.0]]]))
    with pytest.raises(InputError, match="no cell with a value has a weight"):
        space.check(torch.zeros(2, 1, 1, 2))


def test_spaces_of_older_runs_are_found_again() -> None:
    for apart, kind in ((False, Fields), (True, FieldsWithMeans)):
        spec = {"class": "spaces.Fields", "args": {"periodic": [True, False], "means_apart": apart}}
        found = config.build(spec)
        assert type(found) is kind
        assert found.periodic == (True, False)
        again = config.build(config.describe(found))
        assert type(again) is kind
        assert repr(again) == repr(found)
    with pytest.raises(InputError, match="means_aparts"):
        config.build({"class": "spaces.Fields", "args": {"means_aparts": True}})


def test_measurements_are_refused_in_units_that_mix_cells() -> None:
    x = _varying(200)
    for space, fine in ((Fields(), True), (FieldsWithMeans(), False)):
        units = space.units((2, 2, 3))
        units.fit(x)
        operator, y = Downsample((2, 3)), torch.zeros(2, 1, 1)
        if fine:
            found = Measurement.of(y, operator, GaussianNoise(0.1), (2, 2, 3), units)
            assert torch.allclose(
                found.shift + found.scale * 0.5, units(torch.full_like(x[:1], 0.5))[0]
            )
        else:
            with pytest.raises(CapabilityError, match="mix them"):
                Measurement.of(y, operator, GaussianNoise(0.1), (2, 2, 3), units)
