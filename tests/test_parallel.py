"""One run on two processes: this file is also what `torchrun` runs, once, for all tests in it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import xarray

import pushforward as pf
from pushforward import cli, parallel, state
from pushforward.errors import InputError
from pushforward.models.parameter_vector import flattened
from pushforward.training.trackers import read_history

ODE_SAMPLERS = ("adams", "ddim", "dpm++2m", "euler", "heun", "adams4")


def _points(seed: int = 0) -> torch.Tensor:
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(seed)) * 0.3 + 5
    x[::2] += 4
    return x


def _points_data() -> pf.data.Data:
    return pf.data.Data(_points())


def _pictures() -> pf.data.Data:
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return pf.data.Data(x, c=torch.arange(40) % 3)


def _new(make: Callable[[], Any]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def _perceptron() -> Any:
    return _new(lambda: pf.Diffusion(pf.nn.MLP(2, width=16)))


def _unet() -> Any:
    # More channels than groups of a normalization: it undoes a shift of a group, and where that is
    # one channel, the gradient of the bias before it is nothing but rounding.
    return _new(lambda: pf.Diffusion(pf.nn.UNet(width=16, blocks=1, num_classes=3)))


def _energy() -> Any:
    # A score is blind to the last bias of its energy, which then has no gradient. The implicit loss
    # draws no noise in so few dimensions.
    net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.SiLU(), torch.nn.Linear(16, 1))
    return pf.ScoreModel(pf.score_matching.Energy(net), "implicit")


def _chains() -> Any:
    return pf.EnergyModel(pf.nn.Perceptron(2, 1, width=8), "pcd")


def _sets() -> Any:
    """Point sets beside tokens: states of floats, truth values and integers."""
    factors = pf.processes.Thinning(), pf.processes.Masking(pf.spaces.Tokens(3))
    process = pf.processes.ProductProcess(factors)
    data = pf.data.load(_set_data(), space=process.space)
    # The features of time have no gradient at first and a small one for a while, of which single
    # precision leaves the rounding.
    return _new(lambda: pf.Diffusion.for_data(data, process=process)).double()


def _set_data() -> Any:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(40, 3, generator=generator) < 0.6
    x = torch.randn(40, 3, 1, generator=generator) * mask.unsqueeze(-1)
    return pf.spaces.Points(x, mask), torch.randint(0, 3, (40, 2), generator=generator)


def _windows() -> pf.data.Data:
    """Windows of a series of fields, to forecast the next frame from two."""
    u = np.random.default_rng(0).normal(size=(40, 4, 4)).astype("f4")
    store = xarray.Dataset({"u": (("time", "y", "x"), u)}, {"time": np.arange(40.0)})
    return pf.data.load(store, forecast="2:1", lazy=True)


def _forecaster() -> Any:
    net = partial(pf.nn.UNet, width=16, multipliers=(1,), blocks=1)
    return _new(lambda: pf.models.PointMatching.for_data(_windows(), net=net))


CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any], dict[str, Any]]] = {
    "perceptron": (_perceptron, _points, {}),
    "accumulated": (_perceptron, _points, {"accumulate": 2}),
    "unet": (_unet, _pictures, {"steps": 6}),
    "forecast": (_forecaster, _windows, {"steps": 6}),
    "energy": (lambda: _new(_energy), _points, {}),
    "sets": (_sets, _set_data, {}),
    "chains": (lambda: _new(_chains), _points, {"steps": 8}),
    "vae": (lambda: _new(lambda: pf.VAE.for_data(_points_data(), width=8)), _points, {"steps": 8}),
    "gan": (lambda: _new(lambda: pf.GAN.for_data(_points_data(), width=8)), _points, {"steps": 8}),
}


class _Stop:
    """Sends a signal to the first process, the only one with trackers."""

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        if step == 9:
            signal.raise_signal(signal.SIGTERM)

    def close(self) -> None:
        pass


def _fit(case: str, out: Path | None, data: Any = None, **more: Any) -> Any:
    make, load, changes = CASES[case]
    settings = {"steps": 24, "batch_size": 8, "warmup": 2, "device": "cpu"}
    settings |= {"log_every": 1, "validate_every": 6, "checkpoint_every": 12}
    data = load() if data is None else data
    with warnings.catch_warnings():
        # Chains are moved together in each process, as is said.
        warnings.filterwarnings("ignore", ".*saves neither memory nor time")
        return pf.fit(make(), data, out=out, progress=False, **settings | changes | more)


def _bridge() -> Any:
    nets = [pf.nn.MLP(2, width=8) for _ in range(2)]
    outer, cache = pf.schrodinger.OuterIterations(2, 2), pf.schrodinger.CouplingCache(rows=40)
    return pf.SchrodingerBridge(*nets, iterations=outer, cache=cache, steps=2)


def _fit_in_turns(out: Path) -> None:
    """Networks without a gradient: a generator while its critic makes two steps for one of its own,
    and the direction of a bridge that is not being learned."""
    data = pf.data.Data(_points())
    make = partial(pf.GAN.for_data, data, width=8, discrepancy="wasserstein", critic_steps=2)
    settings = {"steps": 5, "batch_size": 8, "device": "cpu", "progress": False}
    pf.fit(_new(make), data, out=out / "critic", **settings)
    pf.fit(_new(_bridge), _points(), source=_points(1), out=out / "bridge", **settings)


def _begin(folder: Path) -> None:
    """All that is compared, and a run that is stopped on its way."""
    for case in CASES:
        _fit(case, folder / case)
    _fit_in_turns(folder / "turns")
    assert _fit("perceptron", folder / "stopped", trackers=(_Stop(),)).status == "interrupted"
    model = pf.load(folder / "unet")
    shared = {"device": "cpu", "steps": 4, "seed": 3}
    drawn = {
        name: parallel.sample(model, 7, [0, 1, 2, 0, 1, 2, 0], sampler=name, **shared)
        for name in ODE_SAMPLERS
    }
    drawn["one"] = parallel.sample(model, 1, 2, **shared)
    drawn["sets"] = tuple(state.leaves(parallel.sample(pf.load(folder / "sets"), 7, **shared)))
    torch.save(drawn, folder / f"drawn-{parallel.rank()}.pt")


def _resume(begun: Path, out: Path) -> None:
    if parallel.rank() == 0:
        shutil.copytree(begun, out)
    if parallel.world_size() > 1:
        torch.distributed.barrier()
    _fit("perceptron", out, resume=True)


def _refusals(folder: Path) -> None:
    """What each process says to mistakes."""
    found = []
    mistakes = ({"batch_size": 15}, {"data": _points(parallel.rank())})
    for mistake in mistakes:
        with pytest.raises(InputError) as caught:
            _fit("perceptron", None, **mistake)
        found.append(str(caught.value))
    (folder / f"refusals-{parallel.rank()}.json").write_text(json.dumps(found))


def _command_line(folder: Path) -> None:
    run = folder / "moons"
    for words in (
        ("train", "two_moons", "--out", run, "--steps", 2, "--device", "cpu"),
        ("sample", run, "-n", 9, "--steps", 4, "--out", folder / "moons.npy", "--device", "cpu"),
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        assert end.value.code == 0


def _child(one: Path, two: Path) -> None:
    torch.set_num_threads(1)
    _begin(two)
    _resume(one / "stopped", two / "handed over")
    _resume(two / "stopped", two / "resumed")
    _refusals(two)
    _command_line(two)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """What one process and two processes leave behind, and all that the two print."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    _begin(one)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*words, __file__, one, two],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _resume(two / "stopped", one / "handed over")
    return one, two, done.stdout + done.stderr


