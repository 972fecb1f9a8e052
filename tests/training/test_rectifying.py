"""Reflowed flow: straighter by the round, the same after a kill, and one step in the end."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import pushforward as pf
from forked import Server
from pushforward._random import resolve
from pushforward.couplings import Exact, Paired
from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.protocols import Transport
from pushforward.training import rectify, straightness

QUIET = {"progress": False, "batch_size": 128, "lr": 5e-3, "ema": 0.98, "holdout": 0.0}


def _two_lumps(n: int, seed: int, apart: float) -> Tensor:
    """Mass at `(0, -apart)` and at `(0, apart)`, so that independent pairs cross."""
    generator = resolve(seed)
    side = 2.0 * torch.randint(0, 2, (n, 1), generator=generator) - 1
    return torch.cat([0 * side, apart * side], 1) + 0.3 * torch.randn(n, 2, generator=generator)


def test_rounds_are_straighter_and_cost_no_more() -> None:
    a = _two_lumps(1500, 0, 2.0)
    b = _two_lumps(1500, 1, 2.0) + torch.tensor([4.0, 0.0])
    model = pf.FlowMatching(pf.nn.MLP(2, width=48))
    done = rectify(
        model, b, source=a, rounds=2, pairs=2000, distill=True, steps=250, solver_steps=20, **QUIET
    )
    first, second = done.rounds
    # Independent pairs: 4^2 across, and (4 + 4) or 0 along, each half the time, with the spread.
    assert done.cost.value == pytest.approx(16 + 0.5 * 16 + 4 * 0.09, abs=4 * done.cost.stderr)
    assert first.straightness.value > 1.0
    assert second.straightness.value < 0.2 * first.straightness.value
    # The bounds of the theory, with room for what training leaves.
    assert second.straightness.value < done.bound
    assert second.cost.value <= first.cost.value + 3 * first.cost.stderr
    assert first.cost.value < done.cost.value
    # One step of the last flow, and of the distilled map, lands where many steps do.
    start = a[:500]
    many = second.run.model.forward(start, steps=30)
    one = {"sampler": "euler", "steps": 1}
    apart = [float((m.forward(start, **one) - many).square().sum(1).mean()) for m in (
        model, done.model, done.distilled)]  # fmt: skip
    assert max(apart[1:]) < 0.5
    assert apart[0] > 4 * max(apart[1:])
    assert torch.equal(done.model.source.x, model.source.x)
    assert "round 2: straightness" in str(done)


def test_straightness_is_that_of_a_known_flow() -> None:
    # From N(0, 1) to N(0, 4) by lines between independent pairs: Z_t = s_t Z_1 with
    # s_t^2 = 4 (1 - t)^2 + t^2 in standardized units, and v = s' Z_1.
    class Known(pf.FlowMatching):
        def _transport(self, context):
            def velocity(x: Tensor, t: float, c=None) -> Tensor:
                return (t - 4 * (1 - t)) / (4 * (1 - t) ** 2 + t**2) * x

            return lambda rows: Transport(velocity, self.process_in_units())

    model = Known(pf.nn.MLP(1, width=8), event_shape=1)
    found, cost = straightness(model, 4000, steps=200)
    t = torch.linspace(0, 1, 2001).double()
    slope = (t - 4 * (1 - t)) / (4 * (1 - t) ** 2 + t**2).sqrt()
    # The line is Z_1 - Z_0 = (1 - 2) Z_1.
    exact = float(torch.trapezoid((-1 - slope) ** 2, t))
    assert found.value == pytest.approx(exact, abs=4 * found.stderr)
    assert cost.value == pytest.approx(1.0, abs=4 * cost.stderr)


def test_flows_from_noise_stay_flows_from_noise(tmp_path) -> None:
    data = Data(_two_lumps(300, 0, 2.0), torch.arange(300) % 2)
    model = pf.FlowMatching.for_data(data)
    done = rectify(model, data, rounds=2, pairs=200, steps=4, out=tmp_path / "run", progress=False)
    assert done.model.capabilities.log_prob == "ode"
    loaded = pf.load(tmp_path / "run" / "round-2")
    assert loaded.coupling == Paired()
    assert torch.equal(loaded.sample(5, 1, seed=0), done.model.sample(5, 1, seed=0))
    record = json.loads((tmp_path / "run" / "rectified.json").read_text())
    assert record["rounds"][1]["cost"]["value"] == done.rounds[1].cost.value


def test_the_first_cost_is_that_of_batches_in_the_units_of_training() -> None:
    # Without a source pairs are joined in standardized units, where one feature is no larger than
    # the other; in those of the data the first would decide alone, and cost less.
    x = torch.randn(1000, 2, generator=resolve(0)) * torch.tensor([100.0, 1.0])
    model = pf.FlowMatching(pf.nn.MLP(2, width=8), coupling="ot")
    done = rectify(model, x, rounds=1, steps=1, progress=False, batch_size=16, holdout=0.0)
    units = model.known_units()
    costs, generator = [], resolve(1)
    for rows in torch.randperm(1000, generator=generator).split(16)[:-1]:
        z0, z1 = units.standardized(x[rows]), torch.randn(16, 2, generator=generator)
        gaps = units(z1[Exact()(z1, z0)]) - x[rows]
        costs.append(gaps.square().sum(1).mean())
    exact = torch.stack(costs)
    error = (done.cost.stderr**2 + float(exact.var()) / len(exact)) ** 0.5
    assert done.cost.value == pytest.approx(float(exact.mean()), abs=4 * error)
    # What would be wrong lies far away.
    x1 = units(torch.randn(16, 2, generator=generator))
    assert float((x1[Exact()(x1, x[:16])] - x[:16]).square().sum(1).mean()) < 0.7 * float(
        exact.mean()
    )


def test_a_flow_that_always_wants_labels_is_judged_with_those_of_the_data(monkeypatch) -> None:
    x = torch.randn(60, 2, generator=resolve(0))
    data = Data(x, torch.arange(60) % 2)
    model = pf.FlowMatching(pf.nn.MLP(2, width=8, num_classes=2), label_dropout=0.0)
    done = rectify(model, data, rounds=2, pairs=20, steps=2, solver_steps=2, progress=False)
    assert done.status == "finished"
    # Paths are followed in parts if they are many numbers.
    c = torch.arange(50) % 2
    whole = straightness(done.model, 50, steps=4, c=c)
    monkeypatch.setattr("pushforward.training.rectifying._AT_ONCE", 70)
    parts = straightness(done.model, 50, steps=4, c=c)
    for one, other in zip(whole, parts, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-5)


def run_of_three_rounds(out: str, resume: bool = False) -> None:
    """What is killed in another process, and left alone in this one."""
    torch.set_num_threads(1)
    a, b = torch.randn(2, 200, 2, generator=resolve(0))
    torch.manual_seed(0)
    rectify(
        pf.FlowMatching(pf.nn.MLP(2, width=16)), b + 3, source=a, rounds=3, pairs=300, distill=True,
        steps=60, solver_steps=8, checkpoint_every=20, holdout=0.0, batch_size=32, progress=False,
        out=out, resume=resume,
    )  # fmt: skip


def test_a_killed_run_goes_on_as_if_it_never_had(forked: Server, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_of_three_rounds(str(whole))
    places = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = f"import sys; sys.path += {places}; import {Path(__file__).stem} as t"
    code += f"; t.run_of_three_rounds({str(killed)!r})"
    run = forked.start("-c", code)
    reached, deadline = killed / "round-2" / "checkpoints", time.monotonic() + 120
    while not (reached.is_dir() and any(reached.glob("step-*"))):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.005)
    run.kill()
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    # Pairs that are gone are made again, and they are the same.
    (killed / "pairs-2.safetensors").unlink()
    run_of_three_rounds(str(killed), resume=True)
    records = [json.loads((out / "rectified.json").read_text()) for out in (whole, killed)]
    assert records[0] == records[1]
    for name in ("pairs-2", "pairs-3", "pairs-4"):
        one, other = (load_file(out / f"{name}.safetensors") for out in (whole, killed))
        assert all(torch.equal(one[key], other[key]) for key in one)
    for name in ("round-1", "round-2", "round-3", "distilled"):
        one, other = (pf.load(out / name).state_dict() for out in (whole, killed))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_cannot_be_rectified_is_refused(tmp_path) -> None:
    x, net = torch.randn(50, 2, generator=resolve(0)), pf.nn.MLP(2, width=8)
    with pytest.raises(InputError, match="path='linear'"):
        rectify(pf.FlowMatching(net, "trigonometric"), x)
    with pytest.raises(InputError, match="path='linear'"):
        rectify(pf.Diffusion(net), x)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rounds is a whole number of at least 1, not 0"):
        rectify(pf.FlowMatching(net), x, rounds=0)
    with pytest.raises(InputError, match="pairs"):
        rectify(pf.FlowMatching(net), x, pairs=1)
    with pytest.raises(InputError, match="no pairs"):
        pf.fit(pf.FlowMatching(net, coupling="paired"), x, source=x[:9], progress=False)
    rectify(pf.FlowMatching(net), x, rounds=1, steps=2, out=tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="not empty"):
        rectify(pf.FlowMatching(net), x, rounds=1, steps=2, out=tmp_path / "run", progress=False)
