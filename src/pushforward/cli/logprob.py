"""`pushforward logprob`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Checkpoint,
    Json,
    Label,
    LabelColumn,
    Reading,
    Run,
    Seed,
    Trust,
    accepted,
    emit,
    is_quiet,
    label_column,
)
from pushforward.cli.wording import in_words_of

__all__ = ["logprob"]

_ADVICE = (
    "values that have not converged, and their errors, are not to be trusted; those of a VAE may "
    "converge with --method annealed, or more --samples"
)


def logprob(
    context: typer.Context,
    run: Run,
    data: Annotated[
        str, typer.Argument(help="Data whose log-densities are computed.", metavar="DATA")
    ],
    words: Reading = None,
    out: Annotated[
        Path | None, typer.Option(help="Write them to this .csv or .npz file.", metavar="FILE")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Number of steps of the ODE, or of a bound; the model's own by default."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Choose the steps of the ODE so that its error stays near this."),
    ] = None,
    stop: Annotated[
        float | None,
        typer.Option(help="Time whose density is computed; where sampling stops by default."),
    ] = None,
    divergence: Annotated[
        str | None,
        typer.Option(
            help="Divergence of the ODE: exact, estimated by hutchinson, or auto, which is exact "
            "in few dimensions."
        ),
    ] = None,
    probes: Annotated[
        int | None, typer.Option(help="Number of random probes of Hutchinson's estimator.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="For a VAE: importance, bound or annealed.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="For a VAE: number of latents, or of chains, for each data point."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="For tokens: evaluations of the model for the bound, a multiple of 16."),
    ] = None,
    bound: Annotated[
        int | None,
        typer.Option(help="Also compute the variational bound of a chain of this many steps."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--n",
            help="Take only the first rows of DATA, this many. All of it is read, and has to be in "
            "order.",
        ),
    ] = None,
    seed: Seed = 0,
    given_file: Annotated[
        Path | None,
        typer.Option(help="For functions: values that are given those of DATA.", metavar="FILE"),
    ] = None,
    label: LabelColumn = None,
    klass: Label = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Number of states that go through the network at a time; what fits into a GiB by "
            "default."
        ),
    ] = None,
    as_json: Json = False,
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Compute log-densities of data under a trained model, in nats, with standard errors.

    Values of quantized data (such as pictures) are spread uniformly over the cells of their levels
    first: then the mean also bounds the code length, given in bits per dimension.

    A model of labels gives the density conditional on the label of each row, or on --class. FILE
    has a row for each of DATA, with its number, counted from 0; cells of rows that were left out
    are empty (NaN in an .npz).
    """
    from pushforward._files import require_space
    from pushforward.cli.given_functions import contexts
    from pushforward.cli.rundata import labeled, load_like
    from pushforward.cli.writing import check_file, label_of
    from pushforward.errors import CapabilityError, InputError
    from pushforward.models import load
    from pushforward.models.row_memory import advising
    from pushforward.report.judging import conditions, log_density
    from pushforward.training.progress import Progress

    if out is not None and out.suffix not in (".csv", ".npz"):
        raise InputError(f"log-densities go to a .csv or .npz file, not {out.name!r}")
    if out is not None:
        check_file(out)
    if n is not None and n < 1:
        raise InputError(f"-n asks for at least one data point, not {n}")
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    if model.capabilities.log_prob in ("unnormalized", "none"):
        raise CapabilityError(
            model.about_density({})
            or f"{type(model).__name__} has no normalized density: its log_prob in Python, if it "
            "has one, is up to a constant"
        )
    if bound is not None and not model.capabilities.variational_bound:
        raise InputError(f"--bound means nothing to a {type(model).__name__}: leave it out")
    asked = accepted(
        model.log_prob,
        divergence=divergence,
        probes=probes,
        steps=steps,
        tolerance=tolerance,
        draws=draws,
        stop=stop,
        method=method,
        samples=samples,
    )
    code = label_of(Path(run), klass)
    loaded = load_like(
        Path(run),
        data,
        model,
        label_column(label) if code is None else False,
        n=n,
        words=words or (),
        command=context.command,
    )
    if out is not None:
        # Two columns beside the number of the row, of a digit and a mark each at least.
        require_space(out, (24 if out.suffix == ".npz" else 6) * len(loaded))
    if code is not None:
        loaded = labeled(loaded, code, Path(run), model)
    each: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    told = contexts(Path(run), given_file, model, loaded)
    with Progress("log-density", 1, show=not is_quiet(context)) as progress:

        def valued(rows: int | None) -> Any:
            return log_density(model, loaded, rows, given=told, **each, **asked, progress=progress)

        with advising(valued, min(len(loaded), batch_size or len(loaded)), learns=True):
            result = valued(None)
    chain = None
    if bound is not None:
        labels = conditions(model, loaded, slice(None))
        with Progress("variational bound", 1, show=not is_quiet(context)) as progress:
            chain = model.variational_bound(
                loaded.x,
                labels,
                steps=bound,
                level=_cell(loaded),
                stop=stop,
                **each,
                progress=progress,
            )
    if out is not None:
        _write(out, result, chain, loaded)
    bits, about = _bits(result, loaded), model.about_density(asked)
    given, measure = _given(model, loaded, klass), model.space.measure
    infinite, symbols = _infinite(model, result, loaded), _bits_per_symbol(model, result, loaded)
    spelled = _bits_spelled(result, loaded)
    if as_json:
        more = {"given": given, "about": about} | ({"measure": measure} if measure else {})
        if infinite is not None:
            more["infinite"] = infinite
        if symbols is not None:
            more["bits_per_symbol"] = {"value": symbols[0], "stderr": symbols[1]}
        more |= {
            f"bits_per_{unit}": {"value": value, "stderr": error}
            for unit, (value, error) in spelled.items()
        }
        emit(_summary(result, chain, bits, loaded) | more)
        return
    typer.echo(str(result))
    if infinite is not None:
        typer.echo(infinite)
    if measure:
        typer.echo(f"densities are {measure}")
    if result.unconverged:
        typer.echo(_ADVICE)
    if given is not None:
        typer.echo(f"conditional on {given}")
    if loaded.dropped:
        total = len(loaded) + loaded.dropped
        typer.echo(f"{loaded.dropped} of {total} rows were left out for missing values")
    if about is not None:
        typer.echo(in_words_of(context.command, about))
    if symbols is not None:
        value, error = symbols
        typer.echo(f"code length: at most {value:.4f} ± {error:.4f} bits per symbol")
    for unit, (value, error) in spelled.items():
        typer.echo(f"code length: at most {value:.4f} ± {error:.4f} bits per {unit}")
    if bits is not None:
        typer.echo(f"code length: at most {bits} bits per dimension ({loaded.levels} levels each)")
    if chain is not None:
        typer.echo(str(chain))
    if out is not None:
        typer.echo(str(out))