def _check_same(a: Path, b: Path) -> None:
    """Two runs, up to the rounding of sums in another order.

    A gradient has a relative error of some 1e-7, measured by the largest terms of its sums; AdamW
    divides by the gradient's own size, so that a weight whose gradient is a hundred times smaller
    may be off by 1e-5 of the learning rate 1e-3 at each step, and the errors of 24 steps compound.
    """
    _check_same_weights(a, b)
    lines = [read_history(run / "metrics.jsonl") for run in (a, b)]
    assert len(lines[0]) == len(lines[1]) > 5
    for first, second in zip(*lines, strict=True):
        del first["seconds"], second["seconds"]
        # Small differences of losses near one have the rounding of these.
        for key in {"val_rise", "val_rise_stderr"} & first.keys():
            assert first.pop(key) == pytest.approx(second.pop(key), rel=1e-5, abs=1e-6), key
        assert first == pytest.approx(second, rel=1e-5), first["step"]


def _check_same_weights(a: Path, b: Path) -> None:
    for name in ("model", "ema"):
        x, y = (
            safetensors.torch.load_file(run / "checkpoints" / _latest(run) / f"{name}.safetensors")
            for run in (a, b)
        )
        assert x.keys() == y.keys()
        for key in x:
            assert torch.allclose(x[key], y[key], rtol=1e-5, atol=2e-6, equal_nan=True), key


