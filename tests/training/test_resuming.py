"""A run of any process that was stopped ends bit for bit as the one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward import processes, state
from pushforward.errors import InputError
from pushforward.spaces import Functions, Hilbert, Points, Sphere, Tokens, Torus

N = 40


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _vectors() -> torch.Tensor:
    return 3 + 2 * torch.randn(N, 2, generator=_generator())


def _angles() -> torch.Tensor:
    return Torus().uniform(N, (1,), _generator())


def _directions() -> torch.Tensor:
    return Sphere().uniform(N, (3,), _generator())


def _tokens() -> torch.Tensor:
    return torch.randint(0, 3, (N, 2), generator=_generator())


def _points() -> Points:
    mask = torch.rand(N, 3, generator=_generator()) < 0.6
    return Points(torch.randn(N, 3, 1, generator=_generator()) * mask.unsqueeze(-1), mask)


def _covariance() -> torch.Tensor:
    x = torch.linspace(0, 1, 5)
    return torch.exp(-(x[:, None] - x[None]).abs() / 0.3)


def _functions() -> torch.Tensor:
    return torch.randn(N, 5, generator=_generator()) @ torch.linalg.cholesky(_covariance()).mT


CASES: dict[str, tuple[Any, Any, Any]] = {
    "gaussian": (pf.Diffusion, lambda: processes.Gaussian(), _vectors),
    "functions": (
        pf.Diffusion,
        lambda: processes.Gaussian(space=Hilbert(_covariance())),
        _functions,
    ),
    "functions given values": (
        pf.models.FunctionDiffusion,
        lambda: processes.Gaussian(space=Functions(axes=[[0.0, 1.0, 2.0, 3.0, 4.0]])),
        lambda: _functions().unsqueeze(1),
    ),
    "circle": (pf.Diffusion, lambda: processes.Brownian(Torus()), _angles),
    "sphere": (pf.Diffusion, lambda: processes.Brownian(Sphere()), _directions),
    "geodesic": (pf.FlowMatching, lambda: processes.Geodesic(Sphere()), _directions),
    "tokens": (pf.Diffusion, lambda: processes.Masking(Tokens(3)), _tokens),
    "counts": (pf.Diffusion, lambda: processes.Thinning(), _points),
    "jump diffusion": (pf.Diffusion, lambda: processes.JumpDiffusion(), _points),
    "product": (
        pf.Diffusion,
        lambda: processes.ProductProcess(
            (processes.Gaussian(), processes.Brownian(Torus()), processes.Masking(Tokens(3)))
        ),
        lambda: (_vectors(), _angles(), _tokens()),
    ),
    "sets beside tokens": (
        pf.Diffusion,
        lambda: processes.ProductProcess((processes.Thinning(), processes.Masking(Tokens(3)))),
        lambda: (_points(), _tokens()),
    ),
}


def _made(name: str) -> tuple[Any, pf.data.Data]:
    kind, process, x = CASES[name]
    made = process()
    data = pf.data.load(x(), space=made.space)
    option = "path" if kind is pf.FlowMatching else "process"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind.for_data(data, **{option: made}), data


def _fit(name: str, out: Path, **changes: Any) -> Any:
    model, data = _made(name)
    settings = {"steps": 6, "batch_size": 8, "warmup": 2, "schedule": "constant", "lr": 1e-2}
    return pf.fit(model, data, out=out, progress=False, **settings | changes)


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_run_ends_as_the_one_that_was_not(tmp_path: Path, name: str) -> None:
    whole = _fit(name, tmp_path / "whole", checkpoint_every=3)
    _fit(name, tmp_path / "part", steps=3, checkpoint_every=3)
    again = _fit(name, tmp_path / "part", checkpoint_every=3, resume=True)
    assert again.status == "finished"
    start, _ = _made(name)
    weights = list(zip(start.parameters(), whole.model.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in weights), "nothing was learned"
    assert _tensors(whole.model).keys() == _tensors(again.model).keys()
    for key, value in _tensors(whole.model).items():
        assert torch.equal(value, _tensors(again.model)[key]), key
    for file in ("model", "ema", "training"):
        path = f"checkpoints/step-00000006/{file}.safetensors"
        assert (tmp_path / "part" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_what_is_loaded_draws_what_was_trained(tmp_path: Path, name: str) -> None:
    model = _fit(name, tmp_path / "run", steps=2).model
    drawn = model.sample(4, steps=3, seed=0)
    model.space.check(drawn)
    model.save(tmp_path / "saved")
    for folder in ("run", "saved"):
        again = pf.load(tmp_path / folder).sample(4, steps=3, seed=0)
        pairs = zip(state.leaves(drawn), state.leaves(again), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", CASES)
def test_what_happens_to_a_row_does_not_depend_on_the_others(name: str) -> None:
    model, data = _made(name)
    model.fit_units(data.x)
    generator = _generator()
    with torch.no_grad():
        # Networks start at zero; small weights, so that rounding stays small.
        for p in model.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=generator))
    whole = model.sample(7, steps=4, seed=3)
    shares = [model.sample(7, steps=4, seed=3, rows=rows) for rows in (slice(0, 3), slice(3, 7))]
    for other in (state.concatenate(shares), model.sample(7, steps=4, seed=3, batch_size=2)):
        for a, b in zip(state.leaves(whole), state.leaves(other), strict=True):
            assert torch.allclose(a.double(), b.double(), atol=1e-4)


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def test_a_run_past_its_steps_is_refused_without_a_warning(tmp_path: Path) -> None:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    options = {"batch_size": 8, "out": tmp_path / "run", "progress": False}
    pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), x, steps=4, **options)
    # Warnings are errors in tests: one before the refusal would be raised in its place.
    with pytest.raises(InputError, match="at step 4, past steps=2"):
        pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), x, steps=2, resume=True, **options)
    with pytest.warns(UserWarning, match="steps 4 -> 6: the cosine schedule"):
        pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), x, steps=6, resume=True, **options)


def test_an_extended_run_says_where_its_rate_goes(tmp_path: Path) -> None:
    """Forty steps had come down to nearly nothing, and eighty are only half way down there."""
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    options = {"batch_size": 8, "out": tmp_path / "run", "progress": False, "warmup": 0}

    def fit(**more) -> pf.training.Run:
        return pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), x, **options, **more)

    fit(steps=40, lr=2e-3)
    jump = r"steps 40 -> 80: .* jumps from 3.1e-06 to 0.001 at step 40 \(the peak is 0.002\)"
    with pytest.warns(UserWarning, match=jump):
        run = fit(steps=80, lr=2e-3, resume=True)
    rates = {line["step"]: line["lr"] for line in run.history}
    assert rates[40] == pytest.approx(3.1e-6, rel=0.01)
    assert rates[41] == pytest.approx(1e-3)


def test_a_constant_rate_is_extended_in_silence(tmp_path: Path) -> None:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    options = {"batch_size": 8, "out": tmp_path / "run", "progress": False, "schedule": "constant"}
    for steps in (4, 8):
        model = pf.Diffusion(pf.nn.MLP(2, width=8))
        run = pf.fit(model, x, steps=steps, resume=steps == 8, **options)
    assert run.step == 8


def test_a_run_of_an_older_version_is_said_to_be_one(tmp_path: Path) -> None:
    pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), _vectors(), steps=1, out=tmp_path, progress=False)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 4}))
    with pytest.raises(InputError, match="layout 4, of an older version"):
        # What its networks are called now is another model; that is not why.
        pf.fit(pf.Diffusion(pf.nn.MLP(2)), _vectors(), steps=2, out=tmp_path, resume=True)


def test_a_budget_of_a_run_that_goes_on_is_said_to_be_left_out(tmp_path: Path) -> None:
    def fit(**settings: Any) -> pf.training.Run:
        model = pf.Diffusion(pf.nn.MLP(2, width=8))
        return pf.fit(model, _vectors(), out=tmp_path, progress=False, **settings)

    fit(steps=2)
    with pytest.warns(UserWarning, match="goes on to its 2 steps. Give steps="):
        assert fit(budget="5m", resume=True).step == 2
