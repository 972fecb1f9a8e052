"""`pushforward compress` and `pushforward decompress`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from pushforward.cli.options import Checkpoint, Trust, is_quiet

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
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Compress pictures without loss, by a variational autoencoder of their levels.

    The better the model knows the kind of picture, the smaller the file. Only the same model can
    read it again.
    """
    from pushforward._files import require_space
    from pushforward.cli.writing import check_file
    from pushforward.compression import compress as pack
    from pushforward.models import load
    from pushforward.training.progress import Progress

    check_file(out)
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    x, names = _states(run, files, model)
    # An eighth of a bit for each number: few models need less.
    require_space(out, x.numel() // 64)
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
        str,
        typer.Option(
            "-o",
            "--out",
            help="A new folder to write pictures to, or a file: .npz, .npy, or a table.",
            metavar="FILE",
        ),
    ],
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Restore what `pushforward compress` wrote, exactly."""
    from pushforward import state
    from pushforward._files import require_space
    from pushforward.cli.rundata import schema_of
    from pushforward.cli.writing import write_states
    from pushforward.compression import decompress as unpack
    from pushforward.compression import read
    from pushforward.data.picture_files import names_of_pictures
    from pushforward.data.writing import check_destination, least_size
    from pushforward.models import load
    from pushforward.training.progress import Progress

    suffix = check_destination(out)
    archive = read(file)
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    numbers = archive.count * state.numel(model.event_shape)
    require_space(Path(out), least_size(out, numbers, schema_of(Path(run))))
    with Progress("decompressing", 1, show=not is_quiet(context)) as progress:
        x, names = unpack(model, archive, progress)
    if suffix:
        write_states(out, x, model.space, Path(run))
    else:
        _write_pictures(Path(out), x, names or names_of_pictures(None, len(x)))
    typer.echo(out)


def _states(run: str, files: list[str], model: Any) -> tuple[Any, tuple[str, ...]]:
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
        return load_like(Path(run), files[0], model).x, ()
    # What comes back is the pixels, as PNG.
    restored = tuple(str(PurePosixPath(name).with_suffix(".png")) for name in names)
    if len(set(restored)) < len(restored):
        twice = next(name for name in restored if restored.count(name) > 1)
        raise InputError(f"two of the pictures would come back as {twice}: compress them apart")
    return torch.from_numpy(read_pictures(paths)).float(), restored


def _write(path: Path, data: bytes) -> None:
    """The whole file or none."""
    from pushforward._files import replacing
    from pushforward.errors import InputError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def _write_pictures(folder: Path, x: Any, names: tuple[str, ...]) -> None:
    """Gray or colored 8-bit pictures by their names, all or none."""
    from pushforward._files import new_folder
    from pushforward.data.picture_files import pixels, write_pictures
    from pushforward.errors import InputError

    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.min() < 0 or x.max() > 255:
        raise InputError("these states are no 8-bit pictures: give -o FILE.npz")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as partial:
            write_pictures(partial, pixels(x), names)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