def _latest(run: Path) -> str:
    return (run / "checkpoints/latest").read_text().strip()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_the_model_of_one(folders, case: str) -> None:
    one, two, _ = folders
    assert json.loads((two / case / "manifest.json").read_text())["processes"] == 2
    _check_same(one / case, two / case)


@pytest.mark.slow
def test_networks_that_wait_their_turn_do_not_stop_the_others(folders) -> None:
    for run in folders[:2]:
        for game in ("critic", "bridge"):
            manifest = json.loads((run / "turns" / game / "manifest.json").read_text())
            assert manifest["status"] == "finished"
        # Both directions have learned.
        now, before = (
            bridge.loop.directions for bridge in (pf.load(run / "turns" / "bridge"), _new(_bridge))
        )
        assert bool(now.has_average.all())
        for learned, start in zip(now.predictors, before.predictors, strict=True):
            assert not torch.equal(flattened(learned), flattened(start))


@pytest.mark.slow
def test_two_processes_train_the_bridge_of_one(folders) -> None:
    one, two, _ = folders
    _check_same_weights(one / "turns" / "bridge", two / "turns" / "bridge")


@pytest.mark.slow
def test_how_a_batch_is_cut_does_not_matter(folders) -> None:
    one, two, _ = folders
    _check_same(one / "perceptron", one / "accumulated")
    _check_same(one / "perceptron", two / "accumulated")


@pytest.mark.slow
def test_a_run_resumes_on_any_number_of_processes(folders) -> None:
    one, two, _ = folders
    assert 9 < int(_latest(two / "stopped").removeprefix("step-")) < 24
    for resumed in (two / "resumed", two / "handed over", one / "handed over"):
        _check_same(one / "perceptron", resumed)
    # Alone, to resume is exact; among two processes that sum two numbers, it is too.
    a, b = (two / name / "checkpoints/step-00000024" for name in ("perceptron", "resumed"))
    for name in ("model", "ema", "training"):
        file = f"{name}.safetensors"
        assert (a / file).read_bytes() == (b / file).read_bytes()


@pytest.mark.slow
def test_an_ode_sampler_draws_the_same_states(folders) -> None:
    one, two, _ = folders
    alone = torch.load(one / "drawn-0.pt")
    together = [torch.load(two / f"drawn-{rank}.pt") for rank in range(2)]
    for name, x in alone.items():
        for mine, one, other in zip(
            state.leaves(x),
            state.leaves(together[0][name]),
            state.leaves(together[1][name]),
            strict=True,
        ):
            assert torch.equal(one, other)
            assert mine.dtype == one.dtype
            # Trained for six steps, on other roundings.
            assert torch.allclose(mine, one, atol=1e-4), name


