"""Training: what it learns, what it keeps, what it refuses."""

from __future__ import annotations

import copy
import json
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import pushforward as pf
from forked import Child, Server
from pushforward.errors import InputError, TrainingError
from pushforward.estimates import Capabilities
from pushforward.models import GenerativeModel, Trainable
from pushforward.training import Settings
from pushforward.training.average import Average
from pushforward.training.batches import Batches
from pushforward.training.engine import Engine
from pushforward.training.trackers import read_history

# Two clusters, so that there is something to learn: for normal data the zero network is exact.
DATA = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * 0.3 + 5
DATA[::2] += 4


def _model(dropout: bool = False) -> pf.Diffusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pf.Diffusion(pf.nn.MLP(2, width=16))


def _fit(model, out=None, **changes):
    settings = {"steps": 20, "batch_size": 16, "warmup": 2, "progress": False} | changes
    return pf.fit(model, DATA, out=out, **settings)


def _same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(k == m and torch.equal(v, w) for (k, v), (m, w) in pairs)


def test_it_learns_and_returns_averaged_weights() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=64))
    before = copy.deepcopy(model)
    run = _fit(model, steps=500, batch_size=128, lr=3e-3, validate_every=10)
    assert run.status == "finished"
    assert run.step == 500
    # Most of the loss is noise that no model can predict; validation repeats its noise.
    validated = [line["val_loss"] for line in run.history if "val_loss" in line]
    assert run.best["val_loss"] < validated[0] - 0.05
    assert not model.training
    assert not _same(model.predictor, before.predictor)
    assert model.units.shift == pytest.approx(torch.tensor([7.0, 7.0]).numpy(), abs=0.2)
    samples = model.sample(500, seed=0)
    near = torch.cdist(samples, torch.tensor([[5.0, 5.0], [9.0, 9.0]])).min(-1).values < 1.5
    assert near.float().mean() > 0.9


def test_nothing_is_written_without_a_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _fit(_model()).path is None
    assert list(tmp_path.iterdir()) == []


def test_the_run_folder(tmp_path: Path) -> None:
    run = _fit(_model(), tmp_path / "run")
    assert run.path == tmp_path / "run"
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["data"]["fingerprint"] == pf.data.load(DATA).fingerprint
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.history
    latest = (run.path / "checkpoints/latest").read_text().strip()
    assert latest == "step-00000020"
    assert _same(pf.load(run.path), run.model)
    assert len(list((run.path / "checkpoints").glob("step-*"))) <= 3
    best = pf.load(run.path, checkpoint="best")
    assert best.event_shape == (2,)


@pytest.mark.parametrize("stop", [7, 10, 13])
def test_a_resumed_run_is_the_run_never_stopped(tmp_path: Path, stop: int) -> None:
    whole = _fit(_model(), tmp_path / "whole", checkpoint_every=5)

    class Stop:
        def log(self, step: int, metrics: dict) -> None:
            if step == stop:
                signal.raise_signal(signal.SIGTERM)

        def close(self) -> None:
            pass

    part = _fit(_model(), tmp_path / "part", checkpoint_every=5, trackers=(Stop(),))
    # The signal comes after step `stop` was read; the step that is then under way is finished.
    assert (part.status, part.step) == ("interrupted", stop + 1)
    resumed = _fit(_model(), tmp_path / "part", checkpoint_every=5, resume=True)
    assert resumed.status == "finished"
    assert _same(resumed.model, whole.model)
    for name in ("model", "ema", "training"):
        file = f"checkpoints/step-00000020/{name}.safetensors"
        assert (tmp_path / "part" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    timeless = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in run.history]
        for run in (whole, resumed)
    ]
    assert timeless[0] == timeless[1]


def test_resuming_with_dropout_is_exact_too(tmp_path: Path) -> None:
    def model() -> pf.Diffusion:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return pf.Diffusion(pf.nn.UNet(width=8, blocks=1, dropout=0.5))

    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = {"batch_size": 8, "progress": False, "checkpoint_every": 3, "validate_every": 6}
    pf.fit(model(), images, steps=6, out=tmp_path / "a", schedule="constant", **settings)
    pf.fit(model(), images, steps=3, out=tmp_path / "b", schedule="constant", **settings)
    pf.fit(
        model(), images, steps=6, out=tmp_path / "b", schedule="constant", resume=True, **settings
    )
    # What validates best may differ, since the shorter run validated at its end, too.
    last = [pf.load(tmp_path / name, checkpoint="last") for name in ("a", "b")]
    assert _same(*last)


