"""Checkpoints: complete folders, written aside and renamed into place, read without running code.

    checkpoints/step-00000500/  config.yaml  manifest.json  model.safetensors  ema.safetensors
                                training.safetensors  training.json
    checkpoints/latest, checkpoints/best    text files that name a folder

A run killed at any moment leaves complete folders only; what was being written is swept away.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.families.saving import versions

__all__ = ["Checkpoints", "Restored"]

_KEEP = 2


@dataclass(frozen=True)
class Restored:
    """What a checkpoint held beside the weights, which are already in place."""

    step: int
    state: dict[str, Any]
    optimizer: dict[str, Tensor]


class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "checkpoints"

    def save(
        self,
        step: int,
        description: dict[str, Any],
        model: nn.Module,
        average: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: dict[str, Any],
    ) -> Path:
        """Write the checkpoint of a step, unless it is there already."""
        final = self.folder / f"step-{step:08d}"
        if not final.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f".{final.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            safetensors.torch.save_model(model, str(partial / "model.safetensors"))
            safetensors.torch.save_model(average, str(partial / "ema.safetensors"))
            safetensors.torch.save_file(_flatten(optimizer), partial / "training.safetensors")
            _write(partial / "training.json", json.dumps({"step": step, **state}, indent=2))
            _write(partial / "config.yaml", yaml.safe_dump(description, sort_keys=False))
            _write(partial / "manifest.json", json.dumps(versions(), indent=2))
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
            os.rename(partial, final)
            _sync(self.folder)
        self._point("latest", final)
        if state["best"] is not None and state["best"]["step"] == step:
            self._point("best", final)
        self._prune(state["best"])
        return final

    def restore(
        self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
    ) -> Restored | None:
        """Load the newest checkpoint that is whole; `None` if there is none yet.

        A damaged one is passed over with a warning. Raises `InputError` if all are damaged.
        """
        folders = self.steps()
        for folder in reversed(folders):
            try:
                state = json.loads((folder / "training.json").read_text())
                tensors = safetensors.torch.load_file(folder / "training.safetensors")
                safetensors.torch.load_model(average, folder / "ema.safetensors")
                safetensors.torch.load_model(model, folder / "model.safetensors")
            except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
                warnings.warn(f"{folder} is damaged ({error}): going back one", stacklevel=3)
                continue
            _unflatten(optimizer, tensors)
            return Restored(state.pop("step"), state, tensors)
        if folders:
            raise InputError(f"every checkpoint in {self.folder} is damaged: train anew elsewhere")
        return None

    def newest_config(self) -> dict[str, Any] | None:
        """The configuration saved with the newest readable checkpoint."""
        for folder in reversed(self.steps()):
            try:
                return yaml.safe_load((folder / "config.yaml").read_text())
            except (OSError, yaml.YAMLError):
                continue
        return None

    def steps(self) -> list[Path]:
        """The complete checkpoint folders, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def _point(self, name: str, target: Path) -> None:
        partial = self.folder / f".{name}.partial"
        _write(partial, target.name + "\n")
        os.replace(partial, self.folder / name)

    def _prune(self, best: dict[str, Any] | None) -> None:
        kept = {f"step-{best['step']:08d}"} if best else set()
        for folder in self.steps()[:-_KEEP]:
            if folder.name not in kept:
                # Renamed first: a folder half deleted must not look complete.
                doomed = folder.with_name(f".{folder.name}.partial")
                shutil.rmtree(doomed, ignore_errors=True)
                os.rename(folder, doomed)
                shutil.rmtree(doomed)


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors; its settings come from the run's own."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value).contiguous()
        for index, entries in state.items()
        for name, value in entries.items()
    }


def _unflatten(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Force a file or folder to disk, so that a rename never outruns its contents."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
