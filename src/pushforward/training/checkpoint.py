"""Checkpoints: complete folders, written aside and renamed into place, read without running code.

    checkpoints/step-00000500/  config.yaml  manifest.json  model.safetensors  ema.safetensors
                                training.safetensors  training.json  arguments.safetensors
                                validation.safetensors: the losses of the best validation by row
    checkpoints/latest, checkpoints/best    text files that name a folder

A run killed at any moment leaves complete folders only; what was being written is swept away. Each
names its run, its step and the checksums of its files, all of which are verified before it is used.
"""

from __future__ import annotations

import dataclasses
import functools
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
from pushforward.training.average import Average
from pushforward.training.folder import RunFolder
from pushforward.training.optimizing import read_state, write_state
from pushforward.training.position import Position

__all__ = ["Checkpoints"]

_KEEP = 2
_OPTIMIZER, _VALIDATION = "training.safetensors", "validation.safetensors"
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

    def has(self, step: int) -> bool:
        """Whether the checkpoint of a step is there."""
        return self._path(step).is_dir()

    def save(
        self,
        position: Position,
        description: dict[str, Any],
        model: nn.Module,
        average: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: Tensor | None = None,
    ) -> Path:
        """Write the checkpoint of a step, and sweep away older ones but the last two and best.

        `losses` are those of the best validation, by row.

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
        more = write_arguments(partial, self.tensors)
        if losses is not None:
            safetensors.torch.save_file({"best": losses}, partial / _VALIDATION)
            more.append(_VALIDATION)
        training = json.dumps(dataclasses.asdict(position), indent=2)
        (partial / POSITION).write_text(training + "\n", encoding="utf-8")
        manifest = json.dumps(versions() | {"step": position.step}, indent=2)
        (partial / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
        written = [WEIGHTS, AVERAGES, _OPTIMIZER, POSITION, MANIFEST, *more]
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
        average: Average,
        optimizer: torch.optim.Optimizer,
        held: int,
    ) -> tuple[Position, Tensor | None] | None:
        """Load the newest checkpoint that is whole: where it stood, and the losses of its best.

        `None` if there is none yet. The average keeps the weights that had validated best on the
        `held` rows, or those of the checkpoint. A damaged one, or one of another run, is passed
        over with a warning. Raises `InputError` if all are damaged.
        """
        folders = checkpoints_in(self.run)
        for folder in reversed(folders):
            try:
                saved, files = _whole(folder, description)
                position = Position.from_plain(read_json(files[POSITION]), POSITION)
                if position.step != saved.get("step"):
                    raise InputError(f"its {POSITION} is that of step {position.step}")
                tensors = safetensors.torch.load_file(files[_OPTIMIZER])
                losses = _losses(files, held)
                safetensors.torch.load_model(average.model, files[AVERAGES])
                safetensors.torch.load_model(model, files[WEIGHTS])
                write_state(optimizer, tensors)
            except _FAULTS as error:
                warnings.warn(f"{folder} cannot be used ({error}): going back one", stacklevel=4)
                continue
            average.keep()
            if not self._keep_best(description, position, average):
                losses = None
            return position, losses
        if folders:
            raise InputError(
                f"every checkpoint in {self.folder} is damaged, or of another run: train anew "
                "elsewhere"
            )
        return None

    def _keep_best(self, description: dict[str, Any], position: Position, average: Average) -> bool:
        """Let the average keep the weights that validated best before a position, if there are any.

        If they are lost, the position forgets them, so that others can take their place.
        """
        if position.best is None or position.best["step"] == position.step:
            return position.best is not None
        best = self._path(int(position.best["step"]))
        try:
            _, files = _whole(best, description)
            average.keep_other(functools.partial(_read_weights, files[AVERAGES]))
        except _FAULTS as error:
            warnings.warn(
                f"{best}, which had validated best, cannot be used ({error}): what validates best "
                "from here on takes its place",
                stacklevel=5,
            )
            position.best, position.rising = None, 0
            return False
        return True

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


def _whole(folder: Path, now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The configuration and the verified files of a checkpoint of the run that is described.

    Raises `InputError` if any is damaged, or of another run.
    """
    saved = read_config(folder)
    check_identity(folder, saved)
    files = {
        name: verified(folder, name, saved["files"])
        for name in dict.fromkeys([*_NEEDED, *saved["files"]])
    }
    same = saved.get("run") == now.get("run") and saved["model"] == now["model"]
    if not same or any(_print(saved, part) != _print(now, part) for part in ("data", "source")):
        raise InputError("it is one of another run")
    return saved, files


def _losses(files: dict[str, Path], held: int) -> Tensor | None:
    """The losses of the best validation by row, if there are any."""
    if _VALIDATION not in files:
        return None
    losses = safetensors.torch.load_file(files[_VALIDATION])["best"]
    if losses.shape != (held,):
        raise InputError(f"its {_VALIDATION} has losses of {tuple(losses.shape)}, not {held} rows")
    return losses


def _read_weights(file: Path, model: nn.Module) -> None:
    safetensors.torch.load_model(model, file)


def _print(description: dict[str, Any], part: str) -> Any:
    """The fingerprint of the data or the source of a run."""
    return description.get(part, {}).get("fingerprint")


def _free(path: Path) -> Path:
    """A path, with a number if it is taken."""
    names = (path.with_name(f"{path.name}-{k}") for k in itertools.count(2))
    return next(name for name in itertools.chain([path], names) if not name.exists())
