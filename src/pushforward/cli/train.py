"""`pushforward train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Trust, is_first, is_quiet, names_of

__all__ = ["carry_out", "train"]


def train(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="DATA (a built-in name, a .npy, .npz, .csv, .parquet file, or a folder of images) "
            "and key.path=value overrides of the recipe.",
            metavar="[DATA] [KEY.PATH=VALUE]...",
            autocompletion=names_of("data"),
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="See `pushforward list models`.", autocompletion=names_of("models")),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Data to start from in the place of noise, for a transport.",
            autocompletion=names_of("data"),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", metavar="RUN")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Data points per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where RUN stands.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="A YAML file.", metavar="FILE")] = None,
    label: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed.")] = None,
    standardize: Annotated[bool, typer.Option(help="Shift and scale inside the model.")] = True,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Event files too.")] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole recipe and stop.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Train a model on data, with or without a recipe.

    Leaves a run folder with checkpoints, metrics and a first report. Runs can be stopped with
    Ctrl-C, or killed, and resumed exactly.
    """
    from pushforward.cli.recipe import read
    from pushforward.errors import InputError

    values = words or []
    data = [w for w in values if "=" not in w or Path(w).exists()]
    if len(data) > 1:
        raise InputError(f"one data source, not {len(data)}: {', '.join(data)}")
    given: dict[str, Any] = {
        "data": data[0] if data else None,
        "source": source,
        "family": family,
        "load.label": label,
        "device": device,
        "train.steps": steps,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.seed": seed,
        "train.checkpoint_every": checkpoint_every,
        "train.precision": precision,
        "train.standardize": None if standardize else False,
    }
    chosen = read(
        recipe,
        {key: value for key, value in given.items() if value is not None},
        [w for w in values if w not in data],
    )
    if print_config:
        typer.echo(chosen.to_yaml(), nl=False)
        return
    carry_out(context, chosen, out, resume=resume, trust=trust, tensorboard=tensorboard)


def carry_out(
    context: typer.Context,
    chosen: Any,
    out: Path | None,
    *,
    resume: bool,
    trust: list[str] | None,
    tensorboard: bool = False,
) -> None:
    """Train as a recipe says, and leave a report; the exit code tells an interrupted run."""
    from pushforward.errors import InputError, TrainingError
    from pushforward.training import TensorBoard, fit

    if out is None:
        raise InputError("no run folder: give one with --out runs/NAME")
    loaded, start = chosen.load_data(), chosen.load_source()
    trusted = tuple(trust or ())
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(chosen.train.seed)
        model = chosen.make_model(loaded, trusted)
    trackers = (TensorBoard(out / "tensorboard"),) if tensorboard else ()
    quiet = is_quiet(context)
    if not quiet:
        size = sum(p.numel() for p in model.parameters())
        kind = type(model).__name__
        sides = f"{loaded}" if start is None else f"{start} to {loaded}"
        typer.echo(f"{sides}; {kind} with {size:,} parameters; run in {out}", err=True)
    try:
        run = fit(
            model,
            loaded,
            source=start,
            out=out,
            resume=resume,
            device=chosen.device,
            trackers=trackers,
            progress=not quiet,
            settings=chosen.train,
        )
    except TrainingError as error:
        _finish(error.run, chosen, loaded, quiet)
        raise
    _finish(run, chosen, loaded, quiet)
    if run.status == "interrupted":
        if is_first():
            typer.echo(f"interrupted at step {run.step}, saved; go on with --resume", err=True)
        raise typer.Exit(130)


def _finish(run: Any, recipe: Any, data: Any, quiet: bool) -> None:
    """Leave the recipe and a first report beside the checkpoints, in the first process."""
    if not is_first():
        return
    from pushforward.cli.rundata import write_recipe
    from pushforward.report import write

    write_recipe(run.path, recipe)
    run.model.normalize()
    faults = run.model.warnings(data.x)
    write(run.path, run.model, data, faults=faults)
    for fault in faults:
        # Said even if quiet: whoever waits for the end must not take it for a success.
        typer.echo(f"! {fault}", err=True)
    if not quiet:
        last = run.history[-1] if run.history else {}
        loss = f", loss {last['loss']:.4f}" if "loss" in last else ""
        typer.echo(
            f"{run.status} at step {run.step}{loss}\n"
            f"report: {run.path / 'report.html'}\nnext: pushforward evaluate {run.path}",
            err=True,
        )
