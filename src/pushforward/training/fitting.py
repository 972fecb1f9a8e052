"""The training loop."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from pushforward.data import Data, load
from pushforward.errors import InputError, TrainingError
from pushforward.families.saving import versions
from pushforward.training.average import Average
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.loop import Loop
from pushforward.training.run import Run
from pushforward.training.settings import Settings
from pushforward.training.trackers import JsonLines, Tracker, read_history

__all__ = ["fit"]


def fit(
    model: nn.Module,
    data: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str = "auto",
    trackers: Sequence[Tracker] = (),
    progress: bool = True,
    settings: Settings | None = None,
    **changes: Any,
) -> Run:
    """Train a model on data; anything that `pushforward.data.load` takes.

    Args:
        model: any family: an `nn.Module` with `loss(x, c, generator=) -> (B,)`.
        data: a built-in name, a file, a folder of images, an array, a tensor, a data set.
        out: the run folder; nothing is written without one.
        resume: go on from the newest checkpoint in `out`, exactly as if never stopped.
        device: `auto`, `cpu`, `cuda` or `mps`.
        trackers: further places for the metrics, beside `metrics.jsonl`.
        progress: show a progress bar, or lines where there is no terminal.
        settings: see `Settings`; each of its fields can also be given by name.

    On return the model holds its averaged weights. Ctrl-C and SIGTERM save and return with status
    `interrupted`. Raises `InputError` before anything is written for settings out of range, a run
    folder in use, or a resumed run that differs from the one begun; `TrainingError`, with the run
    in its `.run`, when loss or gradients are no longer finite: the last good weights are kept.

    >>> import torch, pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16))
    >>> run = fit(model, torch.randn(100, 2, generator=torch.Generator().manual_seed(0)),
    ...           steps=3, progress=False)
    >>> run.status, run.step
    ('finished', 3)
    """
    fields = {f.name for f in dataclasses.fields(Settings)}
    unknown = set(changes) - fields
    if unknown:
        raise InputError(f"unknown settings {sorted(unknown)}; there are {sorted(fields)}")
    settings = dataclasses.replace(settings, **changes) if settings else Settings(**changes)
    data = load(data)
    train, held = _split(data, settings)
    if settings.standardize:
        model.standardize(train.x)  # type: ignore[operator]
    folder = None if out is None else Path(out)
    description = {
        "data": data.describe(),
        "model": model.describe(),  # type: ignore[operator]
        "training": settings.describe(),
    }
    store = None if folder is None else _open(folder, description, settings, resume)

    fabric = _fabric(device, settings)
    if settings.batch_size % (settings.accumulate * fabric.world_size):
        raise InputError(
            f"batch_size {settings.batch_size} must divide by {settings.accumulate} micro-batches "
            f"times {fabric.world_size} processes"
        )
    model.to(fabric.device)
    average = Average(model, settings.ema)
    optimizer: Any = torch.optim.AdamW(
        model.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=_can_fuse(model)
    )
    restored = store.restore(model, average.model, optimizer) if store and resume else None
    model.train()
    wrapped, optimizer = fabric.setup(model, optimizer)
    wrapped.mark_forward_method("loss")
    loop = Loop(settings, fabric, wrapped, model, average, optimizer, train, held)
    if restored is not None:
        loop.adopt(restored.step, restored.state)
    writing = folder if fabric.is_global_zero else None
    if writing is not None:
        history = read_history(writing / "metrics.jsonl", loop.step)
        loop.history = history
        _rewrite(writing, description, history)
        trackers = (*trackers, JsonLines(writing / "metrics.jsonl"))
    loop.run(description, store if fabric.is_global_zero else None, trackers, progress)
    average.model.to(fabric.device)
    model.load_state_dict(average.model.state_dict())
    model.eval()
    run = Run(model, loop.history, loop.best, folder, loop.status, loop.step)
    if writing is not None:
        _write_manifest(writing, data, settings, run, loop.seconds)
    if loop.status == "diverged":
        raise TrainingError(
            f"training diverged at step {loop.step + 1}: {loop.fault}. The last good weights are "
            f"kept{f' in {folder}' if folder else ''}. Try a lower lr (now {settings.lr:g}), "
            "clip=1.0, standardize=True, or look at the data with `pushforward doctor`",
            run,
        )
    return run


def _split(data: Data, settings: Settings) -> tuple[Data, Data | None]:
    if settings.holdout == 0:
        return data, None
    return data.split(settings.holdout, settings.seed)


def _open(
    folder: Path, description: dict[str, Any], settings: Settings, resume: bool
) -> Checkpoints:
    """The run folder's checkpoints, once it is clear that nothing there would be lost."""
    store = Checkpoints(folder)
    if not resume:
        if folder.exists() and any(folder.iterdir()):
            raise InputError(
                f"{folder} is not empty: give another folder, or resume=True (--resume) to go on"
            )
        return store
    saved = store.newest_config()
    if saved is None:
        return store
    if saved["data"]["fingerprint"] != description["data"]["fingerprint"]:
        raise InputError(f"{folder} was trained on other data: {saved['data'].get('source')}")
    if saved["model"] != description["model"]:
        raise InputError(f"{folder} holds another model: see {folder}/config.yaml")
    changed = settings.differences(saved["training"])
    if changed:
        list_ = ", ".join(f"{k} {a} -> {b}" for k, (a, b) in changed.items())
        raise InputError(f"a resumed run keeps its settings, but {list_}")
    return store


def _fabric(device: str, settings: Settings) -> Any:
    """Lightning Fabric: one process by default, as many as `torchrun` started under it."""
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda", "mps"):
        raise InputError(f"device is auto, cpu, cuda or mps, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but torch finds no CUDA device")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps' was asked for, but torch finds no Apple GPU")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // local
    fabric = Fabric(
        accelerator=device, devices=local, num_nodes=nodes, precision=settings.precision
    )
    fabric.launch()
    return fabric


def _can_fuse(model: nn.Module) -> bool:
    return all(p.device.type in ("cpu", "cuda") for p in model.parameters())


def _rewrite(folder: Path, description: dict[str, Any], history: list[dict[str, Any]]) -> None:
    """Begin or continue a run folder: its configuration, and its log up to the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "config.yaml", yaml.safe_dump(description, sort_keys=False))
    _replace(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in history))


def _write_manifest(folder: Path, data: Data, settings: Settings, run: Run, seconds: float) -> None:
    manifest = {
        **versions(),
        "status": run.status,
        "step": run.step,
        "best": run.best,
        "seconds": round(seconds, 3),
        "seed": settings.seed,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "data": data.describe(),
    }
    _replace(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
