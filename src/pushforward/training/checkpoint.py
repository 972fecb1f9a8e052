"""Checkpoints: complete folders, written aside and renamed into place, read without running code.

    checkpoints/step-00000500/  config.yaml  manifest.json  model.safetensors  ema.safetensors
                                training.safetensors  training.json
    checkpoints/latest, checkpoints/best    text files that name a folder

A run killed at any moment leaves complete folders only; what was being written is swept away.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.models.saving import versions, write_arguments
from pushforward.training.optimizing import read_state, write_state
from pushforward.training.position import Position

__all__ = ["Checkpoints"]

_KEEP = 2
_FAULTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError)


class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, run: Path, tensors: dict[str, Tensor]) -> None:
        self.folder, self.tensors = run / "checkpoints", tensors

    def save(
        self,
        position: Position,
        description: dict[str, Any],
        model: nn.Module,
        average: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> Path:
        """Write the checkpoint of a step, and sweep away older ones but the last two and best."""
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self._path(position.step)
        partial = self.folder / f".{final.name}.partial"
        partial.mkdir()
        safetensors.torch.save_model(model, str(partial / "model.safetensors"))
        safetensors.torch.save_model(average, str(partial / "ema.safetensors"))
        safetensors.torch.save_file(read_state(optimizer), partial / "training.safetensors")
        write_arguments(partial, self.tensors)
        training = json.dumps(dataclasses.asdict(position), indent=2)
        (partial / "training.json").write_text(training + "\n", encoding="utf-8")
        config = yaml.safe_dump(description, sort_keys=False)
        (partial / "config.yaml").write_text(config, encoding="utf-8")
        manifest = json.dumps(versions() | {"step": position.step}, indent=2)
        (partial / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
        for file in partial.iterdir():
            _sync(file)
        _sync(partial)
        os.rename(partial, final)
        _sync(self.folder)
        self._point("latest", final)
        best = None if position.best is None else self._path(int(position.best["step"]))
        # Every time, since the run may have been killed between the folder and its pointer.
        if best is not None and best.is_dir():
            self._point("best", best)
        for old in self._all()[:-_KEEP]:
            if old != best:
                self._remove(old)
        return final

    def restore(
        self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
    ) -> Position | None:
        """Load the newest checkpoint that is whole; `None` if there is none yet.

        A damaged one is passed over with a warning. Raises `InputError` if all are damaged.
        """
        folders = self._all()
        for folder in reversed(folders):
            try:
                position = Position(**json.loads((folder / "training.json").read_text()))
                tensors = safetensors.torch.load_file(folder / "training.safetensors")
                safetensors.torch.load_model(average, folder / "ema.safetensors")
                safetensors.torch.load_model(model, folder / "model.safetensors")
                write_state(optimizer, tensors)
            except _FAULTS as error:
                warnings.warn(f"{folder} is damaged ({error}): going back one", stacklevel=4)
                continue
            return position
        if folders:
            raise InputError(f"every checkpoint in {self.folder} is damaged: train anew elsewhere")
        return None

    def sweep(self, step: int) -> None:
        """Remove what lies past a step, because it is damaged, and what was left half written."""
        for folder in self._all():
            if folder > self._path(step):
                self._remove(folder)
        for rest in self.folder.glob(".*.partial"):
            if rest.is_dir():
                shutil.rmtree(rest)
            else:
                rest.unlink()

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _all(self) -> list[Path]:
        """The complete folders, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def _point(self, name: str, target: Path) -> None:
        partial = self.folder / f".{name}.partial"
        partial.write_text(target.name + "\n", encoding="utf-8")
        _sync(partial)
        os.replace(partial, self.folder / name)

    def _remove(self, folder: Path) -> None:
        # Renamed first: a folder half removed must not look complete.
        doomed = folder.with_name(f".{folder.name}.partial")
        os.rename(folder, doomed)
        shutil.rmtree(doomed)


def _sync(path: Path) -> None:
    """Force a file or folder to disk, so that a rename never outruns its contents."""
    # Windows cannot open a folder, and orders renames by itself.
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
