"""Rows that a model draws, as a data set beside others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pushforward.cli.given import told, whole_table
from pushforward.cli.options import is_quiet
from pushforward.cli.refusals import require_memory
from pushforward.cli.rundata import described, labels_of, levels_of, load_like, schema_of
from pushforward.cli.writing import require_finite
from pushforward.data import Data
from pushforward.errors import InputError

__all__ = ["beside_run", "draws_of_run", "is_run"]


def is_run(place: str) -> bool:
    """Whether a place is a run folder or a saved model, from which rows can be drawn."""
    from pushforward.models.sealed_folder import CONFIG

    return (Path(place) / CONFIG).is_file()


def draws_of_run(run: Path, model: Any, n: int, seed: int, context: Any) -> Data:
    """`n` rows of a model, in the columns of the data that it was trained on.

    Labels and given columns are as frequent as there. Raises `InputError` for a model that does not
    know its data, and `SamplingError` for rows that are not finite.
    """
    import torch

    from pushforward import state
    from pushforward.data.rounding import rounded
    from pushforward.training.progress import Progress

    known = described(run)
    if known is None:
        raise InputError(
            f"{run} does not know the columns of its data: draw with `pushforward sample {run} "
            "--out drawn.csv`, and compare that"
        )
    require_memory(n, state.numel(model.event_shape))
    own = told(run, model, None, n, context, seed)
    c: Any = labels_of(run, model, n, seed) if own is None else own.c
    with Progress("sampling", 1, show=not is_quiet(context)) as progress:
        each = model.understood("sample", seed=seed, batch_size=512, progress=progress)
        x = model.sample(n, c, **each)
    require_finite(x, run)
    schema, levels = schema_of(run), levels_of(run)
    x = rounded(state.to(x, "cpu"), model.space, schema, **levels)
    labels = c.cpu() if own is None and isinstance(c, torch.Tensor) else None
    if labels is None:
        schema = dataclasses.replace(schema, label=None, classes=())
    if own is not None:
        x, schema = whole_table(x, own, schema)
    return Data(
        x, labels, name=run.name, source=str(run),
        kind=known["kind"], schema=schema, **levels,
    )  # fmt: skip


def beside_run(
    run: Path, model: Any, source: str, label: str | bool | None, words: list[str], context: Any
) -> tuple[Data, tuple[str, ...]]:
    """Data in the columns of a run, and what is to be known of comparing the two."""
    data = load_like(run, source, model, label, words=words, command=context.command)
    known = described(run)
    if known is not None and known["fingerprint"] == data.fingerprint:
        return data, (
            f"{data.name} is what {run.name} was trained on, and a model may have learned its rows "
            f"by heart: `pushforward evaluate {run}` compares with rows that were held out",
        )
    return data, ()
