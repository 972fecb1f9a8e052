"""`pushforward sample`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    BatchSize,
    Checkpoint,
    Device,
    GivenValues,
    KeepNonfinite,
    Label,
    Run,
    Sampler,
    Seed,
    StatesOut,
    Steps,
    Trust,
    accepted,
    is_first,
    is_quiet,
    names_of,
    refuse_said,
    unsaid,
)
from pushforward.cli.wording import in_words_of

__all__ = ["sample"]

_OF_SAMPLERS = (
    "grid", "stop", "denoise", "mean", "guidance", "guidance_interval", "text", "texts",
)  # fmt: skip
"""Options by which samples are drawn that have no part in filling in."""


def sample(
    context: typer.Context,
    run: Run,
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--n",
            help="Number of samples, 64 by default, one for each text, or one for each row of "
            "--given FILE, for each of which this is the number.",
        ),
    ] = None,
    out: StatesOut = "samples.npz",
    sampler: Sampler = None,
    steps: Steps = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Time grid of the sampler, a name of `pushforward list grids`; the model's own by "
            "default.",
            autocompletion=names_of("grids"),
        ),
    ] = None,
    stop: Annotated[
        float | None,
        typer.Option(help="Time at which the sampler stops; that of the process by default."),
    ] = None,
    denoise: Annotated[
        bool | None,
        typer.Option(help="Remove the noise that is left at the stopping time, or keep it."),
    ] = None,
    mean: Annotated[
        bool | None,
        typer.Option("--mean", help="For a VAE: take the means of the decoder, without its noise."),
    ] = None,
    seed: Seed = 0,
    label: Label = None,
    given: GivenValues = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="What the pictures show, for a model of captions; several take turns."),
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="A file with a text in each line.", metavar="FILE")
    ] = None,
    given_file: Annotated[
        Path | None,
        typer.Option(
            help="Texts with gaps, for a model of texts: all other symbols are kept, and gaps are "
            "filled in, -n times each, once by default. Or functions with missing values, for a "
            "model of functions.",
            metavar="FILE",
        ),
    ] = None,
    gap: Annotated[
        str, typer.Option(help="The character that marks a missing symbol in --given-file.")
    ] = "_",
    at: Annotated[
        str | None,
        typer.Option(
            help="For a model of functions: draw them at other points, so many on each axis (128, "
            "or 64,64), or those of a table of coordinates.",
            metavar="N,...|FILE",
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Strength of classifier-free guidance towards the labels or texts; 1 is none, "
            "larger values follow them more closely."
        ),
    ] = None,
    guidance_interval: Annotated[
        str | None,
        typer.Option(
            help="The first and the last time at which guidance acts, of 0 (data) to 1 (noise); by "
            "default at all.",
            metavar="FIRST,LAST",
        ),
    ] = None,
    batch_size: BatchSize = 512,
    keep_nonfinite: KeepNonfinite = False,
    device: Device = "auto",
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Draw new samples from a trained model and write them to a file.

    A model of captions draws what --text says, and writes it below the pictures of a .png, or to
    captions.csv in a folder of pictures. A model of labeled data draws labels as frequent as there,
    unless --class names one, and writes them beside the samples, under their name. A model that was
    trained with --given writes the columns that it is told beside those that it draws, in the order
    of its data; without --given, it is told those of rows of its training data.

    A model of texts prints them, unless --out names a file, and fills in the gaps of --given-file.
    One of functions draws the missing values of --given-file given those that are there, and at
    the points --at.
    One of a table with words or dates writes samples.csv.

    Under `torchrun` each process draws its share, and the first writes the file.
    """
    from pushforward import parallel, state
    from pushforward.checks import whole
    from pushforward.cli.domains import on_whole_domain
    from pushforward.cli.given import told
    from pushforward.cli.given_cells import infilled
    from pushforward.cli.given_functions import completed
    from pushforward.cli.other_points import moved
    from pushforward.cli.refusals import require_memory
    from pushforward.cli.rundata import labels_of, schema_of
    from pushforward.cli.texts import texts_for
    from pushforward.cli.values import read_value
    from pushforward.cli.writing import (
        check_suffix,
        checked,
        label_of,
        require_finite,
        write_states,
    )
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.models.row_memory import advising
    from pushforward.training.progress import Progress

    check_suffix(out)
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    known = schema_of(Path(run))
    if known.windows is not None:
        raise InputError(
            f"{run} draws the frames that follow others: `pushforward forecast {run} RECENT` says "
            "which"
        )
    model = on_whole_domain(model, known)
    mixed = known.mixed is not None
    if mixed and unsaid(context, "out"):
        # Words and dates have no place in arrays, which would hold their codes.
        out = "samples.csv"
    if n is not None:
        whole("n", n, least=1)
    # What is said in several options is said together.
    asked_for = ",".join(given) if given else None
    cells = asked_for if asked_for is not None or given_file is None else str(given_file)
    if cells is not None and mixed:
        refuse_said(context, "the cells of a table that are drawn given others", *_OF_SAMPLERS)
        wishes = accepted(model.sample, sampler=sampler, steps=steps)
        with Progress("sampling", 1, show=not is_quiet(context)) as progress:
            x, numbers = infilled(
                Path(run), model, cells, n, device=device, seed=seed, batch_size=batch_size,
                progress=progress, **wishes,
            )  # fmt: skip
        write_states(out, x, model.space, Path(run), told=numbers)
        typer.echo(out)
        return
    functions = None
    if at is not None:
        if given_file is not None:
            raise InputError("--given-file has points of its own: leave --at out")
        model, functions = moved(Path(run), model, at)
    if given_file is not None and known.functions is not None:
        where = "the values of functions that are drawn given others"
        refuse_said(context, where, "sampler", "label", *_OF_SAMPLERS)
        with Progress("completing functions", 1, show=not is_quiet(context)) as progress:
            x, codes, names = completed(
                Path(run), model, given_file, 1 if n is None else n, seed=seed, steps=steps,
                progress=progress,
            )  # fmt: skip
        checked(out, Path(run), model, len(x))
        write_states(out, x, model.space, Path(run), labels=codes, told=names)
        typer.echo(out)
        return
    if given_file is not None:
        refuse_said(context, "the gaps of texts", "label", *_OF_SAMPLERS)
        _fill_in(context, run, model, given_file, gap, n, out, sampler, seed, steps, batch_size)
        return
    own = told(Path(run), model, asked_for, n, context, seed)
    captions, n = texts_for(model, text, texts, n if own is None else len(own.c))
    require_memory(n, state.numel(model.event_shape))
    c: Any = label_of(Path(run), label) if own is None else own.c
    if c is None:
        c = labels_of(Path(run), model, n, seed)
    checked(out, Path(run), model, n, labeled=own is None and c is not None and label is None)
    codes = c if own is None else None
    if captions is not None:
        c = model.condition.rows(captions, n, model.device)
    wishes = {
        "sampler": sampler,
        "steps": steps,
        "grid": grid,
        "stop": stop,
        "denoise": denoise,
        "mean": mean,
        "guidance": guidance,
        "guidance_interval": guidance_interval
        and read_value("--guidance-interval", guidance_interval, Sequence[float]),
    }
    asked = accepted(model.sample, **wishes)
    with Progress("sampling", 1, show=not is_quiet(context)) as progress:
        each = model.understood("sample", seed=seed, batch_size=batch_size, progress=progress)

        def draw(n: int) -> Any:
            few = c if c is None or isinstance(c, int) else state.take(c, slice(0, n))
            return parallel.sample(model, n, few, device=device, **each, **asked)

        with advising(draw, min(n, batch_size)):
            x = draw(n)
    if not is_first():
        return
    if not keep_nonfinite:
        require_finite(x, out)
    if _printed(context, Path(run), x):
        return
    write_states(
        out, x, model.space, Path(run), labels=codes, captions=captions, own=own,
        fields=known.whole.fields, functions=functions,
    )  # fmt: skip
    about = model.about_sampling(asked)
    if about is not None and not is_quiet(context):
        typer.echo(in_words_of(context.command, about), err=True)
    typer.echo(out)


def _printed(context: typer.Context, run: Path, x: Any) -> bool:
    """Whether states were printed: texts are, unless --out names a file."""
    from pushforward.cli.rundata import schema_of
    from pushforward.data.texts import spelled_out

    alphabet = schema_of(run).alphabet
    if alphabet is None or not unsaid(context, "out"):
        return False
    typer.echo(spelled_out(x, alphabet), nl=False)
    return True


def _fill_in(
    context: typer.Context,
    run: str,
    model: Any,
    place: Path,
    gap: str,
    n: int | None,
    out: str,
    sampler: str | None,
    seed: int,
    steps: int | None,
    batch_size: int,
) -> None:
    """Print or write the texts of a file with their gaps filled in."""
    from functools import partial

    from pushforward.cli.infilling import filled_in
    from pushforward.cli.writing import checked, write_states

    draw = partial(model.sample, **accepted(model.sample, steps=steps, batch_size=batch_size))
    x = filled_in(Path(run), model, place, gap, 1 if n is None else n, sampler, seed, draw)
    if not is_first() or _printed(context, Path(run), x):
        return
    checked(out, Path(run), model, len(x))
    write_states(out, x, model.space, Path(run))
    typer.echo(out)
