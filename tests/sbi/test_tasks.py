"""The tasks of sbibm: their laws, and the reader of their files."""

from __future__ import annotations

import bz2
import math
import zipfile
from pathlib import Path

import pytest
import torch

from pushforward import sbi
from pushforward.errors import InputError
from pushforward.sbi.differential_equations import lotka_volterra, susceptible_infected_recovered


def _at(name: str, theta: list[float], n: int = 20_000) -> torch.Tensor:
    return sbi.task(name).simulator(torch.tensor(theta).expand(n, -1), 3)


@pytest.mark.parametrize("name", sbi.TASKS)
def test_shapes_seeds_and_rows(name: str) -> None:
    task = sbi.task(name)
    theta = task.prior.sample(6, seed=0)
    y = task.simulator(theta, 1)
    assert theta.shape == (6, task.parameters)
    assert y.shape == (6, task.observations)
    assert bool(y.isfinite().all())
    assert torch.equal(y, task.simulator(theta, 1))
    assert not torch.equal(y, task.simulator(theta, 2))


def test_two_moons_do_not_tell_parameters_from_their_reflection() -> None:
    a, b = _at("two_moons", [0.3, -0.7]), _at("two_moons", [0.7, -0.3])
    assert torch.allclose(a, b, atol=1e-6)
    center = torch.tensor([0.25 - 0.4 / math.sqrt(2), -1.0 / math.sqrt(2)])
    radius = (a - center).norm(dim=1)
    assert float(radius.mean()) == pytest.approx(0.1, abs=5e-4)
    assert float(radius.std()) == pytest.approx(0.01, rel=0.05)
    assert bool((a[:, 0] > center[0] - 1e-3).all())


@pytest.mark.parametrize(
    ("name", "variance"),
    [("gaussian_linear", 0.1), ("gaussian_linear_uniform", 0.1), ("gaussian_mixture", 0.505)],
)
def test_variances(name: str, variance: float) -> None:
    task = sbi.task(name)
    y = _at(name, [0.5] * task.parameters)
    assert y.mean(0) == pytest.approx([0.5] * task.observations, abs=0.03)
    assert y.var(0) == pytest.approx([variance] * task.observations, rel=0.06)


def test_slcp_has_the_covariance_of_its_parameters() -> None:
    y = _at("slcp", [1.0, -2.0, 1.5, -0.5, 0.7]).reshape(-1, 4, 2)
    assert y.mean((0, 1)) == pytest.approx([1.0, -2.0], abs=0.03)
    rho = math.tanh(0.7)
    expected = torch.tensor([[1.5**4, rho * 1.5**2 * 0.5**2], [rho * 1.5**2 * 0.5**2, 0.5**4]])
    assert torch.allclose(y.flatten(0, 1).mT.cov(), expected, rtol=0.05, atol=0.01)
    # The four points are independent.
    assert float(torch.corrcoef(y[:, :, 0].mT).tril(-1).abs().max()) < 0.03


def test_glm_statistics_are_sufficient_and_count_spikes() -> None:
    y = _at("bernoulli_glm", [0.8] + [0.0] * 9)
    chance = 1 / (1 + math.exp(-0.8))
    assert float(y[:, 0].mean()) == pytest.approx(100 * chance, rel=0.01)
    assert float(y[:, 0].var()) == pytest.approx(100 * chance * (1 - chance), rel=0.05)
    precision = torch.linalg.inv(sbi.task("bernoulli_glm").prior.covariance.double())
    assert float(precision[0, 0]) == pytest.approx(0.5, rel=1e-3)
    # Second differences of the filter, and a part that grows like sqrt(j / 9).
    smooth = precision[1:, 1:]
    assert float(smooth[8, 8]) == pytest.approx((1 + math.sqrt(8 / 9)) ** 2, rel=1e-2)


def test_lotka_volterra_keeps_its_invariant() -> None:
    theta = torch.tensor([[0.7, 0.05, 0.9, 0.05], [1.5, 0.1, 0.5, 0.02]], dtype=torch.float64)
    times = [0.0, 2.1, 10.0, 18.9]
    x, y = lotka_volterra(theta, times).reshape(2, 2, 4).unbind(1)
    a, b, c, d = (part[:, None] for part in theta.mT)
    kept = d * x - c * x.log() + b * y - a * y.log()
    assert torch.allclose(kept, kept[:, :1].expand(2, 4), rtol=1e-4)
    assert x[:, 0].tolist() == pytest.approx([30.0, 30.0])
    # Many parameters at once are those one by one.
    alone = torch.cat([lotka_volterra(row[None], times) for row in theta])
    assert torch.allclose(torch.cat([x, y], 1), alone, rtol=1e-3)


def test_an_epidemic_ends_at_its_final_size() -> None:
    theta = torch.tensor([[0.6, 0.15]], dtype=torch.float64)
    # ds/s = -b i dt and dr = c i dt: log s_end = -(b / c) (1 - s_end - i_end).
    infected = susceptible_infected_recovered(theta, [0.0, 60.0, 400.0])[0]
    assert float(infected[0]) == pytest.approx(1e-6)
    assert float(infected[2]) < 1e-8
    # The peak, from the conserved i + s - log(s) / R.
    days = susceptible_infected_recovered(theta, [0.25 * k for k in range(320)])[0]
    peak = 1 - (1 + math.log(4.0)) / 4.0
    assert float(days.max()) == pytest.approx(peak, abs=1e-3)


def test_sir_counts_are_binomial() -> None:
    theta = [0.6, 0.15]
    y = _at("sir", theta)
    chance = susceptible_infected_recovered(torch.tensor([theta]), [17.0 * k for k in range(10)])[0]
    assert torch.allclose(y.mean(0), 1000 * chance, atol=0.5)
    assert torch.allclose(y.var(0), 1000 * chance * (1 - chance), rtol=0.05, atol=0.5)


def _wheel(path: Path) -> Path:
    place = "sbibm/tasks/two_moons/files/num_observation_3/"
    rows = "\n".join(["parameter_1,parameter_2", "0.25,1.5", "-1,2e-3"])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(place + "observation.csv", "data_1,data_2\n-0.5,0.125\n")
        archive.writestr(place + "true_parameters.csv", '"$a$","$b$"\n0.5,-0.75\n')
        archive.writestr(place + "reference_posterior_samples.csv.bz2", bz2.compress(rows.encode()))
    return path


def test_files_of_the_benchmark_are_read(tmp_path: Path) -> None:
    found = sbi.read_reference("two_moons", 3, _wheel(tmp_path / "a.whl"))
    assert found.y.tolist() == [-0.5, 0.125]
    assert found.theta.tolist() == [0.5, -0.75]
    assert torch.allclose(found.draws, torch.tensor([[0.25, 1.5], [-1.0, 0.002]]))


def test_what_is_no_wheel_is_named(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path / "a.whl")
    with pytest.raises(InputError, match="no observation 4 of 'two_moons'"):
        sbi.read_reference("two_moons", 4, wheel)
    with pytest.raises(InputError, match=r"pip download --no-deps sbibm==1\.1\.0"):
        sbi.read_reference("two_moons", 1, tmp_path / "b.whl")
    (tmp_path / "c.whl").write_text("no")
    with pytest.raises(InputError, match="is no wheel of sbibm"):
        sbi.read_reference("two_moons", 1, tmp_path / "c.whl")
    with pytest.raises(InputError, match="no task 'moons'; there are two_moons"):
        sbi.task("moons")
