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
    noise: Annotated[
        str | None,
        typer.Option(
            help="Standard deviation of independent normal noise that is known to be in the data, "
            "in their units: one number, or one for each column, 0.1,2.",
            metavar="STD[,STD...]",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Certify nothing; say how many steps of ddpm keep an exact model within so many "
            "nats, on which grid.",
            metavar="NATS",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of held-out rows, at most.")] = 2000,
    klass: Label = None,
    given: Annotated[
        str | None,
        typer.Option(
            help="Of a run that was trained with --given: only held-out rows with these values.",
            metavar="NAME=VALUE,...",
        ),
    ] = None,
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

    Of a run with labels, or trained with --given, every held-out row is certified with its own, as
    `sample` draws them: the bound is the mean over labels or given values.
    """
    from pushforward.certificates import certify as certified
    from pushforward.cli.certified_rows import certified_rows, comparable
    from pushforward.cli.rundata import split_again
    from pushforward.cli.wording import in_words_of
    from pushforward.cli.writing import check_file
    from pushforward.models import load
    from pushforward.report import certificate_page

    folder, trusted = Path(run), tuple(trust or ())
    model: Any = load(folder, trust=trusted, checkpoint=checkpoint)
    if against is not None:
        comparable(folder, Path(against))
    other: Any = None if against is None else load(Path(against), trust=trusted)
    _, test = split_again(folder, model.space, data, command=context.command)
    x, c = certified_rows(folder, model, test, klass, given, context)
    if target is not None:
        _plan(target, model, x, seed, as_json)
        return
    for name in ("certificate.json", "certificate.html"):
        check_file(folder / name)
    asked = accepted(certified, steps=steps, stop=stop, noise=_noise(noise))
    found = certified(model, x, sampler=sampler, against=other, c=c, rows=rows, seed=seed, **asked)
    told = found.to_dict()
    told["warnings"] = [in_words_of(context.command, text) for text in told["warnings"]]
    write_text(folder / "certificate.json", json.dumps(told, indent=2) + "\n")
    title = f"Certificate of {folder.name}"
    write_text(folder / "certificate.html", certificate_page(told, title))
    if as_json:
        emit(told)
        return
    typer.echo(in_words_of(context.command, str(found)))
    # Not what `sample` does by default, which follows the probability flow.
    words = f"--sampler {sampler} --steps {found.steps}"
    words += f" --stop {stop:g}" if stop is not None else ""
    words += f" --class {klass}" if klass is not None else ""
    words += f" --given {given}" if given is not None else ""
    typer.echo(f"\nof samples by: pushforward sample {run} {words}")
    typer.echo(f"\npicture: {folder / 'certificate.html'}")


def _noise(text: str | None) -> Any:
    """One standard deviation, or one for each column."""
    from pushforward.errors import InputError

    if text is None:
        return None
    try:
        stds = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--noise is a number, or numbers as in 0.1,2, not {text!r}") from None
    return stds[0] if len(stds) == 1 else stds


def _plan(target: float, model: Any, x: Any, seed: int, as_json: bool) -> None:
    """Print the cheapest steps for a target."""
    from dataclasses import asdict

    from pushforward.certificates import step_budget
    from pushforward.certificates.subjects import RowContexts, subject_of

    subject = subject_of(model, RowContexts(), x.dtype)
    budget = step_budget(target, subject.inward(x), subject.process, seed=seed)
    if as_json:
        emit(asdict(budget))
    else:
        typer.echo(str(budget))