@pytest.mark.slow
def test_mistakes_are_refused_by_all_processes(folders) -> None:
    for rank in range(2):
        size, data = json.loads((folders[1] / f"refusals-{rank}.json").read_text())
        assert "batch_size 15 must be a multiple of accumulate 1 times 2 processes" in size
        assert "different data" in data


@pytest.mark.slow
def test_only_the_first_process_speaks(folders) -> None:
    _, two, said = folders
    assert "Warning" not in said
    for line in ("vectors of 2; Diffusion with", "finished at step 2", f"{two / 'moons.npy'}\n"):
        assert said.count(line) == 1, said
    assert {"report.html", "recipe.yaml"} <= {p.name for p in (two / "moons").iterdir()}
    exact = pf.load(two / "moons").sample(9, steps=4, seed=0)
    assert torch.allclose(torch.as_tensor(np.load(two / "moons.npy")), exact, atol=1e-5)


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
@pytest.mark.parametrize("sampler", ODE_SAMPLERS)
def test_shares_of_an_ode_sampler_are_those_of_the_whole(sampler: str, processes: int) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    asked: dict[str, Any] = {"sampler": sampler, "steps": 5, "seed": 3}
    shares = [parallel.share(7, rank, processes) for rank in range(processes)]
    union = torch.cat([model.sample(7, rows=rows, **asked) for rows in shares])
    assert torch.allclose(union, model.sample(7, **asked), atol=1e-5)


@pytest.mark.filterwarnings("ignore::pushforward.errors.ConvergenceWarning")
@pytest.mark.parametrize("model", ["sde", "ddpm", "pc", "langevin", "score"])
def test_shares_of_a_stochastic_sampler_have_noise_of_their_own(model: str) -> None:
    n = 4000
    if model == "score":
        net = pf.ScoreModel(torch.nn.Linear(2, 2), event_shape=(2,))
        asked: dict[str, Any] = {"steps": 60}
    else:
        net = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
        asked = {"sampler": model, "steps": 20, "denoise": False}
    a, b = (net.sample(2 * n, rows=parallel.share(2 * n, k, 2), seed=3, **asked) for k in range(2))
    correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
    assert abs(float(correlation)) < 4.5 / (2 * n) ** 0.5
    again = net.sample(2 * n, rows=parallel.share(2 * n, 1, 2), seed=3, **asked)
    assert torch.equal(b, again)
    whole = net.sample(2 * n, rows=slice(0, 2 * n), seed=3, **asked)
    assert torch.equal(whole, net.sample(2 * n, seed=3, **asked))
    if isinstance(net, pf.Diffusion):
        # There noise belongs to the row, whoever draws it.
        assert torch.allclose(torch.cat([a, b]), whole, atol=1e-4)


@pytest.mark.parametrize("rank", [-1, 2])
def test_there_is_no_share_for_others(rank: int) -> None:
    with pytest.raises(InputError, match=f"process {rank} of 2"):
        parallel.share(5, rank, 2)


def test_rows_are_next_to_each_other() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    with pytest.raises(InputError, match="next to each other"):
        model.sample(8, rows=slice(0, 8, 2), steps=3)


def test_devices_and_machines_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="not 'tpu'"):
        parallel.launch("tpu")
    uneven = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2"}
    for name, value in uneven.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="same --nproc-per-node"):
        parallel.launch("cpu")


def test_threads_that_launch_at_one_time_leave_all_as_it_was() -> None:
    """Fabric changes the class of data loaders for a moment."""
    parallel.launch("cpu")
    made = torch.utils.data.DataLoader.__init__
    level, interval = logging.getLogger("lightning_fabric").level, sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: parallel.launch("cpu"), range(60)))
    finally:
        sys.setswitchinterval(interval)
    assert torch.utils.data.DataLoader.__init__ is made
    assert logging.getLogger("lightning_fabric").level == level


if __name__ == "__main__":
    _child(*map(Path, sys.argv[1:]))
