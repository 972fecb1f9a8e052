"""`pushforward logprob`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Run, Seed, Trust, emit, is_quiet

__all__ = ["logprob"]


def logprob(
    context: typer.Context,
    run: Run,
    data: Annotated[str, typer.Argument(help="Data to evaluate.", metavar="DATA")],
    out: Annotated[Path | None, typer.Option(help="A .csv or .npz file.", metavar="FILE")] = None,
    steps: Annotated[int, typer.Option(help="Steps of the ODE.")] = 64,
    divergence: Annotated[str, typer.Option(help="auto, exact or hutchinson.")] = "auto",
    probes: Annotated[int, typer.Option(help="Hutchinson probes.")] = 8,
    seed: Seed = 0,
    label: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    batch_size: Annotated[int, typer.Option(help="States at a time.")] = 128,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Log-densities of data under a trained model, in nats per data point, with standard errors."""
    from pushforward.cli.rundata import load_like
    from pushforward.errors import InputError
    from pushforward.families import load
    from pushforward.training.progress import Progress

    if out is not None and out.suffix not in (".csv", ".npz"):
        raise InputError(f"log-densities go to a .csv or .npz file, not {out.name!r}")
    model = load(run, trust=tuple(trust or ()))
    loaded = load_like(Path(run), data, label)
    labels = loaded.c if model.capabilities.conditional else None
    with Progress("log-density", 1, show=not is_quiet(context)) as progress:
        result = model.log_prob(
            loaded.x,
            labels,
            divergence=divergence,
            probes=probes,
            steps=steps,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )
    if out is not None:
        _write(out, result)
    rows = zip(result.value.tolist(), result.stderr.tolist(), strict=True)
    if as_json:
        emit(
            {
                "kind": result.kind,
                "nfe": result.nfe,
                "n": len(loaded),
                "mean": result.value.mean().item(),
                "rows": [{"log_prob": value, "stderr": stderr} for value, stderr in rows],
            }
        )
        return
    typer.echo(str(result))
    if loaded.levels is not None:
        typer.echo(
            f"note: the data takes {loaded.levels} discrete levels per entry; a density of "
            "discrete data has no meaning by itself: see `pushforward evaluate` for bits per "
            "dimension of dequantized data",
            err=True,
        )
    if out is not None:
        typer.echo(str(out))


def _write(path: Path, result: Any) -> None:
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    value, stderr = result.value.cpu().numpy(), result.stderr.cpu().numpy()
    if path.suffix == ".npz":
        np.savez(path, log_prob=value, stderr=stderr)
    else:
        table = np.stack([value, stderr], -1)
        np.savetxt(path, table, delimiter=",", header="log_prob,stderr", comments="", fmt="%.7g")
