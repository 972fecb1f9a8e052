"""The folder of a simulation: `config.yaml`, and the newest checkpoint in safetensors.

The configuration names the checkpoint with its checksum and is replaced last, so that whoever reads
the folder finds the old one or the new one, whenever the writer was killed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pushforward._files import checksum, replacing, write_text
from pushforward._records import read_sealed, sealed
from pushforward.errors import InputError
from pushforward.models.sealed_folder import CONFIG, versions
from pushforward.simulation.position import SimulationPosition
from pushforward.simulation.simulated import Simulated

__all__ = ["SimulationFolder", "load"]


class SimulationFolder:
    """Where one simulation is kept.

    Args:
        path: the folder.
        description: plain values that say which simulation it is.
    """

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        self.path, self.description = path, description

    def check(self, resume: bool) -> None:
        """Raise `InputError` unless this simulation may write here.

        A new one needs a folder that is empty or missing, a resumed one its own.
        """
        if not (self.path / CONFIG).is_file():
            inside = [p.name for p in self.path.iterdir()] if self.path.is_dir() else []
            if set(inside) - {".lock"}:
                raise InputError(f"{self.path} is not empty: give another folder")
            return
        if not resume:
            raise InputError(
                f"{self.path} holds a simulation: give another folder, or resume=True to go on"
            )
        before = read_sealed(self.path / CONFIG).get("simulation", {})
        differs = [
            f"{name} {before.get(name)!r} -> {value!r}"
            for name, value in self.description.items()
            if before.get(name) != value
        ]
        if differs:
            raise InputError(f"{self.path} holds another simulation: {'; '.join(differs)}")

    def save(self, position: SimulationPosition, score: dict[str, Tensor], finished: bool) -> None:
        """Replace the checkpoint. Raises `OSError` if it cannot be written."""
        name = f"step-{position.step:08d}.safetensors"
        kept = position.tensors() | {f"score.{key}": t for key, t in score.items()}
        with replacing(self.path / name) as partial:
            safetensors.torch.save_file(kept, partial)
        config = {
            "simulation": self.description,
            "checkpoint": {"file": name, "sha256": checksum(self.path / name)},
            "finished": finished,
            "versions": {name: str(value) for name, value in versions().items()},
        }
        write_text(self.path / CONFIG, sealed(config))
        for old in self.path.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()
        for rest in self.path.glob(".step-*.partial"):
            rest.unlink()

    def restore(self, device: torch.device) -> tuple[SimulationPosition, dict[str, Tensor]] | None:
        """Where the newest checkpoint stands, with the state of the score; `None` without one.

        Raises `InputError` if it is damaged.
        """
        if not (self.path / CONFIG).is_file():
            return None
        kept, _ = _read(self.path)
        score = {k.removeprefix("score."): t for k, t in kept.items() if k.startswith("score.")}
        return SimulationPosition.of(kept, device), score


def load(folder: str | Path) -> Simulated:
    """What the newest checkpoint of a folder holds, of a simulation that has ended or not.

    Raises `InputError` for a folder without one, or one that is damaged.
    """
    kept, finished = _read(Path(folder))
    return SimulationPosition.of(kept, torch.device("cpu")).found(finished)


def _read(folder: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors of the newest checkpoint, verified, and whether the simulation has ended."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no simulation: there is no {CONFIG}")
    config = read_sealed(folder / CONFIG)
    named = config.get("checkpoint")
    if not isinstance(named, dict):
        raise InputError(f"{folder}/{CONFIG} is not that of a simulation")
    file = folder / Path(str(named.get("file"))).name
    if not file.is_file() or checksum(file) != named.get("sha256"):
        raise InputError(f"{file} is lost or damaged: it is not what {CONFIG} was written with")
    return safetensors.torch.load_file(file), bool(config.get("finished"))
