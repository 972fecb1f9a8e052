"""A model as a folder: `config.yaml`, `manifest.json`, `model.safetensors`. Nothing is executed.

The configuration names classes of `pushforward` and their plain arguments; the weights are raw
tensors. Loading makes the objects that the configuration names and copies the tensors in.

The configuration also names its files with their checksums, so that no other weights are read as
its own, says what the data were that the model learned from, and ends with a checksum of itself. It
is replaced last: until then the former weights lie beside the new ones, and the former model is
what is read. That of a checkpoint names its run and its step as well.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from pushforward import __version__, checks, config, registry
from pushforward._files import checksum, replacing, write_text
from pushforward._records import read_json, read_sealed, read_sealed_json, sealed
from pushforward.errors import InputError
from pushforward.models.learned_from import lasting

__all__ = [
    "ARGUMENTS",
    "AVERAGES",
    "CHECKPOINTS",
    "CONFIG",
    "FORMAT",
    "MANIFEST",
    "WEIGHTS",
    "check",
    "check_identity",
    "checkpoints_in",
    "checksums",
    "load",
    "read_config",
    "save",
    "step_name",
    "step_of",
    "verified",
    "versions",
    "write_arguments",
]

ARGUMENTS = "arguments.safetensors"
"""Tensors among the arguments of a model's parts, such as a noise covariance, by fingerprint."""

WEIGHTS, AVERAGES = "model.safetensors", "ema.safetensors"

CONFIG, MANIFEST = "config.yaml", "manifest.json"

CHECKPOINTS = "checkpoints"
"""The folder of a run's checkpoints, each with its averaged weights."""

_FORMER = ".former"

_PRECISIONS = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}

_STEP = re.compile(r"step-[0-9]{8,18}\Z")

FORMAT = 4
"""The version of the folder's layout; any other is refused."""


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
    if model.learned_from is not None:
        spec["data"] = dict(model.learned_from)
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _keep_former(path)
        with replacing(path / WEIGHTS) as partial:
            safetensors.torch.save_model(model, str(partial))
        write_text(path / MANIFEST, json.dumps(versions(), indent=2) + "\n")
        written = [WEIGHTS, MANIFEST, *write_arguments(path, tensors)]
        # From here on the folder holds the new model.
        write_text(path / CONFIG, sealed(spec | checksums(path, written)))
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
    folder = locate(Path(path), checkpoint)
    found = read_config(folder)
    if folder != Path(path):
        check_identity(folder, found)
    names = found["files"]
    # A checkpoint samples with its averages or not at all.
    weights = verified(folder, AVERAGES if "run" in found else WEIGHTS, names)
    verified(folder, MANIFEST, names)
    arguments = _read_arguments(verified(folder, ARGUMENTS, names)) if ARGUMENTS in names else {}
    registry.trust(trust)
    # The weights are about to be replaced: their random start must not move the user's generator.
    with torch.random.fork_rng(devices=[]):
        given = {} if net is None else {"net": net}
        model = config.build(found["model"], trust, arguments, **given)
    if not isinstance(model, nn.Module):
        raise InputError(f"{folder}/config.yaml describes a {type(model).__name__}, not a model")
    try:
        _in_saved_precision(model, weights)
        missing, unexpected = safetensors.torch.load_model(model, weights, strict=False)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its configuration: {error}") from None
    if missing or unexpected:
        raise InputError(
            f"{weights} does not fit its configuration: "
            f"missing {sorted(missing)[:3]}, unexpected {sorted(unexpected)[:3]}"
        )
    known: Any = found.get("data")
    if isinstance(known, dict):
        model.learned_from = lasting(known)  # type: ignore[assignment]
    return model.eval()


def _in_saved_precision(model: nn.Module, weights: Path) -> None:
    """Bring a new model to the precision of its saved weights, or of its buffers without any."""
    with safetensors.safe_open(weights, "pt") as file:
        names = list(file.keys())
        saved = {name: _PRECISIONS.get(file.get_slice(name).get_dtype()) for name in names}
    parameters = list(model.named_parameters(remove_duplicate=False))
    known = [saved[name] for name, _ in parameters or model.named_buffers() if saved.get(name)]
    if known:
        # What is saved with no name of its own, such as a mask, goes with the first.
        model.to(known[0])
    for name, parameter in parameters:
        parameter.data = parameter.data.to(saved.get(name) or parameter.dtype)


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
    """The configuration of a saved model or checkpoint: at least `model` and `files`.

    Raises `InputError` if it is damaged or was changed, or if another version wrote it.
    """
    path = folder / CONFIG
    _check_layout(folder)
    found = read_sealed(path)
    files = found.get("files")
    if not isinstance(found.get("model"), dict) or not isinstance(files, dict):
        raise InputError(f"{path} does not describe a model with its files")
    for name, digest in files.items():
        if not isinstance(digest, str) or not _is_plain_name(name):
            raise InputError(f"{path} names {name!r}, which is no file beside it")
    return found


