"""Options that several commands share."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward import registry

__all__ = [
    "BatchSize",
    "Checkpoint",
    "Coordinates",
    "Device",
    "IdColumn",
    "Json",
    "KeepNonfinite",
    "Label",
    "LabelColumn",
    "Marks",
    "MovedData",
    "Reading",
    "Resume",
    "Run",
    "RunFolder",
    "Sampler",
    "Seed",
    "SeedOfRun",
    "StateSpace",
    "StatesOut",
    "Steps",
    "Trust",
    "accepted",
    "emit",
    "is_first",
    "is_quiet",
    "label_column",
    "names_of",
    "unsaid",
]


def names_of(axis: str) -> Callable[[str], list[str]]:
    """What a shell offers to complete a name of an axis."""

    def offer(incomplete: str) -> list[str]:
        return [name for name in registry.names(axis) if name.startswith(incomplete)]

    return offer


def _trusted(context: typer.Context, modules: list[str] | None) -> list[str] | None:
    """Import what the user trusts before the command looks at names, from here if it is here."""
    if modules and not context.resilient_parsing:
        if (here := os.getcwd()) not in sys.path:
            # Last, so that a file lying here hides no installed module.
            sys.path.append(here)
        registry.trust(modules)
    return modules


def _seed(seed: int | None) -> int | None:
    from pushforward import checks

    return None if seed is None else checks.seed("--seed", seed)


BatchSize = Annotated[
    int, typer.Option(help="Number of states that go through the network at a time.")
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        help="Weights of the run to use: last, best, or the step of a checkpoint. By default those "
        "that validated best, or the last where the loss does not measure the quality of the model."
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or mps; auto takes a GPU if there is one.")
]
GivenColumns = Annotated[
    str | None,
    typer.Option(
        "--given",
        help="Columns of the table that are given, by name with commas between: the model learns "
        "the distribution of the others given these.",
        metavar="NAME,...",
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        "--id",
        help="Of a table with a row for each point of a set, or for each value of a function: the "
        "column that says which one it is of. Of sets, words are marks and all other columns "
        "coordinates; of functions, --coordinates are where and all others channels.",
        metavar="COLUMN",
    ),
]
Marks = Annotated[
    str | None,
    typer.Option(
        help="Columns of numbers that are kinds of points, by name with commas between.",
        metavar="NAME,...",
    ),
]
Coordinates = Annotated[
    str | None,
    typer.Option(
        help="What the columns are that become states of --space, where their names do not say it: "
        "latitude-longitude, azimuth-altitude, unit-vector, degrees, radians, quaternion-wxyz, "
        "quaternion-xyzw, rotation-vector, 'euler-ZYX degrees', matrix, pose-matrix, "
        "poincare-ball, half-space, upper-triangle; several for several spaces, with commas "
        "between. Of functions, the columns of the coordinates.",
        metavar="KIND[ UNIT]",
    ),
]
GivenValues = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        help="What a model that was trained with --given is told: a=1.2,b=3 for all samples, or a "
        "FILE with these columns, of which each row has a sample, or -n of them. May be repeated.",
        metavar="NAME=VALUE,...|FILE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
KeepNonfinite = Annotated[
    bool,
    typer.Option(
        "--keep-nonfinite",
        help="Write states that are not finite as they are, instead of ending with exit code 3.",
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--class", help="Label of all states: the name or the value that the class has in the data."
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the table that holds the labels, by default as in the run if there is one; "
        "false for no labels."
    ),
]
MovedData = Annotated[
    str | None, typer.Option(help="Where the data of the run are now, if they have been moved.")
]
Reading = Annotated[
    list[str] | None,
    typer.Argument(
        help="How to read DATA, such as data.drop_nonfinite=true, where not as the data of the "
        "run were.",
        metavar="[data.KEY=VALUE]...",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue the run in RUN from its newest checkpoint."),
]
Run = Annotated[str, typer.Argument(help="A run folder or a saved model.", metavar="RUN")]
RunFolder = Annotated[
    Path | None, typer.Option(help="Folder that the run is written to.", metavar="RUN")
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="Sampler, a name of `pushforward list samplers`; the model's own by default.",
        autocompletion=names_of("samplers"),
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.", callback=_seed)]
SeedOfRun = Annotated[int | None, typer.Option(help="Seed of all randomness.", callback=_seed)]
StatesOut = Annotated[
    str,
    typer.Option(
        "--out",
        help="Where to write states: a table (.csv, .tsv, also .gz, .parquet, .feather, .xlsx, "
        ".jsonl), an array (.npz, .npy), a folder for pictures, or .png for one picture of all.",
        metavar="FILE",
    ),
]
Steps = Annotated[
    int | None, typer.Option(help="Number of steps of the sampler; the model's own by default.")
]
StateSpace = Annotated[
    str | None,
    typer.Option(
        "--space",
        help="What the rows are states of, a name of `pushforward list spaces` such as sphere or "
        "torus, or several with commas between: the model takes the process that moves there.",
        metavar="NAME,...",
        autocompletion=names_of("spaces"),
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        help="Import this module, which runs its code: the classes and short names that it defines "
        "may then be used. Can be given several times.",
        metavar="MODULE",
        callback=_trusted,
    ),
]


def unsaid(context: typer.Context, option: str) -> bool:
    """Whether an option of the command has its default because nobody said otherwise."""
    source = context.get_parameter_source(option)
    return source is not None and source.name.startswith("DEFAULT")


def refuse_said(context: typer.Context, where: str, *names: str) -> None:
    """Raise `InputError` for the first of some options that was said, as it means nothing there."""
    from pushforward.errors import InputError

    for option in context.command.params:
        if option.name in names and not unsaid(context, option.name):
            raise InputError(f"{max(option.opts, key=len)} means nothing for {where}: leave it out")


def is_quiet(context: typer.Context) -> bool:
    """Whether `--quiet` was given before the command, or another process does the talking."""
    return bool(context.find_root().params.get("quiet")) or not is_first()


def is_first() -> bool:
    """Whether this is the only process, or the first one under `torchrun`."""
    from pushforward.parallel import rank

    return rank() == 0


def label_column(text: str | None) -> bool | str | None:
    """The column that `--label` names, or the truth that it says.

    >>> label_column("species"), label_column("false"), label_column(None)
    ('species', False, None)
    """
    return {"true": True, "false": False}.get(text, text) if text is not None else None


def accepted(method: Callable[..., Any], /, **asked: Any) -> dict[str, Any]:
    """The options that were given, those that are not `None`, for a method of some model.

    Raises `InputError` for one that the method does not take.
    """
    from pushforward.errors import InputError

    given = {name: value for name, value in asked.items() if value is not None}
    taken = inspect.signature(method).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values()):
        return given
    for name in given:
        if name not in taken:
            bound = getattr(method, "__self__", None)
            owner = type(bound).__name__ if bound is not None else method.__qualname__
            raise InputError(f"--{name.replace('_', '-')} means nothing to a {owner}: leave it out")
    return given


def emit(value: Any) -> None:
    """Print JSON on standard output; numbers that JSON lacks become null."""
    json.dump(_finite(value), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
