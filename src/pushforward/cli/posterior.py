"""`pushforward posterior`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    BatchSize,
    Checkpoint,
    Device,
    KeepNonfinite,
    Label,
    Run,
    Seed,
    StatesOut,
    Trust,
    accepted,
    is_quiet,
    names_of,
)

__all__ = ["posterior"]


def posterior(
    context: typer.Context,
    run: Run,
    y: Annotated[
        str | None,
        typer.Option(
            "--y",
            help="What was measured: a picture, an array (.npy, .npz), or a table with the "
            "measured columns, a row for each measurement.",
            metavar="FILE",
        ),
    ] = None,
    operator: Annotated[
        str | None,
        typer.Option(
            help="How: downsample:4, mask:FILE (white, or 1, is observed), crop:TOP,LEFT,HEIGHT,"
            "WIDTH, blur:1.5, columns:a,b, fourier:3, matrix:FILE; blur:1.5+downsample:4 is one "
            "after the other. Of a table by default the columns that it has.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            help="Standard deviation of the noise in the units of y; 5% of the range of the data; "
            "exact, estimated, laplace:LEVEL, poisson or poisson:GAIN."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="To try it out: whole states, of which y is made by the operator and the noise.",
            metavar="DATA",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            help="Which of the states of --from, counted from 0: 0:4 are the first four, 3,7 these "
            "two; all by default.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Draws of each measurement.")] = 8,
    out: StatesOut = "draws.npz",
    method: Annotated[
        str | None,
        typer.Option(
            help="A name of `pushforward list posteriors`. By default pigdm, or mmps for up to 8 "
            "measured numbers; projection without noise; dps for other noise than Gaussian and for "
            "operators that are not linear.",
            autocompletion=names_of("posteriors"),
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Weigh particles so that their draws are exact for many of them, and tell "
            "log p(y): twisted sequential Monte Carlo, with the method as its twist.",
        ),
    ] = False,
    particles: Annotated[
        int | None, typer.Option(help="For --exact, of each measurement; 1000 by default.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="A name of `pushforward list samplers`, for methods that guide one; `exponential` "
            "by default.",
            autocompletion=names_of("samplers"),
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of steps; by default 100, and 50 for daps.")
    ] = None,
    seed: Seed = 0,
    label: Label = None,
    given: Annotated[
        str | None,
        typer.Option(
            help="Of a run trained with --given, what each state is told: a=1.2,b=3 for all, or a "
            "file with these columns, a row for each measurement.",
        ),
    ] = None,
    guidance: Annotated[
        float, typer.Option(help="Strength of classifier-free guidance towards --class.")
    ] = 1.0,
    batch_size: BatchSize = 256,
    keep_nonfinite: KeepNonfinite = False,
    device: Device = "auto",
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Draw states that fit a measurement: restore pictures, fill gaps, complete tables.

    Prints the method, how exact its draws are, what they cost and how well they fit. With --out
    FILE.png pictures are drawn beside the measurement, their mean and their deviation.

      pushforward posterior runs/digits --y small.png --operator downsample:2 --noise 5%
      pushforward posterior runs/digits --from digits --rows 0:4 --operator mask:left.png --noise 5%
    """
    from pushforward import state
    from pushforward.cli.given import told
    from pushforward.cli.measuring import (
        noise_from,
        operator_from,
        read_measurement,
        read_states,
        rows_from,
    )
    from pushforward.cli.refusals import require_memory
    from pushforward.cli.rundata import levels_of, schema_of
    from pushforward.cli.wording import in_words_of
    from pushforward.cli.writing import check_suffix, checked, label_of, require_finite
    from pushforward.config import understood
    from pushforward.errors import InputError
    from pushforward.models import TwistedPosterior, load
    from pushforward.models.inferring import noise_of
    from pushforward.parallel import launch
    from pushforward.report.restoration import ROWS
    from pushforward.training.progress import Progress

    check_suffix(out)
    if (y is None) == (source is None):
        raise InputError("give --y, what was measured, or --from, whole states to try it out on")
    if rows is not None and source is None:
        raise InputError("--rows are those of --from: give both")
    exact = exact or method == "tds"
    if particles is not None and not exact:
        raise InputError("--particles are those of --exact: give both")
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    model.to(launch(device).device)
    folder, truth = Path(run), None
    names, limits = schema_of(folder).names, levels_of(folder)["value_range"]
    level = noise_from(noise, limits)
    if source is not None:
        if operator is None:
            raise InputError("--from needs --operator: how would the states be measured?")
        how = operator_from(operator, names)
        if level == "estimated":
            raise InputError("--from makes the noise itself: give its level")
        truth = read_states(source, folder, model, context.command)
        if rows is not None:
            truth = truth[rows_from(rows, len(truth))]
        found = _made(how, noise_of(level), truth, names, seed)
    else:
        found, own = read_measurement(str(y), folder, model, context.command)
        if operator is None and not own:
            raise InputError("give --operator: how was y measured, such as downsample:4")
        how = operator_from(operator or f"columns:{','.join(own)}", names)
        found = _in_order(found, own, how)
    options: dict[str, Any] = {} if particles is None else {"particles": particles}
    if exact:
        options |= {} if method in (None, "tds") else {"twist": method}
        method = "tds"
    c: Any = label_of(folder, label)
    if (contexts := told(folder, model, given, 1, context)) is not None:
        # One for all measurements, or one for each.
        c = contexts.c[0] if len(contexts.c) == 1 else contexts.c
    post: Any = model.posterior(found, how, level, method, c=c, guidance=guidance, **options)
    total = n * post.count
    require_memory(total, state.numel(model.event_shape))
    checked(out, folder, model, total)
    if _pictured(out, model) and post.count > ROWS:
        which = f"--rows 0:{ROWS} draws these alone" if truth is not None else "the first ones"
        typer.echo(f"note: {out} shows {ROWS} of {post.count} measurements: {which}", err=True)
    drawing = accepted(post.sample, steps=steps, sampler=sampler)
    drawing |= understood(post.sample, batch_size=batch_size)
    begin = time.monotonic()
    with Progress("sampling", 1, show=not is_quiet(context)) as progress:
        x = post.sample(n, seed=seed, progress=progress, **drawing)
    seconds = time.monotonic() - begin
    flat = x.flatten(0, 1) if post.batched else x
    if not keep_nonfinite:
        require_finite(flat, out)
    _write(out, x, flat, post, model, folder, n, truth, limits)
    if not is_quiet(context):
        evidence = post.log_evidence() if isinstance(post, TwistedPosterior) else None
        for line in _told(post, x, seconds, evidence):
            typer.echo(in_words_of(context.command, line), err=True)
    typer.echo(out)


