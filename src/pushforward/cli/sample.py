"""`pushforward sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Device, Run, Sampler, Seed, Steps, Trust, is_first, is_quiet

__all__ = ["sample", "write_samples"]


def sample(
    context: typer.Context,
    run: Run,
    n: Annotated[int, typer.Option("-n", "--n", help="How many.")] = 64,
    out: Annotated[
        Path, typer.Option(help="A .npz, .npy, .csv or .png file.", metavar="FILE")
    ] = Path("samples.npz"),
    sampler: Sampler = "adams",
    steps: Steps = 20,
    seed: Seed = 0,
    label: Annotated[int | None, typer.Option("--class", help="A label for all.")] = None,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance.")] = 1.0,
    batch_size: Annotated[int, typer.Option(help="States at a time.")] = 512,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Draw new samples from a trained model and write them to a file.

    Under `torchrun` each process draws its share, and the first writes the file.
    """
    from pushforward import parallel
    from pushforward.cli.rundata import column_names
    from pushforward.errors import InputError
    from pushforward.families import load
    from pushforward.training.progress import Progress

    if out.suffix not in _WRITERS:
        raise InputError(f"samples go to {', '.join(_WRITERS)} files, not {out.name!r}")
    model = load(run, trust=tuple(trust or ()))
    with Progress("sampling", 1, show=not is_quiet(context)) as progress:
        x = parallel.sample(
            model,
            n,
            label,
            device=device,
            sampler=sampler,
            steps=steps,
            seed=seed,
            guidance=guidance,
            batch_size=batch_size,
            progress=progress,
        )
    if is_first():
        write_samples(out, x, label, column_names(Path(run)))
        typer.echo(str(out))


def write_samples(
    path: Path, x: Any, label: int | None = None, columns: list[str] | None = None
) -> None:
    """Write samples `(n, *event)` in the format that the file's name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[path.suffix](path, x, label, columns)


def _npz(path: Path, x: Any, label: int | None, columns: list[str] | None) -> None:
    import numpy as np

    arrays = {"x": x.cpu().numpy()}
    if label is not None:
        arrays["c"] = np.full(len(x), label)
    np.savez(path, **arrays)


def _npy(path: Path, x: Any, label: int | None, columns: list[str] | None) -> None:
    import numpy as np

    np.save(path, x.cpu().numpy())


def _csv(path: Path, x: Any, label: int | None, columns: list[str] | None) -> None:
    import csv

    flat = x.cpu().flatten(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns or [f"x{k}" for k in range(flat.shape[1])])
        writer.writerows([f"{value:.7g}" for value in row] for row in flat.tolist())


def _png(path: Path, x: Any, label: int | None, columns: list[str] | None) -> None:
    from pushforward.report import save_picture

    save_picture(path, x)


_WRITERS = {".npz": _npz, ".npy": _npy, ".csv": _csv, ".png": _png}
