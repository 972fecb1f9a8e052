"""Numbers that float32 cannot carry: kept in float64 until the units have made states of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

import pushforward as pf
from pushforward import state
from pushforward._precision import narrowed
from pushforward.data.doctor import examine
from pushforward.errors import InputError
from pushforward.metrics import evaluate
from pushforward.models import KernelDensity, ProbabilisticPCA
from pushforward.spaces import Euclidean, PointCloud, Points, Product, Torus

OFFSET = 1.7e9  # seconds since 1970


def normal(n: int, dim: int, seed: int = 0) -> Tensor:
    """Standard normal numbers with few digits: an offset of `OFFSET` takes none away."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, dim, generator=generator, dtype=torch.float64) * 2**16).round() / 2**16


@pytest.fixture(scope="module")
def shifted() -> Tensor:
    return normal(500, 2) + torch.tensor([OFFSET, 0.0], dtype=torch.float64)


# -- what is kept ---------------------------------------------------------------------------------


def test_every_distinct_value_is_loaded(shifted: Tensor) -> None:
    data = pf.data.load(shifted.numpy())
    assert data.x.dtype == torch.float64
    assert len(data.x[:, 0].unique()) == len(shifted[:, 0].unique()) > 490
    assert torch.equal(data.x, shifted)
    for part in (data.take(torch.arange(9)), *data.split()):
        assert part.x.dtype == torch.float64
    assert data.fingerprint != pf.data.load(shifted.numpy() + 1).fingerprint


def test_a_file_is_read_as_it_is(tmp_path: Path, shifted: Tensor) -> None:
    np.savetxt(
        tmp_path / "x.csv", shifted.numpy(), delimiter=",", header="t,y", comments="", fmt="%.17g"
    )
    assert torch.equal(pf.data.load(tmp_path / "x.csv").x, shifted)


@pytest.mark.parametrize(
    ("offset", "spread", "kept"),
    [
        (0.0, 1.0, torch.float32),
        (0.0, 1e-30, torch.float32),
        (0.0, 1e-50, torch.float64),  # below the smallest float32 number
        (0.0, 1e50, torch.float64),
        (1e3, 1.0, torch.float32),
        (3e3, 1.0, torch.float32),  # rounding to 2^-13, which is 1/8000 of the spread
        (3e4, 1.0, torch.float64),
        (OFFSET, 1e7, torch.float32),
        (OFFSET, 1.0, torch.float64),
    ],
)
def test_the_rule_is_a_share_of_the_spread(offset: float, spread: float, kept: torch.dtype) -> None:
    x = offset + spread * normal(300, 1)
    assert narrowed(x).dtype == kept
    assert narrowed(torch.cat([normal(300, 1), x], 1)).dtype == kept
    assert pf.data.load(x.numpy()).x.dtype == kept
    assert pf.data.load(x, space=Euclidean()).x.dtype == kept
    if spread < 1e50:
        assert pf.data.load(x.float()).x.dtype == torch.float32


def test_constants_and_whole_numbers_lose_nothing() -> None:
    constant = np.c_[np.full(50, OFFSET + 0.1), np.arange(50.0), 0.1 + 0.2 * np.ones(50)]
    assert pf.data.load(constant).x.dtype == torch.float32
    assert pf.data.load(np.arange(50) + 2**23).x.dtype == torch.float32
    assert pf.data.load(np.arange(50) + 2**25).x.dtype == torch.float64


def test_pictures_have_a_column_per_channel() -> None:
    pixels = normal(4, 3 * 64).reshape(4, 3, 8, 8)
    pixels[:, :, 0, 0] = 1e4  # varies by nothing, in a channel that varies by a lot
    assert narrowed(pixels * 1e4).dtype == torch.float32
    assert narrowed(pixels.clamp(max=9) + 1e6).dtype == torch.float64