def check_identity(folder: Path, found: dict[str, Any]) -> None:
    """Raise `InputError` for a configuration that is not of the run and the step of its folder."""
    place = folder.resolve()
    run = place.parent.parent
    if "run" not in found:
        raise InputError(f"{folder} is no checkpoint of a run: another model lies in its place")
    if place.name != step_name(checks.whole(f"{folder}: step", found.get("step"), least=0)):
        raise InputError(f"{folder} is the checkpoint of step {found['step']}: it was renamed")
    if read_sealed(run / CONFIG).get("run") != found["run"]:
        raise InputError(f"{folder} is a checkpoint of another run than {run}")


def check(path: str | os.PathLike[str]) -> list[Path]:
    """Verify every file of a saved model, or of all checkpoints of a run; the folders looked at.

    Raises `InputError` with all that is wrong.
    """
    root = Path(path)
    if (root / WEIGHTS).is_file():
        folders = [root]
    else:
        read_sealed(root / CONFIG)
        read_sealed_json(root / MANIFEST)
        folders = checkpoints_in(root)
        if not folders:
            raise InputError(f"{root} has no checkpoint")
    faults = []
    for folder in folders:
        try:
            found = read_config(folder)
            if folder != root:
                check_identity(folder, found)
            needed = (WEIGHTS, AVERAGES) if "run" in found else (WEIGHTS,)
            for name in dict.fromkeys([*needed, *found["files"]]):
                verified(folder, name, found["files"])
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; ".join(faults))
    return folders


def step_name(step: int) -> str:
    """The name of the folder of a step's checkpoint."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """The step in the name of a checkpoint's folder."""
    return int(folder.name.removeprefix("step-"))


def checkpoints_in(run: Path) -> list[Path]:
    """The complete checkpoints of a run folder, oldest first."""
    found = (folder for folder in (run / CHECKPOINTS).glob("step-*") if _STEP.match(folder.name))
    return sorted(found, key=step_of)


def _check_layout(folder: Path) -> None:
    """Raise `InputError` for what another version wrote. Not yet verified: to be told first."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return
    layout = read_json(manifest).get("format")
    if isinstance(layout, bool) or not isinstance(layout, int):
        raise InputError(f"{manifest} is damaged: format is {layout!r}")
    if layout > FORMAT:
        raise InputError(
            f"{folder} has layout {layout}, this version reads {FORMAT}: "
            "pip install --upgrade pushforward"
        )
    if layout < FORMAT:
        raise InputError(
            f"{folder} has layout {layout}, from before files were sealed, and this version reads "
            f"{FORMAT}: use the version that wrote it, or train again"
        )


def _is_plain_name(name: str) -> bool:
    """Whether a name is that of a file in the same folder, and no path to elsewhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


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


def locate(path: Path, checkpoint: str) -> Path:
    """The folder that holds the weights. Raises `InputError` if there is none."""
    if (path / WEIGHTS).is_file():
        return path
    if not path.exists():
        raise InputError(f"there is no folder {path}")
    checkpoints = path / CHECKPOINTS
    if not checkpoints.is_dir():
        raise InputError(f"{path} holds neither a saved model nor a run: it has no {WEIGHTS}")
    if checkpoint == "latest":
        # Not by the pointer: it may be older, if the run was killed at the wrong moment.
        folders = checkpoints_in(path)
        name = folders[-1].name if folders else ""
    else:
        name = checkpoint if _is_plain_name(checkpoint) else ""
        if (pointer := checkpoints / name).is_file():
            name = _pointed(pointer)
    if name and (checkpoints / name).is_dir():
        return checkpoints / name
    raise InputError(f"{path} has no complete checkpoint {checkpoint!r} yet")


def _pointed(pointer: Path) -> str:
    """The sibling that a pointer names; nothing for any other text."""
    if not pointer.is_file():
        return ""
    try:
        with pointer.open("rb") as file:
            name = file.read(64).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return name if _is_plain_name(name) else ""
