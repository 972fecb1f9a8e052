"""`pushforward bridge` and `pushforward translate`."""

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
    is_quiet,
    names_of,
)
from pushforward.cli.sample import WRITERS, write_samples
from pushforward.cli.train import carry_out

__all__ = ["bridge", "translate"]


def bridge(
    context: typer.Context,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Overrides of the recipe.", metavar="[KEY.PATH=VALUE]..."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Data to start from, as for `train`.", autocompletion=names_of("data")),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Data to arrive at.", autocompletion=names_of("data"))
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", metavar="RUN")] = None,
    sigma: Annotated[
        float | None,
        typer.Option(help="Noise along the way, in data units; as wide as the laws by default."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Pull to the center: an Ornstein-Uhlenbeck reference.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="See `pushforward list bridges`; dsbm-imf by default.",
            autocompletion=names_of("bridges"),
        ),
    ] = None,
    halves: Annotated[int | None, typer.Option(help="Half-iterations, 20 by default.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Optimizer steps of all half-iterations, 10,000 by default."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Data points per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.")] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="One network for both directions.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where RUN stands.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="A YAML file.", metavar="FILE")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole recipe and stop.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Train a Schrödinger bridge between two data sets: a random map in both directions.

    Leaves a run folder like `train`, with the marginal error of each half-iteration in its report.
    Runs can be stopped with Ctrl-C, or killed, and resumed exactly.
    """
    from pushforward.cli.recipe import read
    from pushforward.errors import InputError

    if recipe is None and (source is None or target is None):
        missing = "--source" if source is None else "--target"
        raise InputError(f"a bridge joins two data sets: {missing} is missing")
    if recipe is None:
        steps = 10_000 if steps is None else steps
        options = _options(method or "dsbm-imf", 20 if halves is None else halves, steps, sigma,
                           rate or 0.0, shared)  # fmt: skip
    else:
        said = {"method": method, "halves": halves, "sigma": sigma, "rate": rate,
                "shared": shared or None}  # fmt: skip
        again = [f"--{name}" for name, value in said.items() if value is not None]
        if again:
            raise InputError(
                f"the recipe says what the bridge is, and {', '.join(again)} would say it again: "
                "write options.NAME=VALUE to change it"
            )
    given: dict[str, Any] = {
        "data": target,
        "source": source,
        "family": "bridge",
        "device": device,
        "train.steps": steps,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.seed": seed,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if recipe is None:
        given["options"] = options
    chosen = read(recipe, given, overrides or [])
    if print_config:
        typer.echo(chosen.to_yaml(), nl=False)
        return
    carry_out(context, chosen, out, resume=resume, trust=trust)


def _options(
    method: str, halves: int, steps: int, sigma: float | None, rate: float, shared: bool
) -> dict[str, Any]:
    """The options of the family, as a recipe has them."""
    from pushforward.errors import InputError

    if halves < 1 or steps < halves:
        raise InputError(f"{steps} steps do not make {halves} half-iterations of a step or more")
    if rate and sigma is None:
        raise InputError(f"--rate {rate:g} needs a --sigma, in data units")
    length = {"count": halves, "length": steps // halves}
    options: dict[str, Any] = {
        "method": method,
        "halves": {"class": "schrodinger.Halves", "args": length},
    }
    if shared:
        options["shared"] = True
    if sigma is not None:
        kind, pull = ("OUBridge", {"rate": rate}) if rate else ("Bridge", {})
        options["reference"] = {"class": f"processes.{kind}", "args": {"sigma": sigma} | pull}
    return options


def translate(
    context: typer.Context,
    run: Run,
    file: Annotated[str, typer.Argument(help="States of the source, as for `train`.")],
    backward: Annotated[
        bool, typer.Option("--backward", help="From the target back to the source.")
    ] = False,
    n: Annotated[
        int | None, typer.Option("-n", "--n", help="Draws of each state, one without.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A .npz, .npy, .csv or .png file.", metavar="FILE")
    ] = Path("translated.npz"),
    sampler: Sampler = None,
    steps: Steps = None,
    seed: Seed = 0,
    label: Annotated[int | None, typer.Option("--class", help="A label for all.")] = None,
    batch_size: Annotated[int, typer.Option(help="States at a time.")] = 512,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Carry states from one law to the other with a trained model.

    Writes one state for each in FILE, in their order; with `-n` an array `(n, states, ...)`, or in
    a table the draws one after the other. Random, unless `--sampler heun` follows the ODE.
    """
    from pushforward.cli.rundata import column_names, load_like
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.models.two_ended import TwoEnded
    from pushforward.parallel import launch
    from pushforward.training.progress import Progress

    if out.suffix not in WRITERS:
        raise InputError(f"states go to {', '.join(WRITERS)} files, not {out.name!r}")
    model = load(run, trust=tuple(trust or ()))
    if not isinstance(model, TwoEnded):
        raise InputError(
            f"a {type(model).__name__} maps noise to data: translate takes a model between two "
            "data sets, from `pushforward bridge` or `train --source`"
        )
    x = load_like(Path(run), file, None).x
    where = launch(device).device
    model.to(where)
    carry = model.backward if backward else model.forward
    asked = accepted(carry, sampler=sampler, steps=steps, n=n)
    with Progress("translating", 1, show=not is_quiet(context)) as progress:
        y = carry(x.to(where), label, seed=seed, batch_size=batch_size, progress=progress, **asked)
    if n is not None and out.suffix in (".csv", ".png"):
        y = y.flatten(0, 1)
    write_samples(out, y, None, column_names(Path(run)))
    typer.echo(str(out))
