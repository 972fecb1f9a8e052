"""Kills at random moments: what was complete stays, and what goes on ends as if never stopped.

A child is forked for each, so that it begins at once and is killed within the work.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stage import Stage, called

import pushforward as pf
from pushforward import compression
from pushforward.models.checkpoints import checkpoints_in, choose
from pushforward.models.saving import check
from pushforward.schrodinger import CouplingCache, OuterIterations

__all__ = ["WORK", "Killed", "killed"]


class Killed(NamedTuple):
    """One kill: in the middle of what, after how long, and what was wrong then, if anything."""

    work: str
    after: float
    fault: str


class _Work(NamedTuple):
    """Work that can be killed, and what must hold after it, whenever that was."""

    act: Callable[[Path], object]
    holds: Callable[[Path], bool]


def _fit(folder: Path, steps: int = 24) -> pf.training.Run:
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    return pf.fit(
        Stage.model(), points, out=folder / "run", resume=True, steps=steps, batch_size=8,
        checkpoint_every=1, log_every=1, validate_every=3, lr=1.0, progress=False,
    )  # fmt: skip


def _bridge(folder: Path) -> pf.training.Run:
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nets = [pf.nn.MLP(2, width=4) for _ in range(2)]
        model = pf.SchrodingerBridge(
            *nets,
            iterations=OuterIterations(2, 3),
            cache=CouplingCache(refresh_every=2, rows=32),
            steps=3,
        )
    return pf.fit(
        model, points, source=points + 3, out=folder / "run", resume=True, steps=12, batch_size=8,
        checkpoint_every=1, log_every=1, progress=False,
    )  # fmt: skip


def _goes_on(fit: Callable[[Path], pf.training.Run]) -> Callable[[Path], bool]:
    """Complete checkpoints stay complete, and the run ends as one in one piece: last and best."""
    whole: dict[str, bytes] = {}

    def weights(folder: Path) -> dict[str, bytes]:
        kept = {checkpoints_in(folder / "run")[-1], choose(folder / "run")[0]}
        files = [file for checkpoint in kept for file in checkpoint.glob("*.safetensors")]
        return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}

    def holds(folder: Path) -> bool:
        if not whole:
            shutil.rmtree(folder / "apart", ignore_errors=True)
            fit(folder / "apart")
            whole.update(weights(folder / "apart"))
        if not (folder / "run").exists():
            return True
        if checkpoints_in(folder / "run"):
            check(folder / "run")
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder / "run", copy / "run")
        fit(copy)
        return weights(copy) == whole

    return holds


def _models() -> list[pf.Diffusion]:
    found = []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = pf.nn.MLP(2, width=4)
            found.append(pf.Diffusion(net, pf.schedules.VP(0.1, 10.0 + seed), event_shape=(2,)))
    return found


def _saves(folder: Path) -> None:
    for k in range(1000):
        _models()[k % 2].save(folder / "saved")


def _is_one_of_two(folder: Path) -> bool:
    if not (folder / "saved/config.yaml").exists():
        return True
    found = pf.load(folder / "saved").sample(3, steps=3, seed=0)
    return any(torch.equal(found, model.sample(3, steps=3, seed=0)) for model in _models())


def _samples(folder: Path) -> None:
    _models()[0].save(folder / "model")
    for _ in range(1000):
        called(["sample", str(folder / "model"), "-n", "50", "--steps", "2", "--out",
                str(folder / "x.npz")])  # fmt: skip


def _is_whole_sample(folder: Path) -> bool:
    path = folder / "x.npz"
    return not path.exists() or np.load(path)["x"].shape == (50, 2)


def _vae() -> tuple[Any, torch.Tensor]:
    levels = torch.randint(0, 4, (6, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    data = pf.data.Data(levels, levels=4, value_range=(0.0, 3.0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pf.VAE.for_data(data, decoder="logistic", latent=2, width=4).eval(), levels


def _compresses(folder: Path) -> None:
    model, levels = _vae()
    model.save(folder / "vae")
    np.save(folder / "x.npy", levels.numpy())
    for _ in range(1000):
        called(["compress", str(folder / "vae"), str(folder / "x.npy"), "-o", str(folder / "x.pf")])


def _is_whole_archive(folder: Path) -> bool:
    path = folder / "x.pf"
    if not path.exists():
        return True
    model, levels = _vae()
    return torch.equal(compression.decompress(model, compression.read(path)).x, levels)


WORK: dict[str, _Work] = {
    "train": _Work(_fit, _goes_on(_fit)),
    "bridge": _Work(_bridge, _goes_on(_bridge)),
    "save": _Work(_saves, _is_one_of_two),
    "sample": _Work(_samples, _is_whole_sample),
    "compress": _Work(_compresses, _is_whole_archive),
}


def _killed_after(act: Callable[[], object], seconds: float) -> None:
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            act()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def killed(n: int, root: Path, seed: int = 0) -> Iterator[Killed]:
    """`n` kills, of each work in turn; a work goes on where the last kill left it."""
    chance = random.Random(seed)
    for k in range(n):
        name = list(WORK)[k % len(WORK)]
        work, folder = WORK[name], root / name
        if k % (5 * len(WORK)) < len(WORK):
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        after = chance.uniform(0.0, 1.0) ** 2
        _killed_after(lambda work=work, folder=folder: work.act(folder), after)
        try:
            fault = "" if work.holds(folder) else "something else is there"
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        yield Killed(name, after, fault)