def _infinite(model: Any, result: Any, loaded: Any) -> str | None:
    """Which rows have a density that is zero or infinite, why, and the mean of the others."""
    far = result.value.isinf()
    if not bool(far.any()):
        return None
    rows = [str(_numbers(loaded)[k]) for k in far.nonzero().flatten().tolist()]
    named = ", ".join(rows[:5]) + (" and others" if len(rows) > 5 else "")
    noun = "row" if len(rows) == 1 else "rows"
    found = f"{len(rows)} of {len(far)} log-densities are infinite, of {noun} {named}"
    found += f": {model.space.singular}" if model.space.singular else ""
    rest = result.value[~far].double()
    return f"{found}; the mean of the others is {float(rest.mean()):.4f}" if len(rest) else found


def _cell(loaded: Any) -> float | None:
    """The distance of neighboring levels of quantized data."""
    from pushforward.metrics.likelihood import level_width

    return None if loaded.levels is None else level_width(loaded.levels, loaded.value_range)


def _bits(result: Any, loaded: Any) -> Any:
    """Bits per dimension of quantized data."""
    from pushforward import state
    from pushforward.metrics import bits_per_dimension

    if loaded.levels is None or len(result.value) < 2:
        return None
    kind = {"levels": loaded.levels, "value_range": loaded.value_range}
    return bits_per_dimension(result, state.numel(loaded.event_shape), **kind)


def _bits_per_symbol(model: Any, result: Any, loaded: Any) -> tuple[float, float] | None:
    """What a symbol of token data costs, and its error; none for other states."""
    import math

    from pushforward import state

    # A space of symbols says how many there are.
    if getattr(model.space, "vocabulary", None) is None:
        return None
    unit = math.log(2) * state.numel(loaded.event_shape)
    return -result.value.double().mean().item() / unit, result.mean_stderr() / unit


