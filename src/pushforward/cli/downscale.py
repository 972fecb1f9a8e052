"""`pushforward downscale`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Checkpoint,
    Device,
    Json,
    Seed,
    Trust,
    emit,
    is_quiet,
    names_of,
)

__all__ = ["downscale"]

_LEFT = "none"
"""What `--debias` says to leave coarse fields as they are."""


def downscale(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="Coarse fields to refine: a Zarr store or a NetCDF file.", metavar="COARSE"
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="How to read the fields: data.drop_nonfinite=true, data.rows and data.lazy for "
            "all files, others, such as data.periodic='[y, x]', for the target.",
            metavar="[data.KEY=VALUE]...",
        ),
    ] = None,
    *,
    source: Annotated[
        str, typer.Option(help="Coarse fields to learn from, which may be COARSE itself.")
    ],
    target: Annotated[str, typer.Option(help="Fine fields to learn from, without pairs.")],
    method: Annotated[
        str,
        typer.Option(
            help="A name of `pushforward list downscalers`: noise-bridge and constrained-diffusion "
            "take the --model of a diffusion of the fine fields, from `pushforward train`, learned "
            "that of `pushforward bridge`, and the others none.",
            autocompletion=names_of("downscalers"),
        ),
    ] = "quantiles",
    model: Annotated[
        str | None, typer.Option(help="A run folder or a saved model.", metavar="RUN")
    ] = None,
    debias: Annotated[
        str | None,
        typer.Option(
            help="Take the bias of the coarse fields off before a diffusion sees them: a name of "
            "`pushforward list debiasings`, or none; the method's own by default.",
            autocompletion=names_of("debiasings"),
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Move what comes out to the nearest fields whose coarse ones are the given ones.",
        ),
    ] = False,
    n: Annotated[
        int | None, typer.Option("-n", "--n", help="Draw so many members for each coarse field.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Number of steps of the sampler; the method's own by default."),
    ] = None,
    out: Annotated[
        str, typer.Option("--out", help="Where to write fields: .zarr or .nc.", metavar="FILE")
    ] = "downscaled.zarr",
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="Fine fields that were held out: print spectra, distributions, tails and "
            "consistency of what comes out beside theirs.",
            metavar="FINE",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    checkpoint: Checkpoint = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Make fine fields of coarse ones that have no pairs, by a stated method.

    The fields have the grid, names and units of the target and the times of COARSE.

      pushforward downscale new.zarr --source coarse.zarr --target fine.zarr --out fine-new.zarr

      pushforward downscale new.zarr --source coarse.zarr --target fine.zarr --method
      constrained-diffusion --model runs/fine --judge fine-test.zarr
    """
    import dataclasses

    import torch

    from pushforward import spaces
    from pushforward._random import derived_seed
    from pushforward.cli.domains import on_whole_domain
    from pushforward.cli.refusals import require_memory
    from pushforward.cli.rundata import reading, say, schema_of
    from pushforward.cli.writing import require_finite
    from pushforward.data import Schema
    from pushforward.data.field_files import STORES
    from pushforward.data.fields import load_as_target
    from pushforward.data.row_coordinates import with_row_coordinates
    from pushforward.data.writing import check_destination, write
    from pushforward.downscaling import judge as judged
    from pushforward.downscaling import refined, unpaired
    from pushforward.downscaling.judging import require_counts
    from pushforward.downscaling.refined import FIELD_OPTIONS
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.parallel import launch
    from pushforward.training.progress import Progress

    if Path(out).suffix not in STORES:
        raise InputError(f"fields go to {' or '.join(STORES)}, not {Path(out).name!r}")
    if n is not None and n < 1:
        raise InputError(f"-n is 1 or more, not {n}")
    if checkpoint is not None and model is None:
        raise InputError("--checkpoint is of a run: give --model RUN, or leave it out")
    learned, known_of = None, Schema()
    if model is not None:
        known_of = schema_of(Path(model))
        learned = load(model, trust=tuple(trust or ()), checkpoint=checkpoint)
    said = reading(words or ())
    of_rows = {name: value for name, value in said.items() if name in FIELD_OPTIONS}
    odd = next((name for name in said if name not in of_rows), None)
    if model is not None and odd is not None:
        raise InputError(f"data.{odd}= is as the data of --model had it: leave it out")
    like = {} if model is None else {"like": known_of.whole}
    if known_of.patches is None:
        maker = _made(method, learned, debias, steps)
    data, fine = unpaired(source, target, **like, **said)
    if known_of.patches is not None:
        learned = on_whole_domain(learned, known_of, data.source)
        maker = _made(method, learned, debias, steps)
    say(fine, context.command)
    check_destination(out, fine.schema)
    coarse = refined(file, fine.schema, **of_rows)
    say(coarse, context.command)
    held = None
    if judge is not None:
        held = load_as_target(judge, fine.schema, **of_rows).resident()
        say(held, context.command)
        require_counts(len(coarse), len(held), len(data.target))
    if learned is not None:
        learned.to(launch(device).device)
    maker.fit(data)
    draws = 1 if n is None else n
    require_memory(draws * len(coarse), fine.x[:1].numel())
    start, made = coarse.x[:], []
    with Progress("downscaling", 1, show=not is_quiet(context)) as progress:
        for k in range(draws):

            def told(done: int, total: int, k: int = k) -> None:
                progress(k * total + done, draws * total)

            own = seed if k == 0 else derived_seed(seed, k)
            drawn = maker(start, seed=own, progress=told).cpu()
            made.append(data.grid.constrained(drawn, start) if exact else drawn)
    x = torch.stack(made)
    require_finite(x.flatten(0, 1), out)
    schema = dataclasses.replace(coarse.schema, fields=with_row_coordinates(file, coarse))
    write(out, x[0] if n is None else x, space=spaces.space_of(fine), schema=schema)
    if held is None or fine.schema.fields is None:
        typer.echo(out)
        return
    known = fine.schema.fields
    found = judged(
        x, start, held.x, data, names=known.channel_names,
        window=set(known.periodic) != set(known.dims),
    )  # fmt: skip
    if as_json:
        emit({"out": out, **found.to_dict()})
        return
    typer.echo(f"{found}\n\n{out}")


def _made(method: str, model: Any, debias: str | None, steps: int | None) -> Any:
    """The method with what was said of it. Raises `InputError` for what it does not take."""
    import inspect

    from pushforward import registry
    from pushforward.errors import InputError

    found = registry.find("downscalers", method)
    kind = getattr(found, "func", found)
    taken = set(inspect.signature(kind).parameters) - set(getattr(found, "keywords", {}))
    options: dict[str, Any] = {}
    if ("model" in taken) != (model is not None):
        raise InputError(
            f"--method {method} needs --model RUN, " + (
                "that of `pushforward bridge --source coarse.zarr --target fine.zarr`"
                if method == "learned"
                else "a diffusion of the fine fields from `pushforward train fine.zarr`"
            )
            if model is None
            else f"--method {method} learns nothing by a network: leave --model out, or choose "
            "noise-bridge, constrained-diffusion or learned"
        )  # fmt: skip
    for name, option, value in (
        ("model", "--model", model),
        ("debiasing", "--debias", debias),
        ("steps", "--steps", steps),
    ):
        if value is None:
            continue
        if name not in taken:
            raise InputError(f"{option} means nothing to --method {method}: leave it out")
        options[name] = None if value == _LEFT and name == "debiasing" else value
    return found(**options)
