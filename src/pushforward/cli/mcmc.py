"""`pushforward mcmc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Seed, Trust, emit, is_quiet, names_of
from pushforward.cli.unnormalized import (
    DataFolder,
    Shape,
    TargetName,
    recipe_options,
    target_from,
)

__all__ = ["mcmc"]

_ROWS = 12
"""Numbers of a state that the table on the screen shows."""


def mcmc(
    context: typer.Context,
    target: TargetName,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write the draws: .nc for ArviZ, .npz, or .csv with a row for each; a "
            "report of the same name, .html, goes beside them.",
            metavar="FILE",
        ),
    ] = None,
    shape: Shape = None,
    data: DataFolder = None,
    chains: Annotated[int, typer.Option(help="Chains, all in one batch.")] = 16,
    draws: Annotated[int, typer.Option(help="Draws of each chain, after warm-up.")] = 1000,
    warmup: Annotated[int, typer.Option(help="Steps in which step and metric adapt.")] = 1000,
    kernel: Annotated[
        str,
        typer.Option(
            help="A name of `pushforward list kernels`.", autocompletion=names_of("kernels")
        ),
    ] = "nuts",
    metric: Annotated[str, typer.Option(help="diagonal, dense or identity.")] = "diagonal",
    seed: Seed = 0,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Draw from a density that is known up to a constant, by Markov chains.

    Prints mean, deviation, error, effective sample sizes and R-hat of each number, and says in
    words what is wrong with the draws. With --out there is a page with traces, ranks and energies.

      pushforward mcmc eight-schools --out draws.nc

      pushforward mcmc model:log_density --shape 8 --trust model --out draws.csv

      pushforward mcmc recipes/densities/chains.yaml
    """
    if (options := recipe_options(context, mcmc, target)) is not None:
        mcmc(context, **options)
        return
    from pushforward.cli.writing import check_file
    from pushforward.errors import InputError
    from pushforward.report.chain_files import SUFFIXES, write_draws
    from pushforward.training.progress import Progress

    if out is not None:
        if out.suffix not in SUFFIXES:
            raise InputError(f"draws go to {', '.join(SUFFIXES)} files, not {out.name!r}")
        check_file(out)
        check_file(out.with_suffix(".html"))
    chosen = target_from(target, shape, data, trust)
    total, done = warmup + draws, 0
    with Progress("chains", total, show=not is_quiet(context)) as progress:

        def count() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        found = chosen.chains(
            chains, draws, warmup=warmup, kernel=kernel, metric=metric, seed=seed, callback=count
        )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_draws(out, found, chosen.names)
        _report(out.with_suffix(".html"), found, chosen, kernel, metric, warmup, seed)
    rows = _rows(found, chosen.names)
    said = found.warnings(chosen.names)
    if as_json:
        emit({"target": chosen.name, "numbers": rows, "warnings": said,
              "evaluations": float(found.evaluations.sum()), "step": found.step})  # fmt: skip
        return
    for line in _table(rows):
        typer.echo(line)
    for warning in said:
        typer.echo(f"warning: {warning}", err=True)
    if out is not None:
        typer.echo(str(out))
        typer.echo(f"report: {out.with_suffix('.html')}")


def _report(
    path: Path, found: Any, target: Any, kernel: str, metric: str, warmup: int, seed: int
) -> None:
    """The page of the draws."""
    from pushforward._files import write_text
    from pushforward.report import chain_page

    facts = {"target": target.name, "kernel": kernel, "metric": metric,
             "warm-up": f"{warmup:,} steps", "seed": str(seed)}  # fmt: skip
    title = f"Draws of {target.name}"
    mean = target.reference.mean
    write_text(path, chain_page(found, title, names=target.names, facts=facts, mean=mean))


def _rows(found: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The summary, number by number."""
    own = [part.flatten().tolist() for part in found.summary()]
    keys = ("mean", "std", "mcse", "ess_bulk", "ess_tail", "r_hat")
    labels = names or [f"x{k}" for k in range(len(own[0]))]
    return [
        {"name": name} | dict(zip(keys, values, strict=True))
        for name, values in zip(labels, zip(*own, strict=True), strict=True)
    ]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines for the screen: the numbers of worst R-hat first if there are too many."""
    shown = rows
    if len(rows) > _ROWS:
        shown = sorted(rows, key=lambda row: -row["r_hat"])[:_ROWS]
    width = max(len(row["name"]) for row in shown)
    lines = [f"{'':{width}}       mean        std       mcse  ess_bulk  ess_tail   r_hat"]
    lines += [
        f"{row['name']:{width}} {row['mean']:10.4g} {row['std']:10.4g} {row['mcse']:10.2g} "
        f"{row['ess_bulk']:9.0f} {row['ess_tail']:9.0f} {row['r_hat']:7.3f}"
        for row in shown
    ]
    if len(shown) < len(rows):
        lines.append(f"... the {len(shown)} of {len(rows)} numbers with the largest r_hat")
    return lines
