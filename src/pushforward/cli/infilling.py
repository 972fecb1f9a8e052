"""`--given-file`: texts with gaps, filled in by a model of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pushforward import registry
from pushforward._random import derived_seed
from pushforward.cli.rundata import schema_of
from pushforward.data.texts import in_gaps
from pushforward.errors import InputError
from pushforward.samplers import Infilling

__all__ = ["filled_in"]


def filled_in(
    run: Path,
    model: Any,
    place: Path,
    gap: str,
    draws: int,
    sampler: Any,
    seed: int,
    sample: Callable[..., Any],
) -> Any:
    """States that have the symbols of a file where it has some, `draws` for each of its texts.

    Args:
        run: the run, which knows the symbols.
        model: its model.
        place: the file, in the form of the data of the run.
        gap: what stands for a missing symbol.
        draws: how many states for each text.
        sampler: whose steps are made; that of the process by default.
        seed: of all of them; each text has noise of its own.
        sample: `model.sample` with the other options.

    Raises `InputError` for a model that is none of texts, or a file that does not fit.
    """
    alphabet = schema_of(run).alphabet
    if alphabet is None:
        raise InputError(
            f"--given-file {place}: {run} was not trained on texts; --given tells a model columns"
        )
    if not place.is_file():
        raise InputError(f"--given-file: there is no file {place}")
    texts = in_gaps(place, alphabet, model.event_shape[0], gap)
    rule = registry.resolve("samplers", sampler or model.process.sampler)
    parts = []
    for k, known in enumerate(texts):
        given = known >= 0
        if bool(given.all()):
            parts.append(known.expand(draws, -1))
            continue
        excluded = None if alphabet.end is None else _no_end(known, alphabet.end, alphabet.size)
        infilling = Infilling(known.clamp(min=0), given, rule, excluded)
        start = infilling.start(model.process)
        own = sample(draws, sampler=infilling, start=start, stop=0.0, seed=derived_seed(seed, k))
        parts.append(own.cpu())
    return torch.cat(parts)


def _no_end(known: torch.Tensor, end: int, symbols: int) -> torch.Tensor:
    """Where a text cannot end: before a symbol that is given, `(sites, symbols)`."""
    written = torch.nonzero((known >= 0) & (known != end)).flatten()
    excluded = torch.zeros(len(known), symbols, dtype=torch.bool)
    if len(written):
        excluded[: int(written[-1]), end] = True
    return excluded