def _made(how: Any, noise: Any, truth: Any, names: Any, seed: int) -> Any:
    """Measurements of states, with noise that belongs to their rows."""
    from pushforward._random import derived_seed, resolve
    from pushforward.inverse import Columns

    if isinstance(how, Columns):
        how = how.resolved(names)
    return noise.sample(how(truth), resolve(derived_seed(seed, 7), rows=len(truth)))


def _in_order(y: Any, own: list[str], how: Any) -> Any:
    """The columns of a table in the order of the operator; others are left aside.

    Raises `InputError` for a column that the table lacks.
    """
    from pushforward.errors import InputError
    from pushforward.inverse import Columns

    if not own or not isinstance(how, Columns):
        return y
    missing = [c for c in how.columns if isinstance(c, str) and c not in own]
    if missing:
        raise InputError(
            f"y has no column {', '.join(map(repr, missing))}: it has {', '.join(own)}"
        )
    if not all(isinstance(c, str) for c in how.columns):
        return y
    return y[:, [own.index(str(c)) for c in how.columns]]


def _pictured(out: str, model: Any) -> bool:
    """Whether the draws become a picture."""
    pictures = len(model.event_shape) == 3 and model.event_shape[0] in (1, 3)
    return pictures and Path(out).suffix.lower() == ".png"


def _write(
    out: str, x: Any, flat: Any, post: Any, model: Any, run: Path, n: int, truth: Any, limits: Any
) -> None:
    """Draws to a file, or pictures beside their measurement."""
    from pushforward.cli.writing import write_states

    if _pictured(out, model):
        from pushforward.report.restoration import save_restoration

        Path(out).parent.mkdir(parents=True, exist_ok=True)
        y = post.measurement.y
        save_restoration(
            Path(out), (y if post.batched else y[None]).cpu(),
            (x if post.batched else x.unsqueeze(1)).cpu(),
            operator=post.measurement.operator, value_range=limits, truth=truth,
        )  # fmt: skip
        return
    # Of several measurements an array has the draws on a first axis, a table one after the other.
    write_states(
        out, x if post.batched else flat, model.space, run, draws=n if post.batched else None
    )


def _told(post: Any, x: Any, seconds: float, evidence: Any) -> list[str]:
    """How exact the draws are, what they cost, how well they fit, and what the weights say."""
    fit = post.consistency(x)
    exactly = not bool((post.measurement.noise.spread(post.measurement.y) > 0).any())
    each = "draw" if evidence is None else "particle"
    unit = "the size of y" if exactly else "the noise (about 1 for a true state)"
    level = post.noise_level
    lines = [
        f"{post.method}: {post.exactness}",
        f"{post.cost}: {post.evaluations} evaluations a {each}, {seconds:.1f} s in all",
        f"y - A(x) is {float(fit.mean()):.3g} times {unit}, from {float(fit.min()):.3g} to "
        f"{float(fit.max()):.3g}",
    ]
    if level is not None:
        lines.insert(1, f"noise of {level.value:.3g} ± {level.stderr:.2g}, estimated")
    if evidence is None:
        return lines
    for k, own in enumerate(post.particles):
        which = f"measurement {k}: " if post.batched else ""
        size, least = float(own.ess[-1, 0]), float(own.ess[:, 0].min())
        bad = "" if bool(own.converged[0]) else "; DEGENERATE, not to be trusted"
        lines.append(
            f"{which}log p(y) = {float(evidence.value[k]):.3f} ± {float(evidence.stderr[k]):.3f} "
            f"nats; effective sample size {size:.0f} of {own.x.shape[1]} particles, {least:.0f} at "
            f"the least{bad}"
        )
    return lines
