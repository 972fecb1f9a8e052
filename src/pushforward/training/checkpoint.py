"""Checkpoints: complete folders, written aside and renamed into place, read without running code.

    checkpoints/step-00000500/  config.yaml  manifest.json  model.safetensors  ema.safetensors
                                training.safetensors  training.json  arguments.safetensors
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

from pushforward._files import sync, write_text
from pushforward.errors import InputError
from pushforward.models.saving import (
    AVERAGES,
    WEIGHTS,
    checksums,
    read_config,
    verified,
    versions,
    write_arguments,
)
from pushforward.training.optimizing import read_state, write_state
from pushforward.training.position import Position

__all__ = ["Checkpoints"]

_KEEP = 2
_OPTIMIZER, _POSITION = "training.safetensors", "training.json"
_FAULTS = (
    InputError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    safetensors.SafetensorError,
)


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
        safetensors.torch.save_model(model, str(partial / WEIGHTS))
        safetensors.torch.save_model(average, str(partial / AVERAGES))
        safetensors.torch.save_file(read_state(optimizer), partial / _OPTIMIZER)
        arguments = write_arguments(partial, self.tensors)
        training = json.dumps(dataclasses.asdict(position), indent=2)
        (partial / _POSITION).write_text(training + "\n", encoding="utf-8")
        files = checksums(partial, [WEIGHTS, AVERAGES, _OPTIMIZER, _POSITION, *arguments])
        config = yaml.safe_dump(description | files, sort_keys=False)
        (partial / "config.yaml").write_text(config, encoding="utf-8")
        manifest = json.dumps(versions() | {"step": position.step}, indent=2)
        (partial / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
        for file in partial.iterdir():
            sync(file)
        sync(partial)
        os.rename(partial, final)
        sync(self.folder)
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
        self,
        description: dict[str, Any],
        model: nn.Module,
        average: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> Position | None:
        """Load the newest checkpoint that is whole; `None` if there is none yet.

        A damaged one, or one of another run, is passed over with a warning. Raises `InputError` if
        all are damaged.
        """
        folders = self._all()
        for folder in reversed(folders):
            try:
                saved = read_config(folder)
                files = {name: verified(folder, name, saved["files"]) for name in saved["files"]}
                position = Position(**json.loads(files[_POSITION].read_text(encoding="utf-8")))
                self._check(folder, saved, position, description)
                tensors = safetensors.torch.load_file(files[_OPTIMIZER])
                safetensors.torch.load_model(average, files[AVERAGES])
                safetensors.torch.load_model(model, files[WEIGHTS])
                write_state(optimizer, tensors)
            except _FAULTS as error:
                warnings.warn(f"{folder} is damaged ({error}): going back one", stacklevel=4)
                continue
            return position
        if folders:
            raise InputError(f"every checkpoint in {self.folder} is damaged: train anew elsewhere")
        return None

    def _check(
        self, folder: Path, saved: dict[str, Any], position: Position, now: dict[str, Any]
    ) -> None:
        """Raise `InputError` for a checkpoint of another run, or of another step."""
        if self._path(position.step) != folder:
            raise InputError(f"it is that of step {position.step}")
        same = saved["model"] == now["model"]
        if not same or any(_print(saved, part) != _print(now, part) for part in ("data", "source")):
            raise InputError("it is one of another run")

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
        write_text(self.folder / name, target.name + "\n")

    def _remove(self, folder: Path) -> None:
        # Renamed first: a folder half removed must not look complete.
        doomed = folder.with_name(f".{folder.name}.partial")
        os.rename(folder, doomed)
        shutil.rmtree(doomed)


def _print(description: dict[str, Any], part: str) -> Any:
    """The fingerprint of the data or the source of a run."""
    return description.get(part, {}).get("fingerprint")
