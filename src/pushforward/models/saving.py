"""A model as a folder: `config.yaml`, `manifest.json`, `model.safetensors`. Nothing is executed.

The configuration names classes of `pushforward` and their plain arguments; the weights are raw
tensors. Loading makes the objects that the configuration names and copies the tensors in.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import nn

from pushforward import __version__, config, registry
from pushforward.errors import InputError

__all__ = [
    "ARGUMENTS",
    "FORMAT",
    "load",
    "read_arguments",
    "read_config",
    "save",
    "versions",
    "write_arguments",
]

ARGUMENTS = "arguments.safetensors"
"""Tensors among the arguments of a model's parts, such as a noise covariance, by fingerprint."""

FORMAT = 2
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
    """Write a model to a folder; each file is replaced at once, never half written.

    A network that no configuration can name is left out and has to be given again to `load`.
    Raises `InputError` if the model holds any other such object.
    """
    tensors: dict[str, Any] = {}
    spec = {"model": model.describe(tensors)}
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    write_arguments(path, tensors)
    partial = path / "model.safetensors.partial"
    safetensors.torch.save_model(model, str(partial))
    os.replace(partial, path / "model.safetensors")
    # Averages of another model may lie here from before; loading would prefer them.
    (path / "ema.safetensors").unlink(missing_ok=True)
    _replace(path / "config.yaml", yaml.safe_dump(spec, sort_keys=False))
    _replace(path / "manifest.json", json.dumps(versions(), indent=2) + "\n")
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
    spec = read_config(folder)
    registry.trust(trust)
    # The weights are about to be replaced: their random start must not move the user's generator.
    with torch.random.fork_rng(devices=[]):
        given = {} if net is None else {"net": net}
        model = config.build(spec, trust, read_arguments(folder), **given)
    if not isinstance(model, nn.Module):
        raise InputError(f"{folder}/config.yaml describes a {type(model).__name__}, not a model")
    weights = folder / "ema.safetensors"
    if not weights.is_file():
        weights = folder / "model.safetensors"
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


def write_arguments(folder: Path, tensors: dict[str, Any]) -> None:
    """Keep the tensors that a configuration speaks of beside it; nothing if there are none."""
    path = folder / ARGUMENTS
    if not tensors:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(path.name + ".partial")
    safetensors.torch.save_file(tensors, str(partial))
    os.replace(partial, path)


def read_arguments(folder: Path) -> dict[str, Any]:
    """The tensors that a configuration speaks of. Raises `InputError` for a damaged file."""
    path = folder / ARGUMENTS
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = safetensors.torch.load_file(path)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """The model's description in a saved folder. Raises `InputError` if it cannot be read."""
    try:
        spec = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["model"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{folder}/config.yaml does not describe a model: {error}") from None
    manifest = folder / "manifest.json"
    if manifest.is_file():
        try:
            found = int(json.loads(manifest.read_text(encoding="utf-8")).get("format", FORMAT))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{manifest} is damaged: {error}") from None
        if found > FORMAT:
            raise InputError(
                f"{folder} has layout {found}, this version reads up to {FORMAT}: "
                "pip install --upgrade pushforward"
            )
    return spec


def _locate(path: Path, checkpoint: str) -> Path:
    """The folder that holds the weights."""
    if (path / "model.safetensors").is_file():
        return path
    if (path / "checkpoints").is_dir():
        pointer = path / "checkpoints" / checkpoint
        folder = pointer if pointer.is_dir() else pointer.parent / _pointed(pointer)
        if (folder / "model.safetensors").is_file():
            return folder
        raise InputError(f"{path} has no complete checkpoint {checkpoint!r} yet")
    if not path.exists():
        raise InputError(f"there is no folder {path}")
    raise InputError(f"{path} holds neither a saved model nor a run: it has no model.safetensors")


def _pointed(pointer: Path) -> str:
    try:
        name = pointer.read_text().strip()
    except OSError:
        return ""
    # The pointer names a sibling, never a path elsewhere.
    return Path(name).name


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
