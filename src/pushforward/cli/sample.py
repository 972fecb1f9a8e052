"""`pushforward sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Device,
    Run,
    Sampler,
    Seed,
    Steps,
    Trust,
    accepted,
    is_first,
    is_quiet,
)

__all__ = ["WRITERS", "sample", "write_samples"]


def sample(
    context: typer.Context,
    run: Run,
    n: Annotated[int, typer.Option("-n", "--n", help="How many.")] = 64,
    out: Annotated[
        Path, typer.Option(help="A .npz, .npy, .csv or .png file.", metavar="FILE")
    ] = Path("samples.npz"),
    sampler: Sampler = None,
    steps: Steps = None,
    grid: Annotated[
        str | None, typer.Option(help="Where the steps are; the model's own grid by default.")
    ] = None,
    stop: Annotated[
        float | None, typer.Option(help="The early stopping time; the schedule's own by default.")
    ] = None,
    denoise: Annotated[
        bool | None, typer.Option(help="Take away the noise left at the stopping time, or not.")
    ] = None,
    mean: Annotated[
        bool | None,
        typer.Option("--mean", help="Of a VAE: the decoder's means, without its noise."),
    ] = None,
    seed: Seed = 0,
    label: Annotated[int | None, typer.Option("--class", help="A label for all.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Classifier-free guidance.")] = None,
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
    from pushforward.models import load
    from pushforward.models.noising import Noising
    from pushforward.training.progress import Progress

    if out.suffix not in WRITERS:
        raise InputError(f"samples go to {', '.join(WRITERS)} files, not {out.name!r}")
    model = load(run, trust=tuple(trust or ()))
    asked = accepted(
        model.sample,
        sampler=sampler,
        steps=steps,
        grid=grid,
        stop=stop,
        denoise=denoise,
        mean=mean,
        guidance=guidance,
    )
    with Progress("sampling", 1, show=not is_quiet(context)) as progress:
        x = parallel.sample(
            model,
            n,
            label,
            device=device,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            **asked,
        )
    if not is_first():
        return
    write_samples(out, x, label, column_names(Path(run)))
    if isinstance(model, Noising) and not is_quiet(context):
        end = model.process.schedule.t_min if stop is None else stop
        left = " with the noise that is left there" if denoise is False else ", then denoised"
        typer.echo(f"the path of the samples was followed to t = {end:g}{left}", err=True)
    typer.echo(str(out))


def write_samples(
    path: Path, x: Any, label: int | None = None, columns: list[str] | None = None
) -> None:
    """Write samples `(n, *event)` in the format that the file's name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[path.suffix](path, x, label, columns)


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


WRITERS = {".npz": _npz, ".npy": _npy, ".csv": _csv, ".png": _png}
