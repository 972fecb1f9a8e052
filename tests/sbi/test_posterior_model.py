"""A simulator's posterior is a model like any other: kept in a folder, given, drawn by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import metrics, sbi
from pushforward.cli import main
from pushforward.distributions import Box, IndependentProduct, LogNormal, Normal
from pushforward.errors import CapabilityError, InputError
from pushforward.models import Posterior

BOX = Box([0.0, -1.0], [2.0, 1.0])
Y = torch.tensor([1.5, 0.5])


def noisy(theta: Tensor, seed: int) -> Tensor:
    return theta + 0.3 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "prior",
    [BOX, IndependentProduct(LogNormal([0.0], [0.5]), Normal((1,), 2.0))],
    ids=["box", "product"],
)
@pytest.mark.parametrize("method", [sbi.NPE, sbi.FMPE])
def test_what_is_loaded_is_what_was_saved(method: object, prior: object, tmp_path: Path) -> None:
    pairs = sbi.simulate(prior, noisy, 100, seed=0)  # type: ignore[arg-type]
    options = {} if method is sbi.NPE else {"width": 8, "sampling": {"steps": 3}}
    model = method(prior, pairs, steps=3, **options)  # type: ignore[operator]
    model.save(tmp_path)
    found = pf.load(tmp_path)
    assert isinstance(found, sbi.SimulatorPosterior)
    assert torch.equal(found.sample(5, Y, seed=0), model.sample(5, Y, seed=0))
    x = pairs.theta[:3]
    assert torch.equal(found.log_prob(x, Y).value, model.log_prob(x, Y).value)
    assert torch.equal(found.prior.log_prob(x), prior.log_prob(x))  # type: ignore[attr-defined]


class _Own:
    def sample(self, n: int, *, seed: int | None = None, generator: object = None) -> Tensor:
        return BOX.sample(n, seed=seed)

    def log_prob(self, x: Tensor) -> Tensor:
        return BOX.log_prob(x)


def test_a_prior_that_cannot_be_written_down_is_not_saved(tmp_path: Path) -> None:
    model = sbi.NPE(_Own(), sbi.simulate(_Own(), noisy, 100, seed=0), steps=1)
    with pytest.raises(InputError, match="_Own cannot be written to a configuration"):
        model.save(tmp_path)


def test_it_is_a_posterior_of_the_library() -> None:
    model = sbi.NPE(BOX, sbi.simulate(BOX, noisy, 200, seed=0), steps=5)
    found = model.posterior(Y)
    assert isinstance(found, Posterior)
    assert found.exactness.level == "learned"
    x = found.sample(50, seed=0)
    assert torch.equal(x, model.sample(50, Y, seed=0))
    assert torch.allclose(found.log_prob(x).value, model.log_prob(x, Y).value)
    mean, error = found.mean(50, seed=0)
    assert torch.allclose(mean, x.mean(0))
    assert bool((error > 0).all())
    with pytest.raises(CapabilityError, match=r"knows p\(x \| y\) and not p\(y\)"):
        found.log_evidence()
    # The checks of calibration take its draws, and itself.
    fresh = sbi.simulate(BOX, noisy, 60, seed=1)
    draws = model.sampler(fresh.y, 9, 0)
    assert draws.shape == (9, 60, 2)
    assert 0 <= metrics.sbc(fresh.theta, draws, fresh.y).p_value <= 1
    assert metrics.calibrate(model.sampler, (fresh.theta, fresh.y), draws=9).pairs == 60


def _table(path: Path, n: int) -> Path:
    pairs = sbi.simulate(BOX, noisy, n, seed=3)
    rows = torch.cat([pairs.theta, pairs.y], 1).tolist()
    lines = [",".join(f"{value:.6f}" for value in row) for row in rows]
    path.write_text("\n".join(["amplitude,width,y1,y2", *lines]) + "\n")
    return path


def test_a_file_of_pairs_by_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["--quiet", *words])
        return int(end.value.code or 0), *capfd.readouterr()

    table, run = str(_table(tmp_path / "pairs.csv", 400)), str(tmp_path / "run")
    prior = "model.prior={class: distributions.Box, low: [0, -1], high: [2, 1]}"
    kind = ["--given", "y1,y2", "--model", "sbi.SimulatorPosterior"]
    assert call("train", table, *kind, prior, "--steps", "60", "--out", run)[0] == 0
    out = tmp_path / "draws.npz"
    # The observation lies next to a corner of the box, which no draw leaves.
    given = ["--given", "y1=1.95,y2=0.95"]
    assert call("sample", run, *given, "-n", "200", "--out", str(out))[0] == 0
    theta = pf.data.load(str(out)).x[:, :2]
    assert theta.shape == (200, 2)
    assert bool((BOX.log_prob(theta) > -torch.inf).all())
    assert float(theta[:, 0].mean()) > 1.2
    code, printed, _ = call("calibrate", run, "--draws", "19", "--json")
    assert code == 0
    assert json.loads(printed)["pairs"] == 40
    wrong = "model.prior={class: distributions.Box, low: [0, 0], high: [2, 1]}"
    code, _, said = call("train", table, *kind, wrong, "--out", str(tmp_path / "no"))
    assert code
    assert "parameters lie outside of the prior's support" in said
    code, _, said = call("train", table, "--model", kind[-1], "--out", str(tmp_path / "no"))
    assert code
    assert "name the columns of the observation by --given" in said
