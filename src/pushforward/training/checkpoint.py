"""Checkpoints: complete folders, written aside and renamed into place, read without running code.

    checkpoints/step-00000500/  config.yaml  manifest.json  model.safetensors  ema.safetensors
                                training.safetensors  training.json  arguments.safetensors
    checkpoints/latest, checkpoints/best    text files that name a folder

A run killed at any moment leaves complete folders only; what was being written is swept away. Each
names its run, its step and the checksums of its files, all of which are verified before it is used.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pushforward._files import require_space, sync, write_text
from pushforward._records import read_json, sealed
from pushforward.errors import InputError
from pushforward.models.checkpoints import (
    CHECKPOINTS,
    POSITION,
    check_identity,
    checkpoints_in,
    step_name,
    step_of,
)
from pushforward.models.saving import write_arguments
from pushforward.models.sealed_folder import (
    AVERAGES,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    checksums,
    read_config,
    verified,
    versions,
)
from pushforward.training.folder import RunFolder
from pushforward.training.optimizing import read_state, write_state
from pushforward.training.position import Position

__all__ = ["Checkpoints"]

_KEEP = 2
_OPTIMIZER = "training.safetensors"
_NEEDED = (WEIGHTS, AVERAGES, _OPTIMIZER, POSITION, MANIFEST)
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

    def __init__(self, home: RunFolder, tensors: dict[str, Tensor]) -> None:
        self.home, self.run, self.tensors = home, home.path, tensors
        self.folder = self.run / CHECKPOINTS

    def require_space(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, every: int
    ) -> None:
        """Raise `InputError` if there is no room for the checkpoints of so many steps.

        Weights and their averages, and two moments of each trained number; as many times as there
        are checkpoints at once.
        """
        weights = sum(tensor.nbytes for tensor in model.state_dict().values())
        trained = sum(p.nbytes for group in optimizer.param_groups for p in group["params"])
        there, new = len(checkpoints_in(self.run)), math.ceil(steps / every)
        # A new one is written before the oldest goes.
        more = min(new, max(1, _KEEP + 1 - there))
        require_space(self.folder, more * 2 * (weights + trained))

    def save(
        self,
        position: Position,
        description: dict[str, Any],
        model: nn.Module,
        average: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> Path:
        """Write the checkpoint of a step, and sweep away older ones but the last two and best.

        Raises `OSError` if it cannot be written, or the run folder is gone: it is not made again.
        """
        self.home.require_in_place()
        self.folder.mkdir(exist_ok=True)
        final = self._path(position.step)
        partial = self.folder / f".{final.name}.partial"
        partial.mkdir()
        safetensors.torch.save_model(model, str(partial / WEIGHTS))
        safetensors.torch.save_model(average, str(partial / AVERAGES))
        safetensors.torch.save_file(read_state(optimizer), partial / _OPTIMIZER)
        arguments = write_arguments(partial, self.tensors)
        training = json.dumps(dataclasses.asdict(position), indent=2)
        (partial / POSITION).write_text(training + "\n", encoding="utf-8")
        manifest = json.dumps(versions() | {"step": position.step}, indent=2)
        (partial / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
        written = [WEIGHTS, AVERAGES, _OPTIMIZER, POSITION, MANIFEST, *arguments]
        config = sealed(description | {"step": position.step} | checksums(partial, written))
        (partial / CONFIG).write_text(config, encoding="utf-8", newline="\n")
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
        for old in checkpoints_in(self.run)[:-_KEEP]:
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
        folders = checkpoints_in(self.run)
        for folder in reversed(folders):
            try:
                saved = read_config(folder)
                check_identity(folder, saved)
                files = {
                    name: verified(folder, name, saved["files"])
                    for name in dict.fromkeys([*_NEEDED, *saved["files"]])
                }
                position = Position.from_plain(read_json(files[POSITION]), POSITION)
                if position.step != saved.get("step"):
                    raise InputError(f"its {POSITION} is that of step {position.step}")
                self._check(saved, description)
                tensors = safetensors.torch.load_file(files[_OPTIMIZER])
                safetensors.torch.load_model(average, files[AVERAGES])
                safetensors.torch.load_model(model, files[WEIGHTS])
                write_state(optimizer, tensors)
            except _FAULTS as error:
                warnings.warn(f"{folder} cannot be used ({error}): going back one", stacklevel=4)
                continue
            return position
        if folders:
            raise InputError(
                f"every checkpoint in {self.folder} is damaged, or of another run: train anew "
                "elsewhere"
            )
        return None

    @staticmethod
    def _check(saved: dict[str, Any], now: dict[str, Any]) -> None:
        """Raise `InputError` for a checkpoint of another run."""
        same = saved.get("run") == now.get("run") and saved["model"] == now["model"]
        if not same or any(_print(saved, part) != _print(now, part) for part in ("data", "source")):
            raise InputError("it is one of another run")

    def sweep(self, step: int) -> None:
        """Set aside what lies past a step and was passed over, and remove what is half written.

        It may be of another run, or have the wrong name: it is not this run's to delete.
        """
        for folder in checkpoints_in(self.run):
            if step_of(folder) > step:
                os.rename(folder, _free(folder.with_name(f"unused-{folder.name}")))
        for rest in self.folder.glob(".*.partial"):
            if rest.is_dir():
                shutil.rmtree(rest)
            else:
                rest.unlink()

    def _path(self, step: int) -> Path:
        return self.folder / step_name(step)

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


def _free(path: Path) -> Path:
    """A path, with a number if it is taken."""
    names = (path.with_name(f"{path.name}-{k}") for k in itertools.count(2))
    return next(name for name in itertools.chain([path], names) if not name.exists())