def test_integers_that_float64_cannot_tell_apart() -> None:
    stamps = np.arange(100)[:, None] + 1_700_000_000_000_000_000
    with pytest.raises(InputError, match=r"x - x\.min"):
        pf.data.load(stamps)
    days = 1_700_000_000_000_000_000 + np.arange(100)[:, None] * 86_400_000_000_000
    assert len(pf.data.load(days).x.unique()) == 100
    assert len(pf.data.load(stamps - stamps.min()).x.unique()) == 100


def test_parts_of_states_have_a_precision_each() -> None:
    x = normal(50, 2)
    angles = normal(50, 1).clamp(-3, 3)
    data = pf.data.load((x + OFFSET, angles), space=Product(Euclidean(2), Torus(1)))
    assert [part.dtype for part in data.x] == [torch.float64, torch.float32]
    points = Points(normal(50, 6).reshape(50, 3, 2) + OFFSET, torch.ones(50, 3, dtype=torch.bool))
    assert pf.data.load(points, space=PointCloud()).x.x.dtype == torch.float64


def test_the_doctor_does_not_blame_what_is_kept(shifted: Tensor) -> None:
    titles = [finding.title for finding in examine(pf.data.load(shifted))]
    assert not any("Offsets" in title or "repeat" in title.lower() for title in titles)
    lost = [finding.title for finding in examine(pf.data.load(shifted.float()))]
    assert "Offsets that float32 cannot carry" in lost or any("never" in title for title in lost)


# -- models ---------------------------------------------------------------------------------------

MODELS = {
    "kde": lambda: KernelDensity(bandwidth=0.3),
    "ppca": lambda: ProbabilisticPCA(components=1),
    "flow": lambda: pf.NormalizingFlow.for_data(pf.data.load(normal(50, 2).float()), width=8),
    "matching": lambda: pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=2),
    "diffusion": lambda: pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=2),
    "vae": lambda: pf.VAE.for_data(pf.data.load(normal(50, 2).float())),
    "gan": lambda: pf.GAN.for_data(pf.data.load(normal(50, 2).float())),
    "energy": lambda: pf.EnergyModel.for_data(pf.data.load(normal(50, 2).float())),
}


def trained(name: str, x: Tensor, **options: object) -> pf.training.Run:
    torch.manual_seed(0)
    return pf.fit(MODELS[name](), x, steps=3, batch_size=64, progress=False, **options)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_shifted_data_is_the_shifted_model(name: str, shifted: Tensor) -> None:
    away = torch.tensor([OFFSET, 0.0], dtype=torch.float64)
    model = trained(name, shifted).model
    # The same numbers without the offset, in the same arithmetic.
    plain = trained(name, pf.data.load(shifted - away, double=True)).model
    assert model.dtype == torch.float32
    x = model.sample(40, seed=1)
    assert x.dtype == torch.float64
    torch.testing.assert_close(
        (x - away).float(), plain.sample(40, seed=1).float(), rtol=1e-3, atol=1e-3
    )
    assert len(x[:, 0].unique()) == 40
    if model.capabilities.log_prob in ("none", "unnormalized") or name == "energy":
        return
    held = normal(20, 2, seed=5)
    found, right = (
        m.log_prob(at, **m.understood("log_prob", seed=3)).value
        for m, at in ((model, held + away), (plain, held))
    )
    torch.testing.assert_close(found.float(), right.float(), rtol=1e-3, atol=2e-3)


def test_densities_are_those_of_the_shifted_data(shifted: Tensor) -> None:
    model = pf.fit(ProbabilisticPCA(components=1), shifted, progress=False, holdout=0).model
    normal_ = torch.distributions.MultivariateNormal(shifted.mean(0), shifted.mT.cov())
    torch.testing.assert_close(
        model.log_prob(shifted).value.double(), normal_.log_prob(shifted), rtol=0, atol=0.02
    )


def test_float32_is_refused_where_it_has_lost_the_digits(shifted: Tensor) -> None:
    model = trained("kde", shifted).model
    with pytest.raises(InputError, match=r"x\.double\(\)"):
        model.log_prob(shifted.float())


