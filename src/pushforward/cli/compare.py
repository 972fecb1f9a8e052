"""`pushforward compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward import checks
from pushforward._files import check_writable
from pushforward.cli.options import Checkpoint, Json, MovedData, Seed, Trust, emit, is_quiet

__all__ = ["compare"]


def compare(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="The run folders.", metavar="RUN...")],
    data: MovedData = None,
    out: Annotated[
        Path, typer.Option(help="The .html page to write, with table and pictures.", metavar="FILE")
    ] = Path("compare.html"),
    n: Annotated[
        int, typer.Option("-n", "--n", help="Number of samples to draw from each model.")
    ] = 1000,
    points: Annotated[
        int, typer.Option(help="Number of held-out points whose likelihood is computed.")
    ] = 256,
    baselines: Annotated[
        bool,
        typer.Option(
            help="Also fit a kernel density, a Gaussian mixture and probabilistic PCA, or not."
        ),
    ] = True,
    seed: Seed = 0,
    as_json: Json = False,
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Compare models of any kind on the same held-out data: one table and one page.

    The runs must have been trained on the same data and have held out the same part of it.
    """
    from pushforward.cli.rundata import split_again
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.report import compare as judge
    from pushforward.report import write_comparison
    from pushforward.training.progress import Progress

    if out.suffix != ".html":
        raise InputError(f"the page is an .html file, not {out.name!r}")
    check_writable(out)
    models: dict[str, Any] = {}
    training: dict[str, float] = {}
    parts: Any = None
    for name, run in zip(_names(runs), runs, strict=True):
        models[name] = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
        train, test = split_again(Path(run), models[name].space, data, command=context.command)
        if parts is None:
            parts = train, test
        elif (train.fingerprint, test.fingerprint) != (
            parts[0].fingerprint,
            parts[1].fingerprint,
        ):
            raise InputError(
                f"{run} and {runs[0]} were trained on different data, or held out different parts "
                "of it: train both with the same data, train.holdout and train.seed"
            )
        seconds = _seconds(Path(run))
        if seconds is not None:
            training[name] = seconds
    train, test = parts
    with Progress("comparing", 1, show=not is_quiet(context)) as progress:
        found = judge(
            models,
            train,
            test,
            n=n,
            points=points,
            seed=seed,
            training=training,
            beside=baselines,
            progress=progress,
        )
    write_comparison(out, found, train)
    if as_json:
        emit(found.to_dict())
        return
    typer.echo(str(found))
    typer.echo(f"\npage: {out}")


def _names(runs: list[str]) -> list[str]:
    """The names of the folders, or the whole paths where those are the same."""
    names = [Path(run).resolve().name for run in runs]
    if len(set(names)) == len(names):
        return names
    if len(set(runs)) < len(runs):
        from pushforward.errors import InputError

        raise InputError("a run was given twice")
    return runs


def _seconds(run: Path) -> float | None:
    from pushforward.training.folder import read_manifest

    seconds = read_manifest(run).get("seconds")
    return None if seconds is None else checks.number(f"{run}/manifest.json: seconds", seconds)
