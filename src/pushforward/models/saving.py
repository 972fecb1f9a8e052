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
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from pushforward import config, registry
from pushforward._files import checksum, replacing, write_text
from pushforward._records import read_sealed, read_sealed_json, sealed
from pushforward.errors import InputError
from pushforward.models.checkpoints import (
    HeldWeights,
    check_identity,
    checkpoints_in,
    choose,
    require_best,
    while_written,
)
from pushforward.models.format_versions import check_format_versions
from pushforward.models.learned_from import lasting
from pushforward.models.sealed_folder import (
    ARGUMENTS,
    AVERAGES,
    CONFIG,
    FORMER,
    MANIFEST,
    WEIGHTS,
    checksums,
    former_path,
    read_config,
    verified,
    versions,
)

__all__ = ["check", "load", "save", "write_arguments"]

_PRECISIONS = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
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
    for former in path.glob(f"*{FORMER}"):
        former.unlink()
    return path


def load(
    path: str | os.PathLike[str],
    *,
    trust: tuple[str, ...] = (),
    net: nn.Module | None = None,
    context_network: nn.Module | None = None,
    target: Any = None,
    checkpoint: str | int | None = None,
) -> Any:
    """Load a saved model, or the averaged weights of a run folder, ready to sample.

    Of a run, the weights that validated best, where something was held out and the loss of the
    model measures its quality, and otherwise, or where they are as good but for chance, the last
    ones; `model.holds` says which.

    Args:
        path: a folder made by `save` or by `fit`, or one checkpoint of the latter.
        trust: modules outside `pushforward` whose configurable classes may be made.
        net: the network, for a model whose own network cannot be named in a configuration.
        context_network: likewise.
        target: of a learned sampler, if it was made with one that no configuration can name.
        checkpoint: of a run folder, `last`, `best` or the step of a checkpoint in the place of the
            weights that it is to be used with.

    Raises `InputError` for a folder that is neither, a checkpoint that is not there, a
    configuration that names anything else than trusted classes, or one of another version, or
    weights that do not fit.

    >>> import tempfile, pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = model.save(folder)
    ...     type(pf.load(folder)).__name__
    'Diffusion'
    """
    registry.trust(trust)
    parts = {"net": net, "context_network": context_network, "target": target}
    given = {name: part for name, part in parts.items() if part is not None}
    root = Path(path)
    return while_written(root, lambda: _loaded(*choose(root, checkpoint), trust, given))


def _loaded(
    folder: Path, held: HeldWeights | None, trust: tuple[str, ...], given: dict[str, Any]
) -> Any:
    """The model in a folder."""
    found = read_config(folder)
    if held is not None:
        check_identity(folder, found)
    check_format_versions(found["model"], folder, trust)
    names = found["files"]
    # A checkpoint samples with its averages or not at all.
    weights = verified(folder, AVERAGES if "run" in found else WEIGHTS, names)
    verified(folder, MANIFEST, names)
    arguments = _read_arguments(verified(folder, ARGUMENTS, names)) if ARGUMENTS in names else {}
    # The weights are about to be replaced: their random start must not move the user's generator.
    with torch.random.fork_rng(devices=[]):
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
    model.holds = held  # type: ignore[assignment]
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


def write_arguments(folder: Path, tensors: dict[str, Any]) -> list[str]:
    """Keep the tensors that a configuration speaks of beside it; the names of the files written."""
    if not tensors:
        return []
    with replacing(folder / ARGUMENTS) as partial:
        safetensors.torch.save_file(tensors, str(partial))
    return [ARGUMENTS]


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
        except (InputError, OSError) as error:
            # A run that is training removes its older ones meanwhile.
            if folder.is_dir():
                faults.append(str(error))
    try:
        # The one that validated best may be lost as a whole.
        while_written(root, lambda: choose(root))
        while_written(root, lambda: require_best(root))
    except InputError as error:
        faults.append(str(error))
    if faults:
        raise InputError("; ".join(dict.fromkeys(faults)))
    return folders


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
        former_path(path).unlink(missing_ok=True)
        with replacing(former_path(path)) as partial:
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)
