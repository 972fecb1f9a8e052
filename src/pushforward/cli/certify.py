"""`pushforward certify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward._files import write_text
from pushforward.cli.options import (
    Checkpoint,
    Json,
    Label,
    MovedData,
    Run,
    Seed,
    Steps,
    Trust,
    accepted,
    emit,
    names_of,
)

__all__ = ["certify"]


def certify(
    context: typer.Context,
    run: Run,
    sampler: Annotated[
        str,
        typer.Option(
            help="Sampler whose error is bounded; one that follows the reverse SDE.",
            autocompletion=names_of("samplers"),
        ),
    ] = "ddpm",
    steps: Steps = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another run of the same process: how many nats it is better.", metavar="RUN"
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of held-out rows, at most.")] = 2000,
    klass: Label = None,
    stop: Annotated[
        float | None, typer.Option(help="Time at which sampling stops; the model's by default.")
    ] = None,
    seed: Seed = 0,
    data: MovedData = None,
    as_json: Json = False,
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Bound the distance of samples from the data, term by term, on the rows that were held out.

    The bound is that of the Kullback-Leibler divergence, in nats, for one sampler and a number of
    steps: prior mismatch, score error and discretization, each with its standard error and how it
    is known. It is printed and written to certificate.json and certificate.html in the run folder.
    """
    from pushforward.certificates import certify as certified
    from pushforward.cli.rundata import split_again
    from pushforward.cli.writing import check_file, label_of
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.report import certificate_page

    folder, trusted = Path(run), tuple(trust or ())
    model: Any = load(folder, trust=trusted, checkpoint=checkpoint)
    other: Any = None if against is None else load(Path(against), trust=trusted)
    _, test = split_again(folder, model.space, data, command=context.command)
    label, x = label_of(folder, klass), test.x
    if label is not None:
        x = x[test.c == label]
    if not len(x):
        raise InputError("no row of that class was held out")
    for name in ("certificate.json", "certificate.html"):
        check_file(folder / name)
    asked = accepted(certified, steps=steps, stop=stop)
    found = certified(
        model, x, sampler=sampler, against=other, c=label, rows=rows, seed=seed, **asked
    )
    told = found.to_dict()
    write_text(folder / "certificate.json", json.dumps(told, indent=2) + "\n")
    title = f"Certificate of {folder.name}"
    write_text(folder / "certificate.html", certificate_page(told, title))
    if as_json:
        emit(told)
        return
    typer.echo(str(found))
    if label is not None or not model.condition.conditional:
        # Not what `sample` does by default, which follows the probability flow.
        words = f"--sampler {sampler} --steps {found.steps}"
        words += f" --stop {stop:g}" if stop is not None else ""
        words += f" --class {klass}" if klass is not None else ""
        typer.echo(f"\nof samples by: pushforward sample {run} {words}")
    typer.echo(f"\npicture: {folder / 'certificate.html'}")
