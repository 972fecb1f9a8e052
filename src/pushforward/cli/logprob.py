"""`pushforward logprob`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Run, Seed, Trust, accepted, emit, is_quiet

__all__ = ["logprob"]


def logprob(
    context: typer.Context,
    run: Run,
    data: Annotated[str, typer.Argument(help="Data to evaluate.", metavar="DATA")],
    out: Annotated[Path | None, typer.Option(help="A .csv or .npz file.", metavar="FILE")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the ODE, or of a bound; the family's default.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Adaptive steps to this tolerance instead.")
    ] = None,
    stop: Annotated[
        float | None, typer.Option(help="The early stopping time; the schedule's own by default.")
    ] = None,
    divergence: Annotated[str | None, typer.Option(help="auto, exact or hutchinson.")] = None,
    probes: Annotated[int | None, typer.Option(help="Hutchinson probes.")] = None,
    method: Annotated[
        str | None, typer.Option(help="Of a VAE: importance, bound or annealed.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Of a VAE: latents or chains for each data point.")
    ] = None,
    bound: Annotated[
        int | None, typer.Option(help="Also the variational bound of a chain of so many steps.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", help="Only so many, the first.")] = None,
    seed: Seed = 0,
    label: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="States at a time; what fits into a GiB by default.")
    ] = None,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Log-densities of data under a trained model, in nats per data point, with standard errors.

    Values of quantized data (such as pictures) are spread uniformly over the cells of their levels
    first: then the mean also bounds the code length, given in bits per dimension.
    """
    from pushforward.cli.rundata import load_like
    from pushforward.errors import CapabilityError, InputError
    from pushforward.models import load
    from pushforward.models.noising import Noising
    from pushforward.report.judging import log_density
    from pushforward.training.progress import Progress

    if out is not None and out.suffix not in (".csv", ".npz"):
        raise InputError(f"log-densities go to a .csv or .npz file, not {out.name!r}")
    if n is not None and n < 1:
        raise InputError(f"-n asks for at least one data point, not {n}")
    model = load(run, trust=tuple(trust or ()))
    if model.capabilities.log_prob in ("unnormalized", "none"):
        raise CapabilityError(
            f"{type(model).__name__} has no normalized density: its log_prob in Python, if it has "
            "one, is up to a constant"
        )
    asked = accepted(
        model.log_prob,
        divergence=divergence,
        probes=probes,
        steps=steps,
        tolerance=tolerance,
        stop=stop,
        method=method,
        samples=samples,
    )
    loaded = load_like(Path(run), data, label)
    x = loaded.x[:n]
    labels = loaded.c[:n] if model.capabilities.conditional and loaded.c is not None else None
    each: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    with Progress("log-density", 1, show=not is_quiet(context)) as progress:
        result = log_density(model, loaded, n, **each, **asked, progress=progress)
    chain = None
    if bound is not None:
        if not hasattr(model, "variational_bound"):
            raise InputError(f"--bound means nothing to a {type(model).__name__}: leave it out")
        with Progress("variational bound", 1, show=not is_quiet(context)) as progress:
            chain = model.variational_bound(
                x,
                labels,
                steps=bound,
                level=_cell(loaded),
                stop=stop,
                **each,
                progress=progress,
            )
    if out is not None:
        _write(out, result, chain)
    bits = _bits(result, loaded)
    stopped = stop
    if stop is None and isinstance(model, Noising):
        stopped = model.process.schedule.t_min
    if as_json:
        emit(_summary(result, chain, bits) | {"stop": stopped})
        return
    typer.echo(str(result))
    if stopped is not None:
        typer.echo(f"density of the model at t = {stopped:g}, where its path ends")
    if bits is not None:
        typer.echo(f"code length: at most {bits} bits per dimension ({loaded.levels} levels each)")
    if chain is not None:
        typer.echo(str(chain))
    if out is not None:
        typer.echo(str(out))


def _cell(loaded: Any) -> float | None:
    """The distance of neighboring levels of quantized data."""
    from pushforward.metrics.likelihood import level_width

    return None if loaded.levels is None else level_width(loaded.levels, loaded.value_range)


def _bits(result: Any, loaded: Any) -> Any:
    """Bits per dimension of quantized data."""
    from pushforward.metrics import bits_per_dimension

    if loaded.levels is None or len(result.value) < 2:
        return None
    kind = {"levels": loaded.levels, "value_range": loaded.value_range}
    return bits_per_dimension(result, loaded.x[0].numel(), **kind)


def _summary(result: Any, chain: Any, bits: Any) -> dict[str, Any]:
    """What `--json` prints."""
    rows = zip(result.value.tolist(), result.stderr.tolist(), strict=True)
    found: dict[str, Any] = {
        "kind": result.kind,
        "nfe": result.nfe,
        "n": len(result.value),
        "mean": result.value.mean().item(),
        "error": None if result.error is None else result.error.abs().mean().item(),
        "rows": [{"log_prob": value, "stderr": stderr} for value, stderr in rows],
    }
    if bits is not None:
        found["bits_per_dimension"] = {"value": bits.value, "stderr": bits.stderr}
    if chain is not None:
        found["bound"] = {
            "total": chain.total.mean().item(),
            "bits_per_dimension": chain.bits_per_dim.mean().item(),
            "prior": chain.prior.mean().item(),
            "steps": chain.steps.mean(1).tolist(),
            "reconstruction": chain.reconstruction.mean().item(),
        }
    return found


def _write(path: Path, result: Any, chain: Any) -> None:
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"log_prob": result.value, "stderr": result.stderr}
    if chain is not None:
        columns["bound"] = chain.total
    arrays = {name: column.cpu().numpy() for name, column in columns.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        table = np.stack(list(arrays.values()), -1)
        np.savetxt(path, table, delimiter=",", header=",".join(arrays), comments="", fmt="%.7g")
