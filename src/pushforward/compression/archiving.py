"""States of quantized data to a file and back, by a model that codes them."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._regular import require_file
from pushforward.compression.bits_back import decode, encode
from pushforward.compression.container import Archive, check_names
from pushforward.compression.vae_code import VAECode
from pushforward.errors import InputError

__all__ = ["Unpacked", "compress", "decompress", "read"]

Progress = Callable[[int, int], None]


class Unpacked(NamedTuple):
    """What was in a file: states `(n, *event)` in data units, and their names, if they had any."""

    x: Tensor
    names: tuple[str, ...]


def compress(
    model: Any, x: Tensor, names: Sequence[str] = (), progress: Progress | None = None
) -> Archive:
    """Code states `(n, *event)` of quantized data without loss.

    Raises `CapabilityError` for a model that has no code, `InputError` for no states, states of
    another shape, values that are not levels, or names that `check_names` refuses.
    """
    code = VAECode(model)
    if tuple(x.shape[1:]) != code.event_shape:
        raise InputError(
            f"the model's states have shape {code.event_shape}, not {tuple(x.shape[1:])}"
        )
    if not len(x):
        raise InputError("there are no states to compress")
    check_names(names)
    low, width = _grid(code)
    levels = ((x.double() - low) / width).round()
    # Written so that what is not a number does not pass.
    right = (levels * width + low - x).abs() <= 1e-3 * width
    wrong = ~(right & (levels >= 0) & (levels < code.levels))
    if wrong.any():
        value = float(x[wrong][0])
        raise InputError(
            f"{int(wrong.sum())} values, such as {value:g}, are none of the {code.levels} levels "
            f"from {low:g} in steps of {width:g}"
        )
    states = levels.long().flatten(1)
    words = encode(code, states, progress)
    return Archive(_fingerprint(model), len(x), _checksum(states), tuple(names), words)


def decompress(model: Any, archive: Archive, progress: Progress | None = None) -> Unpacked:
    """The states that were coded.

    Raises `InputError` for a file made by another model, or one that does not decode to what was
    coded.
    """
    code = VAECode(model)
    if archive.fingerprint != _fingerprint(model):
        raise InputError(
            "the file was made by another model: its fingerprint is "
            f"{archive.fingerprint.hex()}, that of this one {_fingerprint(model).hex()}"
        )
    states = decode(code, archive.words, archive.count, progress)
    if _checksum(states) != archive.checksum:
        raise InputError("the file decodes to something else than was coded: it is damaged")
    low, width = _grid(code)
    x = (states.double() * width + low).reshape(-1, *code.event_shape)
    return Unpacked(x if model.precise else x.float(), archive.names)


def _grid(code: VAECode) -> tuple[float, float]:
    low, high = code.value_range
    return low, (high - low) / (code.levels - 1)


def _fingerprint(model: Any) -> bytes:
    """Eight bytes that no other model has: of its configuration and weights."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps(model.describe(), sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _checksum(states: Tensor) -> int:
    return zlib.crc32(states.to(torch.int32).numpy().astype("<i4").tobytes())


def read(path: Path) -> Archive:
    """The file that `pushforward compress` wrote. Raises `InputError` for any other."""
    require_file(path)
    try:
        return Archive.from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