_CHILD = """
import sys, torch, pushforward as pf
torch.set_num_threads(1)
torch.manual_seed(0)
model = pf.Diffusion(pf.nn.MLP(2, width=16))
data = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * 3 + 5
print("ready", flush=True)
run = pf.fit(model, data, steps=int(sys.argv[2]), batch_size=16, warmup=2, checkpoint_every=2,
             out=sys.argv[1], resume=True, progress=False)
# In one write: the lines of two processes then cannot mix.
sys.stdout.write(f"{run.status} {run.step}\\n")
sys.stdout.flush()
"""


def _begun(forked: Server, folder: Path, steps: int) -> Child:
    child = forked.start("-c", _CHILD, folder, steps)
    assert child.stdout.readline() == "ready\n"
    return child


def _await(folder: Path, step: int) -> None:
    """Until the run has a checkpoint of this step, or a later one."""
    latest, deadline = folder / "checkpoints/latest", time.monotonic() + 60
    while not (latest.exists() and latest.read_text() >= f"step-{step:08d}"):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes_exactly(forked: Server, tmp_path: Path) -> None:
    _begun(forked, tmp_path / "whole", 80).communicate()
    # Checkpoints every other step: many of these kills fall into the writing of one.
    for after in (0, 2, 24, 50):
        child = _begun(forked, tmp_path / "part", 80)
        if after:
            _await(tmp_path / "part", after)
        child.kill()
        child.communicate()
    out, _ = _begun(forked, tmp_path / "part", 80).communicate()
    assert out.split() == ["finished", "80"]
    for name in ("model", "ema", "training"):
        file = f"checkpoints/step-00000080/{name}.safetensors"
        assert (tmp_path / "part" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    steps = [line["step"] for line in read_history(tmp_path / "part/metrics.jsonl")]
    assert steps == sorted(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_cleanly(
    forked: Server, tmp_path: Path, number: signal.Signals
) -> None:
    child = _begun(forked, tmp_path / "run", 400)
    _await(tmp_path / "run", 2)
    child.send_signal(number)
    out, _ = child.communicate()
    assert child.returncode == 0
    status, step = out.split()
    assert status == "interrupted"
    assert (tmp_path / f"run/checkpoints/step-{int(step):08d}").is_dir()
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "interrupted"


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = _fit(_model(), tmp_path / "run", checkpoint_every=10)
    newest = tmp_path / "run/checkpoints/step-00000020/model.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="damaged"):
        again = _fit(_model(), tmp_path / "run", checkpoint_every=10, resume=True)
    assert _same(whole.model, again.model)


class _Fragile(GenerativeModel, Trainable):
    """A model whose loss turns to NaN at a given call."""

    capabilities = Capabilities(True, "none", False)

    def __init__(self, bad_call: int) -> None:
        super().__init__(2)
        self.weight = nn.Parameter(torch.ones(1))
        self.bad_call, self.calls = bad_call, 0
        self._ready()

    def describe(self, tensors=None) -> dict:
        return {"class": "fragile", "args": {}}

    def sample(self, n, c=None, *, seed=None):
        raise NotImplementedError

    def log_prob(self, x, c=None):
        raise NotImplementedError

    def loss(self, x, c=None, *, generator=None, rows=slice(None)):
        if self.training:
            self.calls += 1
        bad = self.training and self.calls == self.bad_call
        return (self.weight * x[rows]).square().mean(-1) * (float("nan") if bad else 1.0)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_what_was_good(tmp_path: Path) -> None:
    model = _Fragile(bad_call=12)
    with pytest.raises(TrainingError, match=r"diverged at step 12: loss nan.*lower lr") as caught:
        _fit(model, tmp_path / "run", checkpoint_every=5)
    run = caught.value.run
    assert run.status == "diverged"
    assert torch.isfinite(model.weight).all()
    assert (tmp_path / "run/checkpoints/step-00000010").is_dir()
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "diverged"


def test_folders_in_use_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        _fit(_model(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_resumed_run_must_be_the_same_run(tmp_path: Path) -> None:
    _fit(_model(), tmp_path / "run")
    with pytest.raises(InputError, match=r"lr 0\.001 -> 0\.1"):
        _fit(_model(), tmp_path / "run", resume=True, lr=0.1)
    with pytest.raises(InputError, match="other data"):
        pf.fit(_model(), DATA + 1, out=tmp_path / "run", resume=True, steps=20, progress=False)
    with pytest.raises(InputError, match="another model"):
        _fit(pf.Diffusion(pf.nn.MLP(2, width=8)), tmp_path / "run", resume=True)


def test_a_finished_run_resumes_at_once(tmp_path: Path) -> None:
    first = _fit(_model(), tmp_path / "run")
    again = _fit(_model(), tmp_path / "run", resume=True)
    assert again.history == first.history
    assert _same(first.model, again.model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is a whole number of at least 1, not 0"),
        ({"steps": 2.5}, "steps is a whole number of at least 1, not 2.5"),
        ({"standardize": 1}, "standardize is true or false, not 1"),
        ({"seed": -1}, "seed is a whole number of at least 0"),
        ({"lr": float("nan")}, "lr is a positive finite number, not nan"),
        ({"lr": "fast"}, "lr is a positive finite number, not 'fast'"),
        ({"lr": -1.0}, "lr is a positive finite number, not -1.0"),
        ({"ema": 1.0}, "ema"),
        ({"holdout": 1.0}, "holdout"),
        ({"schedule": "linear"}, "'cosine' or 'constant'"),
        ({"precision": "fp8"}, "precision"),
        ({"batch_size": 10, "accumulate": 3}, "multiple of accumulate=3"),
        ({"learning_rate": 1.0}, "no setting 'learning_rate'"),
        ({"seeds": 1}, "did you mean 'seed'"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_settings_out_of_range(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _fit(_model(), tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_numbers_may_be_text() -> None:
    settings = Settings(steps="1e3", lr="1e-3", batch_size=64.0, seed="7")
    assert (settings.steps, settings.lr, settings.batch_size, settings.seed) == (1000, 1e-3, 64, 7)
    assert isinstance(settings.batch_size, int)


class _Half(GenerativeModel):
    """A model that nobody said how to train."""

    capabilities = Capabilities(True, "none", False)

    def sample(self, n, c=None, *, seed=None):
        raise NotImplementedError

    def log_prob(self, x, c=None):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (pf.nn.MLP(2, width=8), "MLP is not a models.GenerativeModel: .*wrap the network"),
        (_Half(2), "_Half is not models.Trainable"),
        ("diffusion", "str is not a models.GenerativeModel"),
    ],
)
def test_only_models_are_trained(model, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.fit(model, DATA)


def test_data_that_are_no_states_of_the_model_are_refused(tmp_path: Path) -> None:
    model = pf.Diffusion(pf.nn.MLP(3, width=8), pf.processes.Brownian(pf.spaces.Sphere()))
    file = tmp_path / "places.csv"
    file.write_text("x,y,z\n0,0,1\n3,0,4\n")
    with pytest.raises(InputError, match=r"places\.csv, line 3 has .* from the unit sphere"):
        pf.fit(model, file, out=tmp_path / "run")
    tokens = pf.processes.Masking(pf.spaces.Tokens(2))
    with pytest.raises(InputError, match=r"places\.csv: tokens lie in 0\.\.1"):
        pf.fit(pf.Diffusion(pf.nn.MLP(3, width=8), tokens), file, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_its_states_are(tmp_path: Path) -> None:
    process = pf.processes.Thinning()
    mask = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    pf.data.write(
        tmp_path / "sets.npz",
        pf.spaces.Points(torch.ones(20, 3, 1) * mask.unsqueeze(-1), mask),
        space=process.space,
    )
    data = pf.data.load(tmp_path / "sets.npz", space=process.space)
    model = pf.Diffusion.for_data(data, process=process)
    run = pf.fit(model, tmp_path / "sets.npz", steps=2, out=tmp_path / "run", progress=False)
    about = json.loads((run.path / "manifest.json").read_text())["data"]
    assert about["states"] == process.space.describe_states(((3, 1), (3,)))
    assert about["fingerprint"] == data.fingerprint
    assert about["event_shape"] == [[3, 1], [3]]


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    # A loss without noise: one step on four micro-batches is one step on the batch.
    ends = []
    for accumulate in (1, 4):
        model = _Fragile(bad_call=0)
        _fit(model, steps=5, accumulate=accumulate, ema=0.0)
        ends.append(model.weight.item())
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_a_compiled_network_trains_and_is_saved_as_it_is_without(tmp_path: Path) -> None:
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        net = pf.nn.MLP(2, width=8)
        if compiled:
            net.compile(backend="eager")
        out = tmp_path / str(compiled)
        model = pf.Diffusion(net)
        pf.fit(model, pf.data.load("two_moons", n=200), out=out, steps=6, progress=False)
        kept = model.sample(4, steps=4, seed=0)
        assert torch.equal(pf.load(out).sample(4, steps=4, seed=0), kept)
        ends.append(kept)
    assert torch.allclose(*ends)


def test_the_learning_rate_rises_and_falls() -> None:
    settings = Settings(steps=100, warmup=9, lr=1.0)
    assert settings.rate(0) == pytest.approx(0.1)
    assert settings.rate(50) == pytest.approx(0.5)
    assert settings.rate(99) < 1e-3
    assert Settings(steps=100, lr=1e-3, warmup=0, schedule="constant").rate(99) == 1e-3


def test_the_average_is_the_exponential_one() -> None:
    model = nn.Linear(1, 1, bias=False).requires_grad_(False)
    average = Average(model, decay=0.5)
    expected = float(model.weight)
    for step in range(30):
        model.weight.fill_(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        average.update(step)
    assert float(average.model.weight) == pytest.approx(expected)


def test_every_row_comes_once_per_pass() -> None:
    batches = Batches(7, 3, seed=1)
    rows = torch.cat([batches(k) for k in range(7)])
    for k in range(3):
        assert sorted(rows[7 * k : 7 * k + 7].tolist()) == list(range(7))
    assert torch.equal(Batches(7, 3, seed=1)(5), batches(5))


def test_labels_reach_a_conditional_model() -> None:
    x = torch.cat([torch.randn(200, 1) * 0 - 2, torch.zeros(200, 1) + 2])
    x = x + 0.1 * torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(2).repeat_interleave(200)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.Diffusion(pf.nn.MLP(1, width=32, num_classes=2))
    dataset = torch.utils.data.TensorDataset(x, labels)
    pf.fit(model, dataset, steps=400, batch_size=64, lr=3e-3, progress=False)
    for label, place in ((0, -2.0), (1, 2.0)):
        assert float(model.sample(200, label, seed=0).mean()) == pytest.approx(place, abs=0.3)


def test_training_in_a_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    results = []
    thread = threading.Thread(target=lambda: results.append(_fit(_model(), steps=3).status))
    thread.start()
    thread.join()
    assert results == ["finished"]
    assert signal.getsignal(signal.SIGINT) is before


def test_tensorboard_files_are_written(tmp_path: Path) -> None:
    tracker = pf.training.TensorBoard(tmp_path)
    _fit(_model(), steps=3, trackers=(tracker,))
    assert any(p.name.startswith("events.out") for p in tmp_path.iterdir())


def test_the_norm_of_one_group_does_not_clip_another() -> None:
    players = nn.ParameterList([torch.zeros(2), torch.zeros(2)])
    optimizer = torch.optim.SGD([{"params": [p], "lr": 1.0, "rate": 1.0} for p in players])
    engine = Engine(SimpleNamespace(world_size=1), Settings(clip=1.0), players, optimizer)
    gradients = torch.tensor([[0.6, 0.0], [300.0, 400.0]])
    for parameter, gradient in zip(players, gradients, strict=True):
        parameter.grad = gradient.clone()
    norm = engine.step(1.0)
    assert float(norm) == pytest.approx((0.6**2 + 500**2) ** 0.5)
    assert torch.allclose(players[0], -gradients[0])
    assert torch.allclose(players[1], torch.tensor([-0.6, -0.8]), atol=1e-5)
