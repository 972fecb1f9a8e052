"""`pushforward logz`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Seed, Trust, emit, is_quiet
from pushforward.cli.sampler_runs import is_run, logz_of_run
from pushforward.cli.unnormalized import (
    DataFolder,
    Shape,
    TargetName,
    recipe_options,
    target_from,
)

__all__ = ["logz"]


def logz(
    context: typer.Context,
    target: TargetName,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the result to this .json file; a report of the same name, .html, goes "
            "beside it.",
            metavar="FILE",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="smc, tempered from two starts that have to agree; ais, annealed one way; or bar, "
            "both ways, for targets with exact draws."
        ),
    ] = "smc",
    shape: Shape = None,
    data: DataFolder = None,
    particles: Annotated[
        int | None,
        typer.Option(help="Of each run, 2048 by default; or chains of ais and bar."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(help="Independent runs of each start of smc at first; 8 by default."),
    ] = None,
    aim: Annotated[
        float | None,
        typer.Option(help="Standard error in nats that smc runs on for; 0.01 by default."),
    ] = None,
    temperatures: Annotated[
        int | None, typer.Option(help="Of ais and bar; 100 by default. smc finds its own.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Of the paths of a learned sampler; those of its training by default."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Estimate the normalizing constant of a density, as an interval.

    TARGET may be the folder of a learned sampler, whose paths then estimate it, `--particles` of
    them, with bounds, effective sample sizes and the coverage of known modes.

    Prints log Z in nats, its standard error, an interval that holds it nine times in ten, and
    whether these can be trusted.

      pushforward logz ionosphere --data folder --json

      pushforward logz model:log_density --shape 8 --trust model

      pushforward logz recipes/densities/log-z.yaml

      pushforward logz runs/funnel --particles 4096
    """
    if (given := recipe_options(context, logz, target)) is not None:
        logz(context, **given)
        return
    from pushforward._files import write_text
    from pushforward.cli.writing import check_file
    from pushforward.errors import InputError

    if is_run(target):
        others = (shape, data, runs, temperatures, aim, out)
        if method != "smc" or any(value is not None for value in others):
            raise InputError(
                f"{target} is a learned sampler, which has its method and its target: --particles, "
                "--steps, --seed, --json and --trust are what it takes"
            )
        logz_of_run(target, particles, steps, seed, as_json, trust)
        return
    if steps is not None:
        raise InputError("--steps are those of a learned sampler: pushforward logz RUN")
    from pushforward.evidence import log_z
    from pushforward.training.progress import Progress

    if out is not None:
        if out.suffix != ".json":
            raise InputError(f"the result goes to a .json file, not {out.name!r}")
        check_file(out)
        check_file(out.with_suffix(".html"))
    options: dict[str, Any] = {}
    if method == "smc":
        if temperatures is not None:
            raise InputError("--temperatures means nothing to smc, which finds its own")
        options = {"particles": particles, "islands": runs, "aim": aim}
    else:
        if runs is not None or aim is not None:
            raise InputError("--runs and --aim are those of smc")
        options = {"chains": particles, "temperatures": temperatures}
    asked = {name: value for name, value in options.items() if value is not None}
    chosen = target_from(target, shape, data, trust)
    with Progress("temperatures", temperatures, show=not is_quiet(context)) as progress:
        found = log_z(
            chosen, method, seed=seed, callback=lambda: progress(progress.done + 1), **asked
        )
    known = chosen.reference
    told = {"target": chosen.name, **asdict(found), "reference": known.log_z}
    if out is not None:
        from pushforward.report import evidence_page

        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, json.dumps(told, indent=2) + "\n")
        truth = None if known.log_z is None else (known.log_z, known.stderr)
        facts = {"target": chosen.name, "seed": str(seed)}
        text = evidence_page(
            found, f"log Z of {chosen.name}", facts=facts, known=truth, how=known.how
        )
        write_text(out.with_suffix(".html"), text)
    if as_json:
        emit(told)
        return
    typer.echo(str(found))
    for bound in found.bounds:
        typer.echo(str(bound))
    for note in found.notes:
        typer.echo(note, err=True)
    if known.log_z is not None:
        error = f" ± {known.stderr:g}" if known.stderr else ""
        typer.echo(f"known: {known.log_z:.4f}{error}, by {known.how}")
    if out is not None:
        typer.echo(f"report: {out.with_suffix('.html')}")