def test_ordinary_data_stay_in_single_precision() -> None:
    x = normal(200, 2)
    model = trained("matching", x).model
    assert model.units.shift.dtype == torch.float32
    assert model.sample(3, seed=0).dtype == torch.float32
    assert pf.data.load(x).x.dtype == torch.float32


# -- files ----------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path: Path, shifted: Tensor) -> None:
    model = trained("flow", shifted).model
    again = pf.load(model.save(tmp_path / "model"))
    assert again.precise
    assert again.units.shift.dtype == torch.float64
    assert torch.equal(again.sample(10, seed=0), model.sample(10, seed=0))
    assert torch.equal(again.log_prob(shifted).value, model.log_prob(shifted).value)
    for moved in (again.float(), again.half().float()):
        assert torch.equal(moved.units.shift, model.units.shift)


def test_a_run_goes_on_as_if_never_stopped(tmp_path: Path, shifted: Tensor) -> None:
    def run(steps: int, folder: str, **options: bool) -> pf.training.Run:
        torch.manual_seed(0)
        more = {"batch_size": 64, "schedule": "constant", "progress": False, **options}
        return pf.fit(MODELS["matching"](), shifted, steps=steps, out=tmp_path / folder, **more)

    whole = run(4, "whole").model
    run(2, "part")
    resumed = run(4, "part", resume=True).model
    for tensor, again in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, again)
    assert torch.equal(pf.load(tmp_path / "part").sample(5, seed=0), whole.sample(5, seed=0))


def test_samples_are_written_with_all_their_digits(tmp_path: Path, shifted: Tensor) -> None:
    for name in ("x.csv", "x.tsv", "x.npz", "x.npy"):
        pf.data.write(tmp_path / name, shifted, space=Euclidean())
        assert torch.equal(pf.data.load(tmp_path / name).x, shifted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_is_loaded_in_the_precision_it_was_saved_in(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=2).to(dtype)
    again = pf.load(model.save(tmp_path / "model"))
    saved = safetensors.torch.load_file(tmp_path / "model" / "model.safetensors")
    for name, tensor in again.state_dict().items():
        assert tensor.dtype == dtype
        assert torch.equal(tensor, saved[name])
    assert not again.precise


# -- maps and judges ------------------------------------------------------------------------------


def test_a_map_between_two_such_sets(shifted: Tensor) -> None:
    target = shifted + torch.tensor([0.0, OFFSET], dtype=torch.float64)
    source = (50 * normal(300, 2, seed=3)).round() * 128 + 128 * 13281250  # exact in float32
    assert pf.data.load(source).x.dtype == torch.float32
    model = pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=2, path="linear", coupling="ot")
    run = pf.fit(model, target, source=source, steps=3, batch_size=32, progress=False)
    y = run.model.forward(source[:20], steps=4)
    assert y.dtype == torch.float64
    assert run.model.source.x.dtype == torch.float64
    assert len(y[:, 0].unique()) > 15


def test_judged_as_the_shifted_data_are(shifted: Tensor) -> None:
    away = torch.tensor([OFFSET, 0.0], dtype=torch.float64)
    sets = [normal(200, 2, seed=s) for s in range(3)]
    found = evaluate(*(x + away for x in sets))
    right = evaluate(*(x.double() for x in sets))
    for name in ("sliced W2", "MMD²", "energy distance", "precision", "memorization"):
        assert found[name].value == pytest.approx(right[name].value, abs=1e-4)


def test_double_precision_stays_off_devices_that_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # `meta` plays the part of a device without it: nothing in float64 may get there.
    from pushforward import _precision

    monkeypatch.setattr(
        _precision, "has_double", lambda device: torch.device(device).type != "meta"
    )
    monkeypatch.setattr(state, "has_double", _precision.has_double)
    units = Euclidean().units((2,))
    units.fit(normal(50, 2) + OFFSET)
    units.to("meta")
    assert units.shift.device.type == "cpu"
    x = normal(5, 2) + OFFSET
    assert state.to(x, "meta").device.type == "cpu"
    assert state.to(units.standardized(x), "meta", torch.float32).device.type == "meta"
