"""`pushforward compress` and `pushforward decompress`."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from pushforward.cli.options import Trust, is_quiet

__all__ = ["compress", "decompress"]

Model = Annotated[str, typer.Argument(help="A run folder or a saved VAE.", metavar="MODEL")]


def compress(
    context: typer.Context,
    run: Model,
    files: Annotated[
        list[str],
        typer.Argument(
            help="Picture files, one folder of them, or one data set.", metavar="FILES..."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The compressed file to write.", metavar="FILE")
    ],
    trust: Trust = None,
) -> None:
    """Compress pictures without loss, by a variational autoencoder of their levels.

    The better the model knows the kind of picture, the smaller the file. Only the same model can
    read it again.
    """
    from pushforward.compression import compress as pack
    from pushforward.models import load
    from pushforward.training.progress import Progress

    model = load(run, trust=tuple(trust or ()))
    x, names = _states(run, files, model.space)
    with Progress("compressing", 1, show=not is_quiet(context)) as progress:
        archive = pack(model, x, names, progress)
    data = archive.to_bytes()
    _write(out, data)
    numbers = x.numel()
    typer.echo(
        f"{out}: {len(data):,} bytes for {len(x):,} states, {8 * len(data) / numbers:.3f} bits per "
        f"number ({32 * len(archive.words) / numbers:.3f} without header and names)"
    )


def decompress(
    context: typer.Context,
    run: Model,
    file: Annotated[
        Path, typer.Argument(help="A file that `compress` has written.", metavar="FILE")
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A folder to write pictures to, or a .npz or .npy file."),
    ],
    trust: Trust = None,
) -> None:
    """Restore what `pushforward compress` wrote, exactly."""
    from pushforward.cli.writing import write_states
    from pushforward.compression import decompress as unpack
    from pushforward.compression import read
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.training.progress import Progress

    if out.suffix not in ("", ".npz", ".npy"):
        raise InputError(f"pictures go to a folder, arrays to .npz or .npy, not {out.name!r}")
    archive = read(file)
    model = load(run, trust=tuple(trust or ()))
    with Progress("decompressing", 1, show=not is_quiet(context)) as progress:
        x, names = unpack(model, archive, progress)
    if out.suffix:
        write_states(out, x, model.space, Path(run))
    else:
        _write_pictures(out, x, names or tuple(f"{k:05d}.png" for k in range(len(x))))
    typer.echo(str(out))


def _states(run: str, files: list[str], space: Any) -> tuple[Any, tuple[str, ...]]:
    """The states of pictures and their names, or those of one source of data."""
    import torch

    from pushforward.cli.rundata import load_like
    from pushforward.data.images import SUFFIXES, picture_files, read_pictures
    from pushforward.errors import InputError

    paths = [Path(file) for file in files]
    names = [path.name for path in paths]
    pictures = paths[0].rglob("*") if len(paths) == 1 and paths[0].is_dir() else ()
    if any(file.suffix.lower() in SUFFIXES for file in pictures):
        # As they are, whatever size or channels the model's own data were brought to.
        folder, paths = paths[0], picture_files(paths[0])
        names = [path.relative_to(folder).as_posix() for path in paths]
    if not all(path.suffix.lower() in SUFFIXES for path in paths):
        if len(paths) > 1:
            raise InputError(f"several files must all be pictures: {', '.join(sorted(SUFFIXES))}")
        return load_like(Path(run), files[0], space).x, ()
    # What comes back is the pixels, as PNG.
    restored = tuple(str(PurePosixPath(name).with_suffix(".png")) for name in names)
    if len(set(restored)) < len(restored):
        twice = next(name for name in restored if restored.count(name) > 1)
        raise InputError(f"two of the pictures would come back as {twice}: compress them apart")
    return torch.from_numpy(read_pictures(paths)).float(), restored


def _write(path: Path, data: bytes) -> None:
    """The whole file or none."""
    from pushforward.errors import InputError

    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def _write_pictures(folder: Path, x: Any, names: tuple[str, ...]) -> None:
    """Gray or colored 8-bit pictures, one file each."""
    from pushforward._extras import require
    from pushforward.errors import InputError

    image = require("PIL.Image", extra="plots", purpose="write pictures")
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.min() < 0 or x.max() > 255:
        raise InputError("these states are no 8-bit pictures: give -o FILE.npz")
    for name in names:
        # A file from elsewhere must not choose where on this machine it writes.
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise InputError(f"the file holds the name {name!r}, which leads out of the folder")
    for state, name in zip(x.round().byte(), names, strict=True):
        pixels = state.permute(1, 2, 0).squeeze(-1).numpy()
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(file)
