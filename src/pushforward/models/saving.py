"""A model as a folder: `config.yaml`, `manifest.json`, `model.safetensors`. Nothing is executed.

The configuration names classes of `pushforward` and their plain arguments; the weights are raw
tensors. Loading makes the objects that the configuration names and copies the tensors in.

The configuration also names its files with their checksums, so that no other weights are read as
its own. It is replaced last: until then the former weights lie beside the new ones, and the former
model is what is read.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import nn

from pushforward import __version__, config, registry
from pushforward._files import checksum, replacing, write_text
from pushforward.errors import InputError

__all__ = [
    "ARGUMENTS",
    "AVERAGES",
    "FORMAT",
    "WEIGHTS",
    "checksums",
    "load",
    "read_config",
    "save",
    "verified",
    "versions",
    "write_arguments",
]

ARGUMENTS = "arguments.safetensors"
"""Tensors among the arguments of a model's parts, such as a noise covariance, by fingerprint."""

WEIGHTS, AVERAGES = "model.safetensors", "ema.safetensors"

_FORMER = ".former"

FORMAT = 3
"""The version of the folder's layout; a newer one is refused."""


def versions() -> dict[str, Any]:
    """What a saved folder records of its making.

    >>> sorted(versions())
    ['format', 'platform', 'pushforward', 'python', 'torch']
    """
    return {
        "format": FORMAT,
        "pushforward": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def save(model: Any, folder: str | os.PathLike[str]) -> Path:
    """Write a model to a folder, whole: a failure on the way leaves what was there before.

    A network that no configuration can name is left out and has to be given again to `load`.
    Raises `InputError` if the model holds any other such object, or the folder cannot be written.
    """
    tensors: dict[str, Any] = {}
    spec = {"model": model.describe(tensors)}
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _keep_former(path)
        with replacing(path / WEIGHTS) as partial:
            safetensors.torch.save_model(model, str(partial))
        written = [WEIGHTS, *write_arguments(path, tensors)]
        # From here on the folder holds the new model.
        text = yaml.safe_dump(spec | checksums(path, written), sort_keys=False)
        write_text(path / "config.yaml", text)
        write_text(path / "manifest.json", json.dumps(versions(), indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    for name in (ARGUMENTS, AVERAGES):
        if name not in written:
            (path / name).unlink(missing_ok=True)
    for former in path.glob(f"*{_FORMER}"):
        former.unlink()
    return path


def load(
    path: str | os.PathLike[str],
    *,
    trust: tuple[str, ...] = (),
    net: nn.Module | None = None,
    checkpoint: str = "latest",
) -> Any:
    """Load a saved model, or the averaged weights of a run folder, ready to sample.

    Args:
        path: a folder made by `save` or by `fit`, or one checkpoint of the latter.
        trust: modules outside `pushforward` whose configurable classes may be made.
        net: the network, for a model whose own network cannot be named in a configuration.
        checkpoint: `latest`, `best` or a checkpoint's name; only for a run folder.

    Raises `InputError` for a folder that is neither, a configuration that names anything else than
    trusted classes, or weights that do not fit.

    >>> import tempfile, pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = model.save(folder)
    ...     type(pf.load(folder)).__name__
    'Diffusion'
    """
    folder = _locate(Path(path), checkpoint)
    found = read_config(folder)
    names = found["files"]
    weights = verified(folder, AVERAGES if AVERAGES in names else WEIGHTS, names)
    arguments = _read_arguments(verified(folder, ARGUMENTS, names)) if ARGUMENTS in names else {}
    registry.trust(trust)
    # The weights are about to be replaced: their random start must not move the user's generator.
    with torch.random.fork_rng(devices=[]):
        given = {} if net is None else {"net": net}
        model = config.build(found["model"], trust, arguments, **given)
    if not isinstance(model, nn.Module):
        raise InputError(f"{folder}/config.yaml describes a {type(model).__name__}, not a model")
    try:
        missing, unexpected = safetensors.torch.load_model(model, weights, strict=False)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its configuration: {error}") from None
    if missing or unexpected:
        raise InputError(
            f"{weights} does not fit its configuration: "
            f"missing {sorted(missing)[:3]}, unexpected {sorted(unexpected)[:3]}"
        )
    return model.eval()


def checksums(folder: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The part of a configuration that names its files, each with its sha256."""
    return {"files": {name: checksum(folder / name) for name in names}}


def verified(folder: Path, name: str, files: dict[str, str]) -> Path:
    """The file of a name that a configuration was written with.

    That of a model which was being replaced when the writing broke off lies beside the new one.
    Raises `InputError` if there is none, or only one with other contents.
    """
    if name not in files:
        raise InputError(f"{folder}/config.yaml does not name {name} among its files")
    path = folder / name
    for candidate in (path, _former(path)):
        if candidate.is_file() and checksum(candidate) == files[name]:
            return candidate
    what = (
        "is not the file that its configuration was written with" if path.is_file() else "is lost"
    )
    raise InputError(f"{path} {what}: it is damaged, or belongs to another model")


def write_arguments(folder: Path, tensors: dict[str, Any]) -> list[str]:
    """Keep the tensors that a configuration speaks of beside it; the names of the files written."""
    if not tensors:
        return []
    with replacing(folder / ARGUMENTS) as partial:
        safetensors.torch.save_file(tensors, str(partial))
    return [ARGUMENTS]


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a saved model: at least `model` and `files`.

    Raises `InputError` if it cannot be read, or is of a newer layout.
    """
    try:
        found = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        spec, files = found["model"], found.get("files")
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}/config.yaml does not describe a model: {error}") from None
    manifest = folder / "manifest.json"
    if manifest.is_file():
        try:
            layout = int(json.loads(manifest.read_text(encoding="utf-8")).get("format", FORMAT))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{manifest} is damaged: {error}") from None
        if layout > FORMAT:
            raise InputError(
                f"{folder} has layout {layout}, this version reads up to {FORMAT}: "
                "pip install --upgrade pushforward"
            )
    if not isinstance(spec, dict) or not isinstance(files, dict):
        missing = "its files" if isinstance(spec, dict) else "a model"
        raise InputError(
            f"{folder}/config.yaml does not name {missing}: it is damaged, or was written by an "
            "older version"
        )
    return dict(found)


def _read_arguments(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = safetensors.torch.load_file(path)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return found


def _keep_former(folder: Path) -> None:
    """Set aside the files of the model that lies in a folder, until another one is complete."""
    if not (folder / "config.yaml").is_file():
        return
    try:
        files = read_config(folder)["files"]
    except InputError:
        # What cannot be read is no model to keep.
        return
    for name, wanted in files.items():
        path = folder / Path(name).name
        # After a save that broke off, the one set aside is the one to keep.
        if not path.is_file() or checksum(path) != wanted:
            continue
        # Between two names of one file, a rename does nothing.
        _former(path).unlink(missing_ok=True)
        with replacing(_former(path)) as partial:
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)


def _former(path: Path) -> Path:
    return path.with_name(path.name + _FORMER)


def _locate(path: Path, checkpoint: str) -> Path:
    """The folder that holds the weights."""
    if (path / WEIGHTS).is_file():
        return path
    if (path / "checkpoints").is_dir():
        pointer = path / "checkpoints" / checkpoint
        folder = pointer if pointer.is_dir() else pointer.parent / _pointed(pointer)
        if (folder / WEIGHTS).is_file():
            return folder
        raise InputError(f"{path} has no complete checkpoint {checkpoint!r} yet")
    if not path.exists():
        raise InputError(f"there is no folder {path}")
    raise InputError(f"{path} holds neither a saved model nor a run: it has no {WEIGHTS}")


def _pointed(pointer: Path) -> str:
    try:
        name = pointer.read_text().strip()
    except OSError:
        return ""
    # The pointer names a sibling, never a path elsewhere.
    return Path(name).name
