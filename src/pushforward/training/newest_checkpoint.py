"""A folder with `config.yaml` and the newest checkpoint of some work, in safetensors.

The configuration names the checkpoint with its checksum and is replaced last, so that whoever reads
the folder finds the old one or the new one, whenever the writer was killed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from pushforward._files import checksum, replacing, write_text
from pushforward._records import read_sealed, sealed
from pushforward.errors import InputError
from pushforward.models.sealed_folder import CONFIG, versions
from pushforward.training.lock import LOCK

__all__ = ["NewestCheckpoint", "read_newest"]


class NewestCheckpoint:
    """Where one piece of work is kept while it goes on.

    Args:
        path: the folder.
        description: plain values that say which work it is.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = NewestCheckpoint(Path(folder), {"seed": 1})
    ...     kept.save(5, {"x": torch.ones(2)}, finished=False)
    ...     kept.restore(), [file.name for file in sorted(Path(folder).iterdir())]
    ({'x': tensor([1., 1.])}, ['config.yaml', 'step-00000005.safetensors'])
    """

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        self.path, self.description = path, description

    def check(self, resume: bool) -> None:
        """Raise `InputError` unless this work may write here.

        New work needs a folder that is empty or missing, resumed work its own.
        """
        if not (self.path / CONFIG).is_file():
            inside = [p.name for p in self.path.iterdir()] if self.path.is_dir() else []
            if any(name != LOCK and not name.endswith(".partial") for name in inside):
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

    def save(self, step: int, tensors: dict[str, Tensor], *, finished: bool) -> None:
        """Replace the checkpoint. Raises `OSError` if it cannot be written."""
        name = f"step-{step:08d}.safetensors"
        with replacing(self.path / name) as partial:
            safetensors.torch.save_file(tensors, partial)
        config = {
            "simulation": self.description,
            "checkpoint": {"file": name, "sha256": checksum(self.path / name)},
            "finished": finished,
            "versions": {key: str(value) for key, value in versions().items()},
        }
        write_text(self.path / CONFIG, sealed(config))
        for old in self.path.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()
        for rest in self.path.glob(".*.partial"):
            rest.unlink()

    def restore(self) -> dict[str, Tensor] | None:
        """The tensors of the newest checkpoint; `None` if there is none yet.

        Raises `InputError` if it is damaged.
        """
        return read_newest(self.path)[0] if (self.path / CONFIG).is_file() else None


def read_newest(folder: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors of the newest checkpoint, verified, and whether the work has ended.

    Raises `InputError` for a folder without one, or one that is damaged.
    """
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