def _bits_spelled(result: Any, loaded: Any) -> dict[str, tuple[float, float]]:
    """What a byte and a character of UTF-8 cost, with errors, where symbols are no characters.

    The ratio of two sums over the texts, whose error is that of what each costs beyond it.
    """
    import math

    alphabet = loaded.schema.alphabet
    if alphabet is None or not alphabet.of_bytes:
        return {}
    cost = -result.value.double().cpu() / math.log(2)
    found = {}
    for unit, each in zip(("byte", "character"), alphabet.spelled_in(loaded.x), strict=True):
        total = float(each.sum())
        ratio = float(cost.sum()) / total
        error = float((cost - ratio * each).square().sum().sqrt()) / total
        found[unit] = ratio, error
    return found


def _given(model: Any, loaded: Any, klass: str | None) -> str | None:
    """What the densities are conditional on, in words."""
    if not model.condition.conditional:
        return None
    if loaded.c is None:
        what = "labels" if model.context_size is None else "contexts"
        return f"nothing, as DATA has no {what}"
    if loaded.schema.given:
        return f"{', '.join(column.name for column in loaded.schema.given)} of each row"
    if loaded.num_classes is None:
        return "the context of each row"
    return "the label of each row" if klass is None else f"the label {klass}"


def _numbers(loaded: Any) -> list[int]:
    """The numbers of the rows in the file, counted from 0."""
    found: list[int] = list(range(len(loaded))) if loaded.rows is None else loaded.rows.tolist()
    return found


def _summary(result: Any, chain: Any, bits: Any, loaded: Any) -> dict[str, Any]:
    """What `--json` prints."""
    converged = _converged(result)
    columns = (_numbers(loaded), result.value.tolist(), result.stderr.tolist(), converged)
    rows = zip(*columns, strict=True)
    found: dict[str, Any] = {
        "kind": result.kind,
        "nfe": result.nfe,
        "n": len(result.value),
        "mean": result.value.mean().item(),
        "stderr": result.mean_stderr(),
        "converged": all(converged),
        "error": None if result.error is None else result.error.abs().mean().item(),
        "rows": [
            {"row": row, "log_prob": value, "stderr": stderr, "converged": fine}
            for row, value, stderr, fine in rows
        ],
    }
    if bits is not None:
        found["bits_per_dimension"] = {
            "value": bits.value,
            "stderr": bits.stderr,
            "converged": bits.converged,
        }
    if chain is not None:
        found["bound"] = {
            "total": chain.total.mean().item(),
            "bits_per_dimension": chain.bits_per_dim.mean().item(),
            "prior": chain.prior.mean().item(),
            "steps": chain.steps.mean(1).tolist(),
            "reconstruction": chain.reconstruction.mean().item(),
        }
    return found


def _converged(result: Any) -> list[bool]:
    """Whether each value can be trusted; so can those that nothing could keep from it."""
    if result.converged is None:
        return [True] * len(result.value)
    each: list[bool] = result.converged.tolist()
    return each


def _write(path: Path, result: Any, chain: Any, loaded: Any) -> None:
    """A row for each of the file, empty or NaN where it was left out."""
    import csv

    import numpy as np

    from pushforward._files import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"log_prob": result.value, "stderr": result.stderr}
    if result.converged is not None:
        columns["converged"] = result.converged
    if chain is not None:
        columns["bound"] = chain.total
    numbers, total = _numbers(loaded), len(loaded) + loaded.dropped
    if path.suffix == ".npz":
        arrays: dict[str, Any] = {name: np.full(total, np.nan) for name in columns}
        for name, column in columns.items():
            arrays[name][numbers] = column.cpu().numpy()
        with replacing(path) as partial, partial.open("wb") as packed:
            np.savez(packed, **{"row": np.arange(total), **arrays})
        return
    found = zip(*(column.tolist() for column in columns.values()), strict=True)
    cells = {
        row: [f"{value:.7g}" for value in values]
        for row, values in zip(numbers, found, strict=True)
    }
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", *columns])
        empty = [""] * len(columns)
        writer.writerows([row, *cells.get(row, empty)] for row in range(total))
